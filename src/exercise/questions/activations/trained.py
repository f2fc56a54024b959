"""The sweeps over activations: their groups, learning rates and curves, and the time of a training step."""

import math
from collections.abc import Mapping
from typing import Any

from matplotlib.ticker import MaxNLocator, PercentFormatter

from exercise.formatting import with_label
from exercise.plots import error_bar
from exercise.step_costs import step_times, time_ratio
from exercise.store import Evidence, Measured
from exercise.trainings import Sweep, experiments
from trainlab.report import COLORS, Group, Plot, band, canvas, render
from trainlab.statistics import Ratio

NAMES = {
    "selu": "SELU",
    "elu": "ELU",
    "relu": "ReLU",
    "leaky_relu": "leaky ReLU",
    "prelu": "PReLU",
    "rrelu": "RReLU",
    "gelu": "GELU",
    "silu": "Swish",
    "mish": "Mish",
    "tanh": "tanh",
    "sigmoid": "logistic",
}


def _sweep(name: str, activations: str, *more: str, minutes: float, quick: str = "") -> Sweep:
    return Sweep(
        name,
        (
            experiments("question_4_activations"),
            f"model.activation={activations}",
            *("lr_search=coarse", *more, "callbacks.figures=null", "logger.tensorboard=null"),
        ),
        (f"model.activation={quick or activations}", "model.depth=8", "trainer.limit_train_batches=20"),
        minutes,
    )


def _deciding(name: str, activations: str, baseline: str) -> Sweep:
    """One that adds seeds until ``baseline`` is compared with the others."""
    decides = ("seed=auto", "sweep.margin=1.0", "sweep.max_seeds=30", f"sweep.baseline={baseline}")
    return _sweep(name, activations, *decides, minutes=4)


# Neighbours of the usual order, and all others.
UPPER = _deciding("question_4_elu", "selu,elu,leaky_relu", "elu")
LOWER = _deciding("question_4_relu", "leaky_relu,relu,tanh", "relu")
OTHERS = _sweep("question_4_others", "prelu,rrelu,gelu,silu,mish,sigmoid", "seed=1,2,3", minutes=3, quick="sigmoid")
ALL = (UPPER, LOWER, OTHERS)
TIMES = "question_4_steps"
ROUNDS, STEPS = 20, 8
_FAINT, _COLUMNS = "#BBBBBB", 4  # of a plot


def groups_of(evidence: Evidence, sweep: Sweep) -> dict[str, Group]:
    """The groups of one sweep by activation.

    Raises:
        NotAvailable: a run has not ended.
    """
    found = {group.settings["model.activation"]: group for group in evidence.ended_groups(sweep)}
    return {key: with_label(found[key], name) for key, name in NAMES.items() if key in found}


def groups_by_activation(evidence: Evidence) -> dict[str, Group]:
    """A group an activation, in the order of ``NAMES``; of one in two sweeps the first.

    Raises:
        NotAvailable: a run has not ended.
    """
    found = groups_of(evidence, OTHERS) | groups_of(evidence, LOWER) | groups_of(evidence, UPPER)
    return {key: found[key] for key in NAMES if key in found}


def measure_steps(evidence: Evidence) -> Measured:
    """Milliseconds of a step of each network by activation, as its runs make it."""
    rounds, steps = (3, 2) if evidence.setting.quick else (ROUNDS, STEPS)
    return {"ms": step_times(groups_by_activation(evidence), rounds, steps)}


def relative_to_relu(taken: Mapping[str, list[float]]) -> dict[str, Ratio]:
    """Time of a step over that with ReLU in the same round, with an interval over the rounds."""
    return {key: time_ratio(own, taken["relu"]) for key, own in taken.items() if key != "relu" and "relu" in taken}


def plot_curves(groups: Mapping[str, Group]) -> Plot:
    """Validation accuracy by epoch, an axes a group with all others in grey."""
    bands = {
        key: band([run.curve for run in group.runs.values() if run.curve], "val/acc") for key, group in groups.items()
    }
    drawn = {key: lines for key, lines in bands.items() if len(lines.x)}
    columns = min(_COLUMNS, max(1, len(drawn)))
    rows = max(1, math.ceil(len(drawn) / columns))
    with canvas(2.1 * columns, 1.75 * rows + 0.3, columns, rows) as (figure, axes):
        for one in axes[len(drawn) :]:
            one.set_visible(False)
        for place, (one, (key, lines)) in enumerate(zip(axes, drawn.items(), strict=False)):
            for other in drawn.values():
                one.plot(other.x, other.mean, color=_FAINT, linewidth=0.7)
            one.fill_between(lines.x, lines.low, lines.high, color=COLORS[0], alpha=0.25, linewidth=0)
            one.plot(lines.x, lines.mean, color=COLORS[0], linewidth=2)
            one.set_title(groups[key].label, fontsize=10)
            one.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
            one.set_ylim(0, 1.08 * max(float(lines.high.max()) for lines in drawn.values()))
            one.xaxis.set_major_locator(MaxNLocator(5, integer=True))
            one.tick_params(labelsize=8, labelleft=place % columns == 0, labelbottom=place + columns >= len(drawn))
        figure.supxlabel("epochs, of a fifth of the images each", fontsize=10)
        figure.supylabel("validation accuracy", fontsize=10)
        caption = "Blue: mean over the seeds, lowest and highest; grey: the others."
        return Plot("4_curves", "How each activation learns", caption, *render(figure))


def plot_cost(groups: Mapping[str, Group], costs: Mapping[str, Ratio]) -> Plot:
    """Accuracy and the time of a step side by side, one row per group, the most accurate on top."""
    shown = [(key, group) for key, group in groups.items() if group.runs]
    shown.sort(key=lambda item: -item[1].summary("metrics", "val_acc").mean)
    with canvas(8.6, 1.0 + 0.26 * len(shown), 2) as (figure, (left, right)):
        for row, (key, group) in enumerate(shown):
            found = group.summary("metrics", "val_acc")
            left.errorbar(found.mean, row, xerr=error_bar(found), fmt="o", color=COLORS[0], capsize=4, markersize=6)
            seeds = [*group.of("metrics", "val_acc").values()]
            left.plot(seeds, [row + 0.25] * len(seeds), "|", color=COLORS[1], markersize=7, markeredgewidth=1.5)
            if cost := costs.get(key):
                style: dict[str, Any] = {"fmt": "s", "color": COLORS[2], "capsize": 4, "markersize": 6}
                right.errorbar(cost.value, row, xerr=error_bar(cost), **style)
        right.axvline(1, color="#7F7F7F", linewidth=1, linestyle="--")
        left.set_yticks(range(len(shown)), [group.label for _, group in shown])
        left.invert_yaxis()
        right.sharey(left)
        right.tick_params(labelleft=False)
        left.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        left.locator_params(axis="x", nbins=6)
        left.set_xlabel("validation accuracy")
        right.set_xlabel("time of a training step, ReLU = 1")
        for one in (left, right):
            one.grid(axis="y", visible=False)
        caption = "Means with 95 % intervals; orange ticks are seeds."
        return Plot("4_price", "What an activation gives, and what it costs", caption, *render(figure))
