"""Question 6: three ways to a sparse model, and others that only make one smaller."""

from collections.abc import Sequence

from trainlab.exercise.evidence import Evidence
from trainlab.exercise.questions.sparsity import measuring as m
from trainlab.exercise.questions.sparsity.chart import trade_off, zeros_by_layer
from trainlab.exercise.questions.sparsity.points import (
    MARGIN,
    Keeps,
    Point,
    baseline,
    change,
    keeps,
    largest_kept,
    points_of,
    smallest_kept,
)
from trainlab.exercise.section import Answer, Section
from trainlab.exercise.wording import accuracy, beside
from trainlab.report.sections import Cell, Table

_NAMES = {
    m.PLAIN: "zeroing the smallest weights",
    m.TUNED: "the same with fine-tuning",
    m.L1: "L1",
    m.SCHEDULE: "pruning by Lightning's schedule",
}
_SAID: dict[Keeps, str] = {"keeps": "nothing lost", "loses": "loses", "unknown": "cannot be said"}


def answer(evidence: Evidence) -> Answer:
    """How sparse and how small the network gets for nothing, and by which method."""
    points = points_of(evidence)
    base = baseline(points)
    if base is None:
        return Answer(["No run was completed, so there is no trained network to make sparse."])
    said = [how_sparse(points, base), given_back(points, base), how_small(points, base), not_sparse(points, base)]
    pictures = [trade_off(points, base), zeros_by_layer(points)]
    return Answer(
        [sentence for sentence in said if sentence],
        as_the_textbook(points, base),
        [picture for picture in pictures if picture],
        [("All methods", table(points, base))],
    )


def how_sparse(points: Sequence[Point], base: Point) -> str:
    """The largest share of zeros of each method that loses nothing."""
    parts = []
    for method, name in _NAMES.items():
        of_method = [point for point in points if point.method == method]
        kept = largest_kept(points, method, base)
        if not any(point.seeds for point in of_method):
            parts.append(f"{name} has no network with finite weights")
        elif kept:
            parts.append(f"{name} loses nothing up to {_zeros(kept)} zeros ({_by(kept, base)})")
        elif all(keeps(point, base) == "unknown" for point in of_method if point.seeds):
            parts.append(f"of {name} nothing can be claimed")
        else:
            parts.append(f"{name} loses accuracy at every setting")
    return f"{parts[0][0].upper()}{parts[0][1:]}; {'; '.join(parts[1:])}."


def given_back(points: Sequence[Point], base: Point) -> str:
    """What fine-tuning is worth where zeroing alone first loses accuracy."""
    plain = {point.setting: point for point in points if point.method == m.PLAIN and point.seeds}
    tuned = {point.setting: point for point in points if point.method == m.TUNED and point.seeds}
    losing = [s for s, point in plain.items() if s in tuned and keeps(point, base) == "loses"]
    if not losing:
        return ""
    first, second = (
        (f"{name} {losing[0]}", _in_points(which[losing[0]]))
        for name, which in (("fine-tuned networks with", tuned), ("the same without fine-tuning at", plain))
    )
    return beside("Validation accuracy", (f"{first[0]} zeros", first[1]), second)


def how_small(points: Sequence[Point], base: Point) -> str:
    """The smallest file that loses nothing."""
    others = [point for point in points if point.method != m.DENSE]
    best, dense = smallest_kept(others, base), base.summary("bytes").mean
    if best is None:
        return f"No file smaller than the {_kilobytes(base)} of the dense network can be said to lose nothing."
    times = dense / best.summary("bytes").mean
    return (
        f"The smallest file that loses nothing is {best.method} at {best.setting}: {_kilobytes(best)} beside "
        f"{_kilobytes(base)} of the dense network, {times:.1f} times smaller, with test accuracy † "
        f"{accuracy(best.summary('test_acc'))} beside {accuracy(base.summary('test_acc'))}."
    )


def not_sparse(points: Sequence[Point], base: Point) -> str:
    """What shrinks a network without making it sparse, and what is sparse about activations."""
    parts = []
    small = [p for p in points if p.method in (m.LOW_RANK, m.INT8, m.TAUGHT, m.UNTAUGHT) and p.seeds]
    if small:
        most = max(small, key=lambda point: point.summary("zeros").mean)
        parts.append(
            "Low-rank factors, int8 and narrower students are smaller, not sparse: at most "
            f"{_zeros(most)} of their weights are zero ({most.method}, {most.setting})."
        )
    active = [point for point in points if point.method == m.ACTIVE and point.seeds]
    if active:
        idle = max(active, key=lambda point: point.summary("idle").mean)
        parts.append(
            f"Sparse activations leave the file as it is ({_kilobytes(idle)}): up to "
            f"{100 * idle.summary('idle').mean:.0f} % of the hidden units' outputs are zero ({idle.setting}, "
            f"{_by(idle, base)}), and {_zeros(idle)} of the weights."
        )
    return " ".join(parts)


def as_the_textbook(points: Sequence[Point], base: Point) -> bool | None:
    """Whether L1 gets to more zeros for nothing than zeroing the small weights of the trained network."""
    plain, stronger = (largest_kept(points, method, base) for method in (m.PLAIN, m.L1))
    known = [keeps(point, base) != "unknown" for point in points if point.method in (m.PLAIN, m.L1) and point.seeds]
    if not known or not all(known) or (plain is None and stronger is None):
        return None
    if stronger is None or plain is None:
        return plain is None
    return stronger.summary("zeros").mean > plain.summary("zeros").mean


def table(points: Sequence[Point], base: Point) -> Table:
    """All methods at all settings."""
    headings = ["method", "setting", "zeros", "weights", "kB", "validation accuracy", "points", "verdict"]
    note = (
        "Zeros are counted exactly, among the weights of all layers; points are against the dense network "
        f"{base.setting} (validation accuracy, ± 95 %, paired by seed). † The test set is read once for each network; "
        "nothing is chosen by it."
    )
    return Table([*headings, "test accuracy †"], [_row(point, base) for point in points], note)


def _row(point: Point, base: Point) -> list[Cell]:
    name = point.method + (f" ({point.diverged} diverged)" if point.diverged else "")
    if not point.seeds:
        return [
            (name, name),
            (point.setting, point.setting),
            *([("-", float("nan"))] * 5),
            ("diverged",) * 2,
            ("-", ""),
        ]
    zeros, weights, size = (point.summary(figure).mean for figure in ("zeros", "weights", "bytes"))
    between, said = change(point, base), "the measure" if point is base else _SAID[keeps(point, base)]
    val, test = (point.summary(figure) for figure in ("val_acc", "test_acc"))
    return [
        (name, name),
        (point.setting, point.setting),
        (f"{100 * zeros:.1f} %", zeros),
        (f"{weights:,.0f}", weights),
        (f"{size / 1000:,.0f}", size),
        (accuracy(val), val.mean),
        ("-" if point is base else _change(point, base), between.mean),
        (said, said),
        (accuracy(test), test.mean),
    ]


def _zeros(point: Point) -> str:
    share = point.summary("zeros").mean
    return f"{100 * share:.0f} %" if share in (0, 1) or 0.01 <= share < 0.985 else f"{100 * share:.1f} %"


def _kilobytes(point: Point) -> str:
    return f"{point.summary('bytes').mean / 1000:,.0f} kB"


def _by(point: Point, base: Point) -> str:
    return f"{_change(point, base)} points"


def _change(point: Point, base: Point) -> str:
    between = change(point, base)
    spread = "" if between.method == "none" else f" ± {100 * between.half_width:.1f}"
    return f"{100 * between.mean:+.1f}{spread}"


def _in_points(point: Point) -> dict[int, float]:
    return {seed: 100 * value for seed, value in point.of("val_acc").items()}


SECTIONS = (
    Section(
        "6",
        "6",
        "6. Sparse models",
        "Three ways to a sparse model, and what others call one: how many weights can be zero, and how small can the "
        "file be, before accuracy is lost?",
        "Train the model and set the small weights to zero; for a sparser one, train with L1; or use a toolkit that "
        "prunes while it trains.",
        answer,
        [m.START],
        m.MEASUREMENTS,
        (
            "One network a seed, 20 hidden layers of 100 units with batch normalization, trained to the end of a "
            "1cycle schedule; every method starts from it. Methods are fine-tuned alike, for "
            f"{m.FULL.plan.epochs} epochs at a rate that falls from {m.FULL.plan.lr:g} to zero, and so "
            "is the dense network: all are held against the better of the dense network as trained and trained on. "
            f"Students are trained anew, with {m.FULL.student.epochs * m.FULL.student.batches} steps.",
            "A setting loses nothing where its validation accuracy is not lower by more than the noise (p of 0.05, "
            f"paired by seed, of each by itself), nor by more than {100 * MARGIN:.0f} point on average.",
            "Magnitudes are compared over all layers, in units of the root mean square of each; weights that are zero "
            "stay zero in fine-tuning. L1 is a proximal step after each of Adam's: soft thresholding gives exact "
            "zeros where a subgradient only comes near; it leaves off for the last third of the steps. Lightning's "
            "ModelPruning prunes each layer alike, with its resetting of "
            "weights (the lottery ticket) switched off. For sparse activations ELU gives way to ReLU.",
            "The file holds every tensor in the smallest of these forms: float32; a bit a weight and what is not zero; "
            "compressed rows with columns of 16 bits; or, where 8 bits and a scale a row give the same numbers, these. "
            "It was read back and gave the same network. Batch normalization and the statistics of the input are in "
            "every file as they are. int8 is of the weights, a symmetric scale a row.",
        ),
    ),
)
