"""What is on disk of an exercise: the settings of its sweeps, their runs, and measurements."""

import hashlib
import json
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from exercise.trainings import Setting, Sweep, count_seeds, max_seeds, overrides_of, runs_of
from trainlab.report import NOT_GIVEN, Group, Run, find_runs, group_runs, read_decisions, value_of
from trainlab.runs import locked, write_json

Measured = dict[str, Any]  # what a measurement leaves; JSON
ENDED = ("completed", "diverged")  # not "failed": an error says nothing of what was to be tried
FORMAT = 2  # of settings.json; trainlab 0.1 wrote no number


class NotAvailable(Exception):
    """What an answer is made of is missing; the message names it."""


class Evidence:
    """Reads the folder of an exercise. What was read stays; a new object sees what has changed."""

    def __init__(self, folder: Path, setting: Setting) -> None:
        self.folder, self.setting = folder, setting
        self._runs: dict[str, list[Run]] = {}
        self._groups: dict[str, list[Group]] = {}

    def runs(self, sweep: Sweep) -> list[Run]:
        """All runs of a sweep, none if it has not begun."""
        if sweep.name not in self._runs:
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
        runs, expected = self.runs(sweep), len(runs_of(sweep, self.setting))
        under_way, at_most = sum(run.status not in (*ENDED, "failed") for run in runs), max_seeds(sweep, self.setting)
        if at_most is None:
            return max(0, expected - len(runs) + under_way)
        decisions = read_decisions(self.folder / sweep.name)
        if decisions is None:
            return expected
        begun = [len(of.folders) for pair in decisions.open for of in (pair.first, pair.second)]
        return under_way or sum(n < at_most for n in begun)

    def groups(self, sweep: Sweep) -> list[Group]:
        """Runs of a sweep that differ in the seed alone, as groups, by validation loss; those under way, too."""
        if sweep.name not in self._groups:
            self._groups[sweep.name] = group_runs(self.runs(sweep))
        return self._groups[sweep.name]

    def ended_groups(self, sweep: Sweep) -> list[Group]:
        """All groups of a sweep; NotAvailable is raised if a run of it has not ended or begun, or has failed."""
        groups = self.groups(sweep)
        if not groups:
            raise NotAvailable(f"{sweep.name} has not begun")
        _require_success(sweep.name, self.runs(sweep))
        self._require_end(sweep)
        return groups

    def group(self, sweep: Sweep, **settings: Any) -> Group:
        """The group of a sweep with these ``settings``, keys with `__` for a dot.

        Raises:
            NotAvailable: a run of it has not ended, or has failed.
            LookupError: more than one group has them.
        """
        wanted = {key.replace("__", "."): value for key, value in settings.items()}
        found = [group for group in self.groups(sweep) if _has(group, wanted)]
        if not found:
            raise NotAvailable(f"{sweep.name} with {' '.join(f'{k}={v}' for k, v in wanted.items())} has not begun")
        if len(found) > 1:
            raise LookupError(f"{len(found)} groups of {sweep.name} have {wanted}")
        group, runs = found[0], [*found[0].runs.values(), *found[0].others]
        _require_success(group.label, runs)
        if max_seeds(sweep, self.setting):
            self._require_end(sweep)
        ended, expected = len({run.seed for run in runs if run.status in ENDED}), count_seeds(sweep, self.setting)
        if ended < expected:
            raise NotAvailable(f"{group.label}: {ended} of {expected} seeds have ended")
        return group

    def measured(self, name: str) -> Measured:
        """What the measurement ``name`` left; NotAvailable is raised if it was not taken."""
        if self.measured_of(name) is None:
            raise NotAvailable(f"{name} is not measured")
        return json.loads(self.path_of(name).read_text())["figures"]

    def measured_of(self, name: str) -> str | None:
        """What a measurement was taken of, as ``what_ran`` has it; None if it was not taken."""
        path = self.path_of(name)
        return json.loads(path.read_text())["of"] if path.exists() else None

    def keep(self, name: str, measured: Measured, of: str = "") -> None:
        """Write the figures of a measurement, atomically, with what it was taken ``of``."""
        write_json(self.path_of(name), {"of": of, "figures": measured}, indent=1)

    def path_of(self, name: str) -> Path:
        """The file of a measurement."""
        return self.folder / "measured" / f"{name}.json"

    def what_ran(self, sweeps: Sequence[Sweep]) -> str:
        """Changes with the runs of ``sweeps`` and how they ended; for measurements and answers, which are of them."""
        found = [
            f"{sweep.name}/{run.folder.name} {run.status} {run.result.fingerprint}"
            for sweep in sweeps
            for run in self.runs(sweep)
        ]
        return hashlib.blake2b("\n".join(sorted(found)).encode(), digest_size=8).hexdigest()

    def _require_end(self, sweep: Sweep) -> None:
        if self.count_missing(sweep):
            raise NotAvailable(f"{sweep.name} is not through")


def _require_success(name: str, runs: Sequence[Run]) -> None:
    if failed := [run for run in runs if run.status == "failed"]:
        raise NotAvailable(f"{name}: {describe_failures(failed)}")


def describe_failures(failed: Sequence[Run]) -> str:
    """How many runs an error ended, and the first of the errors: "2 runs failed (no space left on device)"."""
    reason = failed[0].reason.partition("\n")[0] or "no reason is on record"
    return f"{len(failed)} run{'s' if len(failed) > 1 else ''} failed ({reason})"


def require_completed(*groups: Group) -> None:
    """Raise NotAvailable unless each of ``groups`` has a completed run."""
    for group in groups:
        if not group.runs:
            raise NotAvailable(f"{group.label}: no run was completed")


def _has(group: Group, wanted: dict[str, Any]) -> bool:
    run = next(iter([*group.runs.values(), *group.others]))
    found = {key: value_of(run, key) for key in wanted}
    found = {key: None if value == NOT_GIVEN else value for key, value in found.items()}
    return all(found[key] == value or str(found[key]) == str(value) for key, value in wanted.items())


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
        ours = now[sweep.name] = [o for o in overrides_of(sweep, setting) if not o.startswith("sweep.")]
        theirs = before.get(sweep.name, ours)
        if theirs != ours and (folder / sweep.name).exists():
            differing = shlex.join(o for o in [*theirs, *ours] if o not in theirs or o not in ours)
            raise ValueError(
                f"{folder / sweep.name} was trained with {shlex.join(theirs)}, which differs in "
                f"{differing or 'the order'}; give what was given then, set another --name, or remove that folder"
            )
    write_json(path, {"format": FORMAT, "sweeps": before | now}, indent=1)
