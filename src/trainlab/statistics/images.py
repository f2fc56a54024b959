"""Accuracies of several seeds on one finite set of images: what other images would change."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from trainlab.statistics.intervals import LEVEL, Interval, interval, t_quantile


@dataclass(frozen=True)
class Share:
    """A part of a variance, 0 to 1, with its 95 % interval."""

    value: float
    low: float
    high: float


def over_seeds_and_images(correct: ArrayLike) -> Interval:
    """Mean accuracy with an interval over other seeds and other images.

    Seeds and images are crossed random effects: the variance of the mean is estimated from the mean squares of seeds,
    images and their interaction, its degrees of freedom by Satterthwaite's formula.

    Args:
        correct: (S, N) whether each of N images is classified correctly by the network of each of S seeds; at least two
            of both.

    Returns:
        Its ``sd`` is that of the accuracies over the seeds, its ``n`` the number of seeds.
    """
    of_seeds, of_images, rest, (s, n) = _mean_squares(correct)
    accuracies = np.asarray(correct, float).mean(axis=1)
    combined = max(of_seeds + of_images - rest, of_seeds, of_images)
    parts = ((of_seeds, s - 1), (of_images, n - 1), (rest, (s - 1) * (n - 1)))
    df = combined**2 / sum(part**2 / freedom for part, freedom in parts) if combined else math.nan
    half_width = t_quantile(df) * math.sqrt(combined / (s * n)) if combined else 0.0
    return Interval(float(accuracies.mean()), float(accuracies.std(ddof=1)), half_width, s)


def share_of_images(correct: ArrayLike) -> Share:
    """The share of the variance of accuracies over seeds that the finite number of images alone explains.

    Networks of two seeds that are equally good on all images that there are would still differ on N of them, as they
    err on different ones. The rest is what seeds differ in on any images (Jordan, 2023). The interval is that of the
    ratio of two mean squares, by the F-distribution.

    Args:
        correct: as for `over_seeds_and_images`.
    """
    from scipy.special import fdtri

    of_seeds, _, rest, (s, n) = _mean_squares(correct)
    if not of_seeds:
        return Share(math.nan, math.nan, math.nan)
    found = rest / of_seeds
    ends = (float(fdtri(s - 1, (s - 1) * (n - 1), (1 + side * LEVEL) / 2)) for side in (-1, 1))
    return Share(*(min(1.0, found * of) for of in (1.0, *ends)))


def over_images(accuracies: Sequence[float], num_images: int) -> Interval:
    """As `over_seeds_and_images`, from the accuracies alone: an upper bound of its width.

    Of an image that is right with probability q over the seeds, the variance of q over the images is taken to be as
    large as it can be, that of images that are always right or always wrong.

    Args:
        accuracies: of at least two seeds, on the same images.
        num_images: the number of these.
    """
    of = interval(accuracies)
    seeds, images = of.sd**2 / of.n, of.mean * (1 - of.mean) / num_images
    if not seeds + images:
        return of
    df = min((seeds + images) ** 2 / (seeds**2 / (of.n - 1)), 1e9) if seeds else 1e9
    return Interval(of.mean, of.sd, t_quantile(df) * math.sqrt(seeds + images), of.n)


def _mean_squares(correct: ArrayLike) -> tuple[float, float, float, tuple[int, int]]:
    """Of seeds, of images and of their interaction, and the shape (S, N)."""
    values = np.asarray(correct, float)
    if values.ndim != 2 or min(values.shape) < 2:
        raise ValueError(f"correct must be (seeds, images), at least two of both, got shape {values.shape}")
    s, n = values.shape
    by_seed, by_image, mean = values.mean(axis=1), values.mean(axis=0), values.mean()
    of_seeds = n * float(((by_seed - mean) ** 2).sum()) / (s - 1)
    of_images = s * float(((by_image - mean) ** 2).sum()) / (n - 1)
    total = float(((values - mean) ** 2).sum())
    rest = (total - of_seeds * (s - 1) - of_images * (n - 1)) / ((s - 1) * (n - 1))
    return of_seeds, of_images, max(rest, 0.0), (s, n)
