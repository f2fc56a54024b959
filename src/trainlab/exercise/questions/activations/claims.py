"""What the book says of activations, claim by claim, beside what was measured."""

from collections.abc import Mapping
from itertools import pairwise

from trainlab.exercise.claims import Claim
from trainlab.exercise.questions.activations.trained import NAMES
from trainlab.exercise.wording import all_hold, corrected, family, holds, loses_nothing, margin, times
from trainlab.report.comparisons import Pair
from trainlab.report.groups import Group
from trainlab.report.statistics import Ratio

ORDER = ("selu", "elu", "leaky_relu", "relu", "tanh", "sigmoid")  # the book's, best first
MATTERS = 0.1  # a share of a step's time that is called dearer or cheaper; a choice


def claims(groups: Mapping[str, Group], costs: Mapping[str, Ratio]) -> list[Claim]:
    """That SELU is a good default; each neighbour in the book's order against the next; that ReLU is the fastest.

    Holm's correction is over the pairs of each of the first two.
    """
    done = [key for key in ORDER if key in groups and groups[key].runs]
    pairs = family([(groups[better], groups[worse]) for better, worse in pairwise(done)])
    return [*_default(groups), *map(_over, pairs), *_fastest(costs)]


def _default(groups: Mapping[str, Group]) -> list[Claim]:
    """Holds where each interval leaves so little room, since finding no better one would not be enough."""
    selu = groups.get("selu")
    others = [group for group in groups.values() if group is not selu and group.runs]
    if not selu or not selu.runs or not others:
        return []
    pairs = family([(selu, other) for other in others])
    rival = min(pairs, key=lambda pair: pair.difference.mean)
    behind = "behind" if rival.difference.mean >= 0 else "ahead"
    found = f"the best of the others, {rival.second.label}, is {margin(rival)} points {behind}"
    as_good = all_hold(*(loses_nothing(pair.difference, pair.p) for pair in pairs))
    return [Claim("no other is better than SELU", found, as_good)]


def _over(pair: Pair) -> Claim:
    ahead = "ahead" if pair.difference.mean > 0 else "behind"
    said = f"{margin(pair)} points {ahead}" if pair.difference.mean else "the same"
    return Claim(f"{pair.first.label} over {pair.second.label}", said, holds(corrected(pair), "higher"))


def _fastest(costs: Mapping[str, Ratio]) -> list[Claim]:
    others = {key: ratio for key, ratio in costs.items() if key != "relu"}
    if not others:
        return []
    cheapest = min(others, key=lambda key: others[key].value)
    found = f"a step with {NAMES[cheapest]}, the cheapest of the others, takes {times(others[cheapest])} as long"
    if any(ratio.high < 1 - MATTERS for ratio in others.values()):
        return [Claim("none is a tenth faster than ReLU", found, False)]
    as_slow = all(ratio.low > 1 - MATTERS for ratio in others.values())
    return [Claim("none is a tenth faster than ReLU", found, True if as_slow else None)]
