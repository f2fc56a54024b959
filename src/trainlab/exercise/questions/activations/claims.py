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
    """Each neighbour in the book's order against the next, by Holm over them; and that ReLU is the fastest."""
    done = [key for key in ORDER if key in groups and groups[key].runs]
    pairs = family([(groups[better], groups[worse]) for better, worse in pairwise(done)])
    return [*map(_over, pairs), *_fastest(costs)]


def _over(pair: Pair) -> Claim:
    ahead = "ahead" if pair.difference.mean > 0 else "behind"
    said = f"{margin(pair)} points {ahead}" if pair.difference.mean else "the same"
    return Claim(f"{pair.first.label} over {pair.second.label}", said, _HOLDS[corrected(pair)])


def _fastest(costs: Mapping[str, Ratio]) -> list[Claim]:
    others = {key: ratio for key, ratio in costs.items() if key != "relu"}
    if not others:
        return []
    cheapest = min(others, key=lambda key: others[key].value)
    found = f"a step with {NAMES[cheapest]}, the cheapest other, takes {others[cheapest].value:.2f} times as long"
    if any(ratio.high < 1 for ratio in others.values()):
        return [Claim("ReLU is the fastest", found, False)]
    return [Claim("ReLU is the fastest", found, True if all(ratio.low > 1 for ratio in others.values()) else None)]


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
