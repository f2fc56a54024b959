"""Intervals and claims over simulated sweeps of groups without any difference; the whole is in benchmarks."""

from types import ModuleType

import numpy as np
import pytest

from trainlab.config.resolvers import PROJECT


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(PROJECT / "benchmarks"))

    def loaded(name: str) -> ModuleType:
        return pytest.importorskip(name)

    return loaded


@pytest.mark.slow
@pytest.mark.parametrize("arms", ["normal", "heavy tails", "unequal spread"])
def test_false_better_in_at_most_one_of_twenty_sweeps(load, arms: str):
    claims, rng = load("false_claims"), np.random.default_rng(1)
    for groups, seeds in ((4, 3), (4, 5), (4, 10), (9, 3)):
        accuracies = claims.draw(arms, (20_000, groups, seeds), rng)
        claims.check_fast_path(accuracies[:20])  # the same decisions as the functions that reports use
        assert claims.claims_better(accuracies).mean() <= 0.055, (groups, seeds)


@pytest.mark.slow
def test_reports_on_equal_groups_claim_nothing_but_by_chance(load):
    claims, rng = load("false_claims"), np.random.default_rng(2)
    for groups, seeds, sweeps in ((4, 5, 150), (9, 3, 40)):
        accuracies = claims.draw("normal", (sweeps, groups, seeds), rng)
        found = np.array([claims.claims_of(claims.report_on(claims.groups_of(one, rng))) for one in accuracies])
        better, ratio, excluding, ratios = found.T
        # at most 5 and 0.5 %; 0.999 of binomial distributions of 150 and 40 reports
        assert better.sum() <= {150: 17, 40: 7}[sweeps]
        assert ratio.sum() <= {150: 5, 40: 3}[sweeps]
        assert ratios.min() > 0 and excluding.sum() > ratio.sum()  # intervals of one ratio exclude 1 more often


@pytest.mark.slow
def test_welch_errs_no_more_than_it_should_with_very_unequal_numbers(load):
    claims, rng = load("false_claims"), np.random.default_rng(3)
    own, reported = claims.welch_errors(2, 10, 20_000, rng)
    assert own > 0.08
    assert reported <= 0.055


@pytest.mark.slow
@pytest.mark.parametrize("arms", ["normal", "heavy tails", "unequal spread"])
def test_intervals_contain_the_truth_as_often_as_they_should(load, arms: str):
    coverage, rng = load("coverage"), np.random.default_rng(4)
    found = coverage.of_pairs(arms, 5, 0.0, 1500, rng)
    flips = found.pop("sign flips find")
    assert flips == 0  # five seeds give no p below 0.0625
    assert {name: share for name, share in found.items() if not 0.925 <= share <= 0.985} == {}


@pytest.mark.slow
def test_power_simultaneous_intervals_and_images(load):
    coverage, rng = load("coverage"), np.random.default_rng(5)
    assert coverage.power(5, 2000, rng) == pytest.approx(0.8, abs=0.03)
    assert all(coverage.simultaneous(effects, 3, 1000, rng) > 0.93 for effects in coverage.EFFECTS.values())
    found = coverage.of_images(5, 0.03, 600, rng)
    assert all(share > 0.92 for share in found.values()), found
