"""Question 4: which activation is the most accurate, what is usually claimed of each, and what a step costs."""

from collections.abc import Mapping, Sequence
from itertools import combinations, pairwise
from math import nan

from exercise.claims import Claim, all_claims_hold, claims_table, describe_claims
from exercise.formatting import (
    SMALL,
    accuracy_cells,
    all_hold,
    compare_pairs,
    describe_outcome,
    format_list,
    format_margin,
    format_ratio,
    format_val_acc,
    holds,
    loses_nothing,
    mean_cell,
    text_cells,
    verdict,
)
from exercise.outcomes import guessing_accuracy, is_at_an_end, rate_of
from exercise.questions.activations.trained import (
    ALL,
    MATTERS,
    NAMES,
    STEPS,
    TIMES,
    describe_costs,
    describe_rates_at_ends,
    describe_search,
    groups_by_activation,
    measure_steps,
    plot_cost,
    plot_curves,
    relative_to_relu,
)
from exercise.questions.mistakes.accuracy_cost import NEXT_TO_NOTHING
from exercise.section import Answer, Measurement, Section
from exercise.step_costs import CLOCK
from exercise.store import Evidence
from trainlab.report import TEST_NOTE, Cell, Group, Pair, Table, format_p
from trainlab.statistics import ALPHA, Ratio, interval

ORDER = ("selu", "elu", "leaky_relu", "relu", "tanh", "sigmoid")  # the usual one, best first
RULES = (
    "± is half the 95 % interval of one pair alone, not corrected. The verdict is: by Holm's correction over the pairs "
    "with SELU, and over those of neighbours in the usual order. A difference that is clear alone and not by Holm may "
    "be chance, and leaves the claim open. No other is better than SELU where none clearly is, and the intervals have "
    f"no room for one that is more than {100 * SMALL:.0f} point better. ReLU is fast where no other takes "
    f"{100 * MATTERS:.0f} % less time a step, or more. Both margins are choices."
)
PASSES = "two passes over the images"


def claims(groups: Mapping[str, Group], costs: Mapping[str, Ratio]) -> list[Claim]:
    """That SELU is a good default; each neighbour in the usual order against the next; that ReLU is fast.

    Holm's correction is over the pairs of each of the first two.
    """
    done = [key for key in ORDER if key in groups and groups[key].runs]
    pairs = compare_pairs([(groups[better], groups[worse]) for better, worse in pairwise(done)])
    return [*_default_claim(groups), *map(_order_claim, pairs), *_speed_claim(costs)]


def may_be_chance(pair: Pair) -> bool:
    """Whether the difference is clear alone, and not among all that were made."""
    return pair.is_tested and not pair.is_clear and pair.difference.p < ALPHA


def format_both_p(pair: Pair) -> str:
    """ "p 0.013 alone, 0.07 by Holm"."""
    return f"p {format_p(pair.difference.p)} alone, {format_p(pair.p)} by Holm"


def _default_claim(groups: Mapping[str, Group]) -> list[Claim]:
    """Holds where each interval leaves so little room, since finding no better one would not be enough."""
    selu = groups.get("selu")
    others = [group for group in groups.values() if group is not selu and group.runs]
    if not selu or not selu.runs or not others:
        return []
    pairs = compare_pairs([(selu, other) for other in others])
    rival = min(pairs, key=lambda pair: pair.difference.mean)
    behind = "behind" if rival.difference.mean >= 0 else "ahead"
    found = (
        f"the best of the others, {rival.second.label}, is {format_margin(rival)} points {behind}{_format_doubt(rival)}"
    )
    as_good = all_hold(*(loses_nothing(pair.difference, pair.p) for pair in pairs))
    return [Claim("no other is better than SELU", found, as_good)]


def _order_claim(pair: Pair) -> Claim:
    ahead = "ahead" if pair.difference.mean > 0 else "behind"
    margin = f"{format_margin(pair)} points {ahead}" if pair.difference.mean else "the same"
    ends = [group.label for group in (pair.first, pair.second) if is_at_an_end(group)]
    edge = f"; the rate of {format_list(ends)} is at the end of the range searched" if ends else ""
    says = f"{pair.first.label} is better than {pair.second.label}"
    return Claim(says, f"{margin}{_format_doubt(pair)}{edge}", holds(verdict(pair.difference, pair.p), "higher"))


def _format_doubt(pair: Pair) -> str:
    return f", but among {pair.tests} pairs that may be chance ({format_both_p(pair)})" if may_be_chance(pair) else ""


def _speed_claim(costs: Mapping[str, Ratio]) -> list[Claim]:
    others = {key: ratio for key, ratio in costs.items() if key != "relu"}
    if not others:
        return []
    cheapest = min(others, key=lambda key: others[key].value)
    found = f"a step with {NAMES[cheapest]}, the cheapest of the others, takes {format_ratio(others[cheapest])} as long"
    if any(ratio.high < 1 - MATTERS for ratio in others.values()):
        return [Claim("ReLU is fast", found, False)]
    as_slow = all(ratio.low > 1 - MATTERS for ratio in others.values())
    return [Claim("ReLU is fast", found, True if as_slow else None)]


def ranking(groups: Mapping[str, Group]) -> list[Group]:
    """Groups with a completed run, the most accurate first."""
    done = [group for group in groups.values() if group.of("metrics", "val_acc")]
    return sorted(done, key=lambda group: -group.summary("metrics", "val_acc").mean)


def against_the_best(ranked: Sequence[Group]) -> list[Pair]:
    """The best one compared with each other; Holm's correction over all pairs, since they decide which is the best."""
    return [pair for pair in compare_pairs(list(combinations(ranked, 2))) if pair.first is ranked[0]]


def recommend(ranked: Sequence[Group], costs: Mapping[str, Ratio], groups: Mapping[str, Group]) -> str:
    """Which to use in this network, as far as the figures show it; "" of one."""
    pairs = against_the_best(ranked)
    if not pairs:
        return ""
    clear, chance, alike, _ = sort_pairs(pairs)
    best, reached = ranked[0].label, format_val_acc(ranked[0])
    if not clear:
        return (
            f"After {PASSES} these runs do not say which activation to use in this network: none is clearly behind "
            f"{best}, which is ahead with {reached} validation accuracy."
        )
    text = f"After {PASSES} these runs speak for {best} in this network, with {reached} validation accuracy"
    if alike:
        text += f"; {_labels_are(alike)} not clearly different and may do as well"
    if chance:
        text += f"; that {_labels_are(chance)} behind it may be chance among {chance[0].tests} pairs"
    text += f"; {_labels_are(clear)} clearly behind"
    sentences = [f"{text}."]
    if costs:
        dear = [groups[key].label for key, ratio in costs.items() if ratio.low > 1 + MATTERS]
        who = f"Only {format_list(dear)} {'are' if len(dear) > 1 else 'is'}" if dear else "None is"
        sentences.append(f"{who} shown to take more than {100 * MATTERS:.0f} % more time a step than ReLU.")
    return " ".join([*sentences, "Longer trainings, which may rank them otherwise, were not made."])


def sort_pairs(pairs: Sequence[Pair]) -> tuple[list[Pair], list[Pair], list[Pair], list[Pair]]:
    """What is clear, what is but for the number of pairs, what is no significant difference, and what is untested."""
    clear = [pair for pair in pairs if pair.is_clear]
    chance = [pair for pair in pairs if may_be_chance(pair)]
    untested = [pair for pair in pairs if not pair.is_tested]
    alike = [pair for pair in pairs if not any(pair in kind for kind in (clear, chance, untested))]
    return clear, chance, alike, untested


def describe_best(ranked: Sequence[Group]) -> str:
    """The most accurate one, and how far the others are behind it."""
    best = ranked[0]
    text = f"{best.label} is ahead with {format_val_acc(best)} validation accuracy"
    pairs = against_the_best(ranked)
    if not pairs:
        return f"{text}."
    clear, chance, alike, untested = sort_pairs(pairs)
    tests = pairs[0].tests
    by_holm = f" (p below 0.05 by Holm over {tests} pairs)" if tests > 1 else ""
    behind = [f"{pair.second.label} ({format_margin(pair)}; {format_both_p(pair)})" for pair in chance]
    kinds = {
        f"clearly behind it{by_holm}": _labels_with_margins(clear),
        f"behind it, but among {tests} pairs that may be chance": behind,
        "no significant difference from it": _labels_with_margins(alike),
        "behind it in the mean, of which nothing can be claimed": _labels_with_margins(untested),
    }
    parts = [f"{words}: {format_list(found)}" for words, found in kinds.items() if found]
    alone = "95 % interval of one pair alone, not corrected for the others, paired by seed"
    how = f" ± is half the {alone}." if tests > 1 else " ± is half the 95 % interval, paired by seed." if tests else ""
    return f"{text}; in points, {'; '.join(parts)}.{how}"


def describe_failures(groups: Mapping[str, Group]) -> list[str]:
    """Which activations learned next to nothing, or have runs that were not completed."""
    nothing, lost, by_chance = [], [], 0.0
    for group in groups.values():
        by_chance = guessing_accuracy(group)
        found = group.summary("metrics", "val_acc")
        if group.runs and found.mean <= NEXT_TO_NOTHING * by_chance:
            nothing.append(f"{group.label} ({describe_outcome(group)})")
        elif group.others:
            lost.append(f"{group.label} ({describe_outcome(group)})")
    mark = f"at most {NEXT_TO_NOTHING:g} times the {100 * by_chance:.3g} % of guessing"
    sentences = [f"Next to nothing ({mark}) was learned with {format_list(nothing)}."] if nothing else []
    return sentences + ([f"Not all runs completed with {format_list(lost)}."] if lost else [])


def _labels_are(pairs: Sequence[Pair]) -> str:
    return f"{format_list([pair.second.label for pair in pairs])} {'are' if len(pairs) > 1 else 'is'}"


def _labels_with_margins(pairs: Sequence[Pair]) -> list[str]:
    return [f"{pair.second.label} ({format_margin(pair)})" for pair in pairs]


def answer(evidence: Evidence) -> Answer:
    """Which to use, who is ahead, who learned next to nothing, what is usually claimed, what a step costs."""
    groups = groups_by_activation(evidence)
    taken = evidence.measured(TIMES)["ms"]
    costs = relative_to_relu(taken)
    ranked = ranking(groups)
    if not ranked:
        outcomes = "; ".join(f"{group.label}: {describe_outcome(group)}" for group in groups.values())
        return Answer([f"No run was completed: {outcomes}."])
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
        "A step is of one network and a batch of the size it is trained with, on one thread; its mean and the "
        f"interval of it are over rounds in which all activations take turns, the shortest of {STEPS} steps each.",
        CLOCK,
        TEST_NOTE,
    ]
    return Table(
        [*headings, "compared with ReLU"],
        [_row(key, group, taken.get(key, []), costs) for key, group in shown],
        " ".join(filter(None, parts)),
    )


def _row(key: str, group: Group, taken: Sequence[float], costs: Mapping[str, Ratio]) -> list[Cell]:
    lr, (_, test) = rate_of(group), accuracy_cells(group)
    relative: Cell = ("1", 1.0) if key == "relu" and costs else ("-", nan)
    return [
        *text_cells(group.label, str(group.settings.get("model.initializer"))),
        (f"{lr:.2g}{' *' if is_at_an_end(group) else ''}", lr),
        (describe_outcome(group), group.summary("metrics", "val_acc").mean),
        test,
        mean_cell(interval(taken)),
        (format_ratio(costs[key]), costs[key].value) if key in costs else relative,
    ]


SECTION = Section(
    "4",
    "4",
    "4. Which activation?",
    "When is SELU the one to use, when leaky ReLU and its variants, ReLU, ELU, tanh, the logistic function, or the "
    "newer GELU, Swish and Mish? Each in the same network of 20 hidden layers, at a learning rate of its own.",
    "In deep dense networks SELU is a good default, and in general SELU > ELU > leaky ReLU and its variants > ReLU > "
    "tanh > logistic. ReLU is simple and fast. The logistic function and tanh are for outputs.",
    answer,
    [ALL],
    [Measurement(TIMES, measure_steps)],
    [
        "Inputs are standardized for all. He initialization for ReLU and what is like it, LeCun's for SELU, Glorot's "
        f"for tanh and the logistic function. Nadam under a cosine schedule, {PASSES}. The learning rate is searched "
        "for each activation, by trainings that are shorter still: six rates from 3e-5 to 1e-2, and one on each side "
        "of the best, for 2 epochs of 300 batches (less than half of the images) at most; the worse ones end sooner. "
        "So a rate is the best of a short search, and no more.",
        "A small difference can be clear where a larger one is not: what counts is how alike it is in all seeds.",
    ],
)
