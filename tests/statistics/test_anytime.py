"""The anytime-valid t interval: against its likelihood ratio, by hand, and how often it errs."""

import math
from types import ModuleType

import numpy as np
import pytest

from trainlab.config.resolvers import PROJECT
from trainlab.statistics import Sequential, sequential
from trainlab.statistics.anytime import fewest, foreseen, half_width

ALPHA = 0.05


@pytest.fixture(scope="module")
def benchmark():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(PROJECT / "benchmarks"))
        yield pytest.importorskip("anytime")


@pytest.mark.parametrize(("n", "alpha"), [(5, 0.05), (8, 0.05 / 6), (30, 0.05)])
def test_at_the_bounds_the_likelihood_ratio_of_t_is_one_over_alpha(n, alpha):
    from scipy import stats

    t = half_width(n, alpha) * math.sqrt(n)
    effects, step = np.linspace(-2, 7, 451, retstep=True)  # of the others the density of t is nearly 0
    densities = stats.nct.pdf(t, n - 1, effects * math.sqrt(n)) * stats.norm.pdf(effects)
    assert step * densities.sum() / stats.t.pdf(t, n - 1) == pytest.approx(1 / alpha, rel=1e-4)


def test_there_is_no_bound_before_as_many_values_as_alpha_needs():
    # n = 4: K = (0.05 * sqrt(1/5))^(-2/4) = 6.69, times 1/5 above 1; n = 5: (0.05 * sqrt(1/6))^(-2/5) = 4.74, / 6 < 1
    assert [half_width(n, ALPHA) for n in range(5)] == [math.inf] * 5
    k = (0.05 / math.sqrt(6)) ** -0.4
    assert half_width(5, ALPHA) == pytest.approx(math.sqrt(4 * (k - 1) / (1 - k / 6) / 5))
    assert [fewest(alpha) for alpha in (0.05, 0.05 / 6, 0.05 / 45)] == [5, 6, 8]
    assert sequential([1.0, 1.1, 0.9, 1.0], ALPHA).low == -math.inf


def test_bounds_are_intersected_and_the_first_decision_counts():
    values = [1.0, 1.2, 0.8, 1.1, 0.9, 1.0, 1.05, 4.0, -3.0]
    found = sequential(values, ALPHA, margin=3.0)
    singles = [
        (np.mean(values[:n]) - half_width(n, ALPHA) * np.std(values[:n], ddof=1), n) for n in range(5, len(values) + 1)
    ]
    assert found.low == pytest.approx(max(low for low, _ in singles))
    assert found.apart == next(n for low, n in singles if low > 0)
    assert found.within == found.decided == 5 and found.n == 9
    assert sequential(values, ALPHA).within is None
    negated = sequential([-v for v in values], ALPHA, margin=3.0)
    assert (negated.high, negated.apart, negated.within) == (-found.low, found.apart, found.within)


def test_equal_values_show_no_noise_and_decide_nothing():
    found = sequential([0.01] * 20, ALPHA, margin=1.0)
    assert found == Sequential(20, pytest.approx(0.01), pytest.approx(0, abs=1e-12), -math.inf, math.inf, None, None)
    assert foreseen(found, ALPHA, 1.0) is None
    assert sequential([], ALPHA).n == 0


def test_an_empty_interval_decides_nothing():
    rng = np.random.default_rng(1)
    found = sequential([*(1 + 0.01 * rng.standard_normal(10)), *(-1 + 0.01 * rng.standard_normal(400))], ALPHA, 5.0)
    assert (found.apart, found.within, found.decided) == (None, None, None) and math.isnan(found.low)
    assert foreseen(found, ALPHA, 5.0) is None


def test_the_number_foreseen_decides_if_mean_and_spread_stay():
    values = [0.5, -0.5, 1.5, 0.0, 1.0, 0.3]
    found = sequential(values, ALPHA, 1.0)
    assert found.decided is None
    needed = foreseen(found, ALPHA, 1.0)
    decides = [half_width(n, ALPHA) * found.sd < found.mean for n in (needed - 1, needed)]
    within = [found.mean + half_width(n, ALPHA) * found.sd < 1.0 for n in (needed - 1, needed)]
    assert (decides[0] or within[0], decides[1] or within[1]) == (False, True)


def test_errors_and_seeds_are_the_known_ones(benchmark: ModuleType):
    # Of 40,000 repetitions, which `python benchmarks/anytime.py` prints: errors 3 %; medians 13, 17, 10, 6.
    errors = (benchmark.simulate(repetitions=4000).apart <= benchmark.SEEDS).mean()
    assert 0.02 < errors < 0.04
    medians = [np.median(benchmark.simulate(d, 0.87, 1.0, 4000).decided) for d in (0.1, 0.5, 1.0, 2.0)]
    assert medians == pytest.approx([13, 17, 10, 6], abs=1)  # of fewer repetitions


def test_what_is_simulated_is_the_interval_of_the_library(benchmark: ModuleType):
    found = benchmark.simulate(0.4, 0.87, 1.0, repetitions=12, seed=3)
    drawn = 0.4 + 0.87 * np.random.default_rng(3).standard_normal((12, benchmark.SEEDS))
    own = [sequential(row.tolist(), ALPHA, 1.0) for row in drawn]
    never = benchmark.SEEDS + 1
    assert [one.apart or never for one in own] == found.apart.tolist()
    assert [one.within or never for one in own] == found.within.tolist()
