"""What a training step costs under each activation."""

from collections.abc import Mapping

from exercise.formatting import format_list, format_ratio
from exercise.questions.activations.claims import MATTERS
from exercise.questions.activations.trained import groups_by_activation
from exercise.step_costs import step_times
from exercise.store import Evidence, Measured
from exercise.timing import time_ratio
from trainlab.report import Group, format_mean
from trainlab.statistics import Ratio, interval

NAME = "question_4_steps"
ROUNDS, STEPS = 20, 8


def measure(evidence: Evidence) -> Measured:
    """Milliseconds of a step of each network by activation, as its runs make it."""
    rounds, steps = (3, 2) if evidence.setting.quick else (ROUNDS, STEPS)
    return {"ms": step_times(groups_by_activation(evidence), rounds, steps)}


def relative_to_relu(taken: Mapping[str, list[float]]) -> dict[str, Ratio]:
    """Time of a step over that with ReLU in the same round, with an interval over the rounds."""
    if "relu" not in taken:
        return {}
    return {key: time_ratio(own, taken["relu"]) for key, own in taken.items() if key != "relu"}


def describe_costs(
    groups: Mapping[str, Group], taken: Mapping[str, list[float]], costs: Mapping[str, Ratio]
) -> list[str]:
    """What a step takes with ReLU, and how many times that with the others, the dearest first."""
    if not costs:
        return []
    relu = interval(taken["relu"])
    sides: dict[str, list[str]] = {words: [] for words in _SIDES}
    for key in sorted(costs, key=lambda key: -costs[key].value):
        sides[_side(costs[key])].append(f"{groups[key].label} {format_ratio(costs[key])}")
    parts = [f"{words}: {format_list(found)}" for words, found in sides.items() if found]
    each = (
        f"{format_mean(relu)} ms of processor time (mean of {relu.n} rounds; ± and 95 % are over these, not over seeds)"
    )
    return [f"A training step with ReLU takes {each}. Beside it, {'; '.join(parts)}."]


_BY = f"{100 * MATTERS:.0f} %"
_DEARER, _CHEAPER, _WITHIN = f"dearer by more than {_BY}", f"cheaper by more than {_BY}", f"within {_BY}"
_SOME_DEARER, _SOME_CHEAPER = (f"{word}, but whether by more than {_BY} is not shown" for word in ("dearer", "cheaper"))
_OPEN = "too uncertain to be called dearer or cheaper"
_SIDES = (_DEARER, _SOME_DEARER, _WITHIN, _SOME_CHEAPER, _CHEAPER, _OPEN)


def _side(of: Ratio) -> str:
    """Where the whole interval lies: of 1, and of a tenth more or less."""
    if of.low > 1 + MATTERS:
        return _DEARER
    if of.high < 1 - MATTERS:
        return _CHEAPER
    if of.low >= 1 - MATTERS and of.high <= 1 + MATTERS:
        return _WITHIN
    return _SOME_DEARER if of.low > 1 else _SOME_CHEAPER if of.high < 1 else _OPEN
