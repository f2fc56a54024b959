"""What decides about the jobs of a sweep while it runs."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

from trainlab.runs.result import Result
from trainlab.sweep.plan import Job


class Source(ABC):
    """Adds jobs to a sweep by the results of earlier ones. Each has a number of its own and is trained solo.

    Attributes:
        sample: a job like those to come, by which it is decided how many run at the same time.
        total: number of jobs at most, those of earlier processes included.
        left: how many of these had not ended when `first` was called.
    """

    sample: Job
    total: int
    left: int

    @abstractmethod
    def first(self) -> Mapping[int, Sequence[str]]:
        """Overrides by number of the jobs that an earlier process has left, else of the first new one."""

    @abstractmethod
    def more(self, room: int, outcomes: Mapping[int, Result]) -> Mapping[int, Sequence[str]] | None:
        """Overrides of new jobs by number, at most ``room``; none if none is left. None if that is not known yet.

        Args:
            room: jobs that could start now.
            outcomes: of the jobs so far; those that have not ended have another status.
        """

    @abstractmethod
    def refuse(self, mistakes: Mapping[int, str]) -> None:
        """Record that new jobs are invalid, by number."""
