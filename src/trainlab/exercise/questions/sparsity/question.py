"""Question 6: three ways to a sparse model, and others that only make one smaller."""

from collections.abc import Mapping, Sequence

from trainlab.exercise.evidence import Evidence
from trainlab.exercise.questions.sparsity import measuring as m
from trainlab.exercise.questions.sparsity.chart import trade_off, zeros_by_layer
from trainlab.exercise.questions.sparsity.points import (
    Point,
    baseline,
    change,
    first_lost,
    keeps,
    largest_kept,
    points_of,
    smallest_kept,
    sparser,
)
from trainlab.exercise.section import Answer, Section
from trainlab.exercise.wording import SMALL, accuracy, all_hold, listed, seeds, signed
from trainlab.report.sections import Cell, Table

_NAMES = {
    m.PLAIN: "zeroing the smallest weights",
    m.TUNED: "the same with fine-tuning",
    m.L1: "L1",
    m.SCHEDULE: "pruning by Lightning's schedule",
}
_SAID = {True: "kept", False: "lost", None: "cannot be told"}
_BESIDE_L1 = {
    True: "keeps it with as many zeros as {} loses it with",
    False: "loses it with as many zeros as {} keeps it with",
    None: "cannot be told from {} in how many zeros it bears",
}


def answer(evidence: Evidence) -> Answer:
    """How sparse and how small the network gets for nothing, and by which method."""
    points = points_of(evidence)
    base = baseline(points)
    if base is None:
        return Answer(["No run was completed, so there is no trained network to make sparse."])
    said = [f"{how_sparse(points, base)} {l1_beside(points, base)}", how_small(points, base), not_sparse(points, base)]
    pictures = [trade_off(points, base), zeros_by_layer(points)]
    return Answer(
        [sentence for sentence in said if sentence],
        as_the_textbook(points, base),
        [picture for picture in pictures if picture],
        [("All methods", table(points, base))],
    )


def how_sparse(points: Sequence[Point], base: Point) -> str:
    """Up to which share of zeros each method keeps the accuracy, and from which on it loses it."""
    parts = []
    for method, name in _NAMES.items():
        of_method = [point for point in points if point.method == method and point.seeds]
        kept, lost = largest_kept(points, method, base), first_lost(points, method, base)
        if not of_method:
            parts.append(f"{name} has no network with finite weights")
            continue
        found = [f"keeps it up to {_zeros(kept)} zeros ({_by(kept, base)})"] if kept else []
        found += [f"loses it from {_zeros(lost)} on ({_by(lost, base)})"] if lost else []
        parts.append(f"{name} {' and '.join(found) or 'cannot be said to keep it or lose it at any setting'}")
    dense = accuracy(base.summary("val_acc"))
    return f"The dense network has a validation accuracy of {dense}; {'; '.join(parts)}."


def l1_beside(points: Sequence[Point], base: Point) -> str:
    """Whether L1 bears more zeros than zeroing small weights, with as much training and with none."""
    found = {
        name: sparser(points, m.L1, method, base)
        for method, name in ((m.PLAIN, "zeroing alone"), (m.TUNED, "zeroing with as much training"))
    }
    parts = [
        words.format(listed(names)) for is_sparser, words in _BESIDE_L1.items() if (names := _with(found, is_sparser))
    ]
    return f"L1 {' and '.join(parts)}."


def _with(found: Mapping[str, bool | None], is_sparser: bool | None) -> list[str]:
    return [name for name, value in found.items() if value is is_sparser]


def how_small(points: Sequence[Point], base: Point) -> str:
    """The smallest file that keeps the accuracy; it was chosen by validation images, so the test images say more."""
    others = [point for point in points if point.method != m.DENSE]
    best, dense = smallest_kept(others, base), base.summary("bytes").mean
    if best is None:
        return f"No file smaller than the {_kilobytes(base)} of the dense network can be said to keep the accuracy."
    times = dense / best.summary("bytes").mean
    return (
        f"The smallest file that keeps it is {best.method} at {best.setting}: {_kilobytes(best)} beside "
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
            f"{_zeros(most)} of their weights are zero ({most.method}, {most.setting})."
        )
    active = [point for point in points if point.method == m.ACTIVE and point.seeds]
    if active:
        idle = max(active, key=lambda point: point.summary("idle").mean)
        parts.append(
            f"Sparse activations leave all weights in the file ({_kilobytes(idle)}): up to "
            f"{100 * idle.summary('idle').mean:.0f} % of the hidden units' outputs are zero ({idle.setting}, "
            f"{_by(idle, base)})."
        )
    return " ".join(parts)


def as_the_textbook(points: Sequence[Point], base: Point) -> bool | None:
    """Whether L1 bears more zeros than zeroing the small weights of the trained network, fine-tuned or not.

    L1 trains on, so that beside weights that are zeroed and left at that it has more than its penalty to its credit.
    """
    return all_hold(*(sparser(points, m.L1, method, base) for method in (m.PLAIN, m.TUNED)))


def table(points: Sequence[Point], base: Point) -> Table:
    """All methods at all settings."""
    headings = ["method", "setting", "zeros", "weights", "kB", "validation accuracy", "points", "verdict"]
    note = (
        "Zeros are counted exactly, among the weights of all layers; points are against the dense network "
        f"{base.setting} (validation accuracy, ± 95 %, paired by seed). Kept: no loss is clear, and the interval has "
        f"no room for one of more than {100 * SMALL:.0f} point; lost: p below 0.05. † The test set is read once for "
        "each network; nothing is chosen by it."
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
        ("-" if point is base else signed(between), between.mean),
        (said, said),
        (accuracy(test), test.mean),
    ]


def _zeros(point: Point) -> str:
    share = point.summary("zeros").mean
    return f"{100 * share:.0f} %" if share in (0, 1) or 0.01 <= share < 0.985 else f"{100 * share:.1f} %"


def _kilobytes(point: Point) -> str:
    return f"{point.summary('bytes').mean / 1000:,.0f} kB"


def _by(point: Point, base: Point) -> str:
    return f"{signed(change(point, base))} points"


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
            "A setting keeps the accuracy where no loss is clear (p below 0.05, paired by seed) and the two-sided 95 "
            f"% interval has no room for one of more than {100 * SMALL:.0f} point, a margin that is a choice, the same "
            "as in question 2. It loses it where a loss is clear, however small. Otherwise it cannot be told, which is "
            "often so with three seeds. The settings of a method are tried in order, from the fewest zeros up to the "
            "first that does not keep it, from the most down to the first that does not lose it; no correction is made "
            "over methods. The smallest file is picked from all of them by validation images, so its accuracy is given "
            "of the test images.",
            "L1 trains on for as long as others are fine-tuned, so it is held against zeroing with as much training, "
            "and against zeroing alone, too.",
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
