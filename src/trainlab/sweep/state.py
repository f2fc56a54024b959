"""State of a running sweep."""

from collections.abc import Sequence

from trainlab.runs.files import read_rows
from trainlab.runs.result import Result, folder_of_result
from trainlab.sweep.outcome import WAITING, recorded_outcome
from trainlab.sweep.plan import KEEP, Item, Job


class State:
    """Jobs of a sweep: which are running, and the outcomes of the others.

    Attributes:
        jobs: all jobs.
        items: items of the jobs to run.
        outcomes: outcomes by job number; WAITING before and during a run.
        begun: epochs trained before the start, by number of running job.
        started: start time by `time.monotonic`, by number of running job.
        seconds: time of each job that ended in this sweep; members of a population have the same.
        slots: number of items that can run at the same time.
    """

    def __init__(self, jobs: Sequence[Job], slots: int, items: Sequence[Item] | None = None) -> None:
        self.jobs, self.slots = jobs, slots
        self.items = [Item((job,)) for job in jobs if job.todo != KEEP] if items is None else items
        self._together = {job.number for item in self.items if len(item.jobs) > 1 for job in item.jobs}
        self.outcomes = {
            job.number: recorded_outcome(folder_of_result(job.folder, job.fingerprint))
            if job.todo == KEEP
            else Result(WAITING, "", [])
            for job in jobs
        }
        self.begun: dict[int, int] = {}
        self.started: dict[int, float] = {}
        self.seconds: dict[int, float] = {}

    @property
    def waiting(self) -> list[Job]:
        """Jobs that have not started."""
        waits = (job for job in self.jobs if self.outcomes[job.number].status == WAITING)
        return [job for job in waits if job.number not in self.started]

    def left_of(self, item: Item) -> list[Job]:
        """Jobs of a running item that have not ended."""
        return [job for job in item.jobs if job.number in self.started]

    def start(self, item: Item, now: float) -> None:
        """Record that the jobs of an item have started at ``now``."""
        for job in item.jobs:
            self.begun[job.number], self.started[job.number] = epochs_of(job), now

    def replace(self, item: Item, parts: Sequence[Item]) -> None:
        """Replace ``item`` by ``parts``, which continue its jobs."""
        self.items = [one for one in self.items if one is not item] + list(parts)
        for job in (job for part in parts for job in part.jobs):
            self.seconds.pop(job.number)

    def took(self, number: int) -> float | None:
        """Seconds of an ended job; its share of the time if it was trained in a population."""
        total_s = self.outcomes[number].time.get("total_s")
        seconds = total_s if number in self._together else None
        return next((s for s in (seconds, self.seconds.get(number), total_s) if s is not None), None)


def epochs_of(job: Job) -> int:
    """Epochs that a job has trained, including earlier processes."""
    rows = read_rows(job.folder / "metrics.csv")
    return int(rows[-1]["epoch"]) + 1 if rows else 0
