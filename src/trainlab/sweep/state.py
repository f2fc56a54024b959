"""How far a sweep has come."""

from collections.abc import Sequence

from trainlab.loggers.metrics_csv import read_rows
from trainlab.runs.result import folder_of_result
from trainlab.sweep.outcome import WAITING, Outcome, recorded_outcome
from trainlab.sweep.plan import KEEP, Item, Job


class State:
    """Jobs of a sweep, which of them run, and what has become of the others.

    Attributes:
        jobs: all of them.
        items: those of the jobs that are to be done.
        outcomes: by number; WAITING before the start and during the run.
        begun: epochs that those had made which run, when they were started, by number.
        started: when those that run were started, by number and time.monotonic.
        seconds: that each job took which ended in this sweep; those who were trained together took them all at once.
        slots: how many items can run at once.
    """

    def __init__(self, jobs: Sequence[Job], slots: int, items: Sequence[Item] | None = None) -> None:
        self.jobs, self.slots = jobs, slots
        self.items = [Item((job,)) for job in jobs if job.todo != KEEP] if items is None else items
        self._together = {job.number for item in self.items if len(item.jobs) > 1 for job in item.jobs}
        self.outcomes = {
            job.number: recorded_outcome(folder_of_result(job.folder, job.fingerprint))
            if job.todo == KEEP
            else Outcome(WAITING, {})
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
        """Jobs of an item that runs, which have not come to an end."""
        return [job for job in item.jobs if job.number in self.started]

    def start(self, item: Item, now: float) -> None:
        """Note that the jobs of an item run, from ``now`` on."""
        for job in item.jobs:
            self.begun[job.number], self.started[job.number] = epochs_of(job), now

    def replace(self, item: Item, parts: Sequence[Item]) -> None:
        """Note that the jobs of ``parts`` are to go on, in place of ``item``."""
        self.items = [one for one in self.items if one is not item] + list(parts)
        for job in (job for part in parts for job in part.jobs):
            self.seconds.pop(job.number)

    def took(self, number: int) -> float | None:
        """Seconds that an ended job is to be charged with; its share, where it was trained together with others."""
        total_s = self.outcomes[number].total_s
        seconds = total_s if number in self._together else None
        return next((s for s in (seconds, self.seconds.get(number), total_s) if s is not None), None)


def epochs_of(job: Job) -> int:
    """Epochs that a job has made, in earlier processes too."""
    rows = read_rows(job.folder / "metrics.csv")
    return int(rows[-1]["epoch"]) + 1 if rows else 0
