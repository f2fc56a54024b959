"""Simulates comparisons that look after every seed; prints how often they err and how many seeds they take.

    PYTHONPATH=src .venv/bin/python benchmarks/anytime.py [--repetitions 40000]

Of each repetition, the differences of two groups by seed are drawn, and the anytime-valid interval of
`trainlab.statistics.anytime` is computed after each of 3 to 200 seeds. The first table has the errors where the true
difference is 0, also of all pairs of five groups together; the second one the number of seeds after which differences
are decided, that is, when 0 is outside the interval or the interval lies within the margin. A minute on one core.
"""

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from trainlab.statistics.anytime import half_width

ALPHA = 0.05
SEEDS = 200
REPETITIONS = 40_000
_AT_ONCE = 4000  # repetitions in memory
Draw = Callable[[np.random.Generator, tuple[int, int]], np.ndarray]  # values of mean 0 and variance 1

SHAPES: dict[str, Draw] = {
    "normal": lambda rng, shape: rng.standard_normal(shape),
    "heavy tails (t, 5 degrees of freedom)": lambda rng, shape: rng.standard_t(5, shape) / np.sqrt(5 / 3),
    "difference of two skewed (exponential)": lambda rng, shape: (
        (rng.standard_exponential(shape) - rng.standard_exponential(shape)) / np.sqrt(2)
    ),
    "skewed itself (exponential)": lambda rng, shape: rng.standard_exponential(shape) - 1,
}


@dataclass(frozen=True)
class Simulated:
    """Of each repetition, the seeds after which 0 was outside, and after which the interval lay within the margin.

    ``SEEDS`` + 1 where that never happened.
    """

    apart: np.ndarray
    within: np.ndarray

    @property
    def decided(self) -> np.ndarray:
        """The seeds after which one of both had happened."""
        return np.minimum(self.apart, self.within)


def simulate(
    difference: float = 0.0,
    sd: float = 1.0,
    margin: float = 0.0,
    repetitions: int = REPETITIONS,
    seed: int = 1,
    draw: Draw = SHAPES["normal"],
    alpha: float = ALPHA,
) -> Simulated:
    """Comparisons of two groups with a true ``difference``, each looked at after every seed."""
    rng = np.random.default_rng(seed)
    parts = [
        _look(difference + sd * draw(rng, (rows, SEEDS)), margin, alpha)
        for rows in (min(_AT_ONCE, repetitions - done) for done in range(0, repetitions, _AT_ONCE))
    ]
    return Simulated(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def any_of_all_pairs(groups: int = 5, repetitions: int = REPETITIONS, seed: int = 1) -> float:
    """How often 0 is ever outside for some pair of equal groups, where alpha is divided by the number of pairs."""
    rng = np.random.default_rng(seed)
    pairs, wrong = [*combinations(range(groups), 2)], 0
    for done in range(0, repetitions, _AT_ONCE):
        values = rng.standard_normal((groups, min(_AT_ONCE, repetitions - done), SEEDS))
        apart = [next(_look(values[a] - values[b], 0.0, ALPHA / len(pairs))) <= SEEDS for a, b in pairs]
        wrong += np.any(apart, axis=0).sum()
    return float(wrong / repetitions)


def _look(differences: np.ndarray, margin: float, alpha: float) -> Iterator[np.ndarray]:
    n = np.arange(1, SEEDS + 1)
    mean = differences.cumsum(1) / n
    squares = (differences**2).cumsum(1) - n * mean**2
    sd = np.sqrt(np.maximum(squares, 0) / np.maximum(n - 1, 1))
    widths = np.array([half_width(count, alpha) for count in n.tolist()])
    half = np.where(np.isinf(widths), np.inf, np.where(np.isinf(widths), 0, widths) * sd)  # without inf * 0
    low, high = np.maximum.accumulate(mean - half, 1), np.minimum.accumulate(mean + half, 1)
    for happened in ((low > 0) | (high < 0), (low > -margin) & (high < margin)):
        yield np.where(happened.any(1), happened.argmax(1) + 1, SEEDS + 1)


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=REPETITIONS)
    repetitions = parser.parse_args().repetitions
    print(f"{repetitions} repetitions, looking after each of 3 to {SEEDS} seeds, alpha {ALPHA}\n")
    print("| differences by seed, of mean 0 | 0 outside the interval, ever |\n| --- | --- |")
    for name, draw in SHAPES.items():
        found = simulate(repetitions=repetitions, draw=draw)
        print(f"| {name} | {(found.apart <= SEEDS).mean():.1%} |")
    print(f"| all 10 pairs of 5 normal groups together | {any_of_all_pairs(repetitions=repetitions):.1%} |")
    print("\nNormal differences with standard deviation 0.87, margin 1.0:\n")
    print("| true difference | decided after, median | 90 % of all | outside 0 | within the margin |")
    print("| --- | --- | --- | --- | --- |")
    for difference in (0.0, 0.1, 0.5, 1.0, 2.0):
        found = simulate(difference, 0.87, 1.0, repetitions)
        shares = [f"{(each <= SEEDS).mean():.1%}" for each in (found.apart, found.within)]
        median, most = (f"{np.quantile(found.decided, q):.0f}" for q in (0.5, 0.9))
        print(f"| {difference} | {median} | {most} | {' | '.join(shares)} |")


if __name__ == "__main__":
    main()
