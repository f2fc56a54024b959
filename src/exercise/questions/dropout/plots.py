"""The figures and tables of question 7: epochs by rate of dropout, and times."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import isnan
from typing import Any

import numpy as np

from exercise.formatting import format_accuracy, format_ratio
from exercise.questions.dropout.costs import (
    BATCH,
    NONE,
    PASS,
    PLACES,
    PREDICTED,
    PREDICTIONS_IN_A_ROW,
    SAMPLES,
    STEPS_IN_A_ROW,
    VARIANTS,
    WHERE,
    mc_ratio,
)
from exercise.questions.dropout.epochs import epochs_ratio, epochs_to_best, format_mean_epochs
from exercise.timing import CLOCK, time_ratio
from trainlab.report import COLORS, MARKERS, Cell, Group, Plot, Table, canvas, format_mean, plot_learning_curves, render
from trainlab.statistics import interval


def plot_curves(groups: Sequence[Group]) -> Plot:
    """Validation loss by epoch, a line a rate."""
    picture = plot_learning_curves(groups, "loss", "epochs")
    see = "See after how many epochs each line is lowest, and whether that comes later with a higher rate."
    return replace(picture, caption=f"{picture.caption} {see}")


def plot_costs(taken: Mapping[str, Sequence[float]], sampled: Mapping[str, Sequence[float]]) -> Plot:
    """Steps with dropout compared with those without; samples compared with passes."""
    with canvas(8.6, 3.4, 2) as (figure, (left, right)):
        names = [name for name in VARIANTS if name != NONE]
        for i, name in enumerate(names):
            found = time_ratio(taken[name], taken[NONE])
            spread: Any = None if isnan(found.low) else [[found.value - found.low], [found.high - found.value]]
            rounds = np.array(taken[name]) / np.array(taken[NONE])
            left.plot(rounds, i + np.linspace(-0.25, 0.25, len(rounds)), ".", color="#BBBBBB", markersize=3)
            left.errorbar(found.value, i, xerr=spread, fmt="o", color=COLORS[0], capsize=4)
        left.axvline(1, color="#888888", linewidth=1, linestyle=(0, (4, 2)))
        left.set_yticks(range(len(names)), [f"{name.replace(', ', ' layer, ')}" for name in names])
        left.invert_yaxis()
        left.set_xlim(0.5, 1.5 * max(time_ratio(taken[name], taken[NONE]).value for name in names))
        left.set_xlabel("times a step without dropout")
        for i, place in enumerate(PLACES):
            known = [n for n in SAMPLES if f"{place}, {n}" in sampled]
            values = [mc_ratio(sampled, place, n).value for n in known]
            right.plot(known, values, color=COLORS[i], marker=MARKERS[i], label=f"dropout after {place} layer")
        right.plot(SAMPLES, SAMPLES, color="#888888", linestyle=(0, (4, 2)), linewidth=1, label="a pass a sample")
        right.set_xscale("log")
        right.set_yscale("log")
        right.set_xlabel("samples of MC dropout")
        right.set_ylabel("times one prediction")
        right.legend(fontsize=9)
        png, svg = render(figure)
    return Plot(
        "7_costs",
        "What dropout costs",
        "Processor time. Left: a training step with dropout over one without, in each round (grey, far ones cut off) "
        "and on the mean with its 95 % interval over the rounds; see how far dropout after every layer is from dropout "
        "after the last. Right: predictions with MC dropout over one with dropout off; the dashed line is a whole "
        "prediction for each sample. See how far below it each place of the dropout is: there samples share work.",
        png,
        svg,
    )


def table_by_rate(groups: Mapping[float, Group]) -> Table:
    """Epochs and accuracies, a line a rate."""
    rows: list[list[Cell]] = []
    first = next(iter(groups.values()))
    for rate, group in groups.items():
        found, loss = epochs_ratio(first, group), group.summary("metrics", "val_loss")
        best, reached = epochs_to_best(group), group.summary("metrics", "val_acc")
        rows.append(
            [
                (f"{rate:g}", rate),
                (format_mean_epochs(group), interval([*best.values()]).mean),
                ("-" if not rate or isnan(found.value) else format_ratio(found), found.value),
                (format_mean(loss, 3), loss.mean),
                (format_accuracy(reached), reached.mean),
            ]
        )
    headings = [
        "rate",
        "epochs to the lowest validation loss",
        "compared with none",
        "validation loss",
        "validation accuracy",
    ]
    note = (
        "Ordinary dropout before the output layer of the SELU network; 15,000 training images, batches of 128. ± and "
        "95 % are over the seeds."
    )
    return Table(headings, rows, note)


def table_by_variant(
    taken: Mapping[str, Sequence[float]],
    inference: Mapping[str, Sequence[float]],
    sampled: Mapping[str, Sequence[float]],
) -> Table:
    """Milliseconds and ratios of all that was timed."""
    rows: list[list[Cell]] = []

    def add(what: str, values: Sequence[float], base: Sequence[float]) -> None:
        found, mean = time_ratio(values, base), interval(values)
        beside = ("-", 1.0) if values is base else (format_ratio(found), found.value)
        rows.append([(what, what), (format_mean(mean, 2), mean.mean), (str(mean.n), mean.n), beside])

    for name, values in taken.items():
        add(f"step, {_format_variant(name)}", values, taken[NONE])
    for name, values in inference.items():
        place = name.partition(",")[0]
        off = "no dropout" if place == NONE else f"dropout {WHERE[place]}, off"
        add(f"prediction, {off}", values, inference[f"{NONE}, {PASS}"])
    for name, values in sampled.items():
        place, _, samples = name.partition(", ")
        if samples != PASS:
            what = f"MC dropout {WHERE[place]}, {samples} sample{'' if samples == '1' else 's'}"
            add(what, values, sampled[f"{place}, {PASS}"])
    note = (
        f"Steps on {BATCH} images, predictions of {PREDICTED}; one thread. A round takes the shortest of "
        f"{STEPS_IN_A_ROW} steps, of {PREDICTIONS_IN_A_ROW} predictions, or of one with MC dropout, and all take turns "
        f"within it. Means with 95 % intervals, both over the rounds and not over seeds. {CLOCK}"
    )
    return Table(["what", "ms", "rounds", "compared with no dropout, or one prediction with it off"], rows, note)


def _format_variant(name: str) -> str:
    """Of a variant: "alpha dropout after the last hidden layer"."""
    if name == NONE:
        return "no dropout"
    place, _, kind = name.partition(", ")
    return f"{kind} dropout {WHERE[place]}"
