"""What is on disk of an exercise: the settings of its sweeps, their runs, and measurements."""

import hashlib
import json
import shlex
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from exercise.trainings import Setting, Sweep, adds_seeds, count_seeds, max_seeds, overrides_of, runs_of
from trainlab.report import NOT_GIVEN, Group, Run, find_runs, group_runs, read_decisions, value_of
from trainlab.runs import locked, write_json

Measured = dict[str, Any]  # what a measurement leaves; JSON
State = frozenset[tuple[str, int]]  # files, and when they were last written
ENDED = ("completed", "diverged")  # not "failed": an error says nothing of what was to be tried
FORMAT = 2  # of settings.json; trainlab 0.1 wrote no number


class NotAvailable(Exception):
    """What an answer is made of is missing; the message names it."""


class Evidence:
    """Reads the folder of an exercise. What was read stays; a new object sees what has changed.

    Args:
        folder: of the exercise, under `outputs/`.
        setting: that it is run with.
    """

    def __init__(self, folder: Path, setting: Setting) -> None:
        self.folder, self.setting = folder, setting
        self._runs: dict[str, list[Run]] = {}
        self._groups: dict[str, list[Group]] = {}
        self._left: dict[str, list[tuple[str, int]]] = {}

    def runs(self, sweep: Sweep) -> list[Run]:
        """All runs of a sweep, none if it has not begun."""
        if sweep.name not in self._runs:
            self._left_by(sweep)  # first: what is read may be newer than its state, and never older
            try:
                self._runs[sweep.name] = find_runs([self.folder / sweep.name])
            except FileNotFoundError:
                self._runs[sweep.name] = []
        return self._runs[sweep.name]

    def failed(self, sweep: Sweep) -> list[Run]:
        """Its runs that an error ended. No answer is made of a group that one of them belongs to."""
        return [run for run in self.runs(sweep) if run.status == "failed"]

    def count_missing(self, sweep: Sweep) -> int:
        """Number of its runs that have not ended; of one that adds seeds, of those begun, or of what may decide."""
        runs = self.runs(sweep)
        if not adds_seeds(sweep, self.setting):
            return max(0, len(runs_of(sweep, self.setting)) - sum(run.status in (*ENDED, "failed") for run in runs))
        decisions = read_decisions(self.folder / sweep.name)
        if decisions is None:
            return len(runs_of(sweep, self.setting))
        under_way = sum(run.status not in (*ENDED, "failed") for run in runs)
        begun = [len(of.folders) for pair in decisions.open for of in (pair.first, pair.second)]
        return under_way or sum(n < max_seeds(sweep, self.setting) for n in begun)

    def groups(self, sweep: Sweep) -> list[Group]:
        """Runs of a sweep that differ in the seed alone, as groups, by validation loss; those under way, too."""
        if sweep.name not in self._groups:
            self._groups[sweep.name] = group_runs(self.runs(sweep))
        return self._groups[sweep.name]

    def ended_groups(self, sweep: Sweep) -> list[Group]:
        """All groups of a sweep.

        Raises:
            NotAvailable: a run of it has not ended, or not even begun, or has failed.
        """
        if sweep.name in self.under_way():
            raise NotAvailable(f"{sweep.name} is not through")
        if failed := self.failed(sweep):
            raise NotAvailable(f"{sweep.name}: {describe_failures(failed)}")
        groups = self.groups(sweep)
        if not groups:
            raise NotAvailable(f"{sweep.name} has not begun")
        for group in groups:
            self._require_end(sweep, group)
        return groups

    def group(self, sweep: Sweep, **settings: Any) -> Group:
        """The group of a sweep with these ``settings``, keys with `__` for a dot, once all its runs have ended.

        Raises:
            NotAvailable: a run of it has not ended.
            LookupError: more than one group has them.
        """
        wanted = {key.replace("__", "."): value for key, value in settings.items()}
        found = [group for group in self.groups(sweep) if _has(group, wanted)]
        if not found:
            raise NotAvailable(f"{sweep.name} with {' '.join(f'{k}={v}' for k, v in wanted.items())} has not begun")
        if len(found) > 1:
            raise LookupError(f"{len(found)} groups of {sweep.name} have {wanted}")
        self._require_end(sweep, found[0])
        return found[0]

    def experiment(self, sweep: Sweep, name: str) -> Group:
        """The group of a sweep that was trained with the option ``name`` of `conf/experiment/exercise/`.

        Raises:
            NotAvailable: a run of it has not ended.
        """
        return self.group(sweep, experiment=f"exercise/{name}")

    def under_way(self) -> list[str]:
        """Names of sweeps that were begun and have not ended, in this process or one before."""
        path = self.folder / "under_way.json"
        return json.loads(path.read_text()) if path.exists() else []

    def is_done(self, sweep: Sweep) -> bool:
        """Whether a sweep has ended, with no run that failed."""
        begun = (self.folder / sweep.name).exists() and sweep.name not in self.under_way()
        return begun and not self.failed(sweep) and not self.count_missing(sweep)

    def set_under_way(self, name: str, is_under_way: bool) -> None:
        """Record that the sweep ``name`` begins, or has ended."""
        others = [other for other in self.under_way() if other != name]
        write_json(self.folder / "under_way.json", [*others, name] if is_under_way else others, indent=1)

    def measured(self, name: str) -> Measured:
        """What the measurement ``name`` left.

        Raises:
            NotAvailable: it was not taken.
        """
        path = self._path(name)
        if not path.exists():
            raise NotAvailable(f"{name} is not measured")
        return json.loads(path.read_text())["figures"]

    def keep(self, name: str, measured: Measured, of: str = "") -> None:
        """Write the figures of a measurement, atomically, with what it was taken ``of``."""
        write_json(self._path(name), {"of": of, "figures": measured}, indent=1)

    def forget(self, name: str) -> None:
        """Remove the figures of a measurement, if it was taken."""
        self._path(name).unlink(missing_ok=True)

    def is_taken(self, name: str) -> bool:
        """Whether a measurement was taken, of whatever runs."""
        return self._path(name).exists()

    def is_measured(self, name: str, of: str = "") -> bool:
        """Whether it was taken, of just that."""
        return self.is_taken(name) and json.loads(self._path(name).read_text())["of"] == of

    def what_ran(self, sweeps: Sequence[Sweep]) -> str:
        """Changes with the runs of ``sweeps`` and how they ended; for measurements, which are taken of them."""
        found = [
            f"{sweep.name}/{run.folder.name} {run.status} {run.result.fingerprint}"
            for sweep in sweeps
            for run in self.runs(sweep)
        ]
        return hashlib.blake2b("\n".join(sorted(found)).encode(), digest_size=8).hexdigest()

    def state(self, sweeps: Sequence[Sweep], measurements: Sequence[str]) -> State:
        """Changes when a run of ``sweeps`` begins, ends or is evaluated, or one of ``measurements`` is taken."""
        names = {sweep.name for sweep in sweeps}
        under_way = [(f"{name} is not through", 0) for name in self.under_way() if name in names]
        left = [file for sweep in sweeps for file in self._left_by(sweep)]
        return frozenset([*under_way, *left, *_modification_times(map(self._path, measurements))])

    def _left_by(self, sweep: Sweep) -> list[tuple[str, int]]:
        """What the runs of a sweep had left when it was first read."""
        if sweep.name not in self._left:
            self._left[sweep.name] = _modification_times((self.folder / sweep.name).glob("*/[re]*.json"))
        return self._left[sweep.name]

    def _path(self, name: str) -> Path:
        return self.folder / "measured" / f"{name}.json"

    def _require_end(self, sweep: Sweep, group: Group) -> None:
        """Raise NotAvailable unless all seeds of ``group`` have ended."""
        runs = [*group.runs.values(), *group.others]
        if failed := [run for run in runs if run.status == "failed"]:
            raise NotAvailable(f"{group.label}: {describe_failures(failed)}")
        if adds_seeds(sweep, self.setting):
            if sweep.name in self.under_way() or self.count_missing(sweep):
                raise NotAvailable(f"{sweep.name} is not through")
            return
        ended = {run.seed for run in runs if run.status in ENDED}
        expected = count_seeds(sweep, self.setting)
        if len(ended) < expected:
            raise NotAvailable(f"{group.label}: {len(ended)} of {expected} seeds have ended")


def describe_failures(failed: Sequence[Run]) -> str:
    """How many runs an error ended, and the first of the errors: "2 runs failed (no space left on device)"."""
    reason = failed[0].reason.partition("\n")[0] or "no reason is on record"
    return f"{len(failed)} run{'s' if len(failed) > 1 else ''} failed ({reason})"


def diverged_runs(group: Group) -> list[Run]:
    """Its runs that did."""
    return [run for run in group.others if run.status == "diverged"]


def require_completed(*groups: Group) -> None:
    """Raise NotAvailable unless each of ``groups`` has a completed run."""
    for group in groups:
        if not group.runs:
            raise NotAvailable(f"{group.label}: no run was completed")


def _modification_times(paths: Iterable[Path]) -> list[tuple[str, int]]:
    """Those of the files that are there, and when they were written."""
    return [(str(path), path.stat().st_mtime_ns) for path in paths if path.exists()]


def _has(group: Group, wanted: dict[str, Any]) -> bool:
    runs: Sequence[Run] = [*group.runs.values(), *group.others]
    return bool(runs) and all(_same(value_of(runs[0], key), value) for key, value in wanted.items())


def _same(found: Any, wanted: Any) -> bool:
    if found == NOT_GIVEN:
        return wanted is None
    if isinstance(wanted, float) or isinstance(found, float):
        try:
            return float(found) == float(wanted)
        except (TypeError, ValueError):
            return False
    return found == wanted or str(found) == str(wanted)


@contextmanager
def claim_folder(folder: Path, sweeps: Sequence[Sweep], setting: Setting) -> Iterator[None]:
    """Lock the folder, and refuse other settings than those that its runs were trained with.

    Raises:
        ValueError: another is running there, what was trained there had other settings, or a setting cannot be read.
    """
    error = f"another exercise is running in {folder}; wait for it, or set another --name"
    with locked(folder / ".exercise.lock", error):
        _keep_settings(folder, sweeps, setting)
        yield


def _keep_settings(folder: Path, sweeps: Sequence[Sweep], setting: Setting) -> None:
    path = folder / "settings.json"
    content: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {"format": FORMAT, "sweeps": {}}
    if (found := content.get("format", 1)) != FORMAT:
        reader = "trainlab 0.1" if found == 1 else "another version of trainlab"
        versions = f"is of format {found} (read it with {reader}) and this version reads format {FORMAT}"
        raise ValueError(f"{path} {versions}; set another --name")
    before, now = content["sweeps"], dict[str, list[str]]()
    for sweep in sweeps:
        runs_of(sweep, setting)  # raises where they cannot be read
        now[sweep.name] = [o for o in overrides_of(sweep, setting) if not o.startswith("sweep.")]
        others = before.get(sweep.name, now[sweep.name])
        if others != now[sweep.name] and (folder / sweep.name).exists():
            raise ValueError(
                f"{folder / sweep.name} was trained {_difference(others, now[sweep.name])}; give what was given then, "
                "set another --name, or remove that folder"
            )
    write_json(path, {"format": FORMAT, "sweeps": before | now}, indent=1)


def _difference(before: Sequence[str], now: Sequence[str]) -> str:
    """What sets the settings before from those now, in words: their order, if nothing else does."""
    gone, new = ([o for o in ours if o not in others] for ours, others in ((before, now), (now, before)))
    if not gone and not new:
        return f"with its settings in another order, {shlex.join(before)}"
    parts = [f"{word} {shlex.join(some)}" for word, some in (("with", gone), ("without", new)) if some]
    return " and ".join(parts)
