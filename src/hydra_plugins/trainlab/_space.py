"""The search space of a command line. Needs Optuna, so only searches import it."""

from collections import defaultdict
from collections.abc import Sequence

from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep
from optuna.distributions import CategoricalDistribution

from trainlab.config.overrides import swept_values
from trainlab.console import say
from trainlab.runs.fingerprint import training_overrides
from trainlab.sweep.plan import Job
from trainlab.sweep.space import Dimension, Params, Space, Value, ends, interval, steps
from trainlab.sweep.study import Settings


def space_of(overrides: Sequence[Override]) -> Space:
    """The search space of a command line; the last override of a key counts.

    Raises:
        ValueError: no key is searched, or a key cannot be searched.
    """
    parts: dict[str, str | tuple[str, Dimension]] = {}
    affecting = training_overrides([str(override.input_line) for override in overrides])
    affecting = [override.partition("=")[0].lstrip("+") for override in affecting]
    for override in overrides:
        key = override.get_key_element()
        if "." in key and override.is_choice_sweep() and len(values := {*swept_values(override)}) == 1:
            parts[key] = f"{key}={values.pop()}"  # a setting of an option that trials choose
        elif override.is_sweep_override():
            if key.lstrip("+") not in affecting:
                raise ValueError(f"{key} does not affect the training and cannot be searched; give one value")
            parts[key] = (key, _dimension(key, override))
        elif override.is_delete():
            parts[key] = str(override.input_line)
        else:
            parts[key] = f"{key}={override.get_value_element_as_str()}"
    space = Space(tuple(parts.values()))
    if not space.dimensions:
        raise ValueError("a search needs a key to search over, such as 'optim.lr=interval(1e-5,1e-2)' or model=bn,selu")
    return space


def _dimension(key: str, override: Override) -> Dimension:
    value = override.value()
    if isinstance(value, IntervalSweep):
        assert value.start is not None and value.end is not None
        return interval(key, value.start, value.end, value.tags)
    if getattr(value, "tags", None):
        raise ValueError(f"only an interval can have a tag, got {override.input_line}; set {key}")
    values = swept_values(override)
    if isinstance(value, RangeSweep):
        return steps(list(value.range()))
    return CategoricalDistribution(tuple(dict.fromkeys(values)))


def longest_trial(settings: Settings, space: Space) -> int:
    """Epochs of the longest trial; -1 for no limit."""
    searched = space.dimensions.get("trainer.max_epochs")
    given = dict(part.split("=", 1) for part in space.fixed if "=" in part).get("trainer.max_epochs")
    longest = max(map(int, ends(searched) if searched else [given or settings.max_epochs]))
    if settings.pruner == "hyperband" and longest < 1:
        raise ValueError("the pruner hyperband divides the epochs of a trial; set trainer.max_epochs to a limit")
    return longest


def without_aliases(space: Space, corners: Sequence[Params], jobs: Sequence[Job]) -> Space:
    """The space without choices that give the same run as earlier ones; ``jobs`` are those of its corners."""
    first: dict[str, Params] = {}
    dropped: dict[str, list[Value]] = defaultdict(list)
    for params, job in zip(corners, jobs, strict=True):
        other = first.setdefault(job.identity, params)
        keys = [key for key in params if params[key] != other[key]]
        if len(keys) == 1:
            (key,) = keys
            dropped[key].append(params[key])
            say(f"{key}={params[key]} is the same run as {key}={other[key]} and is skipped")
    return space.without(dropped)
