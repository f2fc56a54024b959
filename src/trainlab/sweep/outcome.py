"""The outcome of a job, recorded here if the job could not record it itself."""

import contextlib
import signal
from pathlib import Path

from trainlab.passwords import without_passwords
from trainlab.processes import INTERRUPTED
from trainlab.runs.files import write_atomically
from trainlab.runs.result import Result, folder_of_result
from trainlab.sweep.plan import Job

WAITING = "waiting"


def on_disk(folder: Path) -> bytes | None:
    """Content of `result.json`."""
    path = folder / "result.json"
    return path.read_bytes() if path.exists() else None


def recorded_outcome(folder: Path) -> Result:
    """The outcome in `result.json`; its status is WAITING if there is none, and "failed" if it cannot be read."""
    try:
        return Result.read(folder) or Result(WAITING, "", [])
    except ValueError as error:
        return Result("failed", "", [], error={"message": str(error)})


def record_outcome(job: Job, before: bytes | None, status: int, error: dict[str, str] | None, stopped: bool) -> Result:
    """The outcome of a job whose process has ended, recorded in `result.json` if the process has not done so.

    Args:
        job: the job.
        before: content of `result.json` before the job started.
        status: exit status of the process; the negative signal number if it was killed.
        error: type, message and traceback of the exception that ended it, if known.
        stopped: whether the sweep has asked it to stop.
    """
    folder = folder_of_result(job.folder, job.fingerprint)
    has_written = on_disk(folder) != before
    earlier = None
    with contextlib.suppress(ValueError):
        earlier = Result.read(folder)
    if has_written and earlier and earlier.status != "running":
        return earlier
    interrupted = error is None and (stopped or status == INTERRUPTED)
    if interrupted and not (has_written and earlier):
        is_its_own = earlier and earlier.fingerprint == job.fingerprint
        return recorded_outcome(folder) if is_its_own else Result(WAITING, "", [])  # it had not started
    of_another = earlier is not None and earlier.fingerprint != job.fingerprint and earlier.status == "completed"
    result = Result("failed", job.fingerprint, list(job.overrides)) if of_another or not earlier else earlier
    result.status = "interrupted" if interrupted else "failed"
    if not interrupted:
        result.error = {"type": "Killed" if status < 0 else "Exit", "message": describe_exit(status)}
        if error:
            result.error = error | {"traceback": str(job.folder / "traceback.txt")}
    with contextlib.suppress(OSError):  # the disk is full; the sweep's table shows the outcome anyway
        if error and not of_another:
            write_atomically(folder / "traceback.txt", without_passwords(error["traceback"]).encode())
    with contextlib.suppress(OSError):
        if not of_another:
            result.write(folder)
    return result


def describe_exit(status: int) -> str:
    """Message for an exit status."""
    if status >= 0:
        return f"the process ended early with exit status {status}; see train.log"
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = "unknown"
    usual = "; out of memory is the usual reason" if -status == signal.SIGKILL else ""
    return f"killed by signal {-status} ({name}){usual}"
