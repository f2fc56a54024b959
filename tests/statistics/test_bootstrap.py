import math

import pytest
import torch

from trainlab.randomness import generator
from trainlab.statistics.bootstrap import RESAMPLES, bootstrap_counts, percentile_interval


def test_resamples_have_as_many_images_as_there_are():
    counts = torch.cat(list(bootstrap_counts(1000, seed=0)), 1)
    assert counts.shape == (1000, RESAMPLES)
    assert (counts.sum(0) == 1000).all()
    # A count is binomial, of 1000 draws with a chance of 1 in 1000: mean 1, variance 0.999.
    assert counts.mean(1).sub(1).abs().max() < 5 / math.sqrt(RESAMPLES)
    assert counts.var() == pytest.approx(0.999, abs=0.01)  # of two million, with a kurtosis of 4: deviation 0.0012
    assert torch.equal(counts, torch.cat(list(bootstrap_counts(1000, seed=0)), 1))
    assert not torch.equal(counts, torch.cat(list(bootstrap_counts(1000, seed=1)), 1))


def test_many_images_are_drawn_in_parts_of_bounded_size():
    parts = list(bootstrap_counts(300_000, seed=0, resamples=7))
    assert [part.shape[1] for part in parts] == [3, 3, 1]
    assert all((part.sum(0) == 300_000).all() for part in parts)


def test_the_interval_of_a_mean_is_the_normal_one():
    values = torch.randn(2000, generator=generator(0, "values"), dtype=torch.float64)
    low, high = percentile_interval(torch.cat([values @ counts / 2000 for counts in bootstrap_counts(2000, seed=0)]))
    half = 1.96 * values.std().item() / math.sqrt(2000)
    # A quantile at 2.5 % of 2,000 draws has a deviation of 0.06 of theirs, so 0.03 of the half width; four of them.
    assert low == pytest.approx(values.mean().item() - half, abs=0.12 * half)
    assert high == pytest.approx(values.mean().item() + half, abs=0.12 * half)


def test_intervals_hold_the_truth_as_often_as_they_say():
    """Of 400 data sets of 300 images, right with chances of 0.6 and 0.62 that share most of their luck."""
    luck = torch.rand(400, 300, generator=generator(0, "luck"), dtype=torch.float64)
    other = torch.rand(400, 300, generator=generator(0, "other"), dtype=torch.float64)
    first = (luck < 0.6).double()
    second = torch.where(other < 0.9, luck < 0.62, other < 0.9 + 0.1 * 0.62).double()
    held, held_difference, wider = 0, 0, 0
    for dataset in range(400):
        counts = torch.cat(list(bootstrap_counts(300, seed=dataset, resamples=400)), 1)
        accuracy = percentile_interval(first[dataset] @ counts / 300)
        difference = percentile_interval((second - first)[dataset] @ counts / 300)
        held += accuracy[0] <= 0.6 <= accuracy[1]
        held_difference += difference[0] <= 0.02 <= difference[1]
        wider += accuracy[1] - accuracy[0] > difference[1] - difference[0]
    # Binomial, 400 times 0.95: mean 380, deviation 4.4; four of them, and the discreteness of 300 images.
    assert 360 <= held <= 398
    assert 360 <= held_difference <= 398
    assert wider == 400  # what both share goes out of a paired interval
