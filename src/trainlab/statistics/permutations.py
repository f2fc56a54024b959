"""A test that assumes no distribution: the signs of paired differences flipped."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from trainlab.statistics.intervals import FLOAT_NOISE

MAX_EXACT = 16  # differences: up to as many, all flips are counted
DRAWN = 2**15  # flips of more differences


@dataclass(frozen=True)
class SignFlip:
    """Two-sided p of a sign-flip test, and the smallest one that as many differences can give."""

    p: float
    smallest: float


def sign_flip(changes: Sequence[float]) -> SignFlip:
    """Test whether paired differences have mean zero, by flipping their signs (Fisher, 1935).

    Of equal groups each difference has either sign with the same probability, whatever its distribution: ``p`` is the
    share of the flips whose sum is at least as far from zero. All 2^n are counted up to ``MAX_EXACT`` differences; of
    more, ``DRAWN`` random ones, always the same, with the differences as they are among them. Three seeds give no p
    below 0.25; six are the fewest that can give one below 0.05.

    Args:
        changes: of pairs, all of them finite; at least one.
    """
    import numpy as np

    sums = np.abs(_signs(len(changes)) @ np.asarray(changes, float))
    # the first row has the signs as they are; equal sums may differ by rounding
    extreme = sums >= sums[0] - FLOAT_NOISE * math.fsum(map(abs, changes))
    return SignFlip(float(extreme.mean()), 1 / len(sums))


@cache
def _signs(n: int) -> Any:
    """Signs (flips, n), all ones first; the sign of the first is kept where all are counted, as both sides count."""
    import numpy as np

    if n <= MAX_EXACT:
        bits = np.arange(2 ** (n - 1))[:, None] >> np.arange(n) & 1
        return 1.0 - 2.0 * np.roll(bits, 1, axis=1)
    drawn = np.random.default_rng(n).choice([-1.0, 1.0], (DRAWN, n))
    drawn[0] = 1.0
    return drawn
