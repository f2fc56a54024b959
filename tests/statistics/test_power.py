"""Detectable differences and numbers of seeds, against published tables."""

import numpy as np
import pytest

from trainlab.statistics import detectable_difference, power_of, seeds_needed, welch


# Cohen (1988), tables 2.4.1, with G*Power's exact numbers: two-sided, level 0.05, power 0.8.
@pytest.mark.parametrize(
    ("d", "paired", "n"),
    [(0.2, True, 199), (0.5, True, 34), (0.8, True, 15), (0.2, False, 394), (0.5, False, 64), (0.8, False, 26)],
)
def test_seeds_as_printed_in_tables(d: float, paired: bool, n: int):
    assert seeds_needed(d, 1.0, paired=paired) == n
    assert detectable_difference(1.0, n, paired=paired) <= d < detectable_difference(1.0, n - 1, paired=paired)


def test_a_detectable_difference_has_the_power_that_it_is_for():
    for n, tests, power in ((2, 1, 0.8), (3, 1, 0.8), (3, 435, 0.8), (10, 6, 0.95)):
        found = detectable_difference(0.7, n, tests, power=power)
        assert power_of(found, 0.7, n, tests) == pytest.approx(power, abs=1e-6)
        assert found == pytest.approx(0.7 * detectable_difference(1.0, n, tests, power=power))


def test_without_a_difference_the_power_is_the_significance_level():
    assert power_of(0.0, 1.0, 5) == pytest.approx(0.05)
    assert power_of(0.0, 1.0, 5, tests=10) == pytest.approx(0.005)


def test_what_no_reasonable_number_of_seeds_detects():
    assert seeds_needed(0.0, 1.0) is None
    assert seeds_needed(0.001, 1.0) is None
    assert seeds_needed(100.0, 1.0) == 2


def test_as_many_seeds_as_are_looked_at_are_found():
    needed = seeds_needed(0.0301, 1.0)
    assert needed is not None and 8192 < needed < 10_000
    assert power_of(0.0301, 1.0, needed - 1) < 0.8 <= power_of(0.0301, 1.0, needed)


@pytest.mark.parametrize("n", [(2, 2), (3, 2), (3, 4), (3, 10)])
def test_without_pairs_the_power_is_that_of_the_test_with_as_many_seeds(n: tuple[int, int]):
    shift, rng = detectable_difference(1.0, n, paired=False), np.random.default_rng(1)
    sides = (rng.normal(shift, 1, (1500, n[0])), rng.normal(0, 1, (1500, n[1])))
    found = np.mean([welch(a, b).p < 0.05 for a, b in zip(*(side.tolist() for side in sides), strict=True)])
    assert found == pytest.approx(0.8, abs=0.03)


@pytest.mark.parametrize(
    ("n", "power", "message"),
    [(1, 0.8, "two seeds"), (3, 1.0, "power"), (3, 0.04, "power"), ((3, 4), 0.8, "as many seeds of each group, got 3")],
)
def test_what_is_no_plan_is_refused(n: int | tuple[int, int], power: float, message: str):
    with pytest.raises(ValueError, match=message):
        detectable_difference(1.0, n, power=power)
