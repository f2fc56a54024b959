"""What a sweep has to do, as data. Who carries it out shares nothing with it but the file system."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from trainlab.results import telling

KEEP = "keep"  # it has come to an end: completed, or failed and not to be tried again
RUN = "run"
CONTINUE = "continue"
RETRY = "retry"


@dataclass(frozen=True)
class Job:
    """A run of a sweep.

    Attributes:
        number: place in the sweep.
        overrides: as given, those that all jobs share too.
        folder: of the run.
        fingerprint: of its settings.
        todo: KEEP, RUN, CONTINUE or RETRY.
        devices: processes that it trains with; more than one only if it is yet to be trained.
        on_gpu: whether those are GPUs.
        max_epochs: None where there is no limit.
    """

    number: int
    overrides: tuple[str, ...]
    folder: Path
    fingerprint: str
    todo: str
    devices: int = 1
    on_gpu: bool = False
    max_epochs: int | None = None


@dataclass(frozen=True)
class Item:
    """What is carried out in one go: a job, or several that are trained together."""

    jobs: tuple[Job, ...]

    @property
    def devices(self) -> int:
        """Devices it needs at once."""
        return max(job.devices for job in self.jobs)

    @property
    def on_gpu(self) -> bool:
        """Whether those are GPUs."""
        return any(job.on_gpu for job in self.jobs)


def plan(jobs: Sequence[Job]) -> list[Item]:
    """Items in the order in which they start; jobs that have come to an end are in none."""
    return [Item((job,)) for job in jobs if job.todo != KEEP]


def labels(job_overrides: Sequence[Sequence[str]]) -> list[str]:
    """What sets each job apart from the others."""
    every = [telling(overrides) for overrides in job_overrides]
    shared = set.intersection(*map(set, every)) if len(every) > 1 else set()
    return [" ".join(o for o in own if o not in shared) or " ".join(own) or "default" for own in every]
