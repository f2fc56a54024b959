"""State of a running sweep."""

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from trainlab.runs.files import read_rows
from trainlab.runs.result import Result, folder_of_result
from trainlab.sweep.outcome import WAITING, recorded_outcome
from trainlab.sweep.plan import KEEP, Item, Job
from trainlab.training.step_report import Position, read_position


class State:
    """Jobs of a sweep: which are running, and the outcomes of the others.

    Attributes:
        jobs: all jobs.
        total: number of jobs in the end; more than there are, where results decide about further ones.
        items: items of the jobs to run.
        outcomes: outcomes by job number; WAITING before and during a run.
        begun: epochs trained before the start, by number of running job.
        started: start time by `time.monotonic`, by number of running job.
        seconds: time of each job that ended in this sweep; members of a population have the same.
        slots: number of items that can run at the same time.
        reports: files with the positions of running items, by number of running job.
        shares_clock: whether the times in these are by the clock of this machine.
    """

    def __init__(
        self, jobs: Sequence[Job], slots: int, items: Sequence[Item] | None = None, total: int | None = None
    ) -> None:
        self.jobs, self.slots, self.total = [*jobs], slots, total or len(jobs)
        self.items = [*([Item((job,)) for job in jobs if job.todo != KEEP] if items is None else items)]
        self.outcomes = {job.number: _outcome_before(job) for job in jobs}
        self.begun: dict[int, int] = {}
        self.started: dict[int, float] = {}
        self.seconds: dict[int, float] = {}
        self.reports: dict[int, Path] = {}
        self.shares_clock = True
        self._seen: dict[int, tuple[Position, float]] = {}  # latest positions, and when each was first read
        self._earlier: dict[int, float] = {}  # seconds in a population that was divided since

    @property
    def waiting(self) -> list[Job]:
        """Jobs that have not started."""
        waits = (job for job in self.jobs if self.outcomes[job.number].status == WAITING)
        return [job for job in waits if job.number not in self.started]

    def add(self, jobs: Sequence[Job], items: Sequence[Item]) -> None:
        """Add jobs, and the items of those to run."""
        self.jobs += jobs
        self.items += items
        self.outcomes |= {job.number: _outcome_before(job) for job in jobs}

    def left_of(self, item: Item) -> list[Job]:
        """Jobs of a running item that have not ended."""
        return [job for job in item.jobs if job.number in self.started]

    def start(self, item: Item, now: float, report: Path | None = None) -> None:
        """Record that the jobs of an item have started at ``now``, and the file that has its position."""
        for job in item.jobs:
            if report:
                self.reports[job.number] = report
            self.begun[job.number], self.started[job.number] = epochs_of(job), now

    def replace(self, item: Item, parts: Sequence[Item]) -> None:
        """Replace ``item`` by ``parts``, which continue its jobs."""
        self.items = [one for one in self.items if one is not item] + list(parts)
        for job in (job for part in parts for job in part.jobs):
            self._earlier[job.number] = self._earlier.get(job.number, 0.0) + self.seconds.pop(job.number)

    def position(self, number: int) -> Position | None:
        """Where the training of a running job is; None before its first step."""
        found = read_position(self.reports[number]) if number in self.reports else None
        if found is None or self.shares_clock:
            return found
        if number not in self._seen or self._seen[number][0] != found:
            self._seen[number] = found, time.monotonic()
        return replace(found, at_s=self._seen[number][1])

    def took(self, number: int, now: float) -> float | None:
        """Wall seconds of a running or ended job; of one that this sweep did not run, as it has recorded them."""
        earlier = self._earlier.get(number, 0.0)
        if number in self.started:
            return earlier + now - self.started[number]
        if number in self.seconds:
            return earlier + self.seconds[number]
        time = self.outcomes[number].time
        return time.get("population", {}).get("wall_s", time.get("total_s"))

    def share(self, number: int) -> float | None:
        """Seconds of an ended job as its share of a population; None of a solo job."""
        time = self.outcomes[number].time
        return time.get("total_s") if "population" in time else None


def _outcome_before(job: Job) -> Result:
    """Before the sweep runs a job."""
    if job.todo == KEEP:
        return recorded_outcome(folder_of_result(job.folder, job.fingerprint))
    return Result(WAITING, "", [])


def epochs_of(job: Job) -> int:
    """Epochs that a job has trained, including earlier processes."""
    rows = read_rows(job.folder / "metrics.csv")
    return int(rows[-1]["epoch"]) + 1 if rows else 0
