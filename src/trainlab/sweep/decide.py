"""The record of a sweep that adds seeds until its groups are compared, `decisions.json`, and how many it adds next."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from trainlab.report.decision import Rules
from trainlab.report.decisions import FILE, Decisions, content_of, read_rules
from trainlab.report.formatting import listed
from trainlab.runs.files import read_listed, write_json
from trainlab.runs.format import check_format
from trainlab.runs.result import RESULT
from trainlab.statistics.anytime import fewest

_FEWEST_MORE = 2  # seeds, which a population needs


class Record:
    """What is fixed before the first seed, and the folders of the runs, in the folder of a sweep.

    Args:
        folder: of the sweep.
        rules: of this command.

    Raises:
        ValueError: a seed has been trained there by other rules or without any, or the record is damaged.
    """

    def __init__(self, folder: Path, rules: Rules) -> None:
        self._path, self._rules = folder / FILE, rules
        found = _content(self._path)
        folders = {name: dict(about["folders"]) for name, about in found["groups"].items()} if found else {}
        trained = any(
            read_listed(folder / name / RESULT) is not None for of in folders.values() for name in of.values()
        )
        if found and trained:
            _check_is_same(folder, read_rules(found), rules)
        elif any(folder.glob(f"*/{RESULT}")):
            raise ValueError(
                f"{folder} has runs from before the margin was fixed, which would choose it; set another name="
            )
        self._folders: dict[str, dict[int, str]] = {name: {} for name in rules.groups}
        if trained:
            self._folders |= {name: {int(seed): of for seed, of in own.items()} for name, own in folders.items()}

    @property
    def counts(self) -> dict[str, int]:
        """Number of seeds of each group that were begun."""
        return {name: len(folders) for name, folders in self._folders.items()}

    @property
    def folders(self) -> list[Path]:
        """Those of all runs."""
        return [self._path.parent / name for folders in self._folders.values() for name in folders.values()]

    def add(self, runs: Sequence[tuple[str, int]], folders: Sequence[str]) -> None:
        """Record that these runs begin: group, seed and folder of each."""
        for (name, seed), folder in zip(runs, folders, strict=True):
            self._folders[name][seed] = folder
        write_json(self._path, content_of(self._rules, self._folders), indent=1)


def first_counts(rules: Rules) -> dict[str, int]:
    """Number of seeds of each group to begin with: as many as a decision takes at least."""
    return dict.fromkeys(rules.groups, fewest(rules.alpha_of_pair))


def next_counts(decisions: Decisions, begun: Mapping[str, int], max_seeds: int, threads: int) -> dict[str, int]:
    """Number of seeds that groups with an undecided pair are to have next; empty if nothing is left to do.

    As many as decide the next pair, if mean and spread stay; at least a quarter more and two for each population, and
    enough for all ``threads``; at most twice as many as before.
    """
    named = {name for pair in decisions.open for name in (pair.first.name, pair.second.name)}
    active = [name for name in begun if name in named]
    most = max((begun[name] for name in active), default=0)
    if any(begun[name] < most for name in active):  # whose pair is open again, as a lost seed was retried
        return dict.fromkeys(active, most)
    if most >= max_seeds or not active:
        return {}
    needed = min((pair.foreseen for pair in decisions.open if pair.foreseen), default=most)
    at_least = max(_FEWEST_MORE, most // 4, math.ceil(threads / len(active)))
    return dict.fromkeys(active, min(max_seeds, most + min(max(needed, at_least), most)))


def _content(path: Path) -> dict[str, Any]:
    """That of the record; empty without one."""
    if not path.exists():
        return {}
    try:
        found = dict(json.loads(path.read_text()))
        check_format(found.get("format"))
        read_rules(found)
        return found
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"{path} is damaged ({error}); set another name=") from None


def _check_is_same(folder: Path, old: Rules, new: Rules) -> None:
    """Raise ValueError where the rules differ from those that were fixed before the first seed."""
    fixed = "fixed before the first seed"
    for key, before, now in (
        ("margin", f"{old.margin:g}", f"{new.margin:g}"),
        ("baseline", old.baseline or "null", new.baseline or "null"),
    ):
        if before != now:
            raise ValueError(
                f"{folder} has the {key} {before}, {fixed}, got {now}; set sweep.{key}={before}, or another name="
            )
    if old.metric != new.metric or old.alpha != new.alpha:
        raise ValueError(
            f"{folder} compares by {old.metric.label} at {old.alpha:g}, {fixed}; this one by {new.metric.label} at "
            f"{new.alpha:g}; set another name="
        )
    own, others = ({tuple(sorted(overrides)) for overrides in rules.groups.values()} for rules in (old, new))
    if own != others:
        first, second = (set[str]().union(*groups) for groups in (own, others))
        ways = [f"without {listed(sorted(first - second))}"] * bool(first - second)
        ways += [f"with {listed(sorted(second - first))}"] * bool(second - first)
        raise ValueError(
            f"{folder} compares {listed([*old.groups])}, {fixed}; this is another comparison"
            f"{f' ({listed(ways)})' if ways else ''}; set another name="
        )
