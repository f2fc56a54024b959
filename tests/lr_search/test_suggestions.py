"""Each rule on curves made from formulas that say where it must come out."""

import math

import pytest

from trainlab.lr_search.suggestions import log_spaced, smooth, steepest, tenth_of_minimum, valley

RATES = log_spaced(1e-6, 1e2, 801)  # a hundred a decade
STEP = 10**0.01


def decades(lr: float) -> float:
    return math.log10(lr)


def test_rates_are_log_spaced():
    assert log_spaced(1e-5, 1e-1, 5) == pytest.approx([1e-5, 1e-4, 1e-3, 1e-2, 1e-1])
    assert log_spaced(3e-4, 1.0, 1) == [3e-4]
    assert (RATES[0], RATES[-1]) == (1e-6, pytest.approx(1e2))


def test_averages_are_corrected_for_what_they_have_not_seen():
    assert smooth([7.0] * 5, 0.98) == pytest.approx([7.0] * 5)
    # Weights after three losses: 0.25, 0.5 and 1 of 1.75.
    assert smooth([1.0, 3.0, 2.0], 0.5) == pytest.approx([1.0, (0.5 + 3) / 1.5, (0.25 + 1.5 + 2) / 1.75])
    assert smooth([4.0, 1.0], 0.0) == [4.0, 1.0]


@pytest.mark.parametrize("centre", [1e-4, 1e-1])
def test_the_steepest_slope_of_a_logistic_fall_is_its_centre(centre: float):
    losses = [2.3 - 1 / (1 + math.exp(-4 * (decades(lr) - decades(centre)))) for lr in RATES]
    assert steepest(RATES, losses) == pytest.approx(centre, rel=1e-6)


def test_the_slope_is_taken_over_the_logarithm_of_the_rate():
    # By the rate itself exp(-lr / 0.01) is steepest at the lowest rate; by its logarithm at 0.01.
    losses = [math.exp(-lr / 0.01) for lr in RATES]
    assert steepest(RATES, losses) == pytest.approx(0.01, rel=1e-6)


def test_a_fall_from_where_the_loss_blew_up_is_no_slope_to_train_on():
    # A fall by 1 around 1e-3, lowest at 1e-1, then up to 10 and steeply down again.
    losses = [2.3 - 1 / (1 + math.exp(-4 * (decades(lr) + 3))) for lr in RATES]
    losses = [loss if lr < 0.1 else 10 - decades(lr) * 3 for lr, loss in zip(RATES, losses, strict=True)]
    assert steepest(RATES, losses) == pytest.approx(1e-3, rel=1e-6)
    assert steepest([1e-3, 1e-2], [1.0, 2.0]) == 1e-3  # it never falls


def test_the_valley_is_left_at_two_thirds():
    # It falls from 1e-4 to 1e-1, three decades; a shorter and deeper fall follows after a rise.
    def loss(lr: float) -> float:
        x = decades(lr)
        if x < -4:
            return 2.3 + 0.1 * (x + 4)
        if x < -1:
            return 2.3 - 0.2 * (x + 4)
        return 1.7 + (x + 1) if x < 0 else 2.7 - 2 * x

    assert valley(RATES[:650], [loss(lr) for lr in RATES[:650]]) == pytest.approx(1e-2, rel=0.02)


def test_the_valley_may_have_bumps():
    # Every third point is a bump out of a fall over the whole range.
    losses = [10 - decades(lr) + (5 if i % 3 == 1 else 0) for i, lr in enumerate(RATES)]
    assert valley(RATES, losses) == pytest.approx(RATES[0] * (RATES[-1] / RATES[0]) ** (2 / 3), rel=2 * (STEP - 1))


def test_a_tenth_of_the_lowest_point_of_a_parabola():
    losses = [(decades(lr) + 2) ** 2 for lr in RATES]
    assert tenth_of_minimum(RATES, losses) == pytest.approx(1e-3)
