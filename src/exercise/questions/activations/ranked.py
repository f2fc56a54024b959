"""Which activation is ahead, which others are told apart from it, and what that says of a choice."""

from collections.abc import Mapping, Sequence
from itertools import combinations

from exercise.formatting import compare_pairs, describe_outcome, format_accuracy, format_list, format_margin
from exercise.outcomes import guessing_accuracy
from exercise.questions.activations.claims import MATTERS, format_both_p, may_be_chance
from trainlab.report import Group, Pair
from trainlab.statistics import Ratio

GUESSING = 1.5  # up to so many times the accuracy of guessing, a network has learned next to nothing
PASSES = "two passes over the images"


def ranking(groups: Mapping[str, Group]) -> list[Group]:
    """Groups with a completed run, the most accurate first."""
    done = [group for group in groups.values() if group.of("metrics", "val_acc")]
    return sorted(done, key=lambda group: -group.summary("metrics", "val_acc").mean)


def against_the_best(ranked: Sequence[Group]) -> list[Pair]:
    """The best one compared with each other; Holm's correction over all pairs, since they decide which is the best."""
    return [pair for pair in compare_pairs(list(combinations(ranked, 2))) if pair.first is ranked[0]]


def recommend(ranked: Sequence[Group], costs: Mapping[str, Ratio], groups: Mapping[str, Group]) -> str:
    """Which to use in this network, as far as the figures carry it; "" of one alone."""
    pairs = against_the_best(ranked)
    if not pairs:
        return ""
    clear, chance, alike, _ = sort_pairs(pairs)
    best, reached = ranked[0].label, format_accuracy(ranked[0].summary("metrics", "val_acc"))
    if not clear:
        return (
            f"After {PASSES} these runs do not say which activation to use in this network: none is clearly behind "
            f"{best}, which is ahead with {reached} validation accuracy."
        )
    said = f"After {PASSES} these runs speak for {best} in this network, with {reached} validation accuracy"
    if alike:
        said += f"; {_labels_are(alike)} not told apart from it and may do as well"
    if chance:
        said += f"; that {_labels_are(chance)} behind it may be chance among {chance[0].tests} pairs"
    said += f"; {_labels_are(clear)} clearly behind"
    return " ".join(
        [f"{said}.", *_describe_costs(costs, groups), "Longer trainings, which may rank them otherwise, were not made."]
    )


def sort_pairs(pairs: Sequence[Pair]) -> tuple[list[Pair], list[Pair], list[Pair], list[Pair]]:
    """What is clear, what is but for the number of pairs, what is not told apart, and what there is no test of."""
    clear = [pair for pair in pairs if pair.is_clear]
    chance = [pair for pair in pairs if may_be_chance(pair)]
    untested = [pair for pair in pairs if not pair.is_tested]
    alike = [pair for pair in pairs if not any(pair in kind for kind in (clear, chance, untested))]
    return clear, chance, alike, untested


def describe_best(ranked: Sequence[Group]) -> str:
    """The most accurate one, and how far the others are behind it."""
    best = ranked[0]
    said = f"{best.label} is ahead with {format_accuracy(best.summary('metrics', 'val_acc'))} validation accuracy"
    pairs = against_the_best(ranked)
    if not pairs:
        return f"{said}."
    clear, chance, alike, untested = sort_pairs(pairs)
    tests = pairs[0].tests
    by_holm = f" (p below 0.05 by Holm over {tests} pairs)" if tests > 1 else ""
    behind = [f"{pair.second.label} ({format_margin(pair)}; {format_both_p(pair)})" for pair in chance]
    kinds = {
        f"clearly behind it{by_holm}": _labels_with_margins(clear),
        f"behind it, but among {tests} pairs that may be chance": behind,
        "not told apart from it": _labels_with_margins(alike),
        "behind it in the mean, of which nothing can be claimed": _labels_with_margins(untested),
    }
    parts = [f"{words}: {format_list(found)}" for words, found in kinds.items() if found]
    alone = "95 % interval of one pair alone, not corrected for the others, paired by seed"
    how = f" ± is half the {alone}." if tests > 1 else " ± is half the 95 % interval, paired by seed." if tests else ""
    return f"{said}; in points, {'; '.join(parts)}.{how}"


def describe_failures(groups: Mapping[str, Group]) -> list[str]:
    """Which activations learned next to nothing, or have runs that were not completed."""
    nothing, lost, by_chance = [], [], 0.0
    for group in groups.values():
        by_chance = guessing_accuracy(group)
        found = group.summary("metrics", "val_acc")
        if group.runs and found.mean <= GUESSING * by_chance:
            nothing.append(f"{group.label} ({describe_outcome(group)})")
        elif group.others:
            lost.append(f"{group.label} ({describe_outcome(group)})")
    mark = f"at most {GUESSING:g} times the {100 * by_chance:.3g} % of guessing"
    said = [f"Next to nothing ({mark}) was learned with {format_list(nothing)}."] if nothing else []
    return said + ([f"Not all runs came to the end with {format_list(lost)}."] if lost else [])


def _describe_costs(costs: Mapping[str, Ratio], groups: Mapping[str, Group]) -> list[str]:
    """Those that cost clearly more, if times were taken."""
    if not costs:
        return []
    dear = [groups[key].label for key, ratio in costs.items() if ratio.low > 1 + MATTERS]
    what = f"more than {100 * MATTERS:.0f} % more time a step than ReLU"
    if not dear:
        return [f"None is shown to take {what}."]
    return [f"Only {format_list(dear)} {'are' if len(dear) > 1 else 'is'} shown to take {what}."]


def _labels_are(pairs: Sequence[Pair]) -> str:
    return f"{format_list([pair.second.label for pair in pairs])} {'are' if len(pairs) > 1 else 'is'}"


def _labels_with_margins(pairs: Sequence[Pair]) -> list[str]:
    return [f"{pair.second.label} ({format_margin(pair)})" for pair in pairs]
