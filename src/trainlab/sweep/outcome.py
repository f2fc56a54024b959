"""What became of a job, and the record of it where the job could not make one itself."""

import contextlib
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainlab.processes import INTERRUPTED
from trainlab.runs.files import write_atomically
from trainlab.runs.result import Result, folder_of_result
from trainlab.sweep.plan import Job

WAITING = "waiting"


@dataclass(frozen=True)
class Outcome:
    """A job's end.

    Attributes:
        status: that of `result.json`, or WAITING.
        metrics: those of `result.json`.
        total_s: all seconds spent on it, in earlier sweeps too.
        reason: of a failure, a line.
    """

    status: str
    metrics: dict[str, Any]
    total_s: float | None = None
    reason: str = ""

    @property
    def failed(self) -> bool:
        """Whether it has come to a bad end, and not just to none."""
        return self.status in ("failed", "diverged")


def on_disk(folder: Path) -> bytes | None:
    """Content of `result.json`."""
    path = folder / "result.json"
    return path.read_bytes() if path.exists() else None


def recorded_outcome(folder: Path) -> Outcome:
    """What `result.json` says."""
    try:
        result = Result.read(folder)
    except ValueError as error:
        return Outcome("failed", {}, reason=str(error))
    return _outcome(result) if result else Outcome(WAITING, {})


def settle(job: Job, before: bytes | None, status: int, error: dict[str, str] | None, stopped: bool) -> Outcome:
    """The outcome of a job whose process has ended, recorded if the process has not done so.

    Args:
        job: the job.
        before: content of its `result.json` before it started.
        status: exit status of the process, negative for a signal's number.
        error: type, message and traceback of the exception that ended it, where it is known.
        stopped: whether it was told to end.
    """
    folder = folder_of_result(job.folder, job.fingerprint)
    told = on_disk(folder) != before
    earlier = None
    with contextlib.suppress(ValueError):
        earlier = Result.read(folder)
    if told and earlier and earlier.status != "running":
        return _outcome(earlier)
    interrupted = error is None and (stopped or status == INTERRUPTED)
    if interrupted and not (told and earlier):
        is_its_own = earlier and earlier.fingerprint == job.fingerprint
        return recorded_outcome(folder) if is_its_own else Outcome(WAITING, {})  # it had not begun
    of_another = earlier is not None and earlier.fingerprint != job.fingerprint and earlier.status == "completed"
    result = Result("failed", job.fingerprint, list(job.overrides)) if of_another or not earlier else earlier
    result.status = "interrupted" if interrupted else "failed"
    if not interrupted:
        result.error = {"type": "Killed" if status < 0 else "Exit", "message": how_it_ended(status)}
        if error:
            result.error = error | {"traceback": str(job.folder / "traceback.txt")}
    with contextlib.suppress(OSError):  # no room on the disk; the sweep's table says it all the same
        if error and not of_another:
            write_atomically(folder / "traceback.txt", error["traceback"].encode())
    with contextlib.suppress(OSError):
        if not of_another:
            result.write(folder)
    return _outcome(result)


def _outcome(result: Result) -> Outcome:
    reason = (result.error or {}).get("message", "").strip().partition("\n")[0]
    return Outcome(result.status, result.metrics, result.time.get("total_s"), reason)


def how_it_ended(status: int) -> str:
    """An exit status in words."""
    if status >= 0:
        return f"its process ended with exit status {status} before it was done; train.log may say why"
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = "unknown"
    usual = "; out of memory is the usual reason" if -status == signal.SIGKILL else ""
    return f"killed by signal {-status} ({name}){usual}"
