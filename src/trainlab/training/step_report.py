"""Which step a training is at, for the process that shows the progress of a sweep."""

import os
import time
from dataclasses import astuple, dataclass
from pathlib import Path

VARIABLE = "TRAINLAB_STEPS"  # of the environment: the file that a job writes, which its sweep reads
_INTERVAL_S = 1.0
_WARM_UP = 2  # reports


@dataclass(frozen=True)
class Position:
    """A place in a training.

    Attributes:
        epoch: from 0.
        batch: batches of the epoch that are done.
        batches: of an epoch.
        at_s: when, by `time.monotonic`.
        step_s: seconds per batch of this process, with all that is between them, since its second report: until then
            it warms up, and this is 0.
    """

    epoch: int
    batch: int
    batches: int
    at_s: float
    step_s: float

    @property
    def epochs(self) -> float:
        """Epochs that are done, with the part of the current one."""
        return self.epoch + self.batch / self.batches


class StepReport:
    """Writes the position of a training to the file that the environment names, once per second and at epochs' ends."""

    def __init__(self) -> None:
        path = os.environ.get(VARIABLE)
        self._path, self._due = Path(path) if path else None, 0.0
        self._reports, self._from = 0, (0, 0, 0.0)  # epoch, batch and time that steps are timed from

    def made(self, epoch: int, batch: int, batches: int) -> None:
        """Note that ``batch`` batches of an epoch are done."""
        if self._path is None or ((now := time.monotonic()) < self._due and batch < batches):
            return
        self._due = now + _INTERVAL_S
        self._reports += 1
        if self._reports <= _WARM_UP:
            self._from = epoch, batch, now
        from_epoch, from_batch, from_s = self._from
        made = (epoch - from_epoch) * batches + batch - from_batch
        step_s = (now - from_s) / made if made > 0 else 0.0
        text = " ".join(map(str, astuple(Position(epoch, batch, batches, now, step_s))))
        try:
            self._path.write_text(f"{text}\n")
        except OSError:  # the sweep that showed it has ended, or its disk is full: the training continues
            self._path = None


def read_position(path: Path) -> Position | None:
    """The position in a file; None where nothing is written yet, or not all of it."""
    try:
        text = path.read_text()
    except OSError:
        return None
    if not text.endswith("\n"):
        return None
    epoch, batch, batches, at_s, step_s = text.split()
    return Position(int(epoch), int(batch), int(batches), float(at_s), float(step_s))
