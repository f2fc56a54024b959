from pathlib import Path

import numpy as np
import pytest

from trainlab.report.comparisons import compare_convergence, time_to_reach
from trainlab.report.descriptions import describe_convergence, describe_epoch_cost
from trainlab.report.groups import Group, group_runs
from trainlab.report.runs import find_runs
from trainlab.runs.result import Result
from trainlab.tasks.metrics import METRICS

LOSS = METRICS["val/loss"]


def two(folder: Path) -> tuple[Group, Group]:
    """The elu group and the selu group."""
    groups = {group.label: group for group in group_runs(find_runs([folder]))}
    return groups["elu"], groups["selu"]


def test_the_first_epoch_at_the_loss_or_below_counts(leave, tmp_path: Path):
    leave("a", [2.0, 1.0, 1.5, 0.5], [0.1] * 4, epoch_s=3.0)
    (run,) = find_runs([tmp_path])
    assert time_to_reach(run.curve, 1.0, LOSS) == (2, 6)
    assert time_to_reach(run.curve, 0.9, LOSS) == (4, 12)
    assert time_to_reach(run.curve, 0.4, LOSS) is None


def test_epochs_and_seconds_to_the_first_ones_best_loss(study: Path):
    elu, selu = two(study)
    found = compare_convergence(elu, selu)
    assert found.target == pytest.approx(1.02)  # of 1.01, 1.02, 1.03
    assert (found.first.epochs.mean, found.first.seconds.mean) == (4, 8)
    assert (found.second.epochs.mean, found.second.seconds.mean) == (2, 8)
    assert (found.second.never, found.second.n) == (0, 3)
    assert found.epochs_ratio.value == pytest.approx(0.5)
    assert found.seconds_ratio.value == pytest.approx(1.0)
    assert describe_convergence(elu, selu) == (
        "selu reached elu's best validation loss (1.0200) after 2 epochs, 8.0 s; elu itself took 4 epochs, 8.0 s: "
        "0.50 times the epochs (no spread: no claim) and 1.00 times the seconds (no spread: no claim)."
    )


def test_what_never_gets_there_is_said_and_no_ratio_is_made_of_the_rest(study: Path):
    elu, selu = two(study)
    assert describe_convergence(selu, elu) == (
        "elu never reached selu's best validation loss (0.9200) in any of its 3 runs; "
        "selu itself took 3 epochs, 12 s. To the higher of the two best losses (1.0200) elu takes 2.00 "
        "times the epochs (no spread: no claim) and 1.00 times the seconds (no spread: no claim)."
    )


def test_some_that_never_get_there(leave, tmp_path: Path):
    for seed in (1, 2, 3):
        leave(f"elu{seed}", [2.0, 1.0], [0.1, 0.2], seed, "elu")
        leave(f"selu{seed}", [1.5, 1.0 if seed == 1 else 1.2], [0.1, 0.2], seed, "selu")
    elu, selu = two(tmp_path)
    found = compare_convergence(elu, selu)
    assert (found.second.never, found.second.n, found.second.epochs.n) == (2, 3, 1)
    said = describe_convergence(elu, selu)
    assert said.startswith("selu reached elu's best validation loss (1.0000) in 1 of 3 runs, after 2 epochs (4.0 s);")
    before, common = said.split("To the higher of the two best losses")
    assert "times the epochs" not in before  # those that reached it are chosen
    assert "times the epochs" in common


def test_a_seed_that_the_first_does_not_have_is_held_against_its_mean(leave, tmp_path: Path):
    leave("elu1", [2.0, 1.0], [0.1, 0.2], 1, "elu")
    leave("elu2", [2.0, 0.8], [0.1, 0.2], 2, "elu")
    leave("selu5", [0.95, 0.9, 0.85], [0.1, 0.2, 0.3], 5, "selu")
    elu, selu = two(tmp_path)
    assert compare_convergence(elu, selu).second.epochs.mean == 2  # 0.9, the mean of 1.0 and 0.8


def test_runs_without_a_curve_leave_nothing_to_compare(study: Path):
    for path in study.glob("selu*/metrics.csv"):
        path.unlink()
    elu, selu = two(study)
    assert compare_convergence(elu, selu) is None
    assert describe_convergence(elu, selu) == "There is no validation loss by epoch to compare elu and selu with."


def test_what_an_epoch_costs(study: Path, leave):
    elu, selu = two(study)
    assert describe_epoch_cost(elu, selu) == (
        "An epoch of selu takes 2.00 times as long as one of elu: 4.0 ± 0.0 s against 2.0 ± 0.0 s "
        "(no spread: no claim)."
    )


def test_a_cost_that_no_run_shows_is_not_said_to_be_the_same(leave, tmp_path: Path):
    for seed, elu_s, selu_s in ((1, 2.0, 2.5), (2, 3.0, 2.5), (3, 2.0, 2.2)):
        leave(f"elu{seed}", [1.0], [0.5], seed, "elu", epoch_s=elu_s)
        leave(f"selu{seed}", [1.0], [0.5], seed, "selu", epoch_s=selu_s)
    assert describe_epoch_cost(*two(tmp_path)).endswith("; no difference is shown by these runs.")


def test_runs_that_were_trained_together_have_no_interval_of_times(leave, tmp_path: Path):
    for seed, last in ((1, 8), (2, 9), (3, 10)):
        members = {"elu": 3, "selu": 1}  # a population of one has its clock for itself
        for model, losses, epoch_s in (
            ("elu", np.linspace(2, 1, last), 2.0 + 0.1 * seed),
            ("selu", np.array([2.0, 0.9, 0.95]), 4.0 + 0.1 * seed),
        ):
            folder = leave(f"{model}{seed}", losses, [0.5] * len(losses), seed, model, epoch_s=epoch_s)
            result = Result.read(folder)
            result.time["population"] = {"members": members[model], "wall_s": 60.0}
            result.write(folder)
    elu, selu = two(tmp_path)
    assert (elu.shares_clock, selu.shares_clock) == (True, False)
    # 4.1 / 2.1, 4.2 / 2.2 and 4.3 / 2.3: the cube root of 6.968 is 1.91
    assert describe_epoch_cost(elu, selu) == (
        "An epoch of selu takes 1.91 times as long as one of elu: 4.2 ± 0.2 s against 2.2 s (runs trained together "
        "share a clock: no claim)."
    )
    said = describe_convergence(elu, selu)
    assert "elu itself took 9.0 epochs (8 to 10), 20 s: 0.22 times the epochs (95 %: 0.17 to 0.29) and 0.43" in said
    # 8.2 / 16.8, 8.4 / 19.8 and 8.6 / 23
    assert said.endswith("0.43 times the seconds (runs trained together share a clock: no claim).")


def test_some_that_get_there_are_given_one_by_one(leave, tmp_path: Path):
    for seed, selu in ((1, [1.0, 0.9, 0.8]), (2, [1.5, 0.9, 0.8]), (3, [1.5, 1.2, 1.1])):
        leave(f"elu{seed}", [2.0, 1.0, 1.1], [0.1] * 3, seed, "elu")
        leave(f"selu{seed}", selu, [0.1] * 3, seed, "selu")
    elu, selu = two(tmp_path)
    assert "in 2 of 3 runs, after 1 and 2 epochs (2.0 and 4.0 s);" in describe_convergence(elu, selu)
    for seed in (4, 5):
        leave(f"selu{seed}", [2.0] * (seed - 1) + [0.9], [0.5] * seed, seed, "selu", epoch_s=2.0)
    assert "in 4 of 5 runs, after 1 to 5 epochs (2.0 to 10.0 s);" in describe_convergence(*two(tmp_path))


def test_neither_of_two_equal_groups_is_called_faster(leave, tmp_path: Path):
    """The first is timed at its own lowest loss, late on a flat curve, so the second always takes less to it."""
    draw = np.random.default_rng(0)
    for seed in range(1, 7):
        for model in ("elu", "selu"):
            losses = 1 + np.exp(-np.arange(30) / 3) + draw.normal(0, 0.02, 30)
            leave(f"{model}{seed}", losses, [0.5] * 30, seed, model)
    elu, selu = two(tmp_path)
    one, other = compare_convergence(elu, selu), compare_convergence(selu, elu)
    # A mark that is the same to both says the opposite of itself with the two exchanged, and claims nothing here.
    assert one.common == other.common
    assert one.epochs_ratio.value == pytest.approx(1 / other.epochs_ratio.value)
    assert not one.epochs_ratio.is_clear
    assert "faster" not in describe_convergence(elu, selu)


def test_the_mark_that_is_the_same_to_both_is_given_without_a_claim(leave, tmp_path: Path):
    for seed, last in ((1, 8), (2, 9), (3, 10)):
        leave(f"elu{seed}", np.linspace(2, 1, last), [0.5] * last, seed, "elu")
        better_in_two = [2.0, 0.9, 0.95] if seed < 3 else [2.0, 1.1, 1.2]
        leave(f"selu{seed}", better_in_two, [0.5] * 3, seed, "selu")
    said = describe_convergence(*two(tmp_path))
    asked, common = said.split("To the higher of the two best losses")
    assert "times" not in asked
    assert "0.22 times the epochs (95 %: 0.17 to 0.29) and" in common  # 2 of 8, 9 and 10


def test_a_ratio_that_is_not_significant_after_the_correction_says_so(leave, tmp_path: Path):
    for seed, last in ((1, 8), (2, 9), (3, 10)):
        leave(f"elu{seed}", np.linspace(2, 1, last), [0.5] * last, seed, "elu", epoch_s=1.0)
        leave(f"selu{seed}", [2.0, 0.9, 0.95], [0.5] * 3, seed, "selu", epoch_s=2 + 0.1 * seed)
    elu, selu = two(tmp_path)
    # log of 2 over 8, 9 and 10: mean -1.500, sd 0.1116, t -23.3: p is 0.0018, three times which is above 0.005
    found = compare_convergence(elu, selu).epochs_ratio
    assert (found.p, found.low) == (pytest.approx(0.00184, abs=2e-5), pytest.approx(0.17, abs=0.005))
    corrected = "; not significant after Bonferroni's correction for the {} ratios compared"
    assert f"0.29{corrected.format(3)}) and" in describe_convergence(elu, selu, 3)
    assert "0.29) and" in describe_convergence(elu, selu, 2)
    assert "significant" not in describe_convergence(elu, selu)
    # log of 2.1, 2.2 and 2.3: mean 0.788, sd 0.0455, t 30.0: p is 0.00111
    assert describe_epoch_cost(elu, selu, 4).endswith(" s.")
    assert describe_epoch_cost(elu, selu, 5).endswith(f" s{corrected.format(5)}.")


def test_a_mark_that_is_the_first_ones_own_is_spoken_of_once(leave, tmp_path: Path):
    for seed, last in ((1, 8), (2, 9), (3, 10)):
        leave(f"elu{seed}", np.linspace(2, 1, last), [0.5] * last, seed, "elu")
        leave(f"selu{seed}", [2.0, 0.9, 0.95], [0.5] * 3, seed, "selu")
    said = describe_convergence(*two(tmp_path))
    assert "0.22 times the epochs (95 %: 0.17 to 0.29)" in said  # 2 of 8, 9 and 10
    assert "To the higher" not in said


def test_groups_of_other_images_are_not_compared(leave, tmp_path: Path):
    for seed in (1, 2, 3):
        leave(f"elu{seed}", [1.0 + seed / 10], [0.5], seed, "elu")
        leave(f"selu{seed}", [0.5 + seed / 10], [0.6], seed, "selu", provenance_data_digest="other")
    for said in (describe_convergence(*two(tmp_path)), describe_epoch_cost(*two(tmp_path))):
        assert said == "elu and selu are not compared: other images (their data digests differ)."


def test_seconds_of_an_epoch_have_as_many_digits_as_they_need_to_differ(leave, tmp_path: Path):
    leave("elu1", [1.0], [0.5], 1, "elu", epoch_s=0.121)
    leave("selu1", [1.0], [0.5], 1, "selu", epoch_s=0.124)
    assert describe_epoch_cost(*two(tmp_path)) == (
        "An epoch of selu takes 1.02 times as long as one of elu: 0.124 s against 0.121 s (one seed: no claim)."
    )
