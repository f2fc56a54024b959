"""Networks and measurements compared, and claims that this decides: the same rules and margins for all questions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Literal

from exercise.outcomes import epoch_ratios, is_at_an_end
from exercise.store import ENDED
from trainlab.report import Group, read_decisions
from trainlab.statistics import Contrast, judge, share_interval

__all__ = ["Contrast", "judge"]  # besides what is here
Verdict = Literal["confirmed", "contradicted", "undecided"]  # of a contrast and of a claim
# Differences that matter, fixed before the runs. ABOUT: "about N times" is within this factor of N.
POINTS, RATIO, ABOUT = 1.0, 1.1, 1.5
METRICS = {"val_acc": "accuracy", "test_acc": "accuracy †", "val_loss": "validation loss"}
Named = tuple[str, Mapping[int, float] | Sequence[float]]  # what is compared, and its values by seed or round


def contrast_groups(
    a: Group, b: Group, direction: str, metric: str = "val_acc", margin: float = POINTS, digits: int = 1
) -> Contrast:
    """Two groups of runs by a metric of theirs; accuracies are in points.

    In a sweep with `seed=auto` the interval is that of its decision. Nothing is claimed of a group whose learning rate
    lies at the end of the range that was searched, and nothing that favours one that lost a seed which the other has.
    """
    scale, unit = (100, "points") if metric.endswith("_acc") else (1, "nats")
    note, closed = _reservations(a, b, worse_is_higher=metric.endswith("loss"))
    named = (a.label, b.label, METRICS.get(metric, metric), direction, margin)
    empty = Contrast(*named, note=note, closed=closed, unit=unit, digits=digits)
    parents = {folder.parent for of in (a, b) for folder in of.folders}
    decisions = read_decisions(parents.pop()) if metric == "val_acc" and len(parents) == 1 else None
    if decision := decisions.of(a.folders, b.folders) if decisions else None:
        is_first = not {folder.resolve() for folder in a.folders}.isdisjoint(decision.first.folders.values())
        sign = scale if is_first else -scale
        low, high = sorted((sign * decision.found.low, sign * decision.found.high))
        return empty.decided(sign * decision.found.mean, low, high, decision.found.n, decision.foreseen)
    ours, theirs = ({seed: scale * value for seed, value in of.of("metrics", metric).items()} for of in (a, b))
    return empty.over(ours, theirs, any_number=_choose_seeds(a, b))


def contrast_values(
    a: Named, b: Named, direction: str, metric: str, margin: float, unit: str = "points", digits: int = 1
) -> Contrast:
    """Values by seed, in the unit that they are shown in."""
    return Contrast(a[0], b[0], metric, direction, margin, unit=unit, digits=digits).over(a[1], b[1])


def contrast_ratio(
    a: Named, b: Named, direction: str, metric: str, margin: float = 0.0, counted: str = "seed"
) -> Contrast:
    """``a`` over ``b``: times by round or epochs by seed; the margin is ``RATIO``, of "about N" ``ABOUT``."""
    margin = margin or (ABOUT if direction.startswith("about ") else RATIO)
    return Contrast(a[0], b[0], metric, direction, margin, is_ratio=True, counted=counted).over(a[1], b[1])


def contrast_epochs(a: Group, b: Group, direction: str, step: Contrast | None = None) -> Contrast:
    """Epochs that ``a`` takes over those that ``b`` takes, seed by seed, to the higher of their two best losses.

    With ``step``, what a step of ``a`` takes over one of ``b`` in batches of one size, it is the time; of its interval
    the end counts that favours the claim least.
    """
    factor = step.alone[direction == "lower"] if step else 1.0
    found = {seed: epochs * factor for seed, epochs in epoch_ratios(b, a).items()}
    note, closed = _reservations(a, b, worse_is_higher=True)
    note = note if found else "there is no loss below that of guessing which runs of both reach"
    named = (a.label, b.label, f"{'time' if step else 'epochs'} to as low a loss", direction, RATIO)
    empty = Contrast(*named, is_ratio=True, note=note, closed=closed)
    return empty.over(found, dict.fromkeys(found, 1.0), any_number=_choose_seeds(a, b))


@dataclass(frozen=True)
class Claim:
    """A statement as it is usually made, and what decides it."""

    statement: str
    contrasts: Sequence[Contrast] = ()  # all have to be confirmed; one that is contradicted contradicts it
    holds: bool | None = None  # of what is counted instead; None where that is open
    note: str = ""  # why it is open, then

    @property
    def verdict(self) -> Verdict:
        """Whether it is confirmed."""
        counted: dict[bool | None, Verdict] = {True: "confirmed", False: "contradicted", None: "undecided"}
        return combine([one.verdict for one in self.contrasts]) if self.contrasts else counted[self.holds]

    @property
    def remark(self) -> str:
        """What is in the way of a verdict, or how many seeds more would decide; of a contradicted claim, how."""
        against = [one for one in self.contrasts if one.verdict == "contradicted"]
        if against and all(one.is_slight for one in against):
            return "no difference that matters"
        open_ = [one for one in self.contrasts if one.verdict == "undecided"]
        if self.verdict != "undecided" or not open_:
            return self.note
        if notes := [one.note for one in open_ if one.note]:
            return notes[0]
        one = max(open_, key=lambda one: one.more or 0)
        return f"{one.count}{f'; about {one.more} more would decide' if one.more and one.counted == 'seed' else ''}"


def format_share(count: int, n: int) -> str:
    """The exact 95 % interval of a share of runs: "48 to 100 %" of 5 of 5."""
    return "{:.0f} to {:.0f} %".format(*(100 * end for end in share_interval(count, n))) if n else "no run"


def claim_of_most(statement: str, count: int, n: int) -> Claim:
    """That most runs come to something, as ``count`` of ``n`` did: by the exact interval of their share."""

    def is_most(runs: int) -> bool | None:  # of so many with the same share
        low, high = share_interval(round(count * runs / n), runs)
        return True if low > 0.5 else False if high < 0.5 else None

    more = next((runs - n for runs in range(n, 1000) if is_most(runs) is not None), None) if n else None
    note = f"{n} runs{f'; about {more} more would decide' if more else ''}" if more != 0 else ""
    return Claim(statement, holds=is_most(n) if n else None, note=note)


def judge_claims(compared: Mapping[str, Sequence[Contrast]]) -> list[Claim]:
    """A claim for each statement; all contrasts are decided together."""
    found = iter(judge([one for contrasts in compared.values() for one in contrasts]))
    return [Claim(statement, [*islice(found, len(contrasts))]) for statement, contrasts in compared.items()]


def combine(verdicts: Sequence[Verdict]) -> Verdict:
    """Confirmed if all are, contradicted if one is."""
    if "contradicted" in verdicts:
        return "contradicted"
    return "confirmed" if {*verdicts} == {"confirmed"} else "undecided"


def _reservations(a: Group, b: Group, worse_is_higher: bool) -> tuple[str, tuple[bool, bool]]:
    """Why less is claimed than the values show, and whether the interval may have a lower and an upper bound."""
    lost = [
        (of, {run.seed for run in of.others if run.status in ENDED} & other.runs.keys())
        for of, other in ((a, b), (b, a))
    ]
    at_an_end = [of.label for of in (a, b) if is_at_an_end(of)]
    low, high = (not at_an_end and not seeds for _, seeds in (lost[::-1] if worse_is_higher else lost))
    notes = [f"{of.label} lost seeds that the other has" for of, seeds in lost if seeds]
    notes += [f"the learning rate of {label} lies at the end of its range" for label in at_an_end]
    return "; ".join(notes), (low, high)


def _choose_seeds(*groups: Group) -> bool:
    """Whether the numbers of seeds of their sweeps depend on the results."""
    return all(of.folders and read_decisions(of.folders[0].parent) for of in groups)
