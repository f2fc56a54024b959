"""Which runs form a population: those that differ only in numbers, so that one batched model can compute them."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeVar

from trainlab.runs.fingerprint import settings

Settings = Mapping[str, Any]  # leaves by dotted key
T = TypeVar("T")

UNMATCHED = "no other run differs from it only in numbers"
CAPPED = "at most {} runs per population"

# Not in a fingerprint, but the same for all runs of one process.
_SHARED = (
    *("compile", "trainer.accelerator", "trainer.strategy"),
    *("data.root", "data.path", "data.cache_dir"),
)
# These may differ between members.
_OWN = (
    *("seed", "model.seed", "data.seed", "label_smoothing"),
    *("model.initializer", "model.output_initializer", "model.initializer_scale"),
    *("model.bias_initializer", "model.bias_scale"),
    *("trainer.max_epochs", "trainer.min_epochs"),
    *("callbacks.early_stopping", "callbacks.checkpoint"),
)
_MLP = "trainlab.models.MLP"
# Zero and null switch off a layer or a tensor of the optimizer's state; other values may differ between members.
_SWITCHES = (
    *("model.dropout", "trainer.gradient_clip_val"),
    *("optim.momentum", "scheduler.base_momentum", "scheduler.max_momentum"),
)
_NUMBERS = ("optim.", "scheduler.")  # numbers under these may differ; names and switches may not


@dataclass(frozen=True)
class Candidate:
    """A run that may become a member of a population.

    Attributes:
        number: identifies it.
        settings: see ``comparable``.
        ineligible_reason: why it cannot be a member of a population; "" if it can.
    """

    number: int
    settings: Settings
    ineligible_reason: str = ""


@dataclass(frozen=True)
class Group:
    """Runs that are trained together.

    Attributes:
        numbers: of its candidates, ascending.
        reason: why there is only one.
    """

    numbers: tuple[int, ...]
    reason: str = ""


def comparable(config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of the resolved ``config`` that decide about groups: those that decide a result, and _SHARED."""
    found = settings(config)
    for key in _SHARED:
        section, _, name = key.rpartition(".")
        found[key] = (config[section] if section else config).get(name)
    return found


def groups(candidates: Sequence[Candidate], most: int | None = None) -> list[Group]:
    """Every candidate in one group, in the order of the groups' first numbers.

    Members of a group differ only in what each can have for itself. The groups do not depend on the candidates' order.

    Args:
        candidates: with numbers of their own.
        most: members of a group; more are split into nearly equal ones.
    """
    found: dict[Hashable, list[Candidate]] = {}
    for candidate in sorted(candidates, key=lambda candidate: candidate.number):
        kind = ("solo", candidate.number) if candidate.ineligible_reason else _kind(candidate.settings)
        found.setdefault(kind, []).append(candidate)
    made = []
    for members in found.values():
        numbers = tuple(member.number for member in members)
        if len(members) == 1:
            made.append(Group(numbers, members[0].ineligible_reason or UNMATCHED))
        else:
            made += [Group(part, CAPPED.format(most) if len(part) == 1 else "") for part in parts(numbers, most)]
    return sorted(made, key=lambda group: group.numbers[0])


def parts(members: Sequence[T], most: int | None) -> list[tuple[T, ...]]:
    """``members`` in their order, in as few parts of at most ``most`` as there can be, sizes equal or one apart."""
    count = -(-len(members) // most) if most else 1
    ends = [len(members) * i // count for i in range(count + 1)]
    return [tuple(members[start:end]) for start, end in pairwise(ends)]


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


def _kind(settings: Settings) -> Hashable:
    """What members of a group have in common."""
    foreign = settings.get("model._target_", _MLP) != _MLP  # whose arguments may mean anything
    return frozenset(
        (key, _frozen(value) if foreign and key.startswith("model.") else _common(key, value))
        for key, value in settings.items()
        if not _is_own(key) or (foreign and key.startswith("model.") and key != "model.seed")
    )


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
