"""What a difference of two sets of predictions is worth: bootstrap over images, and McNemar's exact test."""

from collections.abc import Iterator
from math import comb

import torch
from torch import Tensor

from trainlab.randomness import generator

LEVEL = 0.95
RESAMPLES = 2000
_AT_ONCE = 2**20  # counts in memory: 8 MB


def resampled(num_images: int, seed: int, resamples: int = RESAMPLES) -> Iterator[Tensor]:
    """How often each of ``num_images`` images counts in sets drawn with replacement: float64 (N, r), all r together
    ``resamples``."""
    draws = generator(seed, "bootstrap")
    at_once = max(1, _AT_ONCE // num_images)
    for first in range(0, resamples, at_once):
        columns = min(at_once, resamples - first)
        chosen = torch.randint(num_images, (num_images, columns), generator=draws)
        counts = torch.zeros(num_images, columns, dtype=torch.float64)
        yield counts.scatter_add_(0, chosen, torch.ones((), dtype=torch.float64).expand(chosen.shape))


def percentile_interval(values: Tensor) -> tuple[float, float]:
    """The middle ``LEVEL`` of the resamples' ``values`` (R,), Efron's percentile interval.

    A metric that sums up absolute values, like the calibration error, is larger in resamples than it is: its interval
    lies too high where the error is small. That of a difference does so less.
    """
    low, high = values.quantile(torch.tensor([(1 - LEVEL) / 2, (1 + LEVEL) / 2], dtype=values.dtype)).tolist()
    return low, high


def mcnemar(only_first: int, only_second: int) -> float:
    """Two-sided exact p of McNemar's test.

    Where one of two classifiers is right and the other wrong, either has an even chance if both are equally good, so
    that the smaller count is binomial.

    Args:
        only_first: images that the first one alone has right.
        only_second: the second one alone.
    """
    n, fewer = only_first + only_second, min(only_first, only_second)
    return min(1.0, 2 * sum(comb(n, k) for k in range(fewer + 1)) / 2**n)
