"""The settings whose names are nearest to a wrong one."""

import difflib
from collections.abc import Mapping, Sequence

# Words of other libraries, by the last part of a setting that means the same.
SYNONYMS = {
    "max_epochs": ("epochs", "num_epochs", "n_epochs", "epoch"),
    "max_steps": ("steps", "num_steps"),
    "lr": ("learning_rate", "eta"),
    "weight_decay": ("wd", "l2"),
    "batch_size": ("bs", "batch", "batchsize"),
    "gradient_clip_val": ("clip", "grad_clip", "gradient_clip", "clip_grad_norm", "max_grad_norm"),
    "accumulate_grad_batches": ("gradient_accumulation_steps", "grad_accum", "accumulate"),
    "num_workers": ("workers",),
    "width": ("hidden_size", "hidden_dim", "hidden_units"),
    "depth": ("num_layers", "layers", "n_layers"),
    "optim": ("optimizer", "optimiser", "opt"),
    "scheduler": ("schedule", "lr_scheduler", "lr_schedule"),
    "model": ("network", "net", "arch", "architecture"),
    "data": ("dataset", "datamodule"),
    "trainer": ("device",),
    "devices": ("gpus", "num_devices"),
    "logger": ("log", "loggers"),
}
_MEANT = {word: name for name, words in SYNONYMS.items() for word in words}
_MOST, _NEAR = 3, 0.08  # suggestions; how much less similar than the first
_LEAST, _LEAST_OF_OPTION = 0.6, 0.5  # similarity of a setting, and of an option: their names are shorter
_SAME = 0.9  # similarity of the same last part, in another section


def describe_nearest(wrong: str, keys: Sequence[str], value: str | None = None) -> str:
    """A question with those settings that may be meant by ``wrong``, nearest first; without such, what there is.

    Args:
        wrong: dotted key.
        keys: those that there are.
        value: to be given to the setting; None where none is known.
    """
    if close := nearest(wrong, keys):
        return _question(close, "" if value is None else f"={value}")
    section = wrong.rpartition(".")[0]
    there = [key for key in keys if key.rpartition(".")[0] == section]
    if section in keys and not there:
        return f"the chosen option of {section} has no settings"
    return _there_are([key.rpartition(".")[2] for key in there], f" in {section}" if section else "")


def describe_nearest_option(wrong: str, options: Sequence[str]) -> str:
    """As `describe_nearest`, of options of a group, or of groups. Of one in a folder the last part decides."""
    by_name = {option.rpartition("/")[2]: option for option in options}
    close = nearest_names(wrong.rpartition("/")[2], [*by_name], _LEAST_OF_OPTION)
    return _question([by_name[name] for name in close]) if close else _there_are(options)


def _question(close: Sequence[str], given: str = "") -> str:
    *first, last = (f"{name}{given}" for name in close)
    return f"did you mean {', '.join(first)}{' or ' * bool(first)}{last}?"


def _there_are(names: Sequence[str], where: str = "") -> str:
    return (
        f"there are{where}: {', '.join(names)}"
        if 0 < len(names) <= 20
        else "see --help for the groups and common settings"
    )


def nearest(wrong: str, names: Sequence[str]) -> list[str]:
    """Those of ``names`` that may be meant by ``wrong``, nearest first: of its section, or that have its last part."""
    section, _, last = wrong.rpartition(".")
    of_section = [name for name in names if name.startswith(f"{section}.")]
    if not section or not (of_section or section in names):
        return nearest_names(wrong, names, _LEAST)
    return nearest_names(wrong, of_section, _LEAST) or nearest_names(last, names, _SAME)


def nearest_names(wrong: str, names: Sequence[str], least: float) -> list[str]:
    """At most three of ``names`` that are similar, nearest first."""
    scores = {name: _similarity(wrong, name) for name in names}
    least = max(least, max(scores.values(), default=0.0) - _NEAR)
    close = [name for name, score in scores.items() if score >= least]
    return sorted(close, key=lambda name: -scores[name])[:_MOST]


def _similarity(wrong: str, name: str) -> float:
    """From 0 to 1; the last parts of dotted keys weigh most, then the same section, then little depth."""
    section, _, last = wrong.rpartition(".")
    own_section, _, own = name.rpartition(".")
    alike = _ratio(last, own)
    if section:
        alike = 0.75 * alike + 0.25 * (_ratio(section, own_section) if own_section else 0.0)
    return alike - 0.03 * name.count(".")


def _ratio(wrong: str, name: str) -> float:
    wrong, name = wrong.lower(), name.lower()
    if wrong == name:
        return 1.0
    if len(wrong) == len(name) and sorted(wrong) == sorted(name):  # letters in another order
        return 0.95
    if _MEANT.get(wrong) == name:
        return 0.98
    words, own = set(wrong.split("_")), set(name.split("_"))
    if words < own or own < words:
        return 0.85
    return difflib.SequenceMatcher(None, wrong, name).ratio()


def with_values(overrides: Sequence[str]) -> Mapping[str, str]:
    """The value of each override, by its key."""
    pairs = (override.lstrip("+~").partition("=") for override in overrides if "=" in override)
    return {key: value for key, _, value in pairs}
