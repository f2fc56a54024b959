"""The settings that differ between runs, and a short name for each combination."""

from collections.abc import Mapping, Sequence
from typing import Any

from trainlab.report.formatting import format_value
from trainlab.report.runs import Run
from trainlab.runs.fingerprint import telling

NOT_GIVEN = "not given"
MAX_EXTRA = 4  # settings taken from config.yaml if two groups have the same overrides


def overrides_by_key(run: Run) -> dict[str, str]:
    """The overrides of a run by key, without those that only set where and how it runs."""
    pairs = (override.lstrip("+").partition("=") for override in telling(run.result.overrides))
    return {key.lstrip("~").partition("@")[0]: value if equals else "removed" for key, equals, value in pairs}


def differing_keys(runs: Sequence[Run]) -> list[str]:
    """Keys that were overridden in some run, decide its result, and differ in value between the runs.

    Options chosen for a group, such as ``model``, come before single settings.
    """
    overrides = [overrides_by_key(run) for run in runs]
    deciding = {"experiment", "debug"}
    for run in runs:
        deciding |= run.settings.keys()
    for key in list(deciding):
        parts = key.split(".")
        deciding |= {".".join(parts[:i]) for i in range(1, len(parts))}
    keys = dict.fromkeys(key for one in overrides for key in one)
    found = [key for key in keys if key in deciding and len({_identity(value_of(run, key)) for run in runs}) > 1]
    return sorted(found, key=lambda key: any(key in run.settings for run in runs))


def differing_leaves(many: Sequence[Mapping[str, Any]]) -> list[str]:
    """Keys in which resolved settings differ."""
    keys = dict.fromkeys(key for one in many for key in one)
    return [key for key in keys if len({_identity(one.get(key)) for one in many}) > 1]


def without_seeds(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """The settings of each run but its seed and those seeds of parts that follow from it.

    The seed of a part follows if it is the run's in every run that does not override it. One that merely has the same
    value in some run, like that of a learning-rate search, is a setting.
    """
    parts = {key for run in runs for key in run.settings if key.endswith(".seed")}
    overridden = [overrides_by_key(run).keys() for run in runs]
    for run, own in zip(runs, overridden, strict=True):
        seed = run.settings.get("seed")
        parts -= {key for key in parts - own if run.settings.get(key, seed) != seed}
    return [
        {key: value for key, value in run.settings.items() if key != "seed" and key not in parts - own}
        for run, own in zip(runs, overridden, strict=True)
    ]


def value_of(run: Run, key: str) -> Any:
    """What a run has for ``key``: the resolved value, or the option chosen for a group."""
    return run.settings[key] if key in run.settings else overrides_by_key(run).get(key, NOT_GIVEN)


def label(run: Run, keys: Sequence[str]) -> str:
    """A short name by the values of ``keys``: "bn lr=0.0005"."""
    last = [key.rpartition(".")[2] for key in keys]
    parts = []
    for key, short in zip(keys, last, strict=True):
        value = value_of(run, key)
        if value != NOT_GIVEN:
            is_clear = last.count(short) == 1 and (short == key or short not in run.settings)
            name = short if is_clear else key
            # an option's name says enough, a number does not
            is_option = key not in run.settings and value not in ("null", "removed")
            parts.append(format_value(value) if is_option else f"{name}={format_value(value, 4)}")
    return " ".join(parts) or "defaults"


def _identity(value: Any) -> str:
    return repr(float(value)) if isinstance(value, int | float) and not isinstance(value, bool) else repr(value)
