"""Names of runs and groups, by the settings that set them apart."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from trainlab.report.formatting import format_value
from trainlab.report.runs import Run

NOT_GIVEN = "not given"
MAX_NAMED = 4  # settings that name the runs of a report's only group
_FIRST = ("model", "optim", "optim.lr", "data")  # of them
MAX_EXTRA = 4  # settings taken from config.yaml if two groups have the same overrides


def names_apart(
    firsts: Sequence[Run], settings: Sequence[dict[str, Any]], keys: list[str]
) -> tuple[list[str], list[str]]:
    """A name of its own for each run, and the further settings that went into the names.

    By all that was overridden in any run and differs; where that is not enough by further settings, then by number.
    A run that did not override a setting is named by the value it had.
    """
    extra: list[str] = []
    names = [label(run, keys) for run in firsts]
    twice = {name for name, count in Counter(names).items() if count > 1}
    if twice:
        alike = [own for own, name in zip(settings, names, strict=True) if name in twice]
        extra = [key for key in differing_leaves(alike) if key not in keys][:MAX_EXTRA]
        names = [label(run, [*keys, *extra]) for run in firsts]
    before: Counter[str] = Counter()
    for i, name in enumerate(names):
        names[i] = f"{name} ({before[name] + 1})" if before[name] else name
        before[name] += 1
    return names, extra


def overrides_by_key(run: Run) -> Mapping[str, str]:
    """The overrides of a run by key, without those that only set where and how it runs."""
    return run.overrides_by_key


def differing_keys(runs: Sequence[Run]) -> list[str]:
    """Those of ``deciding_keys`` whose value differs between the runs."""
    return [key for key in deciding_keys(runs) if len({_identity(value_of(run, key)) for run in runs}) > 1]


def deciding_keys(runs: Sequence[Run]) -> list[str]:
    """Keys that were overridden in some run and decide its result.

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
    return sorted(
        deciding & keys.keys(), key=lambda key: (any(key in run.settings for run in runs), [*keys].index(key))
    )


def differing_leaves(many: Sequence[Mapping[str, Any]]) -> list[str]:
    """Keys in which resolved settings differ."""
    keys = dict.fromkeys(key for one in many for key in one)
    return [key for key in keys if len({_identity(one.get(key)) for one in many}) > 1]


def value_of(run: Run, key: str) -> Any:
    """What a run has for ``key``: the resolved value, or the option chosen for a group."""
    return run.settings[key] if key in run.settings else overrides_by_key(run).get(key, NOT_GIVEN)


def label(run: Run, keys: Sequence[str]) -> str:
    """A short name by the values of ``keys``: "bn lr=5e-4"."""
    last = [key.rpartition(".")[2] for key in keys]
    parts = []
    for key, short in zip(keys, last, strict=True):
        value = value_of(run, key)
        if value != NOT_GIVEN:
            is_clear = last.count(short) == 1 and (short == key or short not in run.settings)
            name = short if is_clear else key
            # an option's name says enough, a number or a list does not
            is_option = key not in run.settings and value not in ("null", "removed") and not value.startswith("[")
            parts.append(format_value(value) if is_option else f"{name}={format_value(value, 4)}")
    return " ".join(parts) or "defaults"


def name_of_only(runs: Sequence[Run]) -> str:
    """A name of the only group by its rate and what sets it apart from the defaults; else "MLP NAdam lr=1e-4"."""
    keys = [key for key in deciding_keys(runs) if key not in ("seed", "data.fold", "trainer")]
    if keys and "optim.lr" not in keys and len({_identity(value_of(run, "optim.lr")) for run in runs}) == 1:
        keys.append("optim.lr")
    keys.sort(key=lambda key: _FIRST.index(key) if key in _FIRST else len(_FIRST))
    if keys:
        more = f" and {len(keys) - MAX_NAMED} more settings" if len(keys) > MAX_NAMED + 1 else ""
        return label(runs[0], keys[:MAX_NAMED] if more else keys) + more
    settings = runs[0].settings
    targets = [str(settings.get(f"{part}._target_", "")).rpartition(".")[2] for part in ("model", "optim")]
    lr = settings.get("optim.lr")
    return " ".join(filter(None, [*targets, "" if lr is None else f"lr={format_value(lr, 4)}"])) or "defaults"


def _identity(value: Any) -> str:
    return repr(float(value)) if isinstance(value, int | float) and not isinstance(value, bool) else repr(value)
