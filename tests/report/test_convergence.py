import math
from pathlib import Path

import pytest

from trainlab.report.convergence import convergence, reach
from trainlab.report.groups import Group, group_runs
from trainlab.report.runs import find_runs
from trainlab.report.verdicts import converging, cost


def two(folder: Path) -> tuple[Group, Group]:
    """The elu group and the selu group."""
    groups = {group.label: group for group in group_runs(find_runs([folder]))}
    return groups["elu"], groups["selu"]


def test_the_first_epoch_at_the_loss_or_below_counts(leave, tmp_path: Path):
    leave("a", [2.0, 1.0, 1.5, 0.5], [0.1] * 4, epoch_s=3.0)
    (run,) = find_runs([tmp_path])
    assert reach(run.curve, 1.0) == (2, 6)
    assert reach(run.curve, 0.9) == (4, 12)
    assert reach(run.curve, 0.4) is None


def test_epochs_and_seconds_to_the_first_ones_best_loss(study: Path):
    elu, selu = two(study)
    found = convergence(elu, selu)
    assert found.target == pytest.approx(1.02)  # of 1.01, 1.02, 1.03
    assert (found.first.epochs.mean, found.first.seconds.mean) == (4, 8)
    assert (found.second.epochs.mean, found.second.seconds.mean) == (2, 8)
    assert (found.second.never, found.second.n) == (0, 3)
    assert found.epochs_ratio.value == pytest.approx(0.5)
    assert found.seconds_ratio.value == pytest.approx(1.0)
    assert converging(elu, selu) == (
        "selu reached elu's best validation loss (1.0200) after 2.0 ± 0.0 epochs (8.0 ± 0.0 s); elu itself took "
        "4.0 ± 0.0 epochs (8.0 ± 0.0 s). selu takes 0.50 times the epochs (95 %: 0.50 to 0.50: faster) and 1.00 times "
        "the seconds (95 %: 1.00 to 1.00: not clearly different)."
    )


def test_what_never_gets_there_is_said_and_no_ratio_is_made_of_the_rest(study: Path):
    elu, selu = two(study)
    assert converging(selu, elu) == (
        "elu never reached selu's best validation loss (0.9200) in any of its 3 runs; "
        "selu itself took 3.0 ± 0.0 epochs (12 ± 0 s)."
    )


def test_some_that_never_get_there(leave, tmp_path: Path):
    for seed in (1, 2, 3):
        leave(f"elu{seed}", [2.0, 1.0], [0.1, 0.2], seed, "elu")
        leave(f"selu{seed}", [1.5, 1.0 if seed == 1 else 1.2], [0.1, 0.2], seed, "selu")
    elu, selu = two(tmp_path)
    found = convergence(elu, selu)
    assert (found.second.never, found.second.n, found.second.epochs.n) == (2, 3, 1)
    assert math.isnan(found.epochs_ratio.value)
    assert "But selu never reached it in 2 of 3 runs, so no ratio is given." in converging(elu, selu)


def test_a_seed_that_the_first_does_not_have_is_held_against_its_mean(leave, tmp_path: Path):
    leave("elu1", [2.0, 1.0], [0.1, 0.2], 1, "elu")
    leave("elu2", [2.0, 0.8], [0.1, 0.2], 2, "elu")
    leave("selu5", [0.95, 0.9, 0.85], [0.1, 0.2, 0.3], 5, "selu")
    elu, selu = two(tmp_path)
    assert convergence(elu, selu).second.epochs.mean == 2  # 0.9, the mean of 1.0 and 0.8


def test_runs_without_a_curve_leave_nothing_to_compare(study: Path):
    for path in study.glob("selu*/metrics.csv"):
        path.unlink()
    elu, selu = two(study)
    assert convergence(elu, selu) is None
    assert converging(elu, selu) == "There is no validation loss by epoch to compare elu and selu with."


def test_what_an_epoch_costs(study: Path, leave):
    elu, selu = two(study)
    assert cost(elu, selu) == (
        "An epoch of selu takes 2.00 times as long as one of elu (95 %: 2.00 to 2.00): 4.0 ± 0.0 s against 2.0 ± 0.0 s."
    )
