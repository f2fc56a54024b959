"""Words that several questions share."""

from collections.abc import Callable
from pathlib import Path

import pytest

from trainlab.exercise.evidence import Evidence
from trainlab.exercise.trainings import Setting, Sweep
from trainlab.exercise.wording import corrected, family, listed, margin, outcome
from trainlab.report.groups import Group

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
    relu, selu = family([(groups["elu"], groups["relu"]), (groups["elu"], groups["selu"])])
    assert (relu.tests, selu.tests) == (2, 2)
    assert relu.p == pytest.approx(2 * relu.difference.p)  # Holm: the smaller of two counts twice
    assert (corrected(relu), corrected(selu)) == ("higher", "not distinguishable")
    # elu - relu: 0.1, 0.098, 0.101: mean 9.97 points, sd 0.153, 4.303 * 0.153 / sqrt(3) = 0.38
    assert margin(relu) == "10.0 ± 0.4"
    (other_way,) = family([(groups["relu"], groups["elu"])])
    assert corrected(other_way) == "lower"
    (single,) = family([(groups["elu"], groups["tanh"])])
    assert (corrected(single), margin(single)) == ("unknown", "21.0")


def test_what_runs_came_to(groups: dict[str, Group]):
    assert outcome(groups["elu"]) == "51.0 ± 2.5 % (3 seeds)"
    assert outcome(groups["tanh"]) == "30.0 % (1 seed), 2 runs diverged"
    assert listed([]) == ""
    assert listed(["a"]) == "a"
    assert listed(["a", "b", "c"]) == "a, b and c"
