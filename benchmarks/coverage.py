"""How often the intervals of `trainlab.statistics` contain the truth: simulated pairs of groups.

    PYTHONPATH=src .venv/bin/python benchmarks/coverage.py            # about twenty minutes on one core
    PYTHONPATH=src .venv/bin/python benchmarks/coverage.py --quick    # half a minute

Nominal are 95 % for intervals, at most 5 % for tests where nothing is to be found, and 80 % for the power. The kinds of
groups are those of `false_claims.py`. Effects are the true difference of the means over the true standard deviation of
the difference of a pair.
"""

import argparse
from collections.abc import Iterable, Mapping
from itertools import combinations

import numpy as np
from numpy.random import Generator

from false_claims import ARMS, Values, draw
from trainlab.statistics import (
    ALPHA,
    detectable_difference,
    difference,
    effect_size,
    equivalence_p,
    holm_intervals,
    over_images,
    over_seeds_and_images,
    paired,
    share_of_images,
    sign_flip,
)

SEEDS = (3, 5, 10)
EFFECTS = {  # true differences of four groups' means from that of the first, in standard deviations of a run
    "none": (0, 0, 0),
    "one large": (0, 0, 30),
    "all large": (20, 40, 60),
    "small and large": (0.5, 1, 30),
}
IMAGES = 400


def of_pairs(arms: str, n: int, effect: float, sweeps: int, rng: Generator) -> dict[str, float]:
    """Shares of the sweeps in which each interval contains the truth, and in which each test finds something."""
    many = draw(arms, (400_000, 2, 1), rng)[..., 0]
    noise = many[:, 0] - many[:, 1]
    shift = effect * noise.std()
    spread = noise.std(), np.sqrt(many.var(axis=0).mean())
    truth = shift  # the noise has mean zero
    wins = float((noise + shift > 0).mean())
    values = draw(arms, (sweeps, 2, n), rng)
    values[:, 0] += shift
    found: dict[str, list[bool]] = {}
    for a, b in values:
        pair = paired(a, b)
        found.setdefault("paired t", []).append(abs(pair.mean - truth) <= pair.half_width)
        alone = difference(_by_seed(a), _by_seed(b), pairable=False)
        found.setdefault("Welch", []).append(abs(alone.mean - truth) <= alone.half_width)
        for name, pairable, unit in (("paired", True, spread[0]), ("unpaired", False, spread[1])):
            size = effect_size(_by_seed(a), _by_seed(b), pairable)
            if size.g == size.g:
                found.setdefault(f"g, {name}", []).append(size.g_low <= truth / unit <= size.g_high)
                held = size.probability_low <= wins <= size.probability_high
                found.setdefault(f"probability, {name}", []).append(held)
        found.setdefault("sign flips find", []).append(sign_flip(a - b).p < ALPHA)
        if truth:
            found.setdefault("equivalent at the margin", []).append(equivalence_p(pair, truth) < ALPHA)
    return _shares(found)


def power(n: int, sweeps: int, rng: Generator) -> float:
    """How often the difference is found that `n` normal pairs are said to detect with 80 % power."""
    shift = detectable_difference(1.0, n)
    return float(np.mean([paired(a + shift, 0 * a).p < ALPHA for a in rng.normal(0, 1, (sweeps, n))]))


def simultaneous(effects: Iterable[float], n: int, sweeps: int, rng: Generator) -> float:
    """How often all six intervals of four groups contain the true difference."""
    means = np.array([0, *effects], float)
    held = []
    for sweep in rng.normal(means[:, None], 1, (sweeps, 4, n)):
        pairs = [*combinations(range(4), 2)]
        bounds = holm_intervals([paired(sweep[a], sweep[b]) for a, b in pairs])
        truths = [means[a] - means[b] for a, b in pairs]
        # an interval that ends at 0 excludes it
        held.append(
            all(
                low <= truth <= high and truth not in (low, high)
                for (low, high), truth in zip(bounds, truths, strict=True)
            )
        )
    return float(np.mean(held))


def of_images(n: int, seed_sd: float, sweeps: int, rng: Generator) -> dict[str, float]:
    """Intervals over seeds and images, of accuracies near 0.6 whose deviation over seeds is `seed_sd` on any images."""
    found: dict[str, list[bool]] = {}
    # an image is right with probability q over seeds, drawn from a beta distribution; a seed shifts all of them
    noise = 3 * 2 / (5 * 6) / IMAGES  # mean of q (1 - q) over the images
    share = noise / (noise + seed_sd**2)
    for _ in range(sweeps):
        right = rng.beta(3, 2, IMAGES)
        shifts = rng.normal(0, seed_sd, (n, 1))
        correct = rng.random((n, IMAGES)) < right + shifts
        if not np.ptp(correct.mean(axis=1)):
            continue
        for name, of in (
            ("seeds and images", over_seeds_and_images(correct)),
            ("from accuracies alone", over_images(correct.mean(axis=1).tolist(), IMAGES)),
        ):
            found.setdefault(name, []).append(abs(of.mean - 0.6) <= of.half_width)
        bounds = share_of_images(correct)
        found.setdefault("share of the images", []).append(bounds.low <= share <= bounds.high)
    return _shares(found)


def _by_seed(values: Values) -> dict[int, float]:
    return dict(enumerate(values.tolist()))


def _shares(found: Mapping[str, list[bool]]) -> dict[str, float]:
    return {name: float(np.mean(each)) for name, each in found.items()}


def main() -> None:
    """Print one line per kind of group, number of seeds and effect."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sweeps", type=int, default=20_000)
    parser.add_argument("--quick", action="store_true", help="300 sweeps")
    given = parser.parse_args()
    sweeps = 300 if given.quick else given.sweeps
    rng = np.random.default_rng(0)
    for arms in ARMS:
        for n in SEEDS:
            for effect in (0.0, 1.0):
                _print(f"{arms}, {n} seeds, effect {effect:g}", of_pairs(arms, n, effect, sweeps, rng))
    for n in SEEDS:
        _print(f"normal, {n} seeds", {"power": power(n, sweeps, rng)})
        joint = {name: simultaneous(effects, n, sweeps, rng) for name, effects in EFFECTS.items()}
        _print(f"six intervals together, {n} seeds", joint)
        for seed_sd in (0.005, 0.03):
            _print(f"{IMAGES} images, {n} seeds, deviation {seed_sd}", of_images(n, seed_sd, sweeps // 4, rng))


def _print(what: str, shares: Mapping[str, float]) -> None:
    print(f"{what}: {', '.join(f'{name} {100 * share:.1f} %' for name, share in shares.items())}", flush=True)


if __name__ == "__main__":
    main()
