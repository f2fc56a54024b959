"""How much too good a choice by the test set looks, of runs for which that can be worked out."""

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from exercise.questions import selection
from exercise.store import Evidence, NotAvailable
from exercise.trainings import Setting
from exercise_texts import text_of, verdicts

IMAGES = 1000


def equally_good(runs: int) -> torch.Tensor:
    """Each has half of the images right, others than the rest."""
    draws = torch.Generator().manual_seed(0)
    order = torch.rand(runs, IMAGES, generator=draws).argsort(1)
    return order < IMAGES // 2


def test_a_choice_among_equally_good_runs_looks_as_much_too_good_as_the_highest_of_so_many_draws():
    found = selection.simulate_choices(equally_good(4), torch.arange(4.0))
    # A half of 500 of 1,000 images, drawn without replacement, of which 500 are right: the deviation of its accuracy is
    # 50 / sqrt(500) * sqrt(500 / 999) = 1.58 points, and the other half has as much less. The highest of four normal
    # draws is 1.0294 deviations above their mean. 1,000 splits and runs that overlap by chance: a tenth.
    assert math.fsum(found["too_good"]) / 1000 == pytest.approx(2 * 1.0294 * 1.58, rel=0.1)
    assert min(found["too_good"]) >= -1e-4  # by its own half a choice cannot look worse than the other half's
    assert found["by_number"]["4"] == pytest.approx(math.fsum(found["too_good"]) / 1000, abs=1e-4)
    # of two 0.5642 deviations, of three 0.8463
    assert found["by_number"]["2"] == pytest.approx(2 * 0.5642 * 1.58, rel=0.15)
    assert found["by_number"]["3"] == pytest.approx(2 * 0.8463 * 1.58, rel=0.15)
    assert found["by_number"]["1"] == pytest.approx(0, abs=1e-4)
    assert found["accuracy"] == [50.0] * 4
    # what is best on one half is worst on the other, where the sum is the same: then the choice loses
    assert math.fsum(found["lost"]) / 1000 > 0


def test_runs_that_are_the_same_leave_no_choice():
    found = selection.simulate_choices(equally_good(1).repeat(3, 1), torch.tensor([1.0, 2.0, 3.0]))
    assert found["too_good"] == pytest.approx([0.0] * selection.SPLITS, abs=1e-4)
    assert found["lost"] == pytest.approx([0.0] * selection.SPLITS, abs=1e-4)


def test_a_run_that_is_far_ahead_is_chosen_by_all():
    right = equally_good(3)
    right[1] = True
    found = selection.simulate_choices(right, torch.tensor([1.0, 0.5, 3.0]), splits=50)
    assert found["same"] == 1.0
    assert found["too_good"] == pytest.approx([0.0] * 50, abs=1e-4)


def test_the_same_halves_every_time():
    right = equally_good(3)
    assert selection.simulate_choices(right, torch.arange(3.0)) == selection.simulate_choices(right, torch.arange(3.0))


@pytest.mark.parametrize(
    ("too_good", "lost", "verdict", "text"),
    [
        (0.5, 0.1, "contradicted", "the choice is 0.10 points less accurate"),
        (0.04, -0.1, "contradicted", "the choice is 0.10 points more accurate"),
        (1.5, 0.3, "confirmed", "It is as large as many a gain on this page"),
    ],
)
def test_too_good_by_a_point_or_less(tmp_path: Path, too_good: float, lost: float, verdict: str, text: str):
    evidence = Evidence(tmp_path, Setting())
    figures = {
        "runs": 54,
        "images": 5000,
        "accuracy": [45.0, 46.0, 44.0],
        "same": 0.25,
        "by_number": {"1": 0.0, "2": 0.2},
    }
    evidence.keep(selection.CHOICES, {**figures, "too_good": [too_good] * 1000, "lost": [lost] * 1000})
    found = selection.answer(evidence)
    assert verdicts(found) == [verdict]
    said = text_of(selection.SECTION, found)
    assert f"chosen by 5,000 test images, looks {too_good:.2f} points better than it is" in said
    assert text in said
    # 1.96 * 100 * sqrt(0.46 * 0.54 / 5000) = 1.38
    assert ("±1.4 points of so many images" in said) is (too_good < 1)


def test_nothing_to_choose_among(leave: Callable[..., Path], tmp_path: Path):
    evidence = Evidence(tmp_path, Setting(overrides=("seed=1",)))
    for sweep, rates in ((selection.SWEEP, (0, 0.5)), (selection.BETWEEN, (0.1, 0.2))):
        for rate in rates:
            given = {"overrides": (f"model.dropout={rate}", "seed=1"), "dropout": rate}
            leave(f"{sweep.name}/{rate}", [2.0], [0.1], status="completed" if rate == 0 else "diverged", **given)
    with pytest.raises(NotAvailable, match="no two completed runs"):
        selection.measure(evidence)
