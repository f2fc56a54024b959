"""What is usually said of activations, claim by claim, compared with what was measured."""

from collections.abc import Mapping
from itertools import pairwise

from exercise.claims import Claim
from exercise.formatting import (
    SMALL,
    all_hold,
    compare_pairs,
    corrected_verdict,
    format_list,
    format_margin,
    format_ratio,
    holds,
    loses_nothing,
)
from exercise.outcomes import is_at_an_end
from exercise.questions.activations.trained import NAMES
from trainlab.report import Group, Pair, format_p
from trainlab.statistics import ALPHA, Ratio

ORDER = ("selu", "elu", "leaky_relu", "relu", "tanh", "sigmoid")  # the usual one, best first
MATTERS = 0.1  # a share of a step's time that is called dearer or cheaper; a choice
RULES = (
    "± is half the 95 % interval of one pair alone, not corrected. The verdict is: by Holm's correction over the pairs "
    "with SELU, and over those of neighbours in the usual order. A difference that is clear alone and not by Holm may "
    "be chance, and leaves the claim open. No other is better than SELU where none clearly is, and the intervals have "
    f"no room for one that is more than {100 * SMALL:.0f} point better. ReLU is fast where no other takes "
    f"{100 * MATTERS:.0f} % less time a step, or more. Both margins are choices."
)


def claims(groups: Mapping[str, Group], costs: Mapping[str, Ratio]) -> list[Claim]:
    """That SELU is a good default; each neighbour in the usual order against the next; that ReLU is fast.

    Holm's correction is over the pairs of each of the first two.
    """
    done = [key for key in ORDER if key in groups and groups[key].runs]
    pairs = compare_pairs([(groups[better], groups[worse]) for better, worse in pairwise(done)])
    return [*_default_claim(groups), *map(_order_claim, pairs), *_speed_claim(costs)]


def may_be_chance(pair: Pair) -> bool:
    """Whether the difference is clear by itself, and not among all that were made."""
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
    said = f"{format_margin(pair)} points {ahead}" if pair.difference.mean else "the same"
    ends = [group.label for group in (pair.first, pair.second) if is_at_an_end(group)]
    edge = f"; the rate of {format_list(ends)} is at the end of the range searched" if ends else ""
    says = f"{pair.first.label} is better than {pair.second.label}"
    return Claim(says, f"{said}{_format_doubt(pair)}{edge}", holds(corrected_verdict(pair), "higher"))


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
