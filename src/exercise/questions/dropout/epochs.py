"""How many epochs a training takes to its lowest validation loss, at one rate of dropout compared with another."""

from math import isnan, nan

from exercise.formatting import format_ratio, format_seeds
from trainlab.report import Group, format_mean
from trainlab.statistics import Ratio, interval, ratio


def epochs_to_best(group: Group) -> dict[int, float]:
    """Epochs to the lowest validation loss by seed."""
    return {seed: epoch + 1 for seed, epoch in group.of("metrics", "best_epoch").items()}


def epochs_ratio(first: Group, second: Group) -> Ratio:
    """What the second takes of epochs over what the first takes; NaN where there is no run."""
    a, b = epochs_to_best(first), epochs_to_best(second)
    return ratio(b, a) if a and b else Ratio(nan, nan, nan)


def format_mean_epochs(group: Group) -> str:
    """With its interval."""
    return format_mean(interval([*epochs_to_best(group).values()]))


def is_cut(group: Group) -> bool:
    """Whether the last epoch of one of its runs was the best one."""
    ends = group.of("metrics", "epochs")
    return any(ends.get(seed) == epochs for seed, epochs in epochs_to_best(group).items())


def describe_epochs_to_best(first: Group, second: Group) -> str:
    """Epochs to the lowest validation loss, of two rates."""
    found = epochs_ratio(first, second)
    if isnan(found.value):
        without = [group.label for group in (first, second) if not group.runs]
        return f"No run with {' nor with '.join(without)} was completed, so epochs cannot be compared."
    each = (
        f"{format_mean_epochs(second)} epochs with {second.label}, after {format_mean_epochs(first)} with {first.label}"
    )
    verdict = "no difference that these runs show" if not found.is_clear else "more" if found.value > 1 else "fewer"
    if isnan(found.low):
        verdict = "nothing can be claimed"
    cut = [group.label for group in (second, first) if is_cut(group)]
    ended = f" (the training ended before it rose again with {' and '.join(cut)})" if cut else ""
    n = format_seeds(min(len(first.runs), len(second.runs)))
    return f"The lowest validation loss came after {each}{ended}: {format_ratio(found)} as many, {verdict} ({n})."
