"""The sentences of question 6: how sparse, how small, and what is not sparse."""

from collections.abc import Sequence

from exercise.formatting import format_accuracy, format_difference, format_list, format_seeds
from exercise.questions.sparsity import measuring as m
from exercise.questions.sparsity.matched_sparsity import format_share
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


def describe_sparsity(points: Sequence[Point], base: Point) -> str:
    """Up to which share of zeros each method keeps the accuracy, and from which on it loses it."""
    parts = [f"{name} {_describe_method(points, method, base)}" for method, name in NAMES.items()]
    dense = format_accuracy(base.summary("val_acc"))
    return f"The dense network has a validation accuracy of {dense}; {'; '.join(parts)}."


def _describe_method(points: Sequence[Point], method: str, base: Point) -> str:
    of_method = by_zeros(points, method)
    if not of_method:
        return "has no network with finite weights"
    kept, lost = largest_kept(points, method, base), first_lost(points, method, base)
    if kept is None and lost is None:
        return f"cannot be said to keep it or lose it at any share tried ({_format_shares(of_method)} zeros)"
    found = []
    if kept:
        last = ", the highest share tried" if kept is of_method[-1] else ""
        found.append(f"keeps it up to {format_share(kept)} zeros{last} ({_format_change(kept, base)})")
    if lost is of_method[0]:
        only = "the lowest share tried" if len(of_method) > 1 else "the only share tried"
        found.append(f"loses it at {format_share(lost)} zeros, {only}, already ({_format_change(lost, base)})")
    elif lost:
        found.append(f"loses it from {format_share(lost)} on ({_format_change(lost, base)})")
    first = of_method.index(kept) + 1 if kept else 0
    open_ = of_method[first : of_method.index(lost) if lost else None]
    between = f"; at {_format_shares(open_)} that cannot be told" if open_ else ""
    return f"{' and '.join(found)}{between}"


def describe_high_share(points: Sequence[Point], base: Point) -> str:
    """What each method changes near 90 % zeros; "" where fewer than two were tried there."""
    there = []
    for method, name in NAMES.items():
        nearest = min(by_zeros(points, method), key=_from_high, default=None)
        if nearest and _from_high(nearest) <= NEAR:
            there.append(f"{name} {format_difference(change(nearest, base))} ({format_share(nearest)})")
    if len(there) < 2:
        return ""
    return f"With about {100 * HIGH:.0f} % zeros the change in points is: {'; '.join(there)}."


def _from_high(point: Point) -> float:
    return abs(point.summary("zeros").mean - HIGH)


def describe_l1(points: Sequence[Point]) -> str:
    """That it is not L1 from the start."""
    strengths = len(by_zeros(points, m.L1))
    if not strengths:
        return ""
    return (
        f"L1 is put on the trained network here, which is trained on with it, at {strengths} "
        f"strength{'' if strengths == 1 else 's'}; training with L1 from the start was not tried."
    )


def describe_smallest(points: Sequence[Point], base: Point) -> str:
    """The smallest file that keeps the accuracy; it was chosen by validation images, so the test images say more."""
    others = [point for point in points if point.method != m.DENSE]
    best, dense = smallest_kept(others, base), base.summary("bytes").mean
    if best is None:
        return (
            f"No file smaller than the {_format_kilobytes(base)} of the dense network can be said to keep the accuracy."
        )
    times = dense / best.summary("bytes").mean
    return (
        f"The smallest file that keeps it is that of {best.method} at {best.setting}: {_format_kilobytes(best)} "
        f"compared with {_format_kilobytes(base)} of the dense network, {times:.1f} times smaller, with "
        f"{format_difference(change(best, base, 'test_acc'))} points of test accuracy † "
        f"({format_seeds(len(best.seeds))})."
    )


def describe_not_sparse(points: Sequence[Point], base: Point) -> str:
    """What shrinks a network without making it sparse, and what is sparse about activations."""
    parts = []
    small = [p for p in points if p.method in (m.LOW_RANK, m.INT8, m.TAUGHT, m.UNTAUGHT) and p.seeds]
    if small:
        most = max(small, key=lambda point: point.summary("zeros").mean)
        parts.append(
            "Low-rank factors, int8 and narrower students are smaller, not sparse: at most "
            f"{format_share(most)} of their weights are zero ({most.method}, {most.setting})."
        )
    active = [point for point in points if point.method == m.ACTIVE and point.seeds]
    if active:
        parts.append(_describe_activity(active, base))
    return " ".join(parts)


def _describe_activity(active: Sequence[Point], base: Point) -> str:
    """How many outputs are zero, and what of it ReLU does without any penalty."""
    most = max(active, key=lambda point: point.summary("idle").mean)
    alone = next((point for point in active if point.setting == m.NO_PENALTY), None)
    said = (
        f"Sparse activations leave all weights in the file ({_format_kilobytes(most)}). Up to {_format_idle(most)} of "
        f"the hidden units' outputs are zero ({most.setting}, {_format_change(most, base)})"
    )
    if alone is None:
        return f"{said}."
    if alone is most:
        return f"{said}; that is what ReLU in the place of ELU does by itself."
    by_relu = f"{_format_idle(alone)} ({_format_change(alone, base)})"
    return f"{said}; ReLU in the place of ELU alone, without a penalty, makes it {by_relu}."


def _format_shares(points: Sequence[Point]) -> str:
    return format_list([format_share(point) for point in points])


def _format_idle(point: Point) -> str:
    return f"{100 * point.summary('idle').mean:.0f} %"


def _format_kilobytes(point: Point) -> str:
    return f"{point.summary('bytes').mean / 1000:,.0f} kB"


def _format_change(point: Point, base: Point) -> str:
    return f"{format_difference(change(point, base))} points"
