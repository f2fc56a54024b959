"""Whether one group converges faster than another."""

import math
from dataclasses import dataclass

import numpy as np

from trainlab.report.curves import Curve
from trainlab.report.groups import Group
from trainlab.report.statistics import Interval, Ratio, interval, ratio


@dataclass(frozen=True)
class Reached:
    """Epochs and seconds that the runs of a group took to reach a loss, over those that did."""

    epochs: Interval
    seconds: Interval
    never: int
    n: int


@dataclass(frozen=True)
class Convergence:
    """How soon two groups reach the best validation loss of the first.

    Attributes:
        target: mean over the first one's seeds of its best validation loss.
        epochs_ratio, seconds_ratio: what the second takes over what the first takes; below 1 where the second is
            faster. NaN where a run never reached it, since those that did would be a choice.
    """

    target: float
    first: Reached
    second: Reached
    epochs_ratio: Ratio
    seconds_ratio: Ratio


def convergence(first: Group, second: Group) -> Convergence | None:
    """Compare two groups; None where one has no run with a validation loss by epoch.

    A run of the second has to reach the best loss of the first one's run with the same seed, or the first one's
    mean where that has no such seed.
    """
    curves = {seed: run.curve for seed, run in first.runs.items() if run.curve}
    targets = {seed: curve.best_val_loss for seed, curve in curves.items() if math.isfinite(curve.best_val_loss)}
    others = {seed: run.curve for seed, run in second.runs.items() if run.curve}
    if not targets or not others:
        return None
    mean = sum(targets.values()) / len(targets)
    own = {seed: reach(curves[seed], target) for seed, target in targets.items()}
    other = {seed: reach(curve, targets.get(seed, mean)) for seed, curve in others.items()}
    return Convergence(mean, _reached(own), _reached(other), _over(own, other, 0), _over(own, other, 1))


def reach(curve: Curve, target: float) -> tuple[float, float] | None:
    """Epochs and seconds until the validation loss is ``target`` or lower; None if it never is."""
    there = np.flatnonzero(curve.by_name["val/loss"] <= target)
    if not len(there):
        return None
    return float(curve.epochs[there[0]]), float(curve.seconds[there[0]])


Found = dict[int, tuple[float, float] | None]


def _reached(found: Found) -> Reached:
    did = [value for value in found.values() if value]
    seconds = [s for _, s in did if math.isfinite(s)]
    return Reached(interval([e for e, _ in did]), interval(seconds), len(found) - len(did), len(found))


def _over(own: Found, other: Found, which: int) -> Ratio:
    if None in other.values():
        return Ratio(math.nan, math.nan, math.nan)
    return ratio({s: v[which] for s, v in other.items() if v}, {s: v[which] for s, v in own.items() if v})
