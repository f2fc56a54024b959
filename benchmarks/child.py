"""A command run to its end: what it printed, how long it took, how much memory it had."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


class Failed(RuntimeError):
    """A command did not do what it was started for; the message says why in a line."""


@dataclass(frozen=True)
class Finished:
    """A command that ended well.

    Attributes:
        output: its standard output.
        peak_bytes: the largest resident set it had.
        cpu_s: seconds of the processor, of it and of the processes that it has waited for.
    """

    output: str
    peak_bytes: int
    cpu_s: float


def run_child(command: Sequence[str | Path], environment: Mapping[str, str]) -> Finished:
    """Run ``command`` with ``environment`` on top of this process's own; a child never outlives the call.

    Raises:
        Failed: the command cannot be started, or its exit status is not 0.
    """
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        try:
            process = subprocess.Popen(
                [str(part) for part in command],
                env=os.environ | environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
        except OSError as error:
            raise Failed(str(error)) from None
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        if process.returncode != 0:
            lines = [line.strip() for line in err if line.strip()]
            raise Failed(lines[-1][:200] if lines else f"exit status {process.returncode}")
        # Linux counts in kilobytes, macOS in bytes.
        unit = 1 if sys.platform == "darwin" else 1024
        return Finished(out.read(), usage.ru_maxrss * unit, usage.ru_utime + usage.ru_stime)
