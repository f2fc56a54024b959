"""One thing compared with another, and whether that confirms what is claimed: the same rules and margins everywhere."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from exercise.outcomes import epoch_ratios, is_at_an_end
from exercise.store import ENDED
from trainlab.report import Decision, Group, read_decisions
from trainlab.statistics import (
    ALPHA,
    Difference,
    bonferroni_intervals,
    difference,
    holm_intervals,
    seeds_needed,
    sequential,
)

# Differences that matter, fixed before the runs. ABOUT: "about N times" is within this factor of N.
POINTS, RATIO, ABOUT = 1.0, 1.1, 1.5
Verdict = Literal["confirmed", "contradicted", "undecided"]
DIRECTIONS = ("higher", "lower", "equal", "not lower", "not higher")  # and "about N", of ratios
METRICS = {"val_acc": "validation accuracy", "test_acc": "test accuracy †", "val_loss": "validation loss"}
Named = tuple[str, Mapping[int, float] | Sequence[float]]  # what is compared, and its values by seed or round
_NOWHERE = (-math.inf, math.inf)
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
        alone: the 95 % interval of this contrast alone, to be shown; for one of decisions the same.
        seeds: number of seeds, or of rounds of a timing, that both have.
        note: why nothing is claimed, or only one side: seeds that were lost, a learning rate at the end of its range.
        needed: seeds in all that would decide an undecided one, if mean and spread stay.
        tested: the test of a fixed number of seeds, of logarithms for a ratio.
        series: the differences by seed where the number of seeds depends on results and no decision is on them.
        closed: whether the interval may have a lower and an upper bound; not if that would favour who lost seeds.
    """

    a: str
    b: str
    metric: str
    direction: str
    margin: float
    mean: float
    low: float
    high: float
    seeds: int
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
        if self.is_ratio:
            low, high = _exp(low), _exp(high)
        return replace(self, low=low, high=high, needed=self._foresee(tests))

    def _foresee(self, tests: int) -> int | None:
        """Seeds that tell the mean, if it is the true one, from the nearest value at which the verdict is another."""
        if self.tested is None or self.tested.method == "none" or not all(self.closed):
            return None
        mean, marks = self._sign * self._scale(self.mean), self._marks
        gap = max(mean - marks[0], marks[1] - mean) if marks else abs(self._margin - abs(mean))
        return seeds_needed(gap, self.tested.error * math.sqrt(self.seeds), tests) if gap > 0 else None


def contrast_groups(
    a: Group, b: Group, direction: str, metric: str = "val_acc", margin: float = POINTS, unit: str = "", digits: int = 1
) -> Contrast:
    """Two groups of runs by a metric of theirs; accuracies are in points.

    In a sweep with `seed=auto` the interval is that of its decision. Nothing is claimed of a group whose learning rate
    lies at the end of the range that was searched, and nothing that favours one that lost a seed which the other has.
    """
    scale = 100 if metric.endswith("_acc") else 1
    ours, theirs = ({seed: scale * value for seed, value in of.of("metrics", metric).items()} for of in (a, b))
    unit = unit or ("points" if scale == 100 else "nats")
    note, closed = _reservations(a, b, worse_is_higher=metric.endswith("loss"))
    found = _contrast(
        Contrast(
            *(a.label, b.label, METRICS.get(metric, metric), direction, margin, math.nan, *_NOWHERE, 0),
            **{"note": note, "unit": unit, "digits": digits, "closed": closed},
        ),
        ours,
        theirs,
        by_results=_chooses_seeds(a) and _chooses_seeds(b),
    )
    decision = decision_between(a, b) if metric == "val_acc" else None
    return _of_decision(found, decision, a) if decision else found


def contrast_values(
    a: Named, b: Named, direction: str, metric: str, margin: float, unit: str = "points", digits: int = 1
) -> Contrast:
    """Values by seed, in the unit that they are shown in."""
    found = Contrast(a[0], b[0], metric, direction, margin, math.nan, *_NOWHERE, 0, unit=unit, digits=digits)
    return _contrast(found, _by_number(a[1]), _by_number(b[1]))


def contrast_ratio(
    a: Named, b: Named, direction: str, metric: str, margin: float = 0.0, counted: str = "seed"
) -> Contrast:
    """``a`` over ``b``: times by round or epochs by seed; the margin is ``RATIO``, of "about N" ``ABOUT``."""
    margin = margin or (ABOUT if direction.startswith("about ") else RATIO)
    found = Contrast(a[0], b[0], metric, direction, margin, math.nan, *_NOWHERE, 0, is_ratio=True, counted=counted)
    return _contrast(found, *(_logarithms(_by_number(of[1])) for of in (a, b)))


def contrast_epochs(a: Group, b: Group, direction: str, margin: float = RATIO) -> Contrast:
    """Epochs that ``a`` takes over those that ``b`` takes, seed by seed, to the higher of their two best losses."""
    return _contrast_epochs(a, b, "epochs to as low a loss", direction, margin, 1.0)


def contrast_time(a: Group, b: Group, step: Contrast, direction: str = "lower") -> Contrast:
    """Time that ``a`` takes over that of ``b`` to as low a loss: epochs, seed by seed, times what a step takes.

    Of the interval of ``step``, ``a`` over ``b`` in batches of one size, it is the end that favours the claim least.
    """
    return _contrast_epochs(a, b, "time to as low a loss", direction, RATIO, step.alone[direction == "lower"])


def decision_between(a: Group, b: Group) -> Decision | None:
    """The decision on two groups of a sweep with `seed=auto`; None if they are of another, or none is on them."""
    parents = {folder.parent for group in (a, b) for folder in group.folders}
    decisions = read_decisions(parents.pop()) if len(parents) == 1 else None
    return decisions.of(a.folders, b.folders) if decisions else None


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
            one = _by_series(one, ALPHA / series)
        judged.append(one)
    return judged


@dataclass(frozen=True)
class Claim:
    """A statement as it is usually made, and what decides it.

    Attributes:
        contrasts: all have to be confirmed; one that is contradicted contradicts it.
        holds: of what is counted instead; None where that is open.
        figures: that were counted.
    """

    statement: str
    contrasts: Sequence[Contrast] = ()
    holds: bool | None = None
    figures: str = ""

    @classmethod
    def counted(cls, statement: str, holds: bool | None, figures: str) -> "Claim":
        """One that a count decides: of units, of runs."""
        return cls(statement, (), holds, figures)

    @property
    def verdict(self) -> Verdict:
        """Whether it is confirmed."""
        if not self.contrasts:
            return "undecided" if self.holds is None else "confirmed" if self.holds else "contradicted"
        return combine([one.verdict for one in self.contrasts])

    @property
    def why_undecided(self) -> str:
        """Of an undecided one: what is in the way, or how many seeds more would decide."""
        open_ = [one for one in self.contrasts if one.verdict == "undecided"]
        if self.verdict != "undecided" or not open_:
            return ""
        if notes := [one.note for one in open_ if one.note]:
            return notes[0]
        one = max(open_, key=lambda one: one.more or 0)
        return f"{one.count}{f'; about {one.more} more would decide' if one.more and one.counted == 'seed' else ''}"


def combine(verdicts: Sequence[Verdict]) -> Verdict:
    """Confirmed if all are, contradicted if one is."""
    if not verdicts or "contradicted" in verdicts:
        return "contradicted" if verdicts else "undecided"
    return "undecided" if "undecided" in verdicts else "confirmed"


def _contrast_epochs(a: Group, b: Group, metric: str, direction: str, margin: float, factor: float) -> Contrast:
    found = {seed: epochs * factor for seed, epochs in epoch_ratios(b, a).items()}
    note, closed = _reservations(a, b, worse_is_higher=True)
    empty = Contrast(
        *(a.label, b.label, metric, direction, margin, math.nan, *_NOWHERE, 0),
        is_ratio=True,
        note=note if found else "there is no loss below that of guessing which runs of both reach",
        closed=closed,
    )
    ones = dict.fromkeys(found, 0.0)
    return _contrast(empty, _logarithms(found), ones, by_results=_chooses_seeds(a) and _chooses_seeds(b))


def _reservations(a: Group, b: Group, worse_is_higher: bool) -> tuple[str, tuple[bool, bool]]:
    """Why less is claimed than the values show, and whether the interval may have a lower and an upper bound."""
    lost = [(of, _lost_by(of) & other.runs.keys()) for of, other in ((a, b), (b, a))]
    at_an_end = [of.label for of in (a, b) if is_at_an_end(of)]
    closed = (False, False) if at_an_end else (not lost[0][1], not lost[1][1])[:: -1 if worse_is_higher else 1]
    notes = [f"{of.label} lost seeds that the other has" for of, seeds in lost if seeds]
    notes += [f"the learning rate of {label} lies at the end of its range" for label in at_an_end]
    return "; ".join(notes), closed


def _contrast(
    empty: Contrast, ours: Mapping[int, float], theirs: Mapping[int, float], by_results: bool = False
) -> Contrast:
    """``empty`` filled from values by number, logarithms for a ratio, over those that both have.

    ``by_results``: the number of seeds depends on the results, so that the interval has to hold for all numbers.
    """
    common = sorted(ours.keys() & theirs.keys())
    empty = replace(empty, seeds=len(common))
    if by_results and common:
        return _by_series(replace(empty, series=[ours[seed] - theirs[seed] for seed in common]), ALPHA)
    return _with_test(empty, difference(*({seed: of[seed] for seed in common} for of in (ours, theirs))))


def _with_test(empty: Contrast, found: Difference) -> Contrast:
    mean = _exp(found.mean) if empty.is_ratio else found.mean
    note = empty.note or (found.reason if found.method == "none" else "")
    contrast = replace(empty, mean=mean, tested=found, note=note)
    if found.method == "none":
        return contrast
    low, high = found.mean - found.half_width, found.mean + found.half_width
    alone = (_exp(low), _exp(high)) if empty.is_ratio else (low, high)
    return replace(contrast, alone=alone).bounded(low, high)


def _by_series(empty: Contrast, alpha: float) -> Contrast:
    found = sequential(empty.series or [], alpha)
    bounds = (_exp(found.low), _exp(found.high)) if empty.is_ratio else (found.low, found.high)
    mean = _exp(found.mean) if empty.is_ratio else found.mean
    return replace(empty, mean=mean, alone=bounds).bounded(found.low, found.high)


def _of_decision(empty: Contrast, decision: Decision, a: Group) -> Contrast:
    """With the interval of a decision; its lost seeds are those that it counted."""
    is_first = any(folder in decision.first.folders.values() for folder in (f.resolve() for f in a.folders))
    sign = 100 if is_first else -100
    low, high = sorted((sign * decision.found.low, sign * decision.found.high))
    more = decision.foreseen
    found = replace(empty, mean=sign * decision.found.mean, seeds=decision.found.n, alone=(low, high), tested=None)
    return replace(
        replace(found, series=None).bounded(low, high), needed=decision.found.n + more if more is not None else None
    )


def _chooses_seeds(group: Group) -> bool:
    """Whether the number of seeds of its sweep depends on the results."""
    return bool(group.folders) and read_decisions(group.folders[0].parent) is not None


def _lost_by(group: Group) -> set[int]:
    """Seeds that ended without completing."""
    return {run.seed for run in group.others if run.status in ENDED and run.seed is not None}


def _by_number(values: Mapping[int, float] | Sequence[float]) -> dict[int, float]:
    return dict(values) if isinstance(values, Mapping) else dict(enumerate(values))


def _logarithms(values: Mapping[int, float]) -> dict[int, float]:
    """Those of values above 0; of others NaN, so that there is no ratio."""
    return {number: math.log(value) if 0 < value < math.inf else math.nan for number, value in values.items()}


def _exp(value: float) -> float:
    return math.exp(value) if value < 700 else value if math.isnan(value) else math.inf
