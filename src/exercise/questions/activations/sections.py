"""Question 4 and how it is answered."""

from collections.abc import Mapping, Sequence
from math import nan

from exercise.claims import all_claims_hold, claims_table, describe_claims
from exercise.formatting import describe_outcome, format_accuracy, format_ratio
from exercise.questions.activations import outputs
from exercise.questions.activations.claims import RULES, claims
from exercise.questions.activations.plots import plot_cost, plot_curves
from exercise.questions.activations.ranked import PASSES, describe_best, describe_failures, ranking, recommend
from exercise.questions.activations.rates import describe_rates_at_ends, describe_search, is_at_an_end, rate_of
from exercise.questions.activations.steps import NAME, STEPS, describe_costs, measure, relative_to_relu
from exercise.questions.activations.trained import ALL, groups_by_activation
from exercise.section import Answer, Measurement, Section
from exercise.store import Evidence
from exercise.timing import CLOCK
from trainlab.report import TEST_NOTE, Cell, Group, Table, format_mean
from trainlab.statistics import Ratio, interval


def answer(evidence: Evidence) -> Answer:
    """Which to use, who is ahead, who learned next to nothing, what is usually said, what a step costs."""
    groups = groups_by_activation(evidence)
    taken = evidence.measured(NAME)["ms"]
    costs = relative_to_relu(taken)
    ranked = ranking(groups)
    if not ranked:
        return Answer([f"No run was completed: {_outcomes(list(groups.values()))}."])
    found = claims(groups, costs)
    advice, first = recommend(ranked, costs, groups), describe_best(ranked)
    return Answer(
        [advice or first, describe_claims(found, figures=False)],
        all_claims_hold(found),
        [plot_curves({key: group for key, group in groups.items() if group.runs}), plot_cost(groups, costs)],
        [("All activations", _table(groups, ranked, taken, costs)), claims_table(found, RULES)],
        [
            " ".join([*([first] if advice else []), *describe_failures(groups), *describe_rates_at_ends(ranked)]),
            *describe_costs(groups, taken, costs),
        ],
    )


def _outcomes(groups: Sequence[Group]) -> str:
    return "; ".join(f"{group.label}: {describe_outcome(group)}" for group in groups)


def _table(
    groups: Mapping[str, Group],
    ranked: Sequence[Group],
    taken: Mapping[str, list[float]],
    costs: Mapping[str, Ratio],
) -> Table:
    keys = {group.label: key for key, group in groups.items()}
    rest = [group for group in groups.values() if group not in ranked]
    shown = [(keys[group.label], group) for group in [*ranked, *rest]]
    headings = ["activation", "initializer", "learning rate", "validation accuracy", "test accuracy †", "ms a step"]
    parts = [
        "Accuracies are means over the seeds with 95 % intervals, at the epoch with the lowest validation loss.",
        describe_search(ranked),
        "A step is of one network and a batch of the size it is trained with, on one thread; its mean and the interval "
        f"of it are over rounds in which all activations take turns, the shortest of {STEPS} steps each.",
        CLOCK,
        TEST_NOTE,
    ]
    return Table(
        [*headings, "compared with ReLU"],
        [[*_row(group, taken.get(key, [])), _relative_cell(key, costs)] for key, group in shown],
        " ".join(filter(None, parts)),
    )


def _row(group: Group, taken: Sequence[float]) -> list[Cell]:
    lr = rate_of(group)
    val, test = (group.summary("metrics", name) for name in ("val_acc", "test_acc"))
    ms = interval(taken)
    return [
        (group.label, group.label),
        (str(group.settings.get("model.initializer")),) * 2,
        (f"{lr:.2g}{' *' if is_at_an_end(group) else ''}", lr),
        (describe_outcome(group), val.mean),
        (format_accuracy(test), test.mean),
        (format_mean(ms), ms.mean),
    ]


def _relative_cell(key: str, costs: Mapping[str, Ratio]) -> Cell:
    if key in costs:
        return format_ratio(costs[key]), costs[key].value
    return ("1", 1.0) if key == "relu" and costs else ("-", nan)


SECTIONS = (
    Section(
        "4",
        "4",
        "4. Which activation?",
        "When is SELU the one to use, when leaky ReLU and its variants, ReLU, ELU, tanh, the logistic function, or the "
        "newer GELU, Swish and Mish? Each in the same network of 20 hidden layers, at a learning rate of its own.",
        "In deep dense networks SELU is a good default, and in general SELU > ELU > leaky ReLU and its variants > ReLU "
        "> tanh > logistic. ReLU is simple and fast. The logistic function and tanh are for outputs.",
        answer,
        [ALL],
        [Measurement(NAME, measure)],
        [
            "Inputs are standardized for all. He initialization for ReLU and what is like it, LeCun's for SELU, "
            f"Glorot's for tanh and the logistic function. Nadam under a cosine schedule, {PASSES}. The learning rate "
            "is searched for each activation, by trainings that are shorter still: six rates from 3e-5 to 1e-2, and "
            "one on each side of the best, for 2 epochs of 300 batches (less than half of the images) at most; the "
            "worse ones end sooner. So a rate is the best of a short search, and no more.",
            "A small difference can be clear where a larger one is not: what counts is how alike it is in all seeds.",
        ],
    ),
    *outputs.SECTIONS,
)
