"""A sweep in a process of its own."""

import logging
import os
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from exercise.trainings import Sweep

log = logging.getLogger(__name__)


class SweepProcess:
    """A sweep that runs.

    Args:
        sweep: the sweep.
        command: words that start it.
        output: file for what it says, which is shown as one when it has ended: it is not the only one, and has one
            thread. None for the terminal, and as many threads as there are.

    Attributes:
        seconds: that it took; 0 before its end.
    """

    def __init__(self, sweep: Sweep, command: Sequence[str], output: Path | None = None) -> None:
        self.sweep, self.seconds = sweep, 0.0
        self._output, self._started = output, time.monotonic()
        if output is None:
            self._process = subprocess.Popen(command)
        else:
            with output.open("wb") as file:
                one_thread = {**os.environ, "OMP_NUM_THREADS": "1"}
                self._process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, env=one_thread)

    @property
    def has_ended(self) -> bool:
        """Whether it has come to its end."""
        return self._process.poll() is not None

    def wait(self) -> int:
        """Wait for its end, and show what it said. Returns the exit status as a shell has it."""
        status = self._process.wait()
        if not self.seconds:
            self.seconds = time.monotonic() - self._started
            if self._output:
                log.info("%s:\n%s", self.sweep.name, self._output.read_text(errors="replace").rstrip())
        return status if status >= 0 else 128 - status

    def stop(self) -> None:
        """Tell it to end, as Ctrl-C does, and wait for that."""
        if not self.has_ended:
            self._process.terminate()
        self.wait()
