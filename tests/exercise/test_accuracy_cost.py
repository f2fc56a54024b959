"""What a mistake costs, in words, with runs that diverged and without."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from exercise.formatting import with_label
from exercise.outcomes import guessing_accuracy
from exercise.questions.mistakes.accuracy_cost import at_guessing, describe_cost, loses_most
from exercise.questions.mistakes.trainings import LABELS, SWEEP, describe_rates, network
from exercise.store import Evidence
from exercise.trainings import Setting
from mistake_results import RIGHT, Leave, leave_and_lose, leave_network
from trainlab.report.groups import Group
from trainlab.statistics import interval


@pytest.fixture
def evidence(tmp_path: Path) -> Evidence:
    return Evidence(tmp_path, Setting())


@pytest.mark.parametrize(
    ("wrong", "said", "costs"),
    [
        ((0.400, 0.404, 0.403), "It costs 5.0 ± 0.2 points of validation accuracy, more than the noise (", True),
        ((0.480, 0.486, 0.482), "It costs nothing here: SELU on raw inputs is 3.0 ± 0.1 points of validation", False),
        (
            (0.440, 0.460, 0.455),
            "What it costs is not larger than the noise of 3 seeds (SELU on raw inputs compared with",
            None,
        ),
        (
            (0.440, 0.445, 0.442),
            "Nothing can be claimed of SELU on raw inputs compared with SELU (-1.0 points): no spread",
            None,
        ),
    ],
)
def test_the_price(leave: Leave, evidence: Evidence, wrong: Sequence[float], said: str, costs: bool | None):
    leave_network(leave, "plain_selu", RIGHT)
    leave_network(leave, "mistake_selu_raw_inputs", wrong)
    found = describe_cost(network(evidence, "mistake_selu_raw_inputs"), network(evidence, "plain_selu"))
    assert found[0].startswith(said)
    assert found[1] is costs


def test_the_price_of_runs_that_did_not_come_to_an_end(leave: Leave, evidence: Evidence):
    leave_network(leave, "plain_selu", RIGHT)
    leave_network(leave, "mistake_selu_raw_inputs", RIGHT, "diverged")
    leave_network(leave, "mistake_learning_rate", RIGHT, "failed")
    right, lost = (network(evidence, name) for name in ("plain_selu", "mistake_selu_raw_inputs"))
    (failed,) = (group for group in evidence.groups(SWEEP) if {run.status for run in group.others} == {"failed"})
    failed = with_label(failed, LABELS["mistake_learning_rate"])
    assert describe_cost(lost, right) == ("It costs everything: all 3 runs of SELU on raw inputs diverged.", True)
    assert describe_cost(failed, right) == ("No run of ELU at 1e-3 was completed.", None)
    assert describe_cost(right, failed) == (
        "No run of ELU at 1e-3 was completed, so there is nothing to compare SELU with.",
        None,
    )


def one_diverged_beside_right(leave: Leave, evidence: Evidence, accuracies: tuple[float, ...]) -> tuple[Group, Group]:
    """SELU on raw inputs, two runs completed and one diverged, and SELU on standardized ones."""
    name = "mistake_selu_raw_inputs"
    leave_network(leave, "plain_selu", RIGHT)
    leave_network(leave, name, accuracies)
    overrides = (f"experiment=exercise/{name}", "seed=3")
    leave("mistakes/x", [2.3], [0.1], 3, status="diverged", overrides=overrides, name_of_network=name)
    return network(evidence, name), network(evidence, "plain_selu")


def test_runs_that_diverged_are_left_out_and_named(leave: Leave, evidence: Evidence):
    wrong, right = one_diverged_beside_right(leave, evidence, (0.40, 0.404))
    said, costs = describe_cost(wrong, right)
    assert said.startswith("1 of 3 runs of SELU on raw inputs diverged, none of 3 of SELU. Of the others: it costs 5.0")
    assert costs is True  # what is left is worse, too
    said, costs = describe_cost(right, wrong)  # the completed runs of the other are worse: that shows nothing of all
    assert said.startswith(
        "None of 3 runs of SELU diverged, 1 of 3 of SELU on raw inputs. Of the others: it costs nothing"
    )
    assert costs is False


def test_what_is_better_but_for_runs_that_diverged_is_open(leave: Leave, evidence: Evidence):
    wrong, right = one_diverged_beside_right(leave, evidence, (0.48, 0.484))
    assert describe_cost(wrong, right)[1] is None
    assert describe_cost(right, wrong)[1] is None


@pytest.mark.parametrize(
    ("wrong", "lost", "right", "lost_of_right", "most"),
    [
        ((0.30,), 2, RIGHT, 0, True),
        ((0.30, 0.31), 3, RIGHT, 0, True),
        ((0.453,), 2, RIGHT, 0, False),  # better than one of the other
        ((0.30, 0.31), 1, RIGHT, 0, False),  # not most
        ((0.30, 0.31), 2, RIGHT, 0, False),  # half is not most
        ((0.30,), 2, (0.450, 0.455), 1, False),  # the other lost one, too
        ((0.30,), 2, (0.450, 0.455), 0, False),  # too few to count
    ],
)
def test_most_runs_lost(leave: Leave, evidence: Evidence, wrong, lost: int, right, lost_of_right: int, most: bool):
    leave_and_lose(leave, "mistake_selu_raw_inputs", wrong, lost)
    leave_and_lose(leave, "plain_selu", right, lost_of_right)
    groups = {group.settings["model.name_of_network"]: group for group in evidence.groups(SWEEP)}
    wrong_group, right_group = groups["mistake_selu_raw_inputs"], groups["plain_selu"]
    assert loses_most(wrong_group, right_group) is most
    if most:
        said, costs = describe_cost(wrong_group, right_group)
        left = (
            "The other one reached 30.0 %, and less" if len(wrong) == 1 else "The other 2 reached 31.0 % at most, and"
        )
        assert left in said
        assert "guessing" not in said
        assert said.endswith("(these are counts, without an interval).")
        assert costs is True


def test_all_lost_compared_with_some_lost_is_undecided(leave: Leave, evidence: Evidence):
    leave_and_lose(leave, "mistake_selu_raw_inputs", (), 3)
    leave_and_lose(leave, "plain_selu", (0.45, 0.455), 1)
    said, costs = describe_cost(network(evidence, "mistake_selu_raw_inputs"), network(evidence, "plain_selu"))
    assert said == (
        "3 of 3 runs of SELU on raw inputs diverged, 1 of 3 of SELU. So it is left open what is due to the one that "
        "lost all."
    )
    assert costs is None


def test_a_cost_that_ends_at_guessing_is_said_to(leave: Leave, evidence: Evidence):
    leave_network(leave, "plain_selu", RIGHT)
    leave_network(leave, "mistake_selu_raw_inputs", (0.100, 0.102, 0.099))
    said, costs = describe_cost(network(evidence, "mistake_selu_raw_inputs"), network(evidence, "plain_selu"))
    assert said.endswith(" That is down to about guessing one of 10 classes, below which it cannot cost more.")
    assert costs is True


def test_guessing_is_judged_by_the_interval_or_by_a_single_run():
    assert at_guessing(interval([0.1, 0.12, 0.11]), 0.1) is True  # 4.303 * 0.01 / sqrt(3) = 0.025: up to 13.5 %
    assert at_guessing(interval([0.13, 0.14, 0.30]), 0.1) is False  # a wide interval is no sign of guessing
    assert at_guessing(interval([0.13, 0.14, 0.15]), 0.1) is False
    assert at_guessing(interval([0.14]), 0.1) is True
    assert at_guessing(interval([0.16]), 0.1) is False


def test_guessing_is_of_the_classes_of_the_data(leave: Leave, evidence: Evidence):
    leave_network(leave, "plain_selu", (0.80, 0.81, 0.79), num_classes=3)
    leave_network(leave, "mistake_selu_raw_inputs", (0.34, 0.36, 0.33), num_classes=3)
    wrong = network(evidence, "mistake_selu_raw_inputs")
    assert guessing_accuracy(wrong) == 1 / 3
    said, costs = describe_cost(wrong, network(evidence, "plain_selu"))
    assert said.endswith(" That is down to about guessing one of 3 classes, below which it cannot cost more.")
    assert costs is True


def test_learning_rates_are_listed_if_they_differ(leave: Leave, evidence: Evidence):
    for name, lr in (("plain_selu", 5e-4), ("plain_elu_he", 1e-4)):
        for seed in (1, 2, 3):
            overrides = (f"experiment=exercise/{name}", f"seed={seed}")
            leave(f"mistakes/{name}{seed}", [2.0], [0.4], seed, lr=lr, overrides=overrides)
    groups = [network(evidence, name) for name in ("plain_selu", "plain_elu_he")]
    assert describe_rates(groups) == "The learning rates are given, not searched: SELU 0.0005; ELU at 1e-4 0.0001."
    assert describe_rates([groups[0]] * 2 + [with_label(groups[0], "x"), with_label(groups[0], "y")]).startswith(
        "All are trained at a learning rate of 0.0005, searched for none"
    )
