"""Claims that one thing is higher, lower or equal to another, and whether intervals confirm or contradict them."""

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from trainlab.statistics.anytime import Sequential, half_width, sequential
from trainlab.statistics.power import MAX_SEEDS, seeds_needed
from trainlab.statistics.simultaneous import bonferroni_intervals, holm_intervals
from trainlab.statistics.tests import ALPHA, Difference, difference

Verdict = Literal["confirmed", "contradicted", "undecided"]
DIRECTIONS = ("higher", "lower", "equal", "not lower", "not higher")  # and "about N", of ratios
Values = Mapping[int, float] | Sequence[float]  # by seed, or one for each round
_ABOVE_0 = 1e-12  # in the place of the bound 0 of Holm's intervals, which do not contain 0


@dataclass(frozen=True)
class Contrast:
    """``a`` compared with ``b`` by one metric: what is claimed, and what the interval decides.

    Attributes:
        direction: of ``a`` compared with ``b``, one of ``DIRECTIONS``; of a ratio also "about N".
        margin: a difference that matters, in points or the like; of a ratio a factor.
        mean: a - b, or a / b for a ratio; NaN where there are no values.
        low, high: the 95 % interval that decides, together with those of the other contrasts of a question (`judge`);
            infinite where nothing is known.
        alone: the 95 % interval of this contrast alone, to be shown; for any number of seeds the same.
        seeds: number of seeds, or of rounds of a timing, that both have.
        note: why nothing is claimed, or only one side: seeds that were lost, a learning rate at the end of its range.
        needed: seeds in all that would decide an undecided one, if mean and spread stay.
        tested: the test of a fixed number of seeds, of logarithms for a ratio.
        series: the differences by seed where the number of seeds depends on the results.
        closed: whether the interval may have a lower and an upper bound; not if that would favour who lost seeds.
    """

    a: str
    b: str
    metric: str
    direction: str
    margin: float
    mean: float = math.nan
    low: float = -math.inf
    high: float = math.inf
    seeds: int = 0
    is_ratio: bool = False
    note: str = ""
    needed: int | None = None
    alone: tuple[float, float] = (math.nan, math.nan)
    unit: str = "points"
    digits: int = 1
    counted: str = "seed"
    tested: Difference | None = None
    series: Sequence[float] | None = None
    closed: tuple[bool, bool] = (True, True)

    def __post_init__(self) -> None:
        if self.direction not in DIRECTIONS and not (self.is_ratio and self.direction.startswith("about ")):
            raise ValueError(f"direction must be one of {DIRECTIONS}, or 'about N' of a ratio, got {self.direction!r}")

    @property
    def verdict(self) -> Verdict:
        """Whether the claim is confirmed; contradicted where a difference that matters is excluded."""
        low, high, margin = self._scale(self.low), self._scale(self.high), self._margin
        if self._sign < 0:
            low, high = -high, -low
        if self._marks:
            confirmed, contradicted = low > self._marks[0], high < self._marks[1]
        else:
            confirmed, contradicted = -margin < low and high < margin, low > margin or high < -margin
        return "confirmed" if confirmed else "contradicted" if contradicted else "undecided"

    @property
    def is_slight(self) -> bool:
        """Whether it is contradicted, and no difference that matters is left in either direction."""
        is_one_sided = self.direction in ("higher", "lower")
        within = -self._margin < self._scale(self.low) and self._scale(self.high) < self._margin
        return self.verdict == "contradicted" and is_one_sided and within

    @property
    def _sign(self) -> int:
        return -1 if self.direction in ("lower", "not higher") else 1

    @property
    def _marks(self) -> tuple[float, float] | None:
        """Above the first, times the sign, a claim is confirmed, below the second contradicted; None for equality."""
        if self.direction in ("higher", "lower"):
            return 0.0, self._margin
        return (-self._margin, -self._margin) if self.direction.startswith("not ") else None

    @property
    def amount(self) -> str:
        """ "+1.2 (0.4 to 2.0) points", "1.37 times (1.30 to 1.45)"."""
        if math.isnan(self.mean):
            return "no figure"
        low, high = self.alone
        known = math.isfinite(low) and math.isfinite(high)
        if self.is_ratio:
            return f"{self.mean:.2f} times{f' ({low:.2f} to {high:.2f})' if known else ''}"
        within = f" ({low:z.{self.digits}f} to {high:z.{self.digits}f})" if known else ""
        return f"{self.mean:+z.{self.digits}f}{within} {self.unit}"

    @property
    def size(self) -> str:
        """The mean without sign and interval: "1.2 points", "1.37 times"."""
        if math.isnan(self.mean):
            return "no figure"
        return f"{self.mean:.2f} times" if self.is_ratio else f"{abs(self.mean):.{self.digits}f} {self.unit}"

    @property
    def count(self) -> str:
        """ "3 seeds"."""
        return f"{self.seeds} {self.counted}{'' if self.seeds == 1 else 's'}"

    @property
    def more(self) -> int | None:
        """Seeds to come that would decide an undecided one."""
        is_known = self.verdict == "undecided" and self.needed is not None and self.needed > self.seeds
        return self.needed - self.seeds if is_known and self.needed else None

    @property
    def _margin(self) -> float:
        return math.log(self.margin) if self.is_ratio else self.margin

    def _scale(self, value: float) -> float:
        """A value on the scale that 0 is the neutral one of: of a ratio, its logarithm over N of "about N"."""
        if not self.is_ratio or math.isnan(value):
            return value
        about = float(self.direction.removeprefix("about ")) if self.direction.startswith("about ") else 1.0
        return math.log(value / about) if value > 0 else -math.inf

    def bounded(self, low: float, high: float, tests: int = 1) -> "Contrast":
        """With the interval from ``low`` to ``high``, of logarithms for a ratio, as far as it may have bounds."""
        low, high = (low if self.closed[0] else -math.inf), (high if self.closed[1] else math.inf)
        found = replace(self, low=self._unscaled(low), high=self._unscaled(high))
        return replace(found, needed=self._foresee(tests))

    def _foresee(self, tests: int) -> int | None:
        """Seeds that tell the mean, if it is the true one, from the nearest value at which the verdict is another."""
        if self.tested is None or self.tested.method == "none" or not all(self.closed):
            return None
        mean, marks = self._sign * self._scale(self.mean), self._marks
        gap = max(mean - marks[0], marks[1] - mean) if marks else abs(self._margin - abs(mean))
        return seeds_needed(gap, self.tested.error * math.sqrt(self.seeds), tests) if gap > 0 else None

    def over(self, ours: Values, theirs: Values, any_number: bool = False) -> "Contrast":
        """This one with the values of both, by seed or in their order, over those that both have.

        Args:
            any_number: the number of seeds depends on the results, so that the interval has to hold for all numbers.
        """
        first, second = self._scaled(ours), self._scaled(theirs)
        common = sorted(first.keys() & second.keys())
        empty = replace(self, seeds=len(common))
        if any_number and common:
            return replace(empty, series=[first[seed] - second[seed] for seed in common])._by_series(ALPHA)
        found = difference({seed: first[seed] for seed in common}, {seed: second[seed] for seed in common})
        reason = found.reason if found.method == "none" else ""
        contrast = replace(empty, mean=self._unscaled(found.mean), tested=found, note=self.note or reason)
        if found.method == "none":
            return contrast
        low, high = found.mean - found.half_width, found.mean + found.half_width
        return replace(contrast, alone=(self._unscaled(low), self._unscaled(high))).bounded(low, high)

    def decided(self, mean: float, low: float, high: float, seeds: int, more: int | None) -> "Contrast":
        """With the interval of a decision over ``seeds``, which takes ``more`` of them if it is open."""
        found = replace(self, mean=mean, seeds=seeds, alone=(low, high), tested=None, series=None).bounded(low, high)
        return replace(found, needed=None if more is None else seeds + more)

    def _by_series(self, alpha: float) -> "Contrast":
        found = sequential(self.series or [], alpha)
        bounds = self._unscaled(found.low), self._unscaled(found.high)
        shown = replace(self, mean=self._unscaled(found.mean), alone=bounds)
        return replace(shown.bounded(found.low, found.high), needed=shown._foresee_series(found, alpha))

    def _foresee_series(self, found: Sequential, alpha: float) -> int | None:
        """Seeds in all after which the interval decides, if mean and spread stay; None if too many do not."""

        def decides(n: int) -> bool:
            half = half_width(n, alpha) * found.sd
            low, high = max(found.low, found.mean - half), min(found.high, found.mean + half)
            return self.bounded(low, high).verdict != "undecided"

        if not found.has_noise or math.isnan(found.low) or not decides(MAX_SEEDS):
            return None
        return bisect_left(range(MAX_SEEDS), True, found.n, key=decides)

    def _scaled(self, values: Values) -> dict[int, float]:
        """By seed; of a ratio the logarithms, NaN where there is none."""
        found = dict(values) if isinstance(values, Mapping) else dict(enumerate(values))
        if not self.is_ratio:
            return found
        return {seed: math.log(of) if 0 < of < math.inf else math.nan for seed, of in found.items()}

    def _unscaled(self, value: float) -> float:
        if not self.is_ratio or math.isnan(value):
            return value
        return math.exp(value) if value < 700 else math.inf


def judge(contrasts: Sequence[Contrast]) -> list[Contrast]:
    """The contrasts of one question, with intervals that hold together; those of decisions stay as they are.

    Of those with a fixed number of seeds they are Holm's where signs are all that is claimed, and Bonferroni's where a
    margin decides some.
    """
    tested = [one.tested for one in contrasts if one.tested]
    by_margin = any(one.direction not in ("higher", "lower") for one in contrasts if one.tested)
    found = iter((bonferroni_intervals if by_margin else holm_intervals)(tested))
    tests, series = sum(one.method != "none" for one in tested), sum(one.series is not None for one in contrasts)
    judged = []
    for one in contrasts:
        if one.tested:
            low, high = (end or sign * _ABOVE_0 for end, sign in zip(next(found), (1, -1), strict=True))
            one = one.bounded(low, high, max(tests, 1)) if not math.isnan(low) else one
        elif one.series is not None:
            one = one._by_series(ALPHA / series)
        judged.append(one)
    return judged
