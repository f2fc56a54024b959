"""The bowl against what is known of it, and the answer to question 5 from runs that are made up."""

import math
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import pytest
import torch

from exercise.questions import momentum
from exercise.section import Answer
from exercise.store import Evidence, NotAvailable
from exercise.trainings import Setting
from exercise_texts import text_of, verdicts
from trainlab.config.resolvers import same_pace

Values = tuple[float | None, ...]  # of a seed each; None for one that diverged
LOW, MID, HIGH = (0.200, 0.203, 0.201, 0.202, 0.200), (0.30, 0.304, 0.302, 0.301, 0.30), (0.4, 0.403, 0.402, 0.4, 0.41)
LOST: Values = (None, None, None, None, None)


@pytest.mark.parametrize("m", [0.0, 0.9, 0.99999])
def test_the_path_is_that_of_torch(m: float):
    place = torch.tensor(momentum.START, dtype=torch.float64, requires_grad=True)
    curvatures = torch.tensor(momentum.CURVATURES, dtype=torch.float64)
    optimizer = torch.optim.SGD([place], lr=momentum.LR, momentum=m)
    for wanted in islice(momentum.path(m), 100):
        assert place.tolist() == pytest.approx(wanted, abs=1e-9)  # rounded otherwise
        place.grad = curvatures * place.detach()
        optimizer.step()


def test_what_the_paths_reach(bowl: dict):
    (x0, _), (a, _) = momentum.START, momentum.CURVATURES
    # without momentum 0.98^n * 10 is 0.01 of the start's distance, which is sqrt(109), after 225.6 steps
    limit = math.log(momentum.NEAR * math.hypot(*momentum.START) / x0) / math.log(1 - momentum.LR * a)
    assert (bowl["0"]["settled"], bowl["0"]["overshoot"]) == (math.ceil(limit), 0)
    # a mode that oscillates shrinks by the root of the momentum each step, whatever the rate is; (Polyak, 1964), and
    # the theory knows no start
    for m in (0.99, 0.99999):
        assert bowl[f"{m:g}"]["settled"] == pytest.approx(2 * math.log(momentum.NEAR) / math.log(m), rel=0.05)
    assert bowl["0.99999"]["overshoot"] == pytest.approx(1, abs=0.02)
    assert len(bowl["0.99999"]["drawn"]) == momentum.DRAWN_STEPS + 1


def test_a_swing_through_the_minimum_is_no_arrival(monkeypatch: pytest.MonkeyPatch):
    points = [(10.0, 3.0), (0.0, 0.0), (-5.0, 0.0), (0.05, 0.0), (0.0, 0.0)]
    monkeypatch.setattr(momentum, "path", lambda m: iter(points))
    assert momentum.descend(Evidence(Path(), Setting()))["0.9"]["settled"] == 3


def test_the_way_is_that_of_torch_under_equal_gradients():
    place = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.SGD([place], lr=same_pace(momentum.PACE, 0.99), momentum=0.99)
    for _ in range(50):
        place.grad = torch.ones_like(place)
        optimizer.step()
    # the final speed is PACE a step
    assert momentum.share_of_distance(0.99, 50) == pytest.approx(-place.item() / (50 * momentum.PACE))
    assert momentum.share_of_distance(0.0, 50) == 1
    assert same_pace(0.01, 0.99999) == 1e-7


@pytest.fixture(scope="module")
def bowl() -> dict:
    return momentum.descend(Evidence(Path(), Setting()))


@pytest.fixture
def answered(leave: Callable[..., Path], tmp_path: Path, bowl: dict) -> Callable[..., Answer]:
    """The answer to accuracies at momenta of 0, 0.9 and 0.99999, at one rate and at one final speed."""

    def made(rate: tuple[Values, Values, Values], pace: tuple[Values, Values, Values]) -> Answer:
        for arm, all_of in (("rate", rate), ("pace", pace)):
            for m, values in zip((0.0, 0.9, 0.99999), all_of, strict=True):
                lr = momentum.RATE if arm == "rate" else same_pace(momentum.PACE, m)
                if arm == "pace" and m == momentum.USUAL:  # where both are the same runs
                    continue
                for seed, value in enumerate(values, 1):
                    leave(
                        f"{momentum.ALL.name}/{arm}{m:g}-{seed}",
                        *([1 - (value or 0.1)], [value or 0.1], seed, "selu", lr),
                        status="diverged" if value is None else "completed",
                        overrides=(f"optim.momentum={m:g}", f"optim.lr={lr}", f"seed={seed}"),
                        optim={"momentum": m},
                    )
        evidence = Evidence(tmp_path, Setting(quick=True, overrides=("seed=1,2,3,4,5",)))  # of these three
        evidence.keep(momentum.BOWL, bowl)
        return momentum.answer(evidence)

    return made


@pytest.mark.parametrize(
    ("extreme", "paced", "wanted"),
    [
        (LOST, LOW, ["confirmed", "confirmed", "confirmed"]),
        ((0.1, 0.1, None, None, 0.15), LOW, ["confirmed", "confirmed", "confirmed"]),  # guessing is a failure
        ((0.2, 0.2, 0.2, None, None), HIGH, ["confirmed", "undecided", "contradicted"]),
        (LOW, HIGH, ["confirmed", "undecided", "contradicted"]),  # no failure in five runs leaves 0 to 52 %
    ],
)
def test_the_claims(answered: Callable[..., Answer], extreme: Values, paced: Values, wanted: list[str]):
    found = answered((LOW, MID, extreme), (LOW, MID, paced))
    assert verdicts(found) == wanted
    text_of(momentum.SECTION, found)


def test_what_is_shown(answered: Callable[..., Answer]):
    found = answered((LOW, MID, (0.1, None, None, None, None)), (HIGH, MID, LOW))
    text = text_of(momentum.SECTION, found)
    assert "in a bowl 0.9 settles after 79 steps" in text
    assert "The deep network fails in 5 of 5 runs (48 to 100 %), with 0.9 in 0 of 5 (p 0.008)" in text
    assert (
        "0.9 gains 10.0 points over plain steps at the same rate; over plain steps as fast no gain is seen, -10.2"
        in text
    )
    rows = {row[0][0]: [cell[0] for cell in row] for row in found.tables[0][1].rows}
    # 1 - 0.99999^1407 is 0.01397, and about half of that is the way
    assert rows["0.99999"][2:] == ["100", "10.0, 4 of 5 diverged", "20.1 ± 0.2", "0.7"]
    assert rows["0.5"][3:5] == ["-", "-"]


def test_momentum_that_is_more_than_speed(answered: Callable[..., Answer]):
    assert "Momentum is more than speed" in text_of(momentum.SECTION, answered((LOW, HIGH, LOST), (MID, HIGH, LOW)))


def test_there_is_no_answer_without_runs_to_compare(answered: Callable[..., Answer]):
    with pytest.raises(NotAvailable, match=r"momentum 0\.99999: no run was completed"):
        answered((LOW, MID, LOST), (LOW, MID, LOST))
