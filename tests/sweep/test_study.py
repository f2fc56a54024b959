"""A study without training: the trials that it proposes and the results that it records."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState

from run_folders import outcome
from trainlab.runs.numbers import short_number
from trainlab.sweep.space import Space
from trainlab.sweep.study import JOURNAL, Settings, Study, describe_space, status_of
from trainlab.sweep.study_summary import describe_progress, write_summary
from trainlab.tasks.metrics import METRICS

RATES = FloatDistribution(1e-5, 1e-1, log=True)
LR = Space((("optim.lr", RATES), ("model", CategoricalDistribution(("bn", "selu"))), "trainer.max_epochs=4"))
SIX = Space((("a", CategoricalDistribution(("1", "2"))), ("b", IntDistribution(0, 2))))


def study_in(folder, space=LR, trials=20, sampler="tpe", seed=1, pruner="none"):
    folder.mkdir(exist_ok=True)
    return Study(folder, space, Settings(trials, sampler, seed, pruner, 4))


def completed(loss):
    return outcome("completed", {"val_loss": loss})


def parabola(trial):
    """Lowest at a rate of 1e-3, and a little lower for bn than for selu."""
    return (math.log10(trial.params["optim.lr"]) + 3) ** 2 + 0.1 * (trial.params["model"] == "selu")


def run_study(study, batch=4, loss=parabola, batches=99):
    """Run a search in batches and record the results of each."""
    for _ in range(batches):
        trials = study.next(batch)
        if not trials:
            break
        for trial in trials:
            study.tell(trial, completed(loss(trial)))
    return [trial.params for trial in study.trials()]


def test_a_search_finds_the_lowest_loss_and_rounds_what_it_draws(tmp_path):
    study = study_in(tmp_path, trials=40)
    drawn = run_study(study)
    assert len(drawn) == 40
    assert all(params["optim.lr"] == float(f"{params['optim.lr']:.4g}") for params in drawn)
    best = study.best()
    assert best.value == parabola(best)
    assert abs(math.log10(best.params["optim.lr"]) + 3) < 0.25  # a twentieth of the interval
    assert study.overrides(best) == [f"optim.lr={best.params['optim.lr']}", "model=bn", "trainer.max_epochs=4"]


@pytest.mark.parametrize(
    "sampler, pruner",
    [
        ("tpe", "hyperband"),
        pytest.param("tpe", "none", marks=pytest.mark.slow),
        pytest.param("random", "median", marks=pytest.mark.slow),
    ],
)
def test_a_seed_repeats_a_search_and_another_does_not(sampler, pruner, tmp_path):
    settings = {"sampler": sampler, "pruner": pruner}
    first, second = (run_study(study_in(tmp_path / name, **settings)) for name in "ab")
    assert len(first) == 20
    assert first == second
    assert run_study(study_in(tmp_path / "c", seed=2, **settings)) != first


def test_random_draws_spread_evenly_over_the_logarithm(tmp_path):
    drawn = run_study(study_in(tmp_path, trials=100, sampler="random"), batch=100)
    heights = sorted(math.log10(params["optim.lr"]) for params in drawn)
    uniform = [-5 + 4 * (i + 0.5) / 100 for i in range(100)]
    # Kolmogorov's distance; larger than 1.63 / sqrt(100) once in a hundred seeds
    assert max(abs(a - b) for a, b in zip(heights, uniform, strict=True)) / 4 < 1.63 / math.sqrt(100)
    assert 30 < sum(params["model"] == "bn" for params in drawn) < 70  # 4 standard deviations of 5


def test_an_interrupted_search_proposes_the_same_trials(tmp_path):
    whole = run_study(study_in(tmp_path / "whole"))
    run_study(study_in(tmp_path / "cut"), batches=2)
    left = [trial.number for trial in study_in(tmp_path / "cut").next(4)]  # and killed before any result is recorded
    again = study_in(tmp_path / "cut")
    assert [trial.number for trial in again.next(4)] == left == [8, 9, 10, 11]
    assert run_study(again) == whole


def test_more_trials_continue_and_fewer_add_none(tmp_path):
    first = run_study(study_in(tmp_path, trials=8))
    assert study_in(tmp_path, trials=4).next(4) == []
    assert run_study(study_in(tmp_path, trials=12))[:8] == first
    assert len(study_in(tmp_path, trials=12).trials()) == 12


@pytest.mark.parametrize(
    "result, state, status, value",
    [
        (outcome("completed", {"val_loss": 1.5}), TrialState.COMPLETE, "completed", 1.5),
        (outcome("completed", {}), TrialState.FAIL, "failed", None),
        (outcome("diverged", {"val_loss": 2.0}, reason="not finite"), TrialState.FAIL, "diverged", None),
        (outcome("failed", {}, reason="the cat"), TrialState.FAIL, "failed", None),
        (outcome("pruned", {"val_loss": 2.0}), TrialState.PRUNED, "pruned", None),  # none was reported after an epoch
    ],
)
def test_the_outcome_of_a_trial_is_reported(result, state, status, value, tmp_path):
    study = study_in(tmp_path)
    study.tell(study.next(1)[0], result)
    (trial,) = study_in(tmp_path).trials()
    assert (trial.state, status_of(trial), trial.value) == (state, status, value)
    assert study.running() == []


def test_failures_do_not_stop_it_and_are_never_best(tmp_path):
    study = study_in(tmp_path, trials=12)
    for _ in range(3):
        for i, trial in enumerate(study.next(4)):
            study.tell(trial, completed(parabola(trial)) if i else outcome("diverged", {"val_loss": -9.0}))
    assert len(study.trials()) == 12
    assert study.best().value >= 0
    assert describe_progress(study).startswith(
        "search: 12 of 12 trials: 9 completed, 3 diverged; best validation loss "
    )


def test_a_space_of_six_is_tried_once_each_and_then_at_an_end(tmp_path):
    drawn = run_study(study_in(tmp_path, SIX, trials=50), batch=4, loss=lambda trial: trial.params["b"])
    assert len(drawn) == 6
    assert len({tuple(params.values()) for params in drawn}) == 6
    assert study_in(tmp_path, SIX, trials=50).next(4) == []


def test_folders_are_one_each(tmp_path):
    study = study_in(tmp_path, trials=64)
    run_study(study, batch=64)
    assert len({*study.folders_of(study.trials())}) == 64


def test_what_failed_is_tried_again_in_its_folder(tmp_path):
    study = study_in(tmp_path, trials=4)
    for i, trial in enumerate(study.next(4)):
        study.tell(trial, outcome("failed", {}) if i == 2 else completed(1.0))
    assert study.next(4) == []
    failed = study.trials()[2]

    study = study_in(tmp_path, trials=4)
    study.retry_failed()
    (again,) = study.next(4)
    assert (again.number, again.params) == (4, failed.params)
    assert study.folders_of([again]) == study.folders_of([failed])
    study.tell(again, completed(0.5))
    assert [trial.number for trial in study.trials()] == [0, 1, 3, 4]
    study.retry_failed()
    assert study.next(4) == []


@pytest.mark.parametrize("bytes_lost", [1, 20, 60])
def test_half_a_line_and_a_lock_that_a_killed_process_left_do_no_harm(bytes_lost, tmp_path):
    study = study_in(tmp_path, trials=8)
    run_study(study, batches=1)
    numbers = [trial.number for trial in study.next(4)]
    path = tmp_path / JOURNAL
    whole = path.read_bytes()
    path.write_bytes(whole + whole.splitlines(keepends=True)[-1][:-bytes_lost])
    Path(f"{path}.lock").symlink_to(path)
    again = study_in(tmp_path, trials=8)
    assert path.read_bytes() == whole
    assert [trial.number for trial in again.next(4)] == numbers
    assert len(run_study(again)) == 8
    assert len(study_in(tmp_path, trials=8).trials()) == 8  # it can be read to its end


def test_a_trial_that_was_killed_while_it_was_drawn_counts_for_nothing(tmp_path):
    study = study_in(tmp_path, trials=6)
    run_study(study, batches=1)
    path = tmp_path / JOURNAL
    whole = path.read_bytes()
    study.next(2)
    more = path.read_bytes()[len(whole) :].splitlines(keepends=True)
    path.write_bytes(whole + more[0])  # the trial, and none of its values
    assert len(run_study(study_in(tmp_path, trials=6))) == 6


def test_another_search_under_the_same_name_is_an_error_that_names_both(tmp_path):
    study_in(tmp_path)
    other = Space(
        (("optim.lr", FloatDistribution(1e-4, 1e-1, log=True)), "trainer.max_epochs=5", "sweep.jobs=2", "name=x")
    )
    with pytest.raises(ValueError) as caught:
        study_in(tmp_path, other)
    assert str(caught.value) == (
        f"{tmp_path} holds a search over model in bn or selu, optim.lr in 1e-05 to 0.1 (log) with trainer.max_epochs=4;"
        " this one is over optim.lr in 0.0001 to 0.1 (log) with trainer.max_epochs=5. Set another name="
    )


def test_the_order_of_keys_and_where_and_how_do_not_make_another_search():
    assert describe_space(Space((*reversed(LR.parts), "sweep.jobs=2", "name=x", "output_dir=y"))) == describe_space(LR)


def test_a_search_of_an_older_format_is_refused_in_a_line_that_names_the_version_to_read_it_with(tmp_path):
    run_study(study_in(tmp_path, trials=4))
    path = tmp_path / JOURNAL
    of_format = [line for line in path.read_bytes().splitlines(keepends=True) if b'"format"' in line]
    assert len(of_format) == 1
    path.write_bytes(path.read_bytes().replace(of_format[0], b""))  # as trainlab 0.1 wrote it
    before = path.read_bytes()
    with pytest.raises(ValueError) as caught:
        study_in(tmp_path, trials=8)
    assert str(caught.value) == (
        f"{path} is of format 1 (read it with trainlab 0.1) and this version reads format 2; set another name="
    )
    assert path.read_bytes() == before


def test_a_damaged_journal_is_reported_and_not_repaired(tmp_path):
    run_study(study_in(tmp_path))
    path = tmp_path / JOURNAL
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:5], b"nonsense\n", *lines[5:]]))
    with pytest.raises(ValueError, match=r"study\.journal is damaged \(.*\); remove it to search anew: the runs are"):
        study_in(tmp_path)


def test_importance_is_of_the_key_that_matters(tmp_path):
    study = study_in(tmp_path, trials=60, sampler="random")
    run_study(study, batch=60)
    shares = study.importance()
    assert sum(shares.values()) == pytest.approx(1)
    assert shares["optim.lr"] > 0.8  # the loss goes from 0 to 4 with it, and by 0.1 with the model


def test_nothing_is_said_of_the_importance_in_a_few_trials(tmp_path):
    study = study_in(tmp_path, trials=9)
    run_study(study)
    assert study.importance() == {}


def test_the_summary_has_all_that_counts(tmp_path):
    study = study_in(tmp_path, trials=4)
    for i, trial in enumerate(study.next(4)):
        study.tell(trial, completed(i) if i else outcome("diverged", {}, reason="not finite"))
    write_summary(study)
    summary = json.loads((tmp_path / "study.json").read_text())
    assert (summary["planned"], summary["sampler"], summary["seed"], summary["pruner"]) == (4, "tpe", 1, "none")
    assert summary["space"]["optim.lr"] == {"low": 1e-5, "high": 1e-1, "log": True, "step": None}
    assert [trial["val_loss"] for trial in summary["trials"]] == [None, 1, 2, 3]
    first = summary["trials"][0]
    assert (first["status"], first["reason"]) == ("diverged", "not finite")
    lr = short_number(str(first["params"]["optim.lr"]))
    assert first["folder"] == f"optim.lr={lr},model={first['params']['model']}"  # and not what all trials share


def test_the_objective_has_its_direction_and_another_one_is_another_search(tmp_path):
    settings = Settings(3, "tpe", 1, "none", 4, "val/acc", METRICS["val/acc"])
    study = Study(tmp_path, LR, settings)
    for trial, accuracy in zip(study.next(3), (0.2, 0.6, 0.4), strict=True):
        study.tell(trial, outcome("completed", {"val_loss": 10 * accuracy, "val_acc": accuracy}))
    assert (study.best().number, study.best().value) == (1, 0.6)
    assert "; best validation accuracy 60.00 % (trial 1: " in describe_progress(study)
    write_summary(study)
    summary = json.loads((tmp_path / "study.json").read_text())
    assert summary["objective"] == "val/acc"
    assert [trial["val_acc"] for trial in summary["trials"]] == [0.2, 0.6, 0.4]
    assert Study(tmp_path, LR, settings).best().number == 1
    with pytest.raises(ValueError, match=r"holds a search by val/acc; this one is by val/loss\. Set another name="):
        Study(tmp_path, LR, replace(settings, objective="val/loss", metric=METRICS["val/loss"]))


def test_a_trial_without_the_objective_has_failed(tmp_path):
    study = Study(tmp_path, LR, Settings(1, "tpe", 1, "none", 4, "val/acc", METRICS["val/acc"]))
    (trial,) = study.next(1)
    study.tell(trial, outcome("completed", {"val_loss": 1.0}))
    assert [status_of(trial) for trial in study.trials()] == ["failed"]
