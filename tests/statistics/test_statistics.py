import math

import pytest
from scipy import stats

from trainlab.statistics import difference, holm, interval, mcnemar, paired, ratio, share_interval, welch

A = [0.5296, 0.5286, 0.5350]
B = [0.4946, 0.4978, 0.5030]
C = [0.4770, 0.4616, 0.5008, 0.4962, 0.4858, 0.4904]
D = [*A, 0.5210]
# Two-sided p and bounds of the interval, as SciPy 1.17.1 gives them.
PAIRED_A_B = (0.0014646519925296001, 0.027225988462982204, 0.03797401153701776)  # stats.ttest_rel(A, B)
WELCH_D_C = (0.00027949318613019835, 0.027915034123379562, 0.05858496587662024)  # stats.ttest_ind(equal_var=False)
WELCH_A_B = (0.0006090134493972834, 0.023698218951043216, 0.04150178104895682)


def seeds(values: list[float], first: int = 1) -> dict[int, float]:
    return dict(enumerate(values, first))


def test_interval_worked_by_hand():
    # 1, 2, 3: mean 2, variance (1 + 0 + 1) / 2 = 1, error 1 / sqrt(3); t with 2 degrees of freedom is 4.302653
    found = interval([1.0, 2.0, 3.0])
    assert (found.mean, found.sd, found.n) == (2.0, 1.0, 3)
    assert found.half_width == pytest.approx(4.302653 / math.sqrt(3), rel=1e-6)


def test_one_value_has_a_mean_and_no_interval_and_none_has_nothing():
    one, none = interval([4.0]), interval([])
    assert (one.mean, one.n) == (4.0, 1)
    assert math.isnan(one.sd)
    assert math.isnan(one.half_width)
    assert math.isnan(none.mean)
    assert none.n == 0


@pytest.mark.parametrize(("count", "n"), [(0, 5), (5, 5), (1, 6), (37, 100)])
def test_the_interval_of_a_share_against_scipy(count: int, n: int):
    wanted = stats.binomtest(count, n).proportion_ci(0.95, "exact")
    assert share_interval(count, n) == pytest.approx((wanted.low, wanted.high), rel=1e-9)


def test_a_share_is_of_runs():
    assert share_interval(5, 5)[0] == pytest.approx(0.025 ** (1 / 5))
    for count, n in ((0, 0), (6, 5)):
        with pytest.raises(ValueError, match=f"got {count} of {n}"):
            share_interval(count, n)


def test_paired_against_scipy_and_by_hand():
    found = paired(A, B, (1, 2, 3))
    # differences 0.0350, 0.0308, 0.0320: mean 0.0326
    assert found.mean == pytest.approx(0.0326)
    assert (found.p, found.mean - found.half_width, found.mean + found.half_width) == pytest.approx(
        PAIRED_A_B, rel=1e-9
    )


def test_welch_against_scipy():
    found = welch(D, C)
    assert (found.p, found.mean - found.half_width, found.mean + found.half_width) == pytest.approx(WELCH_D_C, rel=1e-9)


def test_the_same_seeds_are_paired_by_seed_whatever_their_order():
    found = difference({3: A[2], 1: A[0], 2: A[1]}, seeds(B))
    assert (found.method, found.seeds) == ("paired", (1, 2, 3))
    assert found.p == pytest.approx(PAIRED_A_B[0], rel=1e-9)


def test_other_seeds_are_compared_by_welch_on_all_of_them():
    for first, other, reference in ((A, seeds(B, first=2), WELCH_A_B), (D, seeds(C), WELCH_D_C)):
        found = difference(seeds(first), other)
        assert (found.method, found.seeds) == ("Welch", ())
        assert found.p == pytest.approx(reference[0], rel=1e-9)


def test_one_seed_can_claim_nothing():
    found = difference({1: 0.9}, seeds(B))
    assert found.method == "none"
    assert math.isnan(found.p)
    assert math.isnan(found.half_width)
    assert found.mean == pytest.approx(0.9 - sum(B) / 3)
    assert difference({}, seeds(B)).method == "none"


@pytest.mark.parametrize(
    "found",
    [
        paired([1.0, 1.0], [1.0, 1.0]),
        paired([2.0, 2.0], [1.0, 1.0]),
        paired([0.53, 0.54, 0.3], [0.50, 0.51, 0.27]),  # their differences differ by the rounding of floats
        paired([0.0, 0.0], [0.0, 0.0]),
        welch([1.0, 1.0], [1.0, 1.0]),
        welch([2.0, 2.0, 2.0], [1.0, 1.0]),
        welch([0.1 + 0.2, 0.3], [0.1, 0.1]),
    ],
)
def test_values_without_any_spread_are_no_certainty(found):
    assert (found.method, found.reason) == ("none", "no spread to measure the noise with")
    assert math.isnan(found.p)
    assert math.isnan(found.half_width)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_values_that_are_not_finite_are_not_tested(bad: float):
    for found in (
        difference(seeds([bad, *A[1:]]), seeds(B)),
        difference(seeds([bad, *A[1:]]), seeds(C)),
        paired([bad, bad], [0.5, 0.5]),
    ):
        assert (found.method, found.reason) == ("none", "a value is not finite")


def test_welch_of_very_unequal_numbers_has_the_degrees_of_freedom_of_the_smaller_side():
    few, many = [0.53, 0.54], [0.50, 0.51, 0.49, 0.50, 0.52]
    found = welch(few, many)
    # means 0.535 and 0.504, variances 5e-5 / 2 and 1.3e-4 / 5: t = 0.031 / sqrt(5.1e-5); p of 1 degree of freedom
    t = 0.031 / math.sqrt(5.1e-5)
    assert (found.df, found.error) == (1, pytest.approx(math.sqrt(5.1e-5)))
    assert found.p == pytest.approx(2 / math.pi * math.atan(1 / t))
    assert welch(A, C).df == welch(C, A).df == 2  # 3 and 6
    assert welch(D, [*C, 0.5, 0.51, 0.49]).df == 3  # 4 and 9
    for first, second in ((A, B), (D, C), (D, [*C, 0.5, 0.51])):
        assert welch(first, second).df == pytest.approx(stats.ttest_ind(first, second, equal_var=False).df)


def test_no_ratio_without_any_spread_is_clear():
    found = ratio(seeds([2.0, 2.0]), seeds([4.0, 4.0]))
    assert found.value == pytest.approx(0.5)
    assert math.isnan(found.low)
    assert not found.is_clear


def test_what_has_nothing_in_common_is_not_paired():
    found = difference(seeds(A), seeds(B), pairable=False)
    assert (found.method, found.seeds) == ("Welch", ())
    assert found.p == pytest.approx(WELCH_A_B[0], rel=1e-9)


def test_welch_keeps_its_degrees_of_freedom_where_variances_are_tiny():
    tiny = 1e-160  # its square is below the smallest float
    first, second = ([start, start + 1e-9, start + 3e-9] for start in (0.5, 0.4))
    assert welch(first, second).p == pytest.approx(1.4518519063621876e-31, rel=1e-3, abs=0)  # SciPy's
    assert welch([0.0, tiny, 0.0], [0.0, tiny, 0.0]).p == 1


def test_holm_by_hand():
    # sorted 0.01, 0.02, 0.03, 0.04 times 4, 3, 2, 1 is 0.04, 0.06, 0.06, 0.04; never below the one before
    assert holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_holm_does_not_count_pairs_that_were_not_tested():
    one, untested, two = holm([0.01, math.nan, 0.03])
    assert (one, two) == pytest.approx((0.02, 0.03))
    assert math.isnan(untested)


def test_a_ratio_is_a_difference_of_logarithms():
    found = ratio(seeds([2.0, 4.0, 8.0]), seeds([1.0, 1.0, 1.0]))
    # logarithms to base 2: 1, 2, 3, so 2^2 and an interval of 2^(2 +- 4.302653 / sqrt(3))
    assert found.value == pytest.approx(4)
    assert (found.low, found.high) == pytest.approx((2 ** (2 - 2.484138), 2 ** (2 + 2.484138)), rel=1e-5)
    assert not found.is_clear
    assert ratio(seeds([2.0, 2.1, 1.9]), seeds([1.0, 1.0, 1.0])).is_clear


@pytest.mark.parametrize("bad", [0.0, -1.0, math.nan, math.inf])
def test_no_ratio_of_what_is_not_positive_and_finite(bad: float):
    assert math.isnan(ratio({1: bad, 2: 1.0}, {1: 1.0, 2: 1.0}).value)


def test_a_ratio_of_one_seed_has_no_interval():
    found = ratio({1: 3.0}, {1: 2.0})
    assert found.value == pytest.approx(1.5)
    assert math.isnan(found.low)
    assert not found.is_clear


@pytest.mark.parametrize(
    ("first", "second", "p"),
    [
        (0, 0, 1.0),
        (0, 1, 1.0),  # 2 * 1 / 2
        (0, 5, 2 / 32),
        (6, 0, 2 / 64),
        (2, 8, 2 * (1 + 10 + 45) / 1024),
        (8, 2, 2 * (1 + 10 + 45) / 1024),
        (3, 4, 1.0),  # 2 * 64 / 128
        (10, 10, 1.0),  # twice a little more than half, which is capped
    ],
)
def test_mcnemar_by_hand(first: int, second: int, p: float):
    assert mcnemar(first, second) == pytest.approx(p, rel=1e-12)


def test_mcnemar_of_thousands_is_the_normal_tail():
    # 2,900 of 6,000: with the correction for continuity 99.5 below the mean, deviation sqrt(1500).
    normal = math.erfc(99.5 / math.sqrt(1500) / math.sqrt(2))
    assert mcnemar(2900, 3100) == pytest.approx(normal, rel=0.01)


def test_holm_with_tests_whose_p_is_not_known_takes_them_for_the_least_clear():
    assert holm([0.01, 0.001], tests=5) == pytest.approx(holm([0.01, 0.001, 1.0, 1.0, 1.0])[:2])
    assert holm([0.01, math.nan], tests=1) == pytest.approx([0.01, math.nan], nan_ok=True)
