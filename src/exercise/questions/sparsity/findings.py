"""The sentences of question 6: how sparse, how small, and what is not sparse."""

from collections.abc import Sequence

from exercise.formatting import accuracy, listed, seeds, signed
from exercise.questions.sparsity import measuring as m
from exercise.questions.sparsity.matched_sparsity import shown_share
from exercise.questions.sparsity.points import (
    Point,
    by_zeros,
    change,
    first_lost,
    largest_kept,
    smallest_kept,
)

NAMES = {
    m.PLAIN: "zeroing the smallest weights",
    m.TUNED: "zeroing with fine-tuning",
    m.L1: "L1",
    m.SCHEDULE: "pruning by Lightning's schedule",
}
HIGH, NEAR = 0.9, 0.02  # all are compared with each other at the setting that is nearest to this share, and so near


def how_sparse(points: Sequence[Point], base: Point) -> str:
    """Up to which share of zeros each method keeps the accuracy, and from which on it loses it."""
    parts = [f"{name} {_kept_and_lost(points, method, base)}" for method, name in NAMES.items()]
    dense = accuracy(base.summary("val_acc"))
    return f"The dense network has a validation accuracy of {dense}; {'; '.join(parts)}."


def _kept_and_lost(points: Sequence[Point], method: str, base: Point) -> str:
    of_method = by_zeros(points, method)
    if not of_method:
        return "has no network with finite weights"
    kept, lost = largest_kept(points, method, base), first_lost(points, method, base)
    if kept is None and lost is None:
        return f"cannot be said to keep it or lose it at any share tried ({_shares(of_method)} zeros)"
    found = []
    if kept:
        last = ", the highest share tried" if kept is of_method[-1] else ""
        found.append(f"keeps it up to {shown_share(kept)} zeros{last} ({_by(kept, base)})")
    if lost is of_method[0]:
        only = "the lowest share tried" if len(of_method) > 1 else "the only share tried"
        found.append(f"loses it at {shown_share(lost)} zeros, {only}, already ({_by(lost, base)})")
    elif lost:
        found.append(f"loses it from {shown_share(lost)} on ({_by(lost, base)})")
    first = of_method.index(kept) + 1 if kept else 0
    open_ = of_method[first : of_method.index(lost) if lost else None]
    between = f"; at {_shares(open_)} that cannot be told" if open_ else ""
    return f"{' and '.join(found)}{between}"


def at_a_high_share(points: Sequence[Point], base: Point) -> str:
    """What each method changes near 90 % zeros; "" where fewer than two were tried there."""
    there = []
    for method, name in NAMES.items():
        nearest = min(by_zeros(points, method), key=_from_high, default=None)
        if nearest and _from_high(nearest) <= NEAR:
            there.append(f"{name} {signed(change(nearest, base))} ({shown_share(nearest)})")
    if len(there) < 2:
        return ""
    return f"With about {100 * HIGH:.0f} % zeros the change in points is: {'; '.join(there)}."


def _from_high(point: Point) -> float:
    return abs(point.summary("zeros").mean - HIGH)


def how_l1_was_tried(points: Sequence[Point]) -> str:
    """That it is not L1 from the start."""
    strengths = len(by_zeros(points, m.L1))
    if not strengths:
        return ""
    return (
        f"L1 is put on the trained network here, which is trained on with it, at {strengths} "
        f"strength{'' if strengths == 1 else 's'}; training with L1 from the start was not tried."
    )


def how_small(points: Sequence[Point], base: Point) -> str:
    """The smallest file that keeps the accuracy; it was chosen by validation images, so the test images say more."""
    others = [point for point in points if point.method != m.DENSE]
    best, dense = smallest_kept(others, base), base.summary("bytes").mean
    if best is None:
        return f"No file smaller than the {_kilobytes(base)} of the dense network can be said to keep the accuracy."
    times = dense / best.summary("bytes").mean
    return (
        f"The smallest file that keeps it is that of {best.method} at {best.setting}: {_kilobytes(best)} compared with "
        f"{_kilobytes(base)} of the dense network, {times:.1f} times smaller, with "
        f"{signed(change(best, base, 'test_acc'))} points of test accuracy † ({seeds(len(best.seeds))})."
    )


def not_sparse(points: Sequence[Point], base: Point) -> str:
    """What shrinks a network without making it sparse, and what is sparse about activations."""
    parts = []
    small = [p for p in points if p.method in (m.LOW_RANK, m.INT8, m.TAUGHT, m.UNTAUGHT) and p.seeds]
    if small:
        most = max(small, key=lambda point: point.summary("zeros").mean)
        parts.append(
            "Low-rank factors, int8 and narrower students are smaller, not sparse: at most "
            f"{shown_share(most)} of their weights are zero ({most.method}, {most.setting})."
        )
    active = [point for point in points if point.method == m.ACTIVE and point.seeds]
    if active:
        parts.append(_sparsely_active(active, base))
    return " ".join(parts)


def _sparsely_active(active: Sequence[Point], base: Point) -> str:
    """How many outputs are zero, and what of it ReLU does without any penalty."""
    most = max(active, key=lambda point: point.summary("idle").mean)
    alone = next((point for point in active if point.setting == m.NO_PENALTY), None)
    said = (
        f"Sparse activations leave all weights in the file ({_kilobytes(most)}). Up to {_idle(most)} of the hidden "
        f"units' outputs are zero ({most.setting}, {_by(most, base)})"
    )
    if alone is None:
        return f"{said}."
    if alone is most:
        return f"{said}; that is what ReLU in the place of ELU does by itself."
    return f"{said}; ReLU in the place of ELU alone, without a penalty, makes it {_idle(alone)} ({_by(alone, base)})."


def _shares(points: Sequence[Point]) -> str:
    return listed([shown_share(point) for point in points])


def _idle(point: Point) -> str:
    return f"{100 * point.summary('idle').mean:.0f} %"


def _kilobytes(point: Point) -> str:
    return f"{point.summary('bytes').mean / 1000:,.0f} kB"


def _by(point: Point, base: Point) -> str:
    return f"{signed(change(point, base))} points"
