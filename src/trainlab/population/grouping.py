"""Which runs form a population: those that differ only in numbers, so that one batched model can compute them."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from trainlab.runs.fingerprint import settings

Settings = Mapping[str, Any]  # leaves by dotted key

# Not in a fingerprint, but the same for all runs of one process.
_SHARED = (
    *("compile", "trainer.accelerator", "trainer.strategy"),
    *("data.root", "data.path", "data.cache_dir", "data.memory"),
)
# These may differ between members.
_OWN = (
    *("seed", "model.seed", "data.seed", "data.split_seed"),
    *("model.initializer", "model.output_initializer", "model.initializer_scale", "model.initializer_truncated"),
    *("model.bias_initializer", "model.bias_scale"),
    *("trainer.max_epochs", "trainer.min_epochs"),
    *("callbacks.early_stopping", "callbacks.checkpoint"),
)
_MLP = "trainlab.models.MLP"
_CLASSIFICATION = "trainlab.tasks.Classification"  # members have their own label smoothing
# Zero and null switch off a layer or a tensor of the optimizer's state; other values may differ between members.
_SWITCHES = (
    *("model.dropout", "trainer.gradient_clip_val"),
    *("optim.momentum", "scheduler.base_momentum", "scheduler.max_momentum"),
)
_NUMBERS = ("optim.", "scheduler.")  # numbers under these may differ; names and switches may not


def comparable(config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of the resolved ``config`` that decide about groups: those that decide a result, and _SHARED."""
    found = settings(config)
    for key in _SHARED:
        section, _, name = key.rpartition(".")
        found[key] = (config[section] if section else config).get(name)
    return found


def kind_of(settings: Settings) -> Hashable:
    """What members of one population have in common: runs of another kind cannot be trained with them."""
    foreign = settings.get("model._target_", _MLP) != _MLP  # whose arguments may mean anything
    smoothed = settings.get("task._target_", _CLASSIFICATION) == _CLASSIFICATION
    return frozenset(
        (key, _frozen(value) if foreign and key.startswith("model.") else _common(key, value))
        for key, value in settings.items()
        if not (_is_own(key) or (smoothed and key == "task.label_smoothing"))
        or (foreign and key.startswith("model.") and key != "model.seed")
    )


def differing(members: Sequence[Settings]) -> list[str]:
    """Keys in which the members of a group differ, in their order; without seeds that merely follow ``seed``."""
    keys = dict.fromkeys(key for member in members for key in member)
    found = [key for key in keys if len({_frozen(member.get(key)) for member in members}) > 1]
    follow = [key for key in ("model.seed", "data.seed") if all(m.get(key) == m.get("seed") for m in members)]
    return list(dict.fromkeys(_section_off(key, members) for key in found if key not in follow))


def _section_off(key: str, members: Sequence[Settings]) -> str:
    """The section that ``key`` is in, where some member has all of it off; else ``key``."""
    section = key.rpartition(".")[0]
    return section if section and any(section in member for member in members) else key


def _is_own(key: str) -> bool:
    return key in _OWN or key.startswith(("callbacks.early_stopping.", "callbacks.checkpoint."))


def _common(key: str, value: Any) -> Hashable:
    if key in _SWITCHES:
        return bool(value)
    if key.startswith("trainer.limit_"):  # 1 is a batch, 1.0 is all of them
        return type(value).__name__, value
    return _shape(value) if key.startswith(_NUMBERS) else _frozen(value)


def _shape(value: Any) -> Hashable:
    """A value without its numbers."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        return tuple(map(_shape, value))
    return float if isinstance(value, int | float) and not isinstance(value, bool) else _frozen(value)


def _frozen(value: Any) -> Hashable:
    """A value to compare: 1 is 1.0, and not True."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        return tuple(map(_frozen, value))
    return (type(value).__name__, str(value)) if isinstance(value, bool | Mapping) else value
