"""What `seed=auto` asks a sweep for: found invalid before anything is loaded that takes time."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trainlab.config.run_folders import differing
from trainlab.runs.numbers import short_number
from trainlab.statistics import ALPHA
from trainlab.statistics.anytime import fewest

AUTO = "seed=auto"
SETTINGS = ("margin", "max_seeds", "baseline")  # of `sweep`, that are of it alone
_MAX_NAMED = 6


@dataclass(frozen=True)
class AutoSeeds:
    """Groups to compare over as many seeds as that takes.

    Attributes:
        groups: overrides of each, ``AUTO`` in the place of the seed.
        margin: groups that differ by less are equivalent; of a percentage in points.
        max_seeds: of each group at most.
        baseline: index of the group that all others are compared with; None to compare all pairs.
    """

    groups: Sequence[Sequence[str]]
    margin: float
    max_seeds: int
    baseline: int | None = None

    @classmethod
    def read(cls, groups: Sequence[Sequence[str]], settings: Mapping[str, Any]) -> "AutoSeeds":
        """Those of a sweep whose combinations are ``groups``; ``settings`` are its section `sweep`.

        Raises:
            ValueError: there is nothing to compare, or a setting is invalid.
        """
        margin, max_seeds, baseline = (settings[key] for key in SETTINGS)
        if not all(AUTO in group for group in groups):
            raise ValueError(f"{AUTO} stands for all seeds; leave out the other values of seed")
        for key in ("sweep", "data.fold"):
            if any(key == name or name.startswith(f"{key}.") for name in _swept(groups)):
                raise ValueError(f"{AUTO} compares groups over their seeds; give one value for {key}")
        if len(groups) < 2:
            raise ValueError(
                f"{AUTO} compares groups, got one; give several values of a setting, such as model=bn,selu"
            )
        if margin is None:
            raise ValueError(
                f"{AUTO} needs the difference that matters; set sweep.margin, such as 1.0 (point of accuracy)"
            )
        if isinstance(margin, bool) or not isinstance(margin, int | float) or not 0 < margin < math.inf:
            raise ValueError(f"margin must be a number above 0, got {margin!r}; set sweep.margin")
        pairs = len(groups) - 1 if baseline is not None else len(groups) * (len(groups) - 1) // 2
        least = fewest(ALPHA / pairs)
        if isinstance(max_seeds, bool) or not isinstance(max_seeds, int) or max_seeds < least:
            of_pairs = f"{pairs} pairs" if pairs > 1 else "a pair"
            raise ValueError(
                f"max_seeds must be an integer of at least {least}, before which no interval of {of_pairs} has bounds, "
                f"got {max_seeds!r}; set sweep.max_seeds"
            )
        return cls(groups, float(margin), max_seeds, None if baseline is None else _index(groups, str(baseline)))

    def overrides(self, group: int, seed: int) -> list[str]:
        """Those of the run of a seed."""
        return [f"seed={seed}" if override == AUTO else override for override in self.groups[group]]


def _swept(groups: Sequence[Sequence[str]]) -> set[str]:
    """Keys with several values."""
    shared = set.intersection(*map(set, groups))
    return {override.lstrip("+~").partition("=")[0] for group in groups for override in group if override not in shared}


def _index(groups: Sequence[Sequence[str]], baseline: str) -> int:
    """The one group that has all words of ``baseline`` among its values."""
    own = differing(groups)
    meant = {f"{key}{equals}{short_number(value)}" for key, equals, value in map(_parts, baseline.split())}
    found = [i for i, overrides in enumerate(own) if meant and meant <= _words(overrides)]
    if len(found) != 1:
        names = [" ".join(overrides) for overrides in own[:_MAX_NAMED]] + ["..."] * (len(own) > _MAX_NAMED)
        raise ValueError(f"baseline must name one group of {', '.join(names)}; got {baseline!r}; set sweep.baseline")
    return found[0]


def _parts(word: str) -> tuple[str, str, str]:
    """Key, "=" and value of a word, or no key and the value alone."""
    key, equals, value = word.partition("=")
    return (key, equals, value) if equals else ("", "", key)


def _words(overrides: Sequence[str]) -> set[str]:
    """What a group may be called by: "bn", "model=bn", "lr=1e-4", "optim.lr=1e-4"."""
    words = set[str]()
    for override in overrides:
        key, _, value = override.lstrip("+").partition("=")
        short = short_number(value)
        words |= {short, value.rpartition("/")[2], f"{key}={short}", f"{key.rpartition('.')[2]}={short}"}
    return words
