"""The bowl against what is known of it, and the answer to question 5 from the figures by rules."""

import math
from collections.abc import Callable
from pathlib import Path

import pytest

from trainlab.cli import same_pace
from trainlab.exercise.evidence import Evidence, NotYet
from trainlab.exercise.questions.momentum import bowl, network, sections
from trainlab.exercise.trainings import Setting
from trainlab.report.groups import Group

Groups = dict[float, Group]


def test_without_momentum_the_path_is_geometric():
    points = bowl.path(0.0, 300)
    (x0, y0), (a, b) = bowl.START, bowl.CURVATURES
    for step in (1, 10, 100):
        wanted = x0 * (1 - bowl.LR * a) ** step, y0 * (1 - bowl.LR * b) ** step
        assert points[step] == pytest.approx(wanted, abs=1e-12)
    found = bowl.describe(points, 0.0)
    assert found.overshoot == 0
    # 0.98^n * 10 is 0.01 of the start's distance, which is sqrt(109), after 225.6 steps
    limit = math.log(bowl.NEAR * math.hypot(*bowl.START) / x0) / math.log(1 - bowl.LR * a)
    assert found.settled == math.ceil(limit)
    assert found.predicted == pytest.approx(math.log(0.01) / math.log(0.98))


def test_an_oscillating_mode_shrinks_by_the_root_of_the_momentum():
    assert bowl.factor(0.99) == pytest.approx(math.sqrt(0.99))
    assert bowl.factor(0.0) == pytest.approx(1 - bowl.LR * bowl.CURVATURES[0])
    found = bowl.describe(bowl.path(0.99, 3000), 0.99)
    assert found.settled == pytest.approx(found.predicted, rel=0.1)  # the theory knows no start


def test_nearly_no_friction_carries_it_as_far_up_the_other_side():
    found = bowl.describe(bowl.path(0.99999, 200), 0.99999)
    assert found.overshoot == pytest.approx(1, abs=0.02)
    assert found.settled is None
    assert found.predicted == pytest.approx(2 * math.log(0.01) / math.log(0.99999))


def test_the_farthest_that_is_to_come():
    assert bowl.farthest_yet([(3, 0), (0, 0), (0, -2), (1, 0), (0, 0)]) == [3, 2, 2, 1, 0]


def test_a_rate_that_keeps_the_pace():
    assert same_pace(0.1, 0.9) == 0.01
    assert same_pace(0.01, 0.99999) == 1e-7


Values = tuple[float | None, ...]
Arm = dict[float, Values | None]


@pytest.fixture
def arms(leave: Callable[..., Path], tmp_path: Path) -> Callable[..., tuple[Groups, Groups]]:
    """Groups at one rate and at one pace, from accuracies by momentum; None for three runs that diverged."""

    def made(rate: Arm, pace: Arm) -> tuple[Groups, Groups]:
        for momentum, values in rate.items():
            leave_three(leave, "rate", momentum, network.RATE, values)
        for momentum, values in pace.items():
            leave_three(leave, "pace", momentum, same_pace(network.PACE, momentum), values)
        evidence = Evidence(tmp_path, Setting())
        return network.at_one_rate(evidence), network.at_one_pace(evidence)

    return made


def leave_three(leave: Callable[..., Path], arm: str, momentum: float, lr: float, values: Values | None) -> None:
    for seed, value in enumerate(values or (None, None, None), 1):
        leave(
            f"{network.ALL.name}/{arm}{momentum:g}-{seed}",
            *([1 - (value or 0.1)], [value or 0.1], seed, "selu", lr),
            status="diverged" if value is None else "completed",
            overrides=(f"optim.momentum={momentum:g}", f"optim.lr={lr}", f"seed={seed}"),
            optim={"momentum": momentum},
        )


LOW, MID, HIGH = (0.200, 0.203, 0.201), (0.300, 0.304, 0.302), (0.400, 0.403, 0.402)
NEAR_MID = (0.304, 0.301, 0.302)  # not told apart from MID


@pytest.mark.parametrize(
    ("none", "usual", "paced", "said"),
    [
        (
            LOW,
            HIGH,
            MID,
            "gains +20.0 ± 0.1 points over no momentum; +10.0 ± 0.1 points of it stay where the pace",
        ),
        (
            LOW,
            MID,
            HIGH,
            "+10.1 ± 0.1 points over no momentum; none of it stays where the pace is kept (-10.0 ± 0.1 points): it",
        ),
        (LOW, MID, NEAR_MID, "whether any of it stays where the pace is kept is not shown (-0.0 ± 0.9 points)"),
        (HIGH, MID, LOW, "is behind no momentum (-10.0 ± 0.1 points), and where the pace is kept ahead of it"),
        (
            NEAR_MID,
            MID,
            NEAR_MID,
            "not told apart from no momentum (-0.0 ± 0.9 points), and where the pace is kept not told apart",
        ),
    ],
)
def test_what_is_due_to_the_momentum(arms: Callable[..., tuple[Groups, Groups]], none, usual, paced, said: str):
    # at a momentum of 0.9 both arms are the same runs
    found = network.due(*arms({0.0: none, 0.9: usual}, {0.0: paced}))
    assert said in found


def one(value: float) -> Values:
    return value, None, None


def test_one_seed_tells_nothing_of_what_is_due(arms: Callable[..., tuple[Groups, Groups]]):
    found = network.due(*arms({0.0: one(0.2), 0.9: one(0.3)}, {0.0: one(0.25)}))
    assert "not tested against no momentum (+10.0 points), and where the pace is kept not told apart" in found


def test_what_is_due_cannot_be_said_without_runs(arms: Callable[..., tuple[Groups, Groups]]):
    assert "runs without or with 0.9 are missing" in network.due(*arms({0.0: None, 0.9: MID}, {0.0: LOW}))


def test_the_extreme_momentum_in_words(arms: Callable[..., tuple[Groups, Groups]]):
    rate, pace = arms({0.9: MID, 0.99999: None}, {0.99999: LOW})
    assert network.extreme_told(rate, {**pace, 0.9: rate[0.9]}).startswith(
        "The deep network with 0.99999 in the place of 0.9, at a learning rate of 0.001 for all: it costs everything: "
        "all 3 runs of momentum 0.99999 diverged. At 0.01 (1 - momentum), which keeps the pace: it costs 10.1 ± 0.1 "
        "points of validation accuracy, more than the noise (momentum 0.99999 beside momentum 0.9, 95 %, paired t, p"
    )


@pytest.mark.parametrize(("values", "worse"), [(None, True), (LOW, True), (HIGH, False), (NEAR_MID, None)])
def test_whether_the_extreme_momentum_is_worse(arms: Callable[..., tuple[Groups, Groups]], values, worse: bool | None):
    rate, _ = arms({0.9: MID, 0.99999: values}, {})
    assert network.extreme(rate)[1] is worse
    assert network.extreme({}) == ("There are no runs with 0.9 and 0.99999.", None)


def test_better_runs_do_not_count_where_others_diverged(arms: Callable[..., tuple[Groups, Groups]]):
    rate, _ = arms({0.9: MID, 0.99999: (0.45, 0.452, None)}, {})
    said, worse = network.extreme(rate)
    assert said.startswith("It costs nothing here")
    assert said.endswith("1 of 3 runs of momentum 0.99999 diverged: the figure is of the other 2.")
    assert worse is None


def of_bowl(settled: dict[float, int | None], overshoot: dict[float, float]) -> dict:
    return {
        f"{m:g}": {
            **{"settled": settled[m], "overshoot": overshoot[m], "predicted": 921029.0, "taken": 20000},
            **{"path": [(10.0, 3.0), (5.0, 1.0), (-1.0, 0.0)], "steps": [0, 1, 2], "farthest": [1.0, 0.5, 0.1]},
        }
        for m in settled
    }


BOWL = of_bowl({0.0: 226, 0.9: 84, 0.99999: None}, {0.0: 0.0, 0.9: 0.37, 0.99999: 1.0})


def test_the_bowl_in_a_sentence():
    assert sections.bowl_told(BOWL) == (
        "In the bowl a momentum of 0.9 is the first to stay within 1 % of the start's distance, after 84 steps and 37 "
        "% beyond the minimum; without it takes 226, and 0.99999 runs 100 % beyond it and has not settled in "
        "20,000 steps (by theory it will after 921,000)."
    )
    late = of_bowl({0.0: 226, 0.9: 84, 0.99999: 19000}, {0.0: 0.0, 0.9: 0.37, 0.99999: 1.0})
    assert sections.bowl_told(late).endswith("and settles after 19,000 steps.")
    none = of_bowl({0.0: None, 0.9: None, 0.99999: None}, {0.0: 0.0, 0.9: 0.37, 0.99999: 1.0})
    assert sections.bowl_told(none).startswith("In the bowl no momentum is within 1 %")


def test_the_whole_answer_and_whether_it_is_the_books(arms: Callable[..., tuple[Groups, Groups]], tmp_path: Path):
    rate, pace = arms({0.0: LOW, 0.9: MID, 0.99999: None}, {0.0: MID, 0.99999: LOW})
    evidence = Evidence(tmp_path, Setting())
    with pytest.raises(NotYet):
        sections.answer(evidence)
    evidence.keep(bowl.NAME, BOWL)
    answer = sections.answer(evidence)
    assert answer.agrees is True
    assert len(answer.sentences) == 3
    assert [picture.name for picture in answer.figures] == ["5_bowls", "5_distances", "5_curves"]
    assert "Not all of their runs came to the end: one rate, 0.99999." in answer.figures[2].caption
    assert answer.tables[0][1].rows[2][4][0] == "3 runs diverged"
    early = of_bowl({0.0: 226, 0.9: 84, 0.99999: 20}, {0.0: 0.0, 0.9: 0.37, 0.99999: 1.0})
    assert sections.agrees(early, rate, pace) is False
    assert sections.agrees(BOWL, rate, {}) is None
