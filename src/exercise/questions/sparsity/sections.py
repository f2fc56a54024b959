"""Question 6: three ways to a sparse model, and others that only make one smaller."""

from collections.abc import Sequence

from exercise.claims import all_claims_hold, describe_claims
from exercise.formatting import SMALL, format_accuracy, format_difference
from exercise.questions.sparsity import measuring as m
from exercise.questions.sparsity.chart import plot_trade_off, plot_zeros_by_layer
from exercise.questions.sparsity.findings import (
    describe_high_share,
    describe_l1,
    describe_not_sparse,
    describe_smallest,
    describe_sparsity,
)
from exercise.questions.sparsity.matched_sparsity import ALIKE, MOST, claims
from exercise.questions.sparsity.points import Point, baseline, change, keeps, points_of
from exercise.section import Answer, Section
from exercise.store import Evidence
from trainlab.report import Cell, Table

_SAID = {True: "kept", False: "lost", None: "cannot be told"}


def answer(evidence: Evidence) -> Answer:
    """How sparse and how small the network gets for nothing, and by which method."""
    points = points_of(evidence)
    base = baseline(points)
    if base is None:
        return Answer(["No run was completed, so there is no trained network to make sparse."])
    found = claims(points)
    pictures = [plot_trade_off(points, base), plot_zeros_by_layer(points)]
    return Answer(
        [describe_sparsity(points, base), describe_claims(found), describe_smallest(points, base)],
        all_claims_hold(found),
        [picture for picture in pictures if picture],
        [("All methods", table(points, base))],
        [describe_high_share(points, base), describe_l1(points), describe_not_sparse(points, base)],
    )


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
        (format_accuracy(val), val.mean),
        ("-" if point is base else format_difference(between), between.mean),
        (said, said),
        (format_accuracy(test), test.mean),
    ]


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
            f"L1 is compared with zeroing where both are sparse, with {100 * MOST:.0f} % of the weights zero or more. "
            "Each network of L1 is compared with the nearest of the other with no more zeros, and the nearest with no "
            f"fewer; shares within {100 * ALIKE:.0f} point count as equal. A network is better where it is clearly "
            "more accurate although it has as many zeros or more. Nothing is read off between two shares, since the "
            "accuracy does not fall along a straight line. What is clear is decided by Holm's correction over the "
            "pairs of each claim; the ± shown are of one pair alone. A claim holds where it does at each strength of "
            "L1, and is contradicted where it is at one. L1 trains on for as long as others are fine-tuned, so it is "
            "held against zeroing with as much training, and against zeroing alone, too.",
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
