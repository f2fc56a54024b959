"""What the interval of a contrast decides, by hand and by SciPy."""

import math

import pytest
from scipy import stats

from trainlab.statistics import Contrast, judge, sequential
from trainlab.statistics.anytime import half_width


def of(direction: str, low: float, high: float, margin: float = 1.0, is_ratio: bool = False) -> Contrast:
    return Contrast("a", "b", "m", direction, margin, (low + high) / 2, low, high, 3, is_ratio)


def compared(a: list[float], b: list[float], direction: str, margin: float = 1.0, is_ratio: bool = False) -> Contrast:
    return Contrast("a", "b", "m", direction, margin, is_ratio=is_ratio).over(a, b)


@pytest.mark.parametrize(
    ("direction", "low", "high", "verdict"),
    [
        ("higher", 0.1, 2.0, "confirmed"),
        ("higher", 0.1, 0.5, "confirmed"),  # however small
        ("higher", -0.5, 0.9, "contradicted"),  # a gain that matters is excluded
        ("higher", -0.5, 1.1, "undecided"),
        ("higher", -3.0, -1.0, "contradicted"),
        ("lower", -2.0, -0.1, "confirmed"),
        ("lower", -0.9, 0.5, "contradicted"),
        ("lower", -1.1, 0.5, "undecided"),
        ("equal", -0.9, 0.9, "confirmed"),
        ("equal", 1.1, 3.0, "contradicted"),
        ("equal", 0.5, 1.5, "undecided"),
        ("not lower", -0.9, 5.0, "confirmed"),
        ("not lower", -5.0, -1.1, "contradicted"),
        ("not lower", -1.5, 5.0, "undecided"),
        ("not higher", -5.0, 0.9, "confirmed"),
        ("not higher", 1.1, 5.0, "contradicted"),
        *((direction, math.nan, math.nan, "undecided") for direction in ("higher", "lower", "equal", "not lower")),
    ],
)
def test_the_interval_decides(direction: str, low: float, high: float, verdict: str):
    assert of(direction, low, high).verdict == verdict


@pytest.mark.parametrize(
    ("direction", "low", "high", "verdict"),
    [
        ("lower", 0.36, 0.94, "confirmed"),
        ("lower", 0.92, 1.2, "contradicted"),  # less than 10 % are no saving
        ("lower", 0.88, 1.2, "undecided"),
        ("higher", 0.9, 1.09, "contradicted"),
        ("equal", 0.92, 1.09, "confirmed"),
        ("about 10", 1.30, 1.45, "contradicted"),
        ("about 10", 7.0, 14.0, "confirmed"),
        ("about 10", 6.0, 14.0, "undecided"),
        ("lower", math.nan, math.nan, "undecided"),
    ],
)
def test_ratios_have_factors_for_margins(direction: str, low: float, high: float, verdict: str):
    margin = 1.5 if direction.startswith("about") else 1.1
    assert of(direction, low, high, margin, is_ratio=True).verdict == verdict


@pytest.mark.parametrize(
    ("direction", "low", "high", "is_ratio", "is_slight"),
    [
        ("higher", -3.0, 0.5, False, False),  # a loss that matters may be left
        ("higher", -0.9, 0.5, False, True),
        ("higher", 0.1, 0.5, False, False),  # it is confirmed
        ("lower", 0.2, 0.8, False, True),
        ("higher", 0.5, 1.05, True, False),
        ("higher", 0.95, 1.05, True, True),
    ],
)
def test_no_difference_that_matters_is_left_in_either_direction(direction, low, high, is_ratio, is_slight):
    margin = 1.1 if is_ratio else 1.0
    assert of(direction, low, high, margin, is_ratio=is_ratio).is_slight == is_slight


def test_other_directions_are_a_mistake():
    with pytest.raises(ValueError, match="direction must be one of"):
        of("better", 0, 1)
    with pytest.raises(ValueError, match="of a ratio"):
        of("about 2", 0, 1)


def test_a_question_has_intervals_that_hold_together():
    clear = compared([5.0, 5.1, 5.3], [4.0, 4.0, 4.1], "higher")
    near = compared([5.0, 5.1, 5.3], [4.2, 4.4, 5.0], "higher")
    assert clear.verdict == "confirmed" == near.verdict or near.verdict == "undecided"
    first, second = judge([clear, near])
    assert first.verdict == "confirmed" and first.alone == clear.alone and first.high == math.inf
    assert second.alone == near.alone and second.verdict == "undecided"
    half = stats.t.ppf(1 - 0.05 / 4, 2) * stats.sem([5.0 - 4.0, 5.1 - 4.0, 5.3 - 4.1])
    by_margin = compared([5.0, 5.1, 5.3], [4.0, 4.0, 4.1], "equal")
    assert judge([by_margin, near])[0].high == pytest.approx(1.1 + half)  # Bonferroni's


def test_what_is_significant_by_holm_alone_is_confirmed():
    near = compared([1.0, 1.2, 1.1, 1.3], [0.9, 1.0, 1.05, 1.1], "higher")
    clear = compared([5.0, 5.1, 5.3, 5.2], [4.0, 4.0, 4.1, 4.1], "higher")
    half = stats.t.ppf(1 - 0.05 / 4, 3) * stats.sem([0.1, 0.2, 0.05, 0.2])
    assert 0.025 < stats.ttest_1samp([0.1, 0.2, 0.05, 0.2], 0).pvalue < 0.05 and half > 0.1375
    assert judge([near, clear])[0].verdict == "confirmed"


def test_ratios_are_geometric_means():
    found = compared([2.0, 2.2, 1.8], [1.0, 1.0, 1.0], "higher", 1.1, is_ratio=True)
    assert found.mean == pytest.approx((2.0 * 2.2 * 1.8) ** (1 / 3))
    low, high = stats.t.interval(0.95, 2, math.log(found.mean), stats.sem([math.log(x) for x in (2.0, 2.2, 1.8)]))
    assert (found.low, found.high) == pytest.approx((math.exp(low), math.exp(high)))
    assert found.amount == f"{found.mean:.2f} times ({found.low:.2f} to {found.high:.2f})"
    assert found.count == "3 seeds" and found.verdict == "confirmed"
    assert judge([found])[0].low == pytest.approx(found.low)
    assert compared([], [1.0], "higher", 1.1, is_ratio=True).amount == "no figure"


def test_an_undecided_one_says_how_many_seeds_would_tell():
    found = compared([1.0, 2.0, 0.0, 1.4], [0.0, 0.2, 0.1, 0.0], "higher")
    assert found.verdict == "undecided" and found.more is not None and found.needed == 4 + found.more


def test_so_does_one_whose_interval_holds_for_any_number_of_seeds():
    series = [1.0, -0.4, 0.9, 0.1, 0.7, -0.2]
    found = Contrast("a", "b", "m", "higher", 0.1).over(series, [0.0] * 6, any_number=True)
    mean, sd = sum(series) / 6, stats.tstd(series)
    assert found.verdict == "undecided" and found.needed
    # The mean is above 0, so that it is decided once half of the interval is less than the mean.
    assert half_width(found.needed, 0.05) * sd < mean < half_width(found.needed - 1, 0.05) * sd
    nothing = Contrast("a", "b", "m", "higher", 0.1, closed=(False, False)).over(series, [0.0] * 6, any_number=True)
    assert nothing.verdict == "undecided" and nothing.needed is None


def test_intervals_that_hold_for_any_number_of_seeds_share_the_error():
    series = [0.1 * seed for seed in range(1, 9)]
    one, two = (Contrast("a", "b", "m", "higher", 0.1).over(series, [0.0] * 8, any_number=True) for _ in range(2))
    assert (one.low, one.high) == (sequential(series, 0.05).low, sequential(series, 0.05).high)
    by_hand = sequential(series, 0.05 / 2)
    assert all((found.low, found.high) == (by_hand.low, by_hand.high) for found in judge([one, two]))
