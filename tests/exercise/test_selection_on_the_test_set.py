"""How much too good a choice by the test set looks, of runs for which that can be worked out."""

import math
from pathlib import Path

import pytest
import torch

from exercise.questions.mistakes import selection
from exercise.store import Evidence
from exercise.trainings import Setting

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


def measured(too_good: list[float], lost: list[float]) -> dict:
    return {
        **{"runs": 12, "images": 5000, "accuracy": [45.0, 46.0, 44.0], "too_good": too_good, "lost": lost},
        **{"same": 0.25, "by_number": {"1": 0.0, "2": 0.2, "3": 0.3}},
    }


@pytest.fixture
def evidence(tmp_path: Path) -> Evidence:
    return Evidence(tmp_path, Setting())


def test_too_good_by_more_than_the_last_digit(evidence: Evidence):
    evidence.keep(selection.CHOICES, measured([0.4] * 500 + [0.6] * 500, [0.1] * 1000))
    found = selection.answer(evidence)
    assert found.agrees is True
    # 1.96 * 100 * sqrt(0.46 * 0.54 / 5000) = 1.38
    assert found.sentences[0] == (
        "Chosen among these 12 runs by 5,000 test images, the best run looks 0.50 points too good, on average over "
        "1,000 splits of the test images. That shows in an accuracy given to 0.1 points. It is less than the ±1.4 "
        "points by which an accuracy of so many images is uncertain anyway, and comes on top of it. The runs "
        "themselves lie within 2.0 points."
    )
    assert found.sentences[1] == (
        "On the other half of the images, which neither choice has seen, the run chosen by test images is 0.10 points "
        "less accurate than the one chosen by validation loss, on the same average. In 25 % of the splits "
        "both choose the same run."
    )


def test_too_good_by_what_does_not_show(evidence: Evidence):
    evidence.keep(selection.CHOICES, measured([0.0] * 600 + [0.1] * 400, [-0.1] * 1000))
    found = selection.answer(evidence)
    assert found.agrees is False
    assert "looks 0.04 points too good" in found.sentences[0]
    assert "That does not show in an accuracy given to 0.1 points" in found.sentences[0]
    assert "is 0.10 points more accurate than the one chosen" in found.sentences[1]


def test_too_good_by_more_than_the_noise(evidence: Evidence):
    evidence.keep(selection.CHOICES, measured([0.0] * 600 + [5.0] * 400, [-0.1] * 500 + [0.1] * 500))
    assert "It is more than the ±1.4 points" in selection.answer(evidence).sentences[0]


def test_nothing_to_choose_among(evidence: Evidence):
    evidence.keep(selection.CHOICES, {"runs": 1})
    found = selection.answer(evidence)
    assert (found.agrees, found.sentences) == (None, ["There is nothing to choose among: 1 runs were completed."])
