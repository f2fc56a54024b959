"""Trials of a search while they run: results are recorded, new trials begin, and unpromising ones are ended.

Needs Optuna, so only searches import it.
"""

import contextlib
import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from optuna.exceptions import StorageInternalError
from optuna.trial import FrozenTrial

from trainlab.callbacks.prune_request import request_pruning
from trainlab.console import say
from trainlab.runs.files import read_rows
from trainlab.runs.result import ENDED, Result
from trainlab.sweep.plan import Job
from trainlab.sweep.source import Source
from trainlab.sweep.study import Study
from trainlab.sweep.study_summary import write_summary
from trainlab.tasks.metrics import key_of

T = TypeVar("T")
REQUESTS = ".pruned"  # folder of requests to stop in that of the sweep
_LOOK_S, _LOOKING = 0.5, 0.05  # between two looks at the epochs of running trials; maximal share of a core for it
_ASKS = 8  # new trials in a row: each takes a while in a large study, and the sweep waits meanwhile
_AGAIN_S = 5.0  # until a database that has not answered is asked again
_WRITE_S = 30.0  # between two summaries of a search that runs: the importance of settings takes a while


class Patience:
    """Tries again what needs the storage of a study: a database may not answer for a while.

    Attributes:
        say: prints a line.
    """

    def __init__(self, study: Study) -> None:
        self._study = study
        self.say: Callable[[str], object] = say
        self._due, self._is_away = -math.inf, False

    def attempt(self, work: Callable[[], T]) -> T | None:
        """What ``work`` returns, which can be called again after a part of it; None while the database is away."""
        if time.monotonic() < self._due:
            return None
        try:
            if self._is_away:
                self._study.drop_unsampled()
            found = work()
        except StorageInternalError as error:
            if not (database := self._study.database):
                raise
            self._due = time.monotonic() + _AGAIN_S
            if not self._is_away:
                reason = database.reason(error)
                self.say(f"the database of {database.variable} does not answer ({reason}); waiting for it")
            self._is_away = True
            return None
        if self._is_away:
            self._is_away = False
            self.say("the database answers again")
        return found

    def wait_for(self, work: Callable[[], T]) -> T:
        """The same, as soon as the database answers."""
        while (found := self.attempt(work)) is None:
            time.sleep(max(0.0, self._due - time.monotonic()))
        return found


class Judge:
    """Reports the epochs of running trials to a study in a database, and asks those to stop that its pruner ends.

    The trials themselves do not know the database. For a study in a journal, see `trainlab.callbacks.pruning`: there
    it does nothing.
    """

    def __init__(self, study: Study) -> None:
        self._study, self._seen = study, dict[int, int]()  # epochs that were looked at, by number of trial
        self._is_needed = study.database is not None and study.settings.pruner != "none"
        self._requests, self._due = study.folder / REQUESTS, -math.inf

    def look(self, running: Mapping[int, Path]) -> bool:
        """Look at the trials in their folders, if it is due."""
        if self._is_needed and (begun := time.monotonic()) > self._due:
            for number, folder in running.items():
                self.report(number, folder)
            took_s = time.monotonic() - begun
            self._due = begun + max(_LOOK_S, took_s / _LOOKING)
        return True

    def report(self, number: int, folder: Path) -> None:
        """Report the epochs of a running trial."""
        if not self._is_needed:
            return
        values = self._values(folder)
        if len(values) > self._seen.get(number, 0) and self._study.judge(number, values):
            request_pruning(self._requests, number)
        self._seen[number] = len(values)

    def forget(self, number: int) -> None:
        """Remove the request to a trial that has ended."""
        if self._is_needed:
            (self._requests / str(number)).unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # it has others
                self._requests.rmdir()

    def _values(self, folder: Path) -> dict[int, float]:
        rows = read_rows(folder / "metrics.csv")
        names = {key_of(name): name for name in (rows[0] if rows else ())}
        name = names.get(self._study.metric.key, "")
        return {int(row["epoch"]) + 1: float(row[name]) for row in rows if row.get(name)}


def record(study: Study, judge: Judge, outcomes: Mapping[int, Result]) -> None:
    """Record those outcomes of running trials that are final, by number."""
    ended = [trial for trial in study.running() if trial.number in outcomes]
    ended = [trial for trial in ended if outcomes[trial.number].status in ENDED]
    for trial, folder in zip(ended, study.folders_of(ended), strict=True):
        judge.report(trial.number, folder)
        study.tell(trial, outcomes[trial.number])
        judge.forget(trial.number)


class Trials(Source):
    """A new trial as soon as there is room for one, whatever the others do.

    Args:
        study: of the search.
        sample: a job like those of the trials.
        overrides: those of a trial's run.
    """

    def __init__(self, study: Study, sample: Job, overrides: Callable[[FrozenTrial], Sequence[str]]) -> None:
        self.sample, self.total, self.left = sample, study.settings.trials, 0
        self._study, self._overrides = study, overrides
        self._judge, self._patience = Judge(study), Patience(study)
        self._folders: dict[int, Path] = {}  # of running trials
        self._known: Mapping[int, Result] = {}  # outcomes of the jobs of the sweep that runs
        self._ended: dict[int, Result] = {}  # outcomes that are to be recorded
        self._is_over, self._write_at = False, 0.0

    def first(self) -> Mapping[int, Sequence[str]]:
        """See `Source`."""
        return self._patience.wait_for(self._first)

    def more(self, room: int, outcomes: Mapping[int, Result]) -> Mapping[int, Sequence[str]] | None:
        """See `Source`."""
        self._known = outcomes
        self._note(outcomes)
        return self._patience.attempt(lambda: self._next(room))

    def refuse(self, mistakes: Mapping[int, str]) -> None:
        """See `Source`."""
        self._note({number: Result("failed", "", [], error={"message": text}) for number, text in mistakes.items()})
        for number in self._folders.keys() - self._known.keys() - mistakes.keys():
            del self._folders[number]  # a valid one beside these, which has not begun either; it is returned again
        self._is_over = False

    def follow(self, say: Callable[[str], object]) -> None:
        """Prune running trials. What is to be said is printed by ``say`` from now on."""
        self._patience.say = say
        self._patience.attempt(lambda: self._judge.look(self._folders))

    def close(self) -> None:
        """Record what has ended, and write the summary, after the sweep."""
        self._patience.say, self._write_at = say, 0.0
        self._note(self._known)
        self._patience.wait_for(self._record)

    def _note(self, outcomes: Mapping[int, Result]) -> None:
        own = {number: outcomes[number] for number in self._folders if number in outcomes}
        self._ended |= {number: outcome for number, outcome in own.items() if outcome.status in ENDED}

    def _first(self) -> dict[int, Sequence[str]]:
        self._record()
        self._begun()
        if not self._folders:
            self._next(1)
        running = self._study.running()
        self.left = self.total - len(self._study.trials()) + len(running)
        return {trial.number: self._overrides(trial) for trial in running}

    def _next(self, room: int) -> dict[int, Sequence[str]]:
        if self._ended:
            self._record()
        if self._is_over or not room:
            return {}
        left = room - len(self._new())  # some are there if an answer did not come, or others were refused
        are_left = all(self._study.ask() for _ in range(min(left, _ASKS)))
        begun = self._begun(room)
        self._is_over = not are_left
        return begun

    def _record(self) -> bool:
        record(self._study, self._judge, self._ended)
        for number in self._ended:
            self._folders.pop(number, None)
        self._ended.clear()
        if time.monotonic() > self._write_at:
            write_summary(self._study)
            self._write_at = time.monotonic() + _WRITE_S
        return True

    def _new(self) -> list[FrozenTrial]:
        """Running trials that were not returned yet."""
        return [trial for trial in self._study.running() if trial.number not in self._folders]

    def _begun(self, room: int | None = None) -> dict[int, Sequence[str]]:
        """Overrides of new trials by number, of at most ``room``."""
        new = self._new()[:room]
        self._folders |= {t.number: folder for t, folder in zip(new, self._study.folders_of(new), strict=True)}
        return {trial.number: self._overrides(trial) for trial in new}
