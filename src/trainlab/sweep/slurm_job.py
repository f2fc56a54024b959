"""What a process asks SLURM about the job that it runs in."""

import contextlib
import os
import subprocess

_TIMEOUT_S = 3.0
_REQUEUED = ("PENDING", "REQUEUED", "REQUEUE_FED", "COMPLETING", "PREEMPTED")


def job_id() -> str | None:
    """The id of the job that this process runs in; None outside SLURM."""
    if os.environ.get("SUBMITIT_EXECUTOR") != "slurm":
        return None
    array, task = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    return f"{array}_{task}" if array else os.environ.get("SLURM_JOB_ID")


def seconds_left() -> float:
    """Until SLURM ends the job; 0 where that has begun, or SLURM does not say.

    A preempted job has an earlier end, and the time limit of before. All of it is by the clock of SLURM.
    """
    fields = _ask("squeue", "--noheader", f"--jobs={job_id()}", "--format=%T|%S|%M|%e").strip().split("|")
    if fields[0] != "RUNNING":
        return 0.0
    try:
        begun, end = int(fields[1]), int(fields[3])
    except ValueError:
        return 0.0
    return max(0.0, end - begun - seconds(fields[2]))


def requeue() -> bool:
    """Have SLURM start the job again, unless it does so anyway. Returns whether it will."""
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        if subprocess.run(["scontrol", "requeue", str(job_id())], capture_output=True, timeout=60).returncode == 0:
            return True
    return _ask("squeue", "--noheader", f"--jobs={job_id()}", "--format=%T").strip() in _REQUEUED


def seconds(text: str) -> float:
    """Of a time such as "1-02:03:04", "5:00" or "30"; 0 of a text that is none."""
    days, _, clock = text.rpartition("-")
    parts = clock.split(":")
    if not all(part.isdecimal() for part in [*parts, days or "0"]):
        return 0.0
    total = 0
    for part in parts:
        total = 60 * total + int(part)
    return float(86400 * int(days or 0) + total)


def _ask(*command: str) -> str:
    """What a command prints; "" where it fails."""
    # Seconds since 1970: local times may differ by an hour more, and a user's format may be any.
    environment = {**os.environ, "SLURM_TIME_FORMAT": "%s"}
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, env=environment).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""
