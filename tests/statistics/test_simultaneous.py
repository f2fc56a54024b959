"""Intervals that hold together."""

import math

import pytest
from scipy import stats

from trainlab.statistics import bonferroni_intervals, holm, holm_intervals, paired

CLEAR = paired([0.50, 0.51, 0.53, 0.52], [0.40, 0.405, 0.43, 0.415])  # p about 1e-5
NEAR = paired([0.50, 0.51, 0.53, 0.52], [0.49, 0.505, 0.515, 0.515])  # p about 0.03
OPEN = paired([0.50, 0.51, 0.53, 0.52], [0.51, 0.50, 0.52, 0.53])
UNTESTED = paired([0.5, 0.5], [0.4, 0.4])


def test_of_significant_ones_among_others_the_sign_is_known():
    first, second, untested, third = holm_intervals([CLEAR, OPEN, UNTESTED, NEAR])
    assert holm([CLEAR.p, OPEN.p, NEAR.p])[2] > 0.05 > NEAR.p
    assert first == (0, math.inf)
    # two are not significant: each at 0.05 / 2, with three degrees of freedom
    half = stats.t.ppf(1 - 0.05 / 4, 3) * OPEN.error
    assert second == pytest.approx((OPEN.mean - half, OPEN.mean + half))
    assert third[0] < 0 < third[1]
    assert all(map(math.isnan, untested))


def test_where_all_are_significant_each_has_bonferronis_interval_which_ends_at_zero():
    first, second = holm_intervals([CLEAR, NEAR])
    half = stats.t.ppf(1 - 0.05 / 4, 3) * CLEAR.error
    assert first == pytest.approx((CLEAR.mean - half, CLEAR.mean + half))
    assert second[0] == 0  # significant by Holm, not by Bonferroni
    flipped = paired([0.49, 0.505, 0.515, 0.515], [0.50, 0.51, 0.53, 0.52])
    assert holm_intervals([CLEAR, flipped])[1] == pytest.approx((-second[1], 0))


def test_one_alone_has_its_own_interval():
    ((low, high),) = holm_intervals([OPEN])
    assert (low, high) == pytest.approx((OPEN.mean - OPEN.half_width, OPEN.mean + OPEN.half_width))


def test_bonferronis_intervals_have_both_bounds_and_widen_with_the_number_of_tests():
    first, second, untested = bonferroni_intervals([CLEAR, OPEN, UNTESTED])
    for one, found in ((CLEAR, first), (OPEN, second)):
        half = stats.t.ppf(1 - 0.05 / 4, 3) * one.error
        assert found == pytest.approx((one.mean - half, one.mean + half))
    assert all(map(math.isnan, untested))
