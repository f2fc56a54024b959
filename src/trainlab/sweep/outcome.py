"""The outcome of a job, recorded here if the job could not record it itself."""

import contextlib
import hashlib
import signal
from pathlib import Path

from trainlab.passwords import without_passwords
from trainlab.processes import INTERRUPTED
from trainlab.runs.errors import Held, LeaseLost
from trainlab.runs.files import read_listed, write_atomically
from trainlab.runs.folder import run_folder_lock
from trainlab.runs.heartbeat import observe
from trainlab.runs.result import ENDED, Result, folder_of_result
from trainlab.sweep.plan import TEST, Item, Job

WAITING = "waiting"
_WAIT_S = 2.0  # processes that a job has started end a moment after it
_OTHERS = (Held.__name__, LeaseLost.__name__)  # errors of a job in whose folder another process trains


def on_disk(folder: Path) -> str | None:
    """Digest of `result.json`."""
    content = read_listed(folder / "result.json")
    return None if content is None else hashlib.blake2b(content, digest_size=16).hexdigest()


def results_before(item: Item) -> dict[int, str | None]:
    """Digest of the result of each job of an item that is about to be run, by number."""
    return {job.number: on_disk(folder_of_result(job.folder, job.fingerprint)) for job in item.jobs}


def recorded_outcome(folder: Path) -> Result:
    """The outcome in `result.json`; its status is WAITING if there is none, and "failed" if it cannot be read."""
    try:
        return Result.read(folder) or Result(WAITING, "", [])
    except ValueError as error:
        return Result("failed", "", [], error={"message": str(error)})


def has_ended(job: Job, before: str | None) -> bool:
    """Whether a job has ended by itself since its result had the digest ``before``."""
    folder = folder_of_result(job.folder, job.fingerprint)
    return on_disk(folder) != before and recorded_outcome(folder).status in ENDED


def record_outcome(
    job: Job, before: str | None, status: int, error: dict[str, str] | None, stopped: bool, reason: str = ""
) -> Result:
    """The outcome of a job whose process has ended, recorded in `result.json` if the process has not done so.

    Args:
        job: the job.
        before: digest of `result.json` before the job started.
        status: exit status of the process; the negative signal number if it was killed.
        error: type, message and traceback of the exception that ended it, if known.
        stopped: whether the sweep has asked it to stop.
        reason: what is known besides the status, one line.
    """
    folder = folder_of_result(job.folder, job.fingerprint)
    found = on_disk(folder)
    has_written = found != before
    earlier = None
    with contextlib.suppress(ValueError):
        earlier = Result.read(folder)
    is_own = earlier and (job.todo == TEST or earlier.fingerprint == job.fingerprint)  # a test is of any training
    own = earlier if is_own else None
    if has_written and own and own.status != "running":
        if reason and own.status == "interrupted":
            own.error = {"type": "Interrupted", "message": reason}  # which the run could not know
        return own
    interrupted = error is None and (stopped or status == INTERRUPTED)
    if interrupted and not (has_written and own):
        if own:
            return recorded_outcome(folder)
        known = {"type": "Interrupted", "message": reason} if reason else None
        return Result(WAITING, "", [], error=known)  # it had not started
    of_another = earlier is not None and not own and (has_written or earlier.status == "completed")
    result = Result("failed", job.fingerprint, list(job.overrides)) if of_another or not earlier else earlier
    result.status = "interrupted" if interrupted else "failed"
    if interrupted and reason:
        result.error = {"type": "Interrupted", "message": reason}
    if not interrupted:
        if has_written and of_another:
            reason = reason or f"{folder} has the result of a run of other settings; set another name="
        result.error = {"type": "Killed" if status < 0 else "Exit", "message": reason or describe_exit(status)}
        if error:
            result.error = error | {"traceback": str(job.folder / "traceback.txt")}
    # The lease of a run elsewhere takes a minute, in which who has stopped the sweep would wait.
    is_known = not stopped or observe(job.folder) is not None
    if is_known and not of_another and not (error and error["type"] in _OTHERS):
        # A full disk, or another process there: the table of the sweep shows the outcome anyway.
        with contextlib.suppress(OSError, Held), run_folder_lock(job.folder, _WAIT_S):
            if on_disk(folder) == found:
                _write(result, folder, error)
    return result


def _write(result: Result, folder: Path, error: dict[str, str] | None) -> None:
    if error:
        with contextlib.suppress(OSError):  # on a full disk the result is more important
            write_atomically(folder / "traceback.txt", without_passwords(error["traceback"]).encode())
    result.write(folder)


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
