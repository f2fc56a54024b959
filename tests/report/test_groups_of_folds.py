"""Runs of folds are one group, whose intervals allow for the training images that folds share."""

import re
from math import sqrt
from pathlib import Path

import numpy as np
import pytest
import yaml
from scipy import stats

from run_folders import leave_run
from trainlab.report import find_runs, group_runs, write_report
from trainlab.report.comparisons import compare_all
from trainlab.report.descriptions import describe_pair
from trainlab.report.findings import analyze
from trainlab.report.group_table import answer_text
from trainlab.runs.result import Result
from trainlab.statistics import difference, interval, paired, welch
from trainlab.sweep.plan import OTHER_FOLDS, RUN, UNMATCHED, Job, plan

ACCURACIES = {"elu": [0.50, 0.52, 0.49, 0.51, 0.53], "selu": [0.55, 0.56, 0.55, 0.55, 0.60]}


def leave_fold(folder: Path, fold: int, accuracy: float, seed: int = 1, num_folds: int = 5, **more) -> None:
    activation = more.pop("activation", "elu")
    given = (f"model={activation}", f"data.fold={fold}", f"data.num_folds={num_folds}", f"seed={seed}")
    leave_run(folder, [1 - accuracy], [accuracy], seed, activation, overrides=given, **more)
    config = yaml.safe_load((folder / "config.yaml").read_text())
    config["data"] |= {"fold": fold, "num_folds": num_folds}
    (folder / "config.yaml").write_text(yaml.dump(config))


@pytest.fixture
def two_models(tmp_path: Path) -> Path:
    for activation, accuracies in ACCURACIES.items():
        for fold, accuracy in enumerate(accuracies):
            leave_fold(tmp_path / f"{activation},{fold}", fold, accuracy, activation=activation)
    return tmp_path


def test_the_runs_of_a_model_over_folds_are_one_group(two_models):
    found = {group.label: group for group in group_runs(find_runs([two_models]))}
    assert {label: len(group.runs) for label, group in found.items()} == {"elu": 5, "selu": 5}
    for label, group in found.items():
        assert group.of("metrics", "val_acc") == dict(enumerate(ACCURACIES[label]))
        of, values = group.summary("metrics", "val_acc"), ACCURACIES[label]
        assert (of.mean, of.n) == (pytest.approx(np.mean(values)), 5)
        half = stats.t.ppf(0.975, 4) * np.std(values, ddof=1) * sqrt(1 / 5 + 1 / 4)
        assert of.half_width == pytest.approx(half)


def test_models_are_compared_fold_by_fold(two_models):
    (pair,) = compare_all(group_runs(find_runs([two_models])))
    changes = np.subtract(ACCURACIES["selu"], ACCURACIES["elu"])
    t = changes.mean() / (changes.std(ddof=1) * sqrt(1 / 5 + 1 / 4))  # Nadeau and Bengio, 2003
    assert pair.difference.method == "paired"
    assert pair.difference.p == pytest.approx(2 * stats.t.sf(t, 4))
    assert "paired t over folds 0 to 4" in describe_pair(pair)
    findings = analyze([two_models], find_runs([two_models]))
    assert "Nadeau and Bengio" in findings.method_notes()[-1]
    assert "95 % interval over 5 folds" in str(answer_text(findings))


def test_each_fold_counts_once_however_many_seeds_it_has(tmp_path):
    for fold, accuracies in enumerate([(0.5, 0.6), (0.7, 0.7), (0.4,)]):
        for seed, accuracy in enumerate(accuracies, 1):
            leave_fold(tmp_path / f"{fold},{seed}", fold, accuracy, seed, num_folds=3)
    (group,) = group_runs(find_runs([tmp_path]))
    assert len(group.runs) == 5
    assert group.repeats == []
    assert group.of("metrics", "val_acc") == pytest.approx({0: 0.55, 1: 0.7, 2: 0.4})
    assert group.summary("metrics", "val_acc").n == 3


def test_folds_are_not_paired_with_runs_that_hold_other_images_out(two_models):
    for seed in (1, 2, 3):
        leave_run(two_models / f"plain,{seed}", [0.5], [0.5 + 0.01 * seed], seed, "elu", overrides=("model=plain",))
    pairs = compare_all(group_runs(find_runs([two_models])))
    methods = {frozenset((p.first.unit, p.second.unit)): p.difference.method for p in pairs}
    assert methods == {frozenset(["fold"]): "paired", frozenset(["fold", "seed"]): "Welch"}
    sentences = " ".join(describe_pair(pair) for pair in pairs)
    assert re.search(r"with (3 seeds and 5 folds|5 folds and 3 seeds) \(", sentences), sentences


def test_an_interval_beyond_all_percentages_is_of_too_few_runs(tmp_path, no_figures):
    for seed, accuracy in enumerate((0.5, 0.9), 1):
        leave_run(tmp_path / str(seed), [0.5], [accuracy], seed, "elu")
    page = write_report([tmp_path]).with_name("report.md")
    assert "reaches beyond 0 % or 100 % is of too few runs" in page.read_text()
    narrow = tmp_path / "narrow"
    for seed, accuracy in enumerate((0.5, 0.51), 1):
        leave_run(narrow / str(seed), [0.5], [accuracy], seed, "elu")
    assert "reaches beyond" not in write_report([narrow]).with_name("report.md").read_text()


def test_a_report_of_folds_says_what_its_intervals_are_of(two_models, no_figures):
    text = write_report([two_models]).with_name("report.md").read_text()
    assert "## Groups: runs that differ only in the seed and the fold" in text
    assert "each fold counts once, by the mean over its seeds" in text


def test_overlap_widens_intervals_and_is_none_by_default():
    first, second = [0.1, 0.2, 0.4], [0.2, 0.5, 0.4]
    assert interval(first, 0.5).half_width == pytest.approx(interval(first).half_width * sqrt(1 + 3 * 0.5))
    assert paired(first, second, (), 0.5).p > paired(first, second).p
    assert welch(first, second, (0.5, 0.0)).p > welch(first, second).p
    by_seed = [dict(enumerate(values)) for values in (first, second)]
    assert difference(*by_seed, True, (0.5, 0.5)).half_width == paired(first, second, (), 0.5).half_width


def test_folds_are_populations_of_their_own_with_the_reason():
    settings = {"data.num_folds": 2, "optim.lr": 0.1}
    runs = [settings | {"data.fold": fold, "seed": seed} for fold, seed in ((0, 1), (0, 2), (1, 1))]
    jobs = [Job(i, (), Path("nowhere"), "f", RUN, settings=own) for i, own in enumerate(runs)]
    found = [([job.number for job in item.jobs], item.reason) for item in plan(jobs, None)]
    assert found == [([0, 1], ""), ([2], OTHER_FOLDS)]
    (alone,) = plan([Job(0, (), Path("nowhere"), "f", RUN, settings={"optim.lr": 0.1})], None)
    assert alone.reason == UNMATCHED


def test_folds_with_a_search_of_their_own_are_one_group(tmp_path):
    search = {"method": "grid", "rule": "lowest", "curve": {"lr": [0.1], "losses": [[1.0]]}}
    for fold, lr in enumerate((0.1, 0.01)):
        leave_fold(tmp_path / str(fold), fold, 0.5, num_folds=2, lr=lr)
        result = Result.read(tmp_path / str(fold))
        result.lr_search = search | {"lr": lr, "suggestions": {"lowest": lr}}
        result.write(tmp_path / str(fold))
    (group,) = group_runs(find_runs([tmp_path]))
    assert len(group.runs) == 2
