"""The sweep over all activations: its groups, their learning rates and curves, and the time of a training step."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from matplotlib.ticker import MaxNLocator, PercentFormatter

from exercise.formatting import format_list, format_ratio, with_label
from exercise.outcomes import is_at_an_end, range_searched, rate_of
from exercise.plots import error_bar
from exercise.step_costs import step_times, time_ratio
from exercise.store import Evidence, Measured
from exercise.trainings import Sweep, experiments
from trainlab.report import COLORS, Group, Plot, band, canvas, format_mean, render
from trainlab.statistics import Ratio, interval

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
ALL = Sweep(
    "question_4_activations",
    (
        experiments("question_4_activations"),
        f"model.activation={','.join(NAMES)}",
        *("lr_search=coarse", "seed=1,2,3", "callbacks.figures=null", "logger.tensorboard=null"),
    ),
    quick=("model.activation=selu,relu,sigmoid", "model.depth=8", "trainer.limit_train_batches=20"),
)
TIMES = "question_4_steps"
MATTERS = 0.1  # a share of a step's time that is called dearer or cheaper; a choice
ROUNDS, STEPS = 20, 8
_FAINT, _COLUMNS = "#BBBBBB", 4  # of a plot


def groups_by_activation(evidence: Evidence) -> dict[str, Group]:
    """A group an activation, as far as it was trained; in the order of ``NAMES``.

    Raises:
        NotAvailable: a run has not ended.
    """
    found = {group.settings["model.activation"]: group for group in evidence.ended_groups(ALL)}
    return {key: with_label(found[key], name) for key, name in NAMES.items() if key in found}


def describe_rates_at_ends(groups: Sequence[Group]) -> list[str]:
    """A sentence on the rates that are."""
    found = [f"{group.label} ({rate_of(group):.2g})" for group in groups if is_at_an_end(group)]
    if not found:
        return []
    rates, lie, one = ("rates", "lie", "each") if len(found) > 1 else ("rate", "lies", "it")
    return [
        f"The {rates} found for {format_list(found)} {lie} at the end of the range searched: beyond {one} there may be "
        "a better one."
    ]


def describe_search(groups: Sequence[Group]) -> str:
    """Where the rates come from; "" where none was searched."""
    searched = [group for group in groups if group.search]
    if not searched:
        return ""
    ranges = sorted({range_searched(group) for group in searched})
    spans = format_list([f"{low:.2g} to {high:.2g}" for low, high in ranges])
    settings = searched[0].settings
    epochs, batches = (settings.get(key) for key in ("lr_search.epochs", "trainer.limit_train_batches"))
    length = f", each trained for {epochs} epochs" if epochs else ""
    length += f" of {batches} batches at most" if epochs and isinstance(batches, int) else ""
    starred = "; * at an end of the range, beyond which a better one may lie" if any(map(is_at_an_end, groups)) else ""
    return f"The rate is the one with the lowest validation loss among several from {spans}{length}{starred}."


def measure_steps(evidence: Evidence) -> Measured:
    """Milliseconds of a step of each network by activation, as its runs make it."""
    rounds, steps = (3, 2) if evidence.setting.quick else (ROUNDS, STEPS)
    return {"ms": step_times(groups_by_activation(evidence), rounds, steps)}


def relative_to_relu(taken: Mapping[str, list[float]]) -> dict[str, Ratio]:
    """Time of a step over that with ReLU in the same round, with an interval over the rounds."""
    if "relu" not in taken:
        return {}
    return {key: time_ratio(own, taken["relu"]) for key, own in taken.items() if key != "relu"}


def describe_costs(
    groups: Mapping[str, Group], taken: Mapping[str, list[float]], costs: Mapping[str, Ratio]
) -> list[str]:
    """The time of a step with ReLU, and how many times that with the others, the dearest first."""
    if not costs:
        return []
    relu, by = interval(taken["relu"]), f"{100 * MATTERS:.0f} %"
    open_end = f"but whether by more than {by} is not shown"
    low, high = 1 - MATTERS, 1 + MATTERS
    # Where the whole interval lies: of 1, and of a tenth more or less. The first of the rules that holds counts.
    rules: dict[str, Callable[[Ratio], bool]] = {
        f"dearer by more than {by}": lambda of: of.low > high,
        f"dearer, {open_end}": lambda of: of.low > 1 and of.high > high,
        f"within {by}": lambda of: of.low >= low and of.high <= high,
        f"cheaper, {open_end}": lambda of: low <= of.high < 1,
        f"cheaper by more than {by}": lambda of: of.high < low,
        "too uncertain to be called dearer or cheaper": lambda of: True,
    }
    sides: dict[str, list[str]] = {words: [] for words in rules}
    for key in sorted(costs, key=lambda key: -costs[key].value):
        words = next(words for words, applies in rules.items() if applies(costs[key]))
        sides[words].append(f"{groups[key].label} {format_ratio(costs[key])}")
    parts = [f"{words}: {format_list(found)}" for words, found in sides.items() if found]
    each = (
        f"{format_mean(relu)} ms of processor time (mean of {relu.n} rounds; ± and 95 % are over these, not over seeds)"
    )
    return [f"A training step with ReLU takes {each}. Compared with it, {'; '.join(parts)}."]


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
        figure.supxlabel("epochs", fontsize=10)
        figure.supylabel("validation accuracy", fontsize=10)
        return Plot(
            "4_curves",
            "How each activation learns",
            "Blue: mean over the seeds, with a band from the lowest to the highest one; grey: the other activations, "
            "on the same axes. See which rise at once, which late, and whether some do not at all.",
            *render(figure),
        )


def plot_cost(groups: Mapping[str, Group], costs: Mapping[str, Ratio]) -> Plot:
    """Accuracy and the time of a step side by side, one row per group, the most accurate on top."""
    shown = [(key, group) for key, group in groups.items() if group.runs]
    shown.sort(key=lambda item: -item[1].summary("metrics", "val_acc").mean)
    with canvas(8.6, 1.0 + 0.3 * len(shown), 2) as (figure, (left, right)):
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
        return Plot(
            "4_price",
            "What an activation gives, and what it costs",
            "Left: mean over the seeds with its 95 % interval, orange ticks the seeds. Right: the processor time of a "
            "step over that with ReLU (dashed), its interval over rounds in which all activations made steps "
            "alternately. See whether those on top are also those that cost more.",
            *render(figure),
        )
