"""Question 4: which activation is the most accurate, what is usually claimed of each, and what a step costs."""

from dataclasses import replace
from math import nan

from exercise.contrast import POINTS, contrast_groups, contrast_ratio, judge_claims
from exercise.formatting import accuracy_cells, format_list, format_percent, format_rate, mean_accuracy, number_cell
from exercise.outcomes import beats_guessing, guessing_accuracy, is_at_an_end, rate_of
from exercise.section import Answer, Measurement, Section
from exercise.step_costs import step_times
from exercise.store import Evidence, Measured, require_completed
from exercise.trainings import Sweep, experiments
from trainlab.report import Cell, Group, Table, plot_intervals
from trainlab.statistics import interval

NAMES = {
    **{"selu": "SELU", "elu": "ELU", "relu": "ReLU", "leaky_relu": "leaky ReLU", "prelu": "PReLU", "rrelu": "RReLU"},
    **{"gelu": "GELU", "silu": "Swish", "mish": "Mish", "tanh": "tanh", "sigmoid": "logistic"},
}


def _sweep(name: str, activations: str, *seeds: str, minutes: float, quick: str = "") -> Sweep:
    return Sweep(
        name,
        (
            experiments("question_4_activations"),
            f"model.activation={activations}",
            *("lr_search=coarse", "lr_search.max_lr=1e-1", "lr_search.num_rates=8", *seeds),
            *("callbacks.figures=null", "logger.tensorboard=null"),
        ),
        (f"model.activation={quick or activations}", "model.depth=4", "trainer.limit_train_batches=10"),
        minutes,
    )


# Neighbours of the usual order, and all others.
_AUTO = ("seed=auto", "sweep.margin=1.0", "sweep.max_seeds=30")
UPPER = _sweep("question_4_elu", "selu,elu,leaky_relu", *_AUTO, "sweep.baseline=elu", minutes=8)
LOWER = _sweep("question_4_relu", "leaky_relu,relu,tanh", *_AUTO, "sweep.baseline=relu", minutes=5)
OTHERS = _sweep("question_4_others", "prelu,rrelu,gelu,silu,mish,sigmoid", "seed=1,2,3", minutes=5, quick="sigmoid")
TIMES = "question_4_steps"
ROUNDS, STEPS = 20, 8
ALL = (UPPER, LOWER, OTHERS)
Groups = dict[str, Group]


def groups_of(evidence: Evidence, sweep: Sweep) -> Groups:
    """The groups of one sweep by activation."""
    found = {group.settings["model.activation"]: group for group in evidence.ended_groups(sweep)}
    return {key: replace(found[key], label=name) for key, name in NAMES.items() if key in found}


def groups_by_activation(evidence: Evidence) -> Groups:
    """A group of each activation; of one in two sweeps that with more seeds."""
    found = [item for sweep in reversed(ALL) for item in groups_of(evidence, sweep).items()]
    return dict(sorted(found, key=lambda item: len(item[1].runs)))


def measure_steps(evidence: Evidence) -> Measured:
    """Milliseconds of a step of each network by activation, as its runs make it."""
    rounds, steps = (3, 2) if evidence.setting.quick else (ROUNDS, STEPS)
    return {"ms": step_times(groups_by_activation(evidence), rounds, steps)}


def answer(evidence: Evidence) -> Answer:
    """Who is ahead, what is usually claimed of neighbours, what a step costs."""
    groups, taken = groups_by_activation(evidence), evidence.measured(TIMES)["ms"]
    upper, lower, others = (groups_of(evidence, sweep) for sweep in ALL)
    neighbours = [  # of the usual order, best first
        *((upper["selu"], upper["elu"]), (upper["elu"], upper["leaky_relu"]), (lower["leaky_relu"], lower["relu"])),
        *((lower["relu"], lower["tanh"]), (lower["tanh"], others["sigmoid"])),
    ]
    require_completed(*(group for pair in neighbours for group in pair))
    costs = {
        key: contrast_ratio((NAMES[key], ms), (NAMES["relu"], taken["relu"]), "higher", "step time", counted="round")
        for key, ms in taken.items()
    }
    claims = judge_claims(
        {
            **{f"{a.label} over {b.label}": [contrast_groups(a, b, "higher")] for a, b in neighbours},
            "ReLU faster than ELU, SELU": [costs["elu"], costs["selu"]],
        }
    )
    ranked = sorted((group for group in groups.values() if group.runs), key=lambda group: group.score)
    learned = groups["sigmoid"].summary("metrics", "val_acc").mean - guessing_accuracy(groups["sigmoid"])
    places = [*zip(("best", "second", "third"), ranked, strict=False)]
    figures = {
        **{place: group.label for place, group in places},
        **{f"{place}_acc": mean_accuracy(group) for place, group in places},
        **{"best_pm": format_percent(ranked[0].summary("metrics", "val_acc")), "elu_cost": f"{costs['elu'].mean:.2f}"},
        **{"relu": mean_accuracy(groups["relu"]), "logistic": mean_accuracy(groups["sigmoid"])},
        "is_logistic_guessing": 100 * learned < POINTS,
        "tanh": claims[3].contrasts[0],
        "rates_at_ends": format_list([group.label for group in ranked if is_at_an_end(group)]),
    }
    rows: list[list[Cell]] = []
    for key, group in sorted(groups.items(), key=lambda item: item[1].score):
        rate, ms, cost = rate_of(group), interval(taken.get(key, [])).mean, None if key == "relu" else costs.get(key)
        of_rate = (f"{format_rate(rate)}{' *' if is_at_an_end(group) else ''}", rate)
        of_steps = number_cell(ms), (cost.amount, cost.mean) if cost else ("-", nan)
        rows.append(
            [(group.label, group.label), of_rate, number_cell(len(group.runs), 0), *accuracy_cells(group), *of_steps]
        )
    headings = ["activation", "rate", "seeds", "validation, %", "test, % †", "ms a step", "over ReLU's"]
    at_end = " * at the end of the range." if figures["rates_at_ends"] else ""
    note = f"Steps: processor time, shortest of {STEPS}, {len(taken['relu'])} rounds.{at_end}"
    plot = plot_intervals(ranked, beyond=[group for group in ranked if not beats_guessing(group)])
    plot = replace(plot, name="4_activations", caption="Means, 95 % intervals, seeds; arrow: no better than guessing.")
    return Answer(figures, claims, plot, [("Activations", Table(headings, rows, note))])


SECTION = Section("4", "4", answer, ALL, [Measurement(TIMES, measure_steps, minutes=0.3)])
