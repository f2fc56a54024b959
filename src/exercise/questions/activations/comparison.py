"""Question 4: which activation is the most accurate, what is usually claimed of each, and what a step costs."""

from collections.abc import Mapping
from math import nan
from typing import Any

from matplotlib.ticker import PercentFormatter

from exercise.contrast import POINTS, Claim, contrast_groups, contrast_ratio, judge
from exercise.formatting import (
    accuracy_cells,
    format_list,
    format_rate,
    format_val_acc,
    mean_accuracy,
    text_cells,
    with_label,
)
from exercise.outcomes import guessing_accuracy, is_at_an_end, rate_of
from exercise.plots import error_bar
from exercise.section import Answer, Measurement, Section
from exercise.step_costs import step_times, time_ratio
from exercise.store import Evidence, Measured, require_completed
from exercise.trainings import Sweep, experiments
from trainlab.report import COLORS, Cell, Group, Plot, Table, canvas, format_bounds, render
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


def _sweep(name: str, activations: str, *more: str, minutes: float, quick: str = "") -> Sweep:
    return Sweep(
        name,
        (
            experiments("question_4_activations"),
            f"model.activation={activations}",
            *("lr_search=coarse", "lr_search.max_lr=1e-1", "lr_search.num_rates=8", *more),
            *("callbacks.figures=null", "logger.tensorboard=null"),
        ),
        (f"model.activation={quick or activations}", "model.depth=4", "trainer.limit_train_batches=10"),
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
ORDER = ("selu", "elu", "leaky_relu", "relu", "tanh", "sigmoid")  # the usual one, best first
SLOWER = ("elu", "selu")  # than ReLU, it is said
Groups = Mapping[str, Group]


def groups_of(evidence: Evidence, sweep: Sweep) -> dict[str, Group]:
    """The groups of one sweep by activation."""
    found = {group.settings["model.activation"]: group for group in evidence.ended_groups(sweep)}
    return {key: with_label(found[key], name) for key, name in NAMES.items() if key in found}


def groups_by_activation(evidence: Evidence) -> dict[str, Group]:
    """A group an activation, in the order of ``NAMES``; of one in two sweeps the first."""
    found = groups_of(evidence, OTHERS) | groups_of(evidence, LOWER) | groups_of(evidence, UPPER)
    return {key: found[key] for key in NAMES if key in found}


def measure_steps(evidence: Evidence) -> Measured:
    """Milliseconds of a step of each network by activation, as its runs make it."""
    rounds, steps = (3, 2) if evidence.setting.quick else (ROUNDS, STEPS)
    return {"ms": step_times(groups_by_activation(evidence), rounds, steps)}


def relative_to_relu(taken: Mapping[str, list[float]]) -> dict[str, Ratio]:
    """Time of a step over that with ReLU in the same round, with an interval over the rounds."""
    return {key: time_ratio(own, taken["relu"]) for key, own in taken.items() if key != "relu" and "relu" in taken}


def claims(upper: Groups, lower: Groups, others: Groups, taken: Mapping[str, list[float]]) -> list[Claim]:
    """Each neighbour in the usual order over the next, and that ReLU is fast."""
    neighbours = [
        *((upper["selu"], upper["elu"]), (upper["elu"], upper["leaky_relu"])),
        *((lower["leaky_relu"], lower["relu"]), (lower["relu"], lower["tanh"]), (lower["tanh"], others["sigmoid"])),
    ]
    relu = (NAMES["relu"], taken["relu"])
    found = judge(
        [
            *(contrast_groups(better, worse, "higher") for better, worse in neighbours),
            *(
                contrast_ratio((NAMES[key], taken[key]), relu, "higher", "time of a step", counted="round")
                for key in SLOWER
            ),
        ]
    )
    steps = [Claim(f"{one.a} over {one.b}", [one]) for one in found[: len(neighbours)]]
    return [*steps, Claim("ReLU faster than ELU, SELU", found[len(neighbours) :])]


def answer(evidence: Evidence) -> Answer:
    """Who is ahead, what is usually claimed of neighbours, what a step costs."""
    groups, taken = groups_by_activation(evidence), evidence.measured(TIMES)["ms"]
    upper, lower, others = (groups_of(evidence, sweep) for sweep in ALL)
    require_completed(*(groups[key] for key in ORDER), lower["leaky_relu"])
    done = {key: group for key, group in groups.items() if group.runs}
    ranked = sorted(done.values(), key=lambda group: -group.summary("metrics", "val_acc").mean)
    costs, found = relative_to_relu(taken), claims(upper, lower, others, taken)
    steps, logistic = found[:-1], groups["sigmoid"]
    learned = logistic.summary("metrics", "val_acc").mean - guessing_accuracy(logistic)
    places = [*zip(("best", "second", "third"), ranked, strict=False)]
    figures = {
        **{place: group.label for place, group in places},
        **{f"{place}_acc": mean_accuracy(group) for place, group in places},
        "best_pm": format_val_acc(ranked[0]),
        "relu": mean_accuracy(groups["relu"]),
        "logistic": mean_accuracy(logistic),
        "is_logistic_guessing": 100 * learned < POINTS,
        "relu_over_tanh": steps[3].verdict,
        "tanh_gap": steps[3].contrasts[0].size,
        "relu_is_fast": found[-1].verdict,
        **{f"{key}_cost": f"{costs[key].value:.2f}" for key in SLOWER},
        "rates_at_ends": format_list([group.label for group in done.values() if is_at_an_end(group)]),
    }
    return Answer(figures, found, _plot(done, costs), [("All activations", _table(groups, taken, costs))])


def _plot(groups: Mapping[str, Group], costs: Mapping[str, Ratio]) -> Plot:
    """Accuracy and the time of a step side by side, one row per group, the most accurate on top."""
    shown = sorted(groups.items(), key=lambda item: -item[1].summary("metrics", "val_acc").mean)
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
        return Plot("4_price", "What an activation gives and costs, with 95 % intervals", "", *render(figure))


def _table(groups: Groups, taken: Mapping[str, list[float]], costs: Mapping[str, Ratio]) -> Table:
    by_accuracy = sorted(
        groups, key=lambda key: -(groups[key].summary("metrics", "val_acc").mean if groups[key].runs else 0)
    )
    headings = ["activation", "learning rate", "seeds", "validation accuracy, %", "test accuracy †, %", "ms a step"]
    at_end = " * at the end of the range." if any(map(is_at_an_end, groups.values())) else ""
    return Table(
        [*headings, "over ReLU's"],
        [_row(groups[key], taken.get(key, []), costs.get(key)) for key in by_accuracy],
        f"Steps: processor time, the shortest of {STEPS} in a row, in turn.{at_end}",
    )


def _row(group: Group, taken: list[float], cost: Ratio | None) -> list[Cell]:
    rate, ms = rate_of(group), interval(taken).mean
    return [
        *text_cells(group.label),
        (f"{format_rate(rate)}{' *' if is_at_an_end(group) else ''}", rate),
        (str(len(group.runs)), len(group.runs)),
        *accuracy_cells(group),
        (f"{ms:.1f}", ms),
        (f"{cost.value:.2f} ({format_bounds(cost)})", cost.value) if cost else ("-", nan),
    ]


SECTION = Section(
    "4",
    "4",
    "4. Which activation?",
    "Which activation for a deep dense network: SELU, ELU, ReLU and its variants, tanh, the logistic function?",
    answer,
    ALL,
    [Measurement(TIMES, measure_steps, minutes=0.3)],
    [
        "Standardized inputs; He initialization, for SELU LeCun's, for tanh and logistic Glorot's; Nadam under a "
        "cosine schedule, two passes over the images. Rates: the best of eight from 3e-5 to 1e-1 and two beside it, in "
        "trainings of up to 2 epochs of 300 batches.",
    ],
)
