"""Effect sizes and equivalence, against SciPy and published tables."""

import math

import numpy as np
import pytest
from scipy import stats

from trainlab.statistics import difference, effect_size, equivalence_p, interval
from trainlab.statistics.effect_sizes import hedges_correction, noncentrality_interval

A = [0.5296, 0.5286, 0.5350, 0.5311]
B = [0.5146, 0.5178, 0.5130, 0.5152]
C = [0.5070, 0.5216, 0.5108, 0.5062, 0.5158, 0.5004]


def seeds(values: list[float]) -> dict[int, float]:
    return dict(enumerate(values))


@pytest.mark.parametrize(("df", "table"), [(2, 0.5642), (3, 0.7236), (4, 0.7979), (10, 0.9228), (50, 0.9849)])
def test_the_correction_as_printed_in_hedges_table(df: int, table: float):
    assert hedges_correction(df) == pytest.approx(table, abs=6e-5)


@pytest.mark.parametrize(
    ("t", "df"), [(0.0, 2), (4.303, 2), (-3.0, 2.7), (2.5, 9), (60.0, 2), (1e3, 2), (-1e5, 4), (30.0, 58.5)]
)
def test_bounds_of_a_noncentrality_leave_what_they_should_beyond_t(t: float, df: float):
    low, high = noncentrality_interval(t, df)
    # P(T < t) = E[Phi(t sqrt(V / df) - noncentrality)], V chi-square
    v = stats.chi2(df).ppf((np.arange(20_000) + 0.5) / 20_000)
    for bound, p in ((low, 0.975), (high, 0.025)):
        assert stats.norm.cdf(t * np.sqrt(v / df) - bound).mean() == pytest.approx(p, abs=1e-4)  # of the 20,000 points


def test_paired_values_by_hand():
    found, test = effect_size(seeds(A), seeds(B)), difference(seeds(A), seeds(B))
    change = interval([a - b for a, b in zip(A, B, strict=True)])
    assert found.g == pytest.approx(0.7236 * change.mean / change.sd, rel=1e-4)
    low, high = noncentrality_interval(2 * change.mean / change.sd, 3)  # t is mean over sd times the root of 4
    assert (found.g_low, found.g_high) == pytest.approx((low / 2, high / 2))
    cdf = stats.norm.cdf((found.g, low / 2, high / 2))
    assert (found.probability, found.probability_low, found.probability_high) == pytest.approx(cdf)
    assert (test.p < 0.05, found.g_low > 0, found.probability_low > 0.5) == (True, True, True)


def test_unpaired_values_by_hand():
    found, a, c = effect_size(seeds(A), seeds(C)), np.var(A, ddof=1), np.var(C, ddof=1)
    unit, df = math.sqrt((a + c) / 2), 3 * 5 * (a + c) ** 2 / (5 * a**2 + 3 * c**2)  # Delacre and others (2021)
    assert found.g == pytest.approx(hedges_correction(df) * (np.mean(A) - np.mean(C)) / unit)
    assert found.probability == pytest.approx(stats.norm.cdf(found.g / math.sqrt(2)))
    mirrored = effect_size(seeds(C), seeds(A))
    assert (mirrored.g, mirrored.g_low) == pytest.approx((-found.g, -found.g_high))
    assert mirrored.probability_low == pytest.approx(1 - found.probability_high)


def test_g_is_unbiased_where_one_group_has_many_more_seeds():
    rng = np.random.default_rng(1)
    draws = ((rng.normal(1, 1, 3).tolist(), rng.normal(0, 1, 10).tolist()) for _ in range(400))
    found = [effect_size(seeds(a), seeds(b)).g for a, b in draws]
    assert np.mean(found) == pytest.approx(1, abs=0.15)


@pytest.mark.parametrize(("first", "second"), [([0.5], [0.6]), ([0.5, 0.6], [0.5, 0.7]), ([0.5] * 3, [0.4] * 3)])
def test_too_few_values_or_no_spread_have_no_effect_size(first: list[float], second: list[float]):
    assert math.isnan(effect_size(seeds(first), seeds(second)).g)


@pytest.mark.parametrize("margin", [0.002, 0.02, 0.05])
@pytest.mark.parametrize("other", [B, C])
def test_equivalence_against_scipy(other: list[float], margin: float):
    if other is B:
        sides = [
            stats.ttest_1samp(np.subtract(A, B), end, alternative=to)
            for end, to in ((-margin, "greater"), (margin, "less"))
        ]
    else:
        sides = [
            stats.ttest_ind(np.subtract(A, end), C, equal_var=False, alternative=to)
            for end, to in ((-margin, "greater"), (margin, "less"))
        ]
    found = equivalence_p(difference(seeds(A), seeds(other)), margin)
    assert found == pytest.approx(max(side.pvalue for side in sides), rel=1e-9)


def test_equivalence_needs_a_margin_and_a_test():
    assert math.isnan(equivalence_p(difference({1: 0.5}, {1: 0.5}), 0.01))
    with pytest.raises(ValueError, match="margin must be above 0, got 0"):
        equivalence_p(difference(seeds(A), seeds(B)), 0)
