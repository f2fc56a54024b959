"""The bowl against what is known of it, and the answer to question 5 from the figures by rules."""

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from exercise.questions.momentum import network, quadratic, sections
from exercise.store import Evidence, NotAvailable
from exercise.trainings import Setting
from trainlab.config.resolvers import same_pace
from trainlab.report.groups import Group

Groups = dict[float, Group]


def test_without_momentum_the_path_is_geometric():
    points = quadratic.path(0.0, 300)
    (x0, y0), (a, b) = quadratic.START, quadratic.CURVATURES
    for step in (1, 10, 100):
        wanted = x0 * (1 - quadratic.LR * a) ** step, y0 * (1 - quadratic.LR * b) ** step
        assert points[step] == pytest.approx(wanted, abs=1e-12)
    found = quadratic.summarize(points, 0.0)
    assert found["overshoot"] == 0
    # 0.98^n * 10 is 0.01 of the start's distance, which is sqrt(109), after 225.6 steps
    limit = math.log(quadratic.NEAR * math.hypot(*quadratic.START) / x0) / math.log(1 - quadratic.LR * a)
    assert found["settled"] == math.ceil(limit)
    assert found["predicted"] == pytest.approx(math.log(0.01) / math.log(0.98))


def test_an_oscillating_mode_shrinks_by_the_root_of_the_momentum():
    assert quadratic.factor(0.99) == pytest.approx(math.sqrt(0.99))
    assert quadratic.factor(0.0) == pytest.approx(1 - quadratic.LR * quadratic.CURVATURES[0])
    found = quadratic.summarize(quadratic.path(0.99, 3000), 0.99)
    assert found["settled"] == pytest.approx(found["predicted"], rel=0.1)  # the theory knows no start


def test_nearly_no_friction_carries_it_as_far_up_the_other_side():
    found = quadratic.summarize(quadratic.path(0.99999, 200), 0.99999)
    assert found["overshoot"] == pytest.approx(1, abs=0.02)
    assert found["settled"] is None
    assert found["predicted"] == pytest.approx(2 * math.log(0.01) / math.log(0.99999))


def test_the_farthest_that_is_to_come():
    assert quadratic.farthest_yet([(3, 0), (0, 0), (0, -2), (1, 0), (0, 0)]) == [3, 2, 2, 1, 0]


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
        return network.groups_by_momentum(evidence, False), network.groups_by_momentum(evidence, True)

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
NEAR_MID = (0.304, 0.301, 0.302)  # no significant difference from MID


@pytest.mark.parametrize(
    ("none", "usual", "paced", "said"),
    [
        (
            LOW,
            HIGH,
            MID,
            "is 20.0 ± 0.1 points ahead of no momentum. Where the rate is lowered so that the final speed is the same, "
            "10.0 ± 0.1 points stay, so momentum helps by more than a higher rate would.",
        ),
        (
            LOW,
            MID,
            HIGH,
            "is the same, nothing of that stays (-10.0 ± 0.1 points), so it came of the higher speed alone.",
        ),
        (LOW, MID, NEAR_MID, "it is not shown that any of that stays (+0.0 ± 0.9 points)."),
        (
            HIGH,
            MID,
            LOW,
            "is behind no momentum (-10.0 ± 0.1 points). Where the rate is lowered so that the final speed is the "
            "same, it is ahead of it (+10.1 ± 0.1 points).",
        ),
        (
            NEAR_MID,
            MID,
            NEAR_MID,
            "the same, it is not significantly different from it (+0.0 ± 0.9 points).",
        ),
    ],
)
def test_what_is_due_to_the_momentum(arms: Callable[..., tuple[Groups, Groups]], none, usual, paced, said: str):
    # at a momentum of 0.9 both arms are the same runs
    found = network.describe_momentum_alone(*arms({0.0: none, 0.9: usual}, {0.0: paced}))
    assert said in found


def one(value: float) -> Values:
    return value, None, None


def test_one_seed_tells_nothing_of_what_is_due(arms: Callable[..., tuple[Groups, Groups]]):
    found = network.describe_momentum_alone(*arms({0.0: one(0.2), 0.9: one(0.3)}, {0.0: one(0.25)}))
    assert "not tested against no momentum (+10.0 points). Where" in found


def test_what_is_due_cannot_be_said_without_runs(arms: Callable[..., tuple[Groups, Groups]]):
    assert "runs without or with it are missing" in network.describe_momentum_alone(
        *arms({0.0: None, 0.9: MID}, {0.0: LOW})
    )


def test_the_extreme_momentum_in_words(arms: Callable[..., tuple[Groups, Groups]]):
    rate, pace = arms({0.9: MID, 0.99999: None}, {0.99999: LOW})
    assert network.describe_one_rate(rate) == (
        "The deep network with 0.99999 in the place of 0.9, at a learning rate of 0.001 for all: it costs everything: "
        "all 3 runs of momentum 0.99999 diverged."
    )
    # The runs have one epoch of 1,407 steps: 1 - 0.99999^1407 is 0.01397, and half of that but for the curvature.
    assert network.describe_one_pace({**pace, 0.9: rate[0.9]}).startswith(
        "With the learning rate lowered to 0.01 (1 - momentum), equal gradients lead to the same final speed, but only "
        "after about 1/(1 - momentum) steps. In these 1,407 steps 0.99999 reaches 1.4 % of it and covers 0.7 % of the "
        "way. It costs 10.1 ± 0.1 points of validation accuracy, more than the noise (momentum 0.99999 compared with"
    )
    assert network.describe_one_pace(pace).endswith("This can show that it starts slowly, and nothing of overshooting.")


def test_steps_enough_for_the_final_speed_show_more_than_slowness(
    arms: Callable[..., tuple[Groups, Groups]], monkeypatch: pytest.MonkeyPatch
):
    rate, pace = arms({0.9: MID}, {0.99999: LOW})
    monkeypatch.setattr(network, "steps_of", lambda groups: 10_000_000)
    text = network.describe_one_pace({**pace, 0.9: rate[0.9]})
    # 1 - 0.99999 * 1 / 100 of the way
    assert "In these 10,000,000 steps 0.99999 reaches 100 % of it and covers 99 % of the way. It costs 10.1" in text
    assert "nothing of overshooting" not in text


def test_without_a_run_there_are_no_steps_to_speak_of(arms: Callable[..., tuple[Groups, Groups]]):
    _, pace = arms({}, {0.9: None, 0.99999: None})
    assert network.steps_of(pace) == 0
    assert network.describe_one_pace(pace).endswith(
        "only after about 1/(1 - momentum) steps. No run of momentum 0.9 was "
        "completed, so there is nothing to compare momentum 0.99999 with."
    )


def test_speed_and_way_are_those_of_torch_under_equal_gradients():
    place = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.SGD([place], lr=same_pace(network.PACE, 0.99), momentum=0.99)
    places = [0.0]
    for _ in range(50):
        place.grad = torch.ones_like(place)
        optimizer.step()
        places.append(-place.item())
    # The final speed is PACE a step.
    assert network.speed(0.99, 50) == pytest.approx((places[-1] - places[-2]) / network.PACE)
    assert network.share_of_distance(0.99, 50) == pytest.approx(places[-1] / (50 * network.PACE))
    assert network.share_of_distance(0.0, 50) == network.speed(0.0, 50) == 1
    assert network.share_of_distance(0.999, 1200) == pytest.approx(0.418, abs=0.001)


@pytest.mark.parametrize(("share", "said"), [(0.006, "0.6 %"), (0.0996, "10 %"), (0.42, "42 %"), (1.0, "100 %")])
def test_shares_in_percent(share: float, said: str):
    assert network.format_percent(share) == said


@pytest.mark.parametrize(("values", "worse"), [(None, True), (LOW, True), (HIGH, False), (NEAR_MID, None)])
def test_whether_the_extreme_momentum_is_worse(arms: Callable[..., tuple[Groups, Groups]], values, worse: bool | None):
    rate, _ = arms({0.9: MID, 0.99999: values}, {})
    assert network.describe_extreme(rate)[1] is worse
    assert network.describe_extreme({}) == ("There are no runs with 0.9 and 0.99999.", None)


def test_better_runs_do_not_count_where_others_diverged(arms: Callable[..., tuple[Groups, Groups]]):
    rate, _ = arms({0.9: MID, 0.99999: (0.45, 0.452, None)}, {})
    said, worse = network.describe_extreme(rate)
    assert said.startswith(
        "1 of 3 runs of momentum 0.99999 diverged, none of 3 of momentum 0.9. Of the others: it costs nothing here"
    )
    assert said.endswith("They do not cover the runs of momentum 0.99999 that diverged, so it is undecided.")
    assert worse is None


def test_most_runs_lost_and_the_last_at_guessing_is_a_cost(arms: Callable[..., tuple[Groups, Groups]]):
    rate, _ = arms({0.9: MID, 0.99999: one(0.099)}, {})
    assert network.describe_extreme(rate) == (
        "2 of 3 runs of momentum 0.99999 diverged, none of 3 of momentum 0.9. The other one reached 9.9 %, no more "
        "than guessing one of 10 classes, and less than any run of momentum 0.9: with those that diverged as the "
        "worst, every run of the one is worse than every run of the other, which chance does in 1 of 20 orders of "
        "three and three (these are counts, without an interval).",
        True,
    )
    assert sections.agrees(BOWL, rate) is True


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
    assert sections.describe_quadratic(BOWL) == (
        "In the bowl a momentum of 0.9 settles first: it runs 37 % past the minimum and stays within 1 % of the "
        "start's distance after 84 steps; without momentum that takes 226. 0.99999 runs 100 % past the minimum and has "
        "not settled in 20,000 steps (by theory it will after 921,000)."
    )
    late = of_bowl({0.0: 226, 0.9: 84, 0.99999: 19000}, {0.0: 0.0, 0.9: 0.37, 0.99999: 1.0})
    assert sections.describe_quadratic(late).endswith(" past the minimum and settles after 19,000 steps.")
    none = of_bowl({0.0: None, 0.9: None, 0.99999: None}, {0.0: 0.0, 0.9: 0.37, 0.99999: 1.0})
    assert sections.describe_quadratic(none).startswith("In the bowl no momentum is within 1 %")


def test_who_settles_first_is_named_once():
    first = of_bowl({0.0: 50, 0.9: 84, 0.99999: None}, {0.0: 0.0, 0.9: 0.37, 0.99999: 1.0})
    assert sections.describe_quadratic(first).startswith(
        "In the bowl the path without momentum settles first: it does not run past the minimum and stays within 1 % of "
        "the start's distance after 50 steps. 0.99999 runs"
    )
    last = of_bowl({0.0: 226, 0.9: 84, 0.99999: 20}, {0.0: 0.0, 0.9: 0.37, 0.99999: 1.0})
    assert sections.describe_quadratic(last).endswith("after 20 steps; without momentum that takes 226.")


@pytest.mark.parametrize(
    ("xs", "said"),
    [
        ([10, 1, -3, -1, 0], "it runs 37 % past the minimum once and stays"),
        ([10, -3, 0.09, -0.09, 0], "it runs 37 % past the minimum once and stays"),  # 0.09 is less than 1 % of 10
        ([10, -3, 0.5, 0], "it runs past the minimum twice, by 37 % at most, and stays"),
        ([10, -3, 0.5, -0.2, 0], "it runs past the minimum 3 times, by 37 % at most, and stays"),
    ],
)
def test_how_often_it_runs_past_the_minimum(xs: list[float], said: str):
    found = of_bowl({0.0: 226, 0.9: len(xs) - 1, 0.99999: None}, {0.0: 0.0, 0.9: 0.37, 0.99999: 1.0})
    found["0.9"]["path"] = [[x, 0.0] for x in xs]
    assert said in sections.describe_quadratic(found)


def test_the_whole_answer_and_whether_it_is_the_books(arms: Callable[..., tuple[Groups, Groups]], tmp_path: Path):
    rate, _ = arms({0.0: LOW, 0.9: MID, 0.99999: None}, {0.0: MID, 0.99999: LOW})
    evidence = Evidence(tmp_path, Setting())
    with pytest.raises(NotAvailable):
        sections.answer(evidence)
    evidence.keep(quadratic.NAME, BOWL)
    answer = sections.answer(evidence)
    assert answer.agrees is True
    assert [len(answer.sentences), len(answer.details)] == [2, 2]
    assert [picture.name for picture in answer.figures] == ["5_bowls", "5_distances", "5_curves"]
    caption = answer.figures[2].caption
    assert "Not all of their runs completed: at one rate with 0.99999." in caption
    assert "Of the way that they would go at that speed, 1,407 steps cover: " in caption
    assert "0.99999 0.7 %." in caption
    ((_, table),) = answer.tables
    assert table.rows[2][4][0] == "3 runs diverged"
    # 1 - 0.9 / (1407 * 0.1) = 0.9936
    assert [row[6][0] for row in table.rows] == ["100 %", "99 %", "0.7 %"]
    early = of_bowl({0.0: 226, 0.9: 84, 0.99999: 20}, {0.0: 0.0, 0.9: 0.37, 0.99999: 1.0})
    assert sections.agrees(early, rate) is False
    assert sections.agrees(BOWL, rate) is True
    assert sections.UNDECIDED not in answer.sentences[1]


def test_what_leaves_a_clear_bowl_open_is_said(arms: Callable[..., tuple[Groups, Groups]], tmp_path: Path):
    arms({0.0: LOW, 0.9: MID, 0.99999: NEAR_MID}, {0.0: MID, 0.99999: LOW})
    evidence = Evidence(tmp_path, Setting())
    evidence.keep(quadratic.NAME, BOWL)
    answer = sections.answer(evidence)
    assert answer.agrees is None  # what the lowered rate costs, which is clear, takes no part
    assert answer.sentences[1].endswith(
        "In the bowl it is clear; that it harms the network, too, is not shown, and so the answer is open."
    )


def test_without_steps_the_table_has_no_way(arms: Callable[..., tuple[Groups, Groups]], tmp_path: Path):
    arms({0.9: None, 0.99999: None}, {0.99999: None})
    evidence = Evidence(tmp_path, Setting())
    evidence.keep(quadratic.NAME, BOWL)
    answer = sections.answer(evidence)
    assert [row[6][0] for row in answer.tables[0][1].rows] == ["-", "-", "-"]
    assert "come to it late" not in answer.figures[2].caption
