"""Words that several questions share."""

from collections.abc import Callable
from pathlib import Path

import pytest

from exercise.formatting import (
    all_hold,
    compare_pairs,
    corrected_verdicts,
    describe_outcome,
    format_list,
    format_margin,
    verdict,
)
from exercise.store import Evidence
from exercise.trainings import Setting, Sweep
from trainlab.report.groups import Group
from trainlab.statistics import Difference

SWEEP = Sweep("study", ("seed=1,2,3",))


@pytest.fixture
def groups(leave: Callable[..., Path], tmp_path: Path) -> dict[str, Group]:
    """Best first, each with differences of its own; the last with a run that diverged."""
    for name, values in {
        "elu": (0.50, 0.51, 0.52),
        "selu": (0.495, 0.512, 0.521),
        "relu": (0.40, 0.412, 0.419),
    }.items():
        for seed, value in enumerate(values, 1):
            leave(f"study/{name}{seed}", [1 - value], [value], seed, name)
    leave("study/tanh1", [0.7], [0.3], 1, "tanh")
    for seed in (2, 3):
        leave(f"study/tanh{seed}", [0.7], [0.3], seed, "tanh", status="diverged")
    found = Evidence(tmp_path, Setting()).ended_groups(SWEEP)
    return {group.settings["model.activation"]: group for group in found}


def test_a_family_is_corrected_over_its_own_pairs(groups: dict[str, Group]):
    relu, selu = compare_pairs([(groups["elu"], groups["relu"]), (groups["elu"], groups["selu"])])
    assert (relu.tests, selu.tests) == (2, 2)
    assert relu.p == pytest.approx(2 * relu.difference.p)  # Holm: the smaller of two counts twice
    assert (verdict(relu.difference, relu.p), verdict(selu.difference, selu.p)) == ("higher", "not distinguishable")
    # elu - relu: 0.1, 0.098, 0.101: mean 9.97 points, sd 0.153, 4.303 * 0.153 / sqrt(3) = 0.38
    assert format_margin(relu) == "10.0 ± 0.4"
    (other_way,) = compare_pairs([(groups["relu"], groups["elu"])])
    assert verdict(other_way.difference, other_way.p) == "lower"
    (single,) = compare_pairs([(groups["elu"], groups["tanh"])])
    assert (verdict(single.difference, single.p), format_margin(single)) == ("unknown", "21.0")


def test_results_of_runs(groups: dict[str, Group]):
    assert describe_outcome(groups["elu"]) == "51.0 ± 2.5 % (3 seeds)"
    assert describe_outcome(groups["tanh"]) == "30.0 % (1 seed), 2 runs diverged"
    assert format_list([]) == ""
    assert format_list(["a"]) == "a"
    assert format_list(["a", "b", "c"]) == "a, b and c"


def test_several_differences_are_corrected_together():
    clear, near, none = (
        Difference(1.0, 0.3, 0.004, "paired"),
        Difference(-1.0, 0.9, 0.03, "paired"),
        Difference(0.0, float("nan"), float("nan"), "none"),
    )
    # Holm over the two that are tests: twice the smaller p, the larger as it is.
    assert corrected_verdicts([clear, none, near])[::2] == [("higher", 0.008), ("lower", 0.03)]
    assert corrected_verdicts([clear, none, near])[1][0] == "unknown"
    another = Difference(1.0, 0.9, 0.03, "paired")
    assert [said for said, _ in corrected_verdicts([near, another])] == ["not distinguishable"] * 2  # 0.06 each


def test_claims_together():
    assert [all_hold(True, True), all_hold(True, None), all_hold(None, False), all_hold()] == [True, None, False, None]
