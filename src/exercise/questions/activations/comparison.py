"""Question 4: which activation is the most accurate, what is usually claimed of each, and what a step costs."""

from collections.abc import Mapping
from math import nan

from exercise.contrast import POINTS, Claim, contrast_groups, contrast_ratio, judge
from exercise.formatting import accuracy_cells, format_list, format_rate, format_val_acc, mean_accuracy, text_cells
from exercise.outcomes import guessing_accuracy, is_at_an_end, rate_of
from exercise.questions.activations.trained import (
    ALL,
    NAMES,
    STEPS,
    TIMES,
    groups_by_activation,
    groups_of,
    measure_steps,
    plot_cost,
    plot_curves,
    relative_to_relu,
)
from exercise.section import Answer, Measurement, Section
from exercise.store import Evidence, require_completed
from trainlab.report import Cell, Group, Table, format_bounds
from trainlab.statistics import Ratio, interval

ORDER = ("selu", "elu", "leaky_relu", "relu", "tanh", "sigmoid")  # the usual one, best first
SLOWER = ("elu", "selu")  # than ReLU, it is said
Groups = Mapping[str, Group]


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
    return [*steps, Claim("ReLU is faster than ELU and SELU", found[len(neighbours) :])]


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
        "order": " > ".join(NAMES[key] for key in ORDER),
        "steps": len(steps),
        "confirmed": sum(claim.verdict == "confirmed" for claim in steps),
        "depth": groups["relu"].settings["model.depth"],
        "relu_over_tanh": steps[3].verdict,
        "tanh_gap": steps[3].contrasts[0].size,
        "relu_is_fast": found[-1].verdict,
        **{f"{key}_cost": f"{costs[key].value:.2f}" for key in SLOWER},
        "rates_at_ends": format_list([group.label for group in done.values() if is_at_an_end(group)]),
    }
    return Answer(
        figures,
        found,
        plot_cost(groups, costs),
        [("All activations", _table(groups, taken, costs))],
        [plot_curves(done)],
    )


def _table(groups: Groups, taken: Mapping[str, list[float]], costs: Mapping[str, Ratio]) -> Table:
    by_accuracy = sorted(
        groups, key=lambda key: -(groups[key].summary("metrics", "val_acc").mean if groups[key].runs else 0)
    )
    headings = ["activation", "learning rate", "seeds", "validation accuracy, %", "test accuracy †, %", "ms a step"]
    at_end = " * at the end of the range that was searched." if any(map(is_at_an_end, groups.values())) else ""
    return Table(
        [*headings, "over ReLU's"],
        [_row(groups[key], taken.get(key, []), costs.get(key)) for key in by_accuracy],
        f"A step: processor time of one thread, the shortest of {STEPS} in a row, alternately over rounds.{at_end}",
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
    "",
    answer,
    ALL,
    [Measurement(TIMES, measure_steps, minutes=0.3)],
    [
        "Standardized inputs; He initialization for ReLU and what is like it, LeCun's for SELU, Glorot's for tanh and "
        "the logistic function; Nadam under a cosine schedule, two passes over the images. The learning rate of each "
        "is the best of six from 3e-5 to 1e-2 and two beside it, in trainings of up to 2 epochs of 300 batches.",
    ],
)
