"""Runs whose splits or searches vary with the seed are one group, and the report says what its intervals are over."""

from pathlib import Path

import pytest
import yaml

from run_folders import leave_run
from trainlab.report import find_runs, group_runs, write_report
from trainlab.report.comparisons import compare_all
from trainlab.report.findings import analyze
from trainlab.report.group_table import answer_text
from trainlab.runs.result import Result

ACCURACIES = {"elu": [0.50, 0.52, 0.49], "selu": [0.55, 0.56, 0.55]}


def leave_varied(
    folder: Path, seed: int, accuracy: float, activation: str, *vary: str, lr: float | None = None
) -> None:
    """A run as `vary=[...]` leaves it; with ``lr`` one that found it by a search."""
    given = (f"model={activation}", f"seed={seed}", f"vary=[{','.join(vary)}]")
    leave_run(folder, [1 - accuracy], [accuracy], seed, activation, lr=lr or 1e-4, overrides=given)
    config = yaml.safe_load((folder / "config.yaml").read_text()) | {"vary": [*vary]}
    if "split" in vary:
        config["data"]["split_seed"] = seed
    if lr:
        config["lr_search"] = {"min_lr": 1e-5, "seed": seed if "search" in vary else 0}
        result = Result.read(folder)
        result.lr_search = {"method": "grid", "lr": lr, "rule": "lowest", "suggestions": {"lowest": lr}}
        result.lr_search |= {"curve": {"lr": [lr], "losses": [[1.0]]}, "search_s": 1.0}
        result.write(folder)
    (folder / "config.yaml").write_text(yaml.dump(config))


@pytest.mark.parametrize(
    ("vary", "units", "repetition"),
    [
        (["split"], "3 seeds and splits", "the seed and the split"),
        (["search"], "3 seeds and searches", "the seed and the search"),
        (["split", "search"], "3 seeds, splits and searches", "the seed, the split and the search"),
    ],
)
def test_what_varies_with_the_seed_is_one_group_and_paired(vary, units, repetition, tmp_path, no_figures):
    for activation, accuracies in ACCURACIES.items():
        for seed, accuracy in enumerate(accuracies, 1):
            leave_varied(tmp_path / f"{activation}{seed}", seed, accuracy, activation, *vary, lr=1e-3 * seed)
    groups = group_runs(find_runs([tmp_path]))
    assert {group.label: sorted(group.runs) for group in groups} == {"selu": [1, 2, 3], "elu": [1, 2, 3]}
    (pair,) = compare_all(groups)
    assert (pair.difference.method, pair.difference.seeds) == ("paired", (1, 2, 3))
    findings = analyze([tmp_path], find_runs([tmp_path]))
    assert f"95 % interval over {units})" in str(answer_text(findings))
    notes = " ".join(findings.method_notes())
    assert f"differ only in {repetition}; n is their number" in notes
    assert ("over seeds and splits of these images" in notes) is ("split" in vary)
    assert ("the images held out for validation are the same" in notes) is ("split" not in vary)
    page = write_report([tmp_path]).with_name("report.md").read_text()
    assert f"## Groups: runs that differ only in {repetition}\n" in page


def test_fixed_and_varied_splits_are_two_groups_that_are_not_paired(tmp_path):
    for seed, accuracy in enumerate(ACCURACIES["elu"], 1):
        leave_varied(tmp_path / f"varied{seed}", seed, accuracy, "elu", "split")
        leave_run(tmp_path / f"fixed{seed}", [0.5], [accuracy + 0.02], seed, "elu", overrides=(f"seed={seed}",))
    groups = group_runs(find_runs([tmp_path]))
    assert [(group.varied, sorted(group.runs)) for group in groups] == [([], [1, 2, 3]), (["split"], [1, 2, 3])]
    (pair,) = compare_all(groups)
    assert pair.difference.method == "Welch"
    findings = analyze([tmp_path], find_runs([tmp_path]))
    assert any("differ in data.split_seed" in warning for warning in findings.warnings)
    assert "over 3 seeds)" in str(answer_text(findings))


def test_groups_that_differ_in_what_varies_are_named_by_it(tmp_path):
    for seed, accuracy in enumerate(ACCURACIES["elu"], 1):
        for vary in ((), ("split",), ("split", "search")):
            leave_varied(tmp_path / f"{len(vary)}{seed}", seed, accuracy + 0.01 * len(vary), "elu", *vary)
    labels = [group.label for group in group_runs(find_runs([tmp_path]))]
    assert labels == ["vary=[split, search]", "vary=[split]", "vary=[]"]
