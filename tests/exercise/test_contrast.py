"""What decides a claim: intervals by hand and by SciPy, and the rules for seeds that were lost and rates at an end."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from scipy import stats

from exercise.contrast import (
    ABOUT,
    POINTS,
    RATIO,
    Claim,
    Contrast,
    claim_of_most,
    contrast_epochs,
    contrast_groups,
    contrast_ratio,
    contrast_values,
    judge,
)
from left_decisions import leave_decisions, with_spread
from run_folders import leave_run
from trainlab.report import Group, find_runs, group_runs
from trainlab.runs.result import Result
from trainlab.statistics import sequential

Leave = Callable[..., Path]
A, B = (0.531, 0.533, 0.536), (0.500, 0.505, 0.501)


def groups(folder: Path) -> dict[str, Group]:
    return {str(group.settings["model.activation"]): group for group in group_runs(find_runs([folder]))}


def leave_group(folder: Path, name: str, accuracies: Sequence[float | None], losses: Sequence[float] = (1.5,)) -> None:
    """Runs of a group; None is one that diverged."""
    for seed, accuracy in enumerate(accuracies, 1):
        status = "diverged" if accuracy is None else "completed"
        values = [accuracy or 0.1] * len(losses)
        leave_run(
            folder / f"{name},{seed}", list(losses), values, seed, name, overrides=(f"model={name}",), status=status
        )


def test_groups_are_compared_in_points_seed_by_seed(tmp_path: Path):
    leave_group(tmp_path, "bn", A)
    leave_group(tmp_path, "elu", B)
    found = contrast_groups(groups(tmp_path)["bn"], groups(tmp_path)["elu"], "higher")
    interval = stats.ttest_rel(A, B).confidence_interval()
    assert (found.low, found.high) == pytest.approx((100 * interval.low, 100 * interval.high)) == found.alone
    assert found.seeds == 3 and found.verdict == "confirmed" and found.metric == "accuracy"
    assert found.amount == f"+3.1 ({100 * interval.low:.1f} to {100 * interval.high:.1f}) points"
    assert found.size == "3.1 points"


def test_a_seed_that_one_lost_bars_what_favours_it_and_nothing_else(tmp_path: Path):
    leave_group(tmp_path, "bn", [*A, None])
    leave_group(tmp_path, "elu", [*B, 0.503])
    bn, elu = groups(tmp_path)["bn"], groups(tmp_path)["elu"]
    better = contrast_groups(bn, elu, "higher")
    assert better.verdict == "undecided" and better.low == -math.inf and better.seeds == 3
    assert "bn lost seeds that the other has" in better.note
    assert contrast_groups(elu, bn, "lower").verdict == "undecided"
    assert contrast_groups(bn, elu, "equal", margin=50).verdict == "undecided"
    leave_group(tmp_path / "worse", "selu", [0.40, 0.41, 0.405, None])
    selu = groups(tmp_path / "worse")["selu"]
    assert contrast_groups(selu, elu, "lower").verdict == "confirmed"  # what completed is worse, too
    assert contrast_groups(elu, selu, "higher").verdict == "confirmed"


def test_of_a_loss_a_lost_seed_may_be_the_highest(tmp_path: Path):
    leave_group(tmp_path, "bn", [0.5, 0.5, 0.5, None], [1.2])
    leave_group(tmp_path, "elu", [0.5, 0.5, 0.5, 0.5], [1.4])
    found = contrast_groups(groups(tmp_path)["bn"], groups(tmp_path)["elu"], "lower", "val_loss", 0.1)
    assert found.high == math.inf and found.verdict == "undecided" and found.unit == "nats"


def test_seeds_that_one_never_had_are_not_lost(tmp_path: Path):
    leave_group(tmp_path, "bn", A)
    leave_group(tmp_path, "elu", [*B, 0.503, 0.504])
    assert contrast_groups(groups(tmp_path)["bn"], groups(tmp_path)["elu"], "higher").verdict == "confirmed"


def test_nothing_is_claimed_of_a_rate_at_the_end_of_its_range(tmp_path: Path):
    leave_group(tmp_path, "bn", A)
    leave_group(tmp_path, "elu", B)
    for folder in tmp_path.glob("elu,*"):
        result = Result.read(folder)
        assert result is not None
        curve = {"lr": [1e-5, 1e-4], "losses": [[1.0], [2.0]]}
        result.lr_search = {"method": "grid", "lr": 1e-5, "rule": "r", "suggestions": {"r": 1e-5}, "curve": curve}
        result.write(folder)
    found = contrast_groups(groups(tmp_path)["bn"], groups(tmp_path)["elu"], "higher")
    assert found.verdict == "undecided"
    assert found.note == "the learning rate of elu lies at the end of its range"
    assert Claim("bn is better", [found]).remark == found.note


@pytest.mark.parametrize(("first", "mean"), [("bn", 3.0), ("elu", -3.0)])
def test_a_sweep_that_adds_seeds_has_the_interval_of_its_decision(tmp_path: Path, first: str, mean: float):
    values = {"bn": with_spread(0.53, 8), "elu": with_spread(0.50, 8, times=-1)}
    decisions = leave_decisions(tmp_path, values)
    (pair,) = decisions.pairs
    second = "elu" if first == "bn" else "bn"
    found = contrast_groups(groups(tmp_path)[first], groups(tmp_path)[second], "higher")
    assert found.mean == pytest.approx(mean, abs=0.2)
    low, high = sorted(100 * math.copysign(1, mean) * end for end in (pair.found.low, pair.found.high))
    assert (found.low, found.high) == pytest.approx((low, high))
    assert found.verdict == ("confirmed" if first == "bn" else "contradicted") and found.seeds == 8
    assert judge([found]) == [found]


def test_an_open_decision_says_how_many_seeds_it_takes(tmp_path: Path):
    decisions = leave_decisions(tmp_path, {"bn": with_spread(0.506, 8, 3.0), "elu": with_spread(0.50, 8, -3.0)})
    (pair,) = decisions.pairs
    found = contrast_groups(groups(tmp_path)["bn"], groups(tmp_path)["elu"], "higher")
    assert pair.is_open and found.verdict == "undecided" and found.more == pair.foreseen
    assert Claim("It is.", [found]).remark == f"8 seeds; about {pair.foreseen} more would decide"


def test_other_figures_of_such_a_sweep_have_intervals_for_any_number_of_seeds(tmp_path: Path):
    leave_decisions(tmp_path, {"bn": with_spread(0.53, 8), "elu": with_spread(0.50, 8, times=-1)})
    bn, elu = groups(tmp_path)["bn"], groups(tmp_path)["elu"]
    found = contrast_groups(bn, elu, "higher", "val_loss", 0.1)
    assert found.series == [0.0] * 8 and found.tested is None
    spread = {seed: 0.1 * seed for seed in range(1, 9)}
    series = Contrast(*("a", "b", "m", "higher", 0.1, 0, 0, 0, 8), series=[*spread.values()])
    one, two = judge([series, series])
    by_hand = sequential([*spread.values()], 0.05 / 2)
    assert (one.low, one.high) == (two.low, two.high) == (by_hand.low, by_hand.high)


def test_epochs_are_to_the_higher_of_the_two_best_losses(tmp_path: Path):
    for seed in (1, 2, 3):
        slow = [2.2, 2.0, 1.8, 1.6, 1.4 + 0.01 * seed]
        quick = [2.0, 1.7, 1.39]
        leave_run(tmp_path / f"elu,{seed}", slow, [0.5] * 5, seed, "elu")
        leave_run(tmp_path / f"bn,{seed}", quick, [0.5] * 3, seed, "bn")
    bn, elu = groups(tmp_path)["bn"], groups(tmp_path)["elu"]
    found = contrast_epochs(bn, elu, "lower")
    assert found.mean == pytest.approx(3 / 5) and found.seeds == 3 and found.metric == "epochs to as low a loss"
    step = Contrast(*("a", "b", "time of a step", "lower", RATIO, 1.2, 1.1, 1.3, 40), is_ratio=True, alone=(1.1, 1.3))
    assert contrast_epochs(bn, elu, "lower", step).mean == pytest.approx(3 / 5 * 1.3)  # of a step, the worse end


def test_networks_that_do_not_beat_guessing_converge_to_nothing(tmp_path: Path):
    leave_group(tmp_path, "bn", A, [2.2, 1.5])
    leave_group(tmp_path, "elu", B, [2.31, 2.305])
    found = contrast_epochs(groups(tmp_path)["bn"], groups(tmp_path)["elu"], "lower")
    assert found.verdict == "undecided" and "below that of guessing" in found.note and found.amount == "no figure"


def test_times_by_round_and_ratios_of_about_a_number():
    step = contrast_ratio(("a", [2.0, 2.2, 1.8]), ("b", [1.0, 1.0, 1.0]), "higher", "time of a step", counted="round")
    assert (step.count, step.margin, step.verdict) == ("3 rounds", RATIO, "confirmed")
    assert contrast_ratio(("a", [1.3, 1.4]), ("b", [1.0, 1.0]), "about 10", "time").margin == ABOUT
    few = contrast_values(("a", [1.0, 2.0, 0.0, 1.4]), ("b", [0.0, 0.2, 0.1, 0.0]), "higher", "m", POINTS)
    assert Claim("It is.", [few]).remark == f"4 seeds; about {few.more} more would decide"


def test_a_claim_holds_if_all_of_it_does():
    yes, no, maybe = (Contrast("a", "b", "m", "higher", 1.0, 0, *ends) for ends in ((1, 2), (-3, -1), (-3, 3)))
    assert Claim("s", [yes, yes]).verdict == "confirmed"
    assert Claim("s", [yes, maybe]).verdict == "undecided"
    assert Claim("s", [yes, maybe, no]).verdict == "contradicted"
    assert [Claim("s", holds=holds).verdict for holds in (True, False, None)] == [
        *("confirmed", "contradicted", "undecided")
    ]


@pytest.mark.parametrize(
    ("count", "n", "verdict", "remark"),
    [
        (6, 6, "confirmed", ""),  # 54 to 100 %
        (5, 5, "undecided", "5 runs; about 1 more would decide"),  # 48 to 100 %
        (1, 6, "undecided", "6 runs; about 6 more would decide"),  # of 12, 2 to 48 %
        (0, 6, "contradicted", ""),
        (3, 6, "undecided", "6 runs"),
        (0, 0, "undecided", "0 runs"),
    ],
)
def test_most_runs_are_more_than_half_by_the_exact_interval(count: int, n: int, verdict: str, remark: str):
    claim = claim_of_most("It does", count, n)
    assert (claim.verdict, claim.remark) == (verdict, remark)
