"""What the book says of activations, claim by claim, beside what was measured."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from trainlab.exercise.questions.activations.trained import NAMES
from trainlab.exercise.wording import corrected, family, listed, margin
from trainlab.report.comparisons import Pair
from trainlab.report.groups import Group
from trainlab.report.statistics import Ratio

ORDER = ("selu", "elu", "leaky_relu", "relu", "tanh", "sigmoid")  # the book's, best first
MATTERS = 0.1  # a share of a step's time; what is less is no reason to choose an activation
_HOLDS = {"higher": True, "lower": False, "not distinguishable": None, "unknown": None}


@dataclass(frozen=True)
class Claim:
    """One of the book's, and whether it holds here; None where that is open.

    Attributes:
        says: "SELU over ELU".
        found: the figures behind it.
    """

    says: str
    found: str
    holds: bool | None


def claims(groups: Mapping[str, Group], costs: Mapping[str, Ratio]) -> list[Claim]:
    """That SELU is a good default; each neighbour in the book's order against the next; that ReLU is the fastest.

    Holm's correction is over the pairs of each of the first two.
    """
    done = [key for key in ORDER if key in groups and groups[key].runs]
    pairs = family([(groups[better], groups[worse]) for better, worse in pairwise(done)])
    return [*_default(groups), *map(_over, pairs), *_fastest(costs)]


def _default(groups: Mapping[str, Group]) -> list[Claim]:
    selu = groups.get("selu")
    others = [group for group in groups.values() if group is not selu and group.runs]
    if not selu or not selu.runs or not others:
        return []
    pairs = family([(selu, other) for other in others])
    rival = min(pairs, key=lambda pair: pair.difference.mean)
    behind = "behind" if rival.difference.mean >= 0 else "ahead"
    found = f"the best of the others, {rival.second.label}, is {margin(rival)} points {behind}"
    if any(corrected(pair) == "lower" for pair in pairs):
        return [Claim("no other is better than SELU", found, False)]
    return [Claim("no other is better than SELU", found, True if rival.difference.mean >= 0 else None)]


def _over(pair: Pair) -> Claim:
    ahead = "ahead" if pair.difference.mean > 0 else "behind"
    said = f"{margin(pair)} points {ahead}" if pair.difference.mean else "the same"
    return Claim(f"{pair.first.label} over {pair.second.label}", said, _HOLDS[corrected(pair)])


def _fastest(costs: Mapping[str, Ratio]) -> list[Claim]:
    others = {key: ratio for key, ratio in costs.items() if key != "relu"}
    if not others:
        return []
    cheapest = min(others, key=lambda key: others[key].value)
    found = (
        f"a step with {NAMES[cheapest]}, the cheapest of the others, takes {others[cheapest].value:.2f} times as long"
    )
    if any(ratio.high < 1 - MATTERS for ratio in others.values()):
        return [Claim("none is a tenth faster than ReLU", found, False)]
    as_slow = all(ratio.low > 1 - MATTERS for ratio in others.values())
    return [Claim("none is a tenth faster than ReLU", found, True if as_slow else None)]


def told(found: Sequence[Claim]) -> str:
    """A sentence on which claims hold, which do not, and which are open."""
    parts = [
        f"{word}: {listed([f'{claim.says} ({claim.found})' for claim in found if claim.holds is holds])}"
        for holds, word in ((True, "holds"), (False, "contradicted"), (None, "open"))
        if any(claim.holds is holds for claim in found)
    ]
    return f"Of what the book says, {'; '.join(parts)}." if parts else "There is nothing to hold the book against."


def agreement(found: Sequence[Claim]) -> bool | None:
    """False if one is contradicted, True if all hold."""
    holds = [claim.holds for claim in found]
    return False if False in holds else None if None in holds or not holds else True
