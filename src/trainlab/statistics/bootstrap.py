"""Bootstrap over images."""

from collections.abc import Iterator

import torch
from torch import Tensor

from trainlab.randomness import generator
from trainlab.statistics.intervals import LEVEL

RESAMPLES = 2000
_COUNTS_AT_ONCE = 2**20  # in memory: 8 MB


def bootstrap_counts(num_images: int, seed: int, resamples: int = RESAMPLES) -> Iterator[Tensor]:
    """How often each of ``num_images`` images is drawn in samples with replacement.

    Yields:
        float64 (num_images, r), a part of the samples; all r together are ``resamples``.
    """
    draws = generator(seed, "bootstrap")
    at_once = max(1, _COUNTS_AT_ONCE // num_images)
    for first in range(0, resamples, at_once):
        columns = min(at_once, resamples - first)
        chosen = torch.randint(num_images, (num_images, columns), generator=draws)
        counts = torch.zeros(num_images, columns, dtype=torch.float64)
        yield counts.scatter_add_(0, chosen, torch.ones((), dtype=torch.float64).expand(chosen.shape))


def percentile_interval(values: Tensor) -> tuple[float, float]:
    """Efron's percentile interval: the middle ``LEVEL`` of a metric's ``values`` (R,) over the resamples.

    A metric that sums up absolute values, like the calibration error, is larger in resamples than it is: its interval
    lies too high where the error is small. That of a difference does so less.
    """
    low, high = values.quantile(torch.tensor([(1 - LEVEL) / 2, (1 + LEVEL) / 2], dtype=values.dtype)).tolist()
    return low, high
