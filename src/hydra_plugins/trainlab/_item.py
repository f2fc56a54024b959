"""An item of a sweep in a process of its own, which was not forked from that of the sweep."""

import contextlib
import os
import signal
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from hydra_plugins.trainlab._jobs import Jobs
from hydra_plugins.trainlab._run_jobs import run_jobs
from trainlab.ending import ending
from trainlab.processes import INTERRUPTED, THREADS
from trainlab.runs.heartbeat import wait_for
from trainlab.runs.notices import notify
from trainlab.runs.starts import note_start, starts_in_a_row
from trainlab.sweep import slurm_job
from trainlab.sweep.items import ItemFolder
from trainlab.sweep.outcome import has_ended
from trainlab.sweep.plan import RUN, Item, Job


def run_item(
    files: ItemFolder,
    about: Mapping[str, Any],
    hydra_context: HydraContext,
    task_function: TaskFunction,
    config: DictConfig,
) -> int:
    """Run the jobs of an item and record how it has ended. Returns the exit status.

    An item that the scheduler ends before its jobs have ended is cut short: SLURM starts it again, or the sweep does.
    Of several processes of an item the latest one records its end.
    """
    with contextlib.suppress(OSError):
        os.setsid()  # Ctrl-C at the terminal is the sweep's, and its end is not this one's
    signal.signal(signal.SIGINT, signal.default_int_handler)
    files.write_started()  # before it is looked whether it may start: the sweep does the same in the other order
    if files.is_removed:
        files.remove()  # which has made the folder anew
        return INTERRUPTED
    if files.is_forbidden:
        files.write_ended(INTERRUPTED, {}, cut_short=True)  # a sweep that goes on has it run again
        return INTERRUPTED
    item, jobs = _item(about), Jobs(hydra_context, task_function, config, 0)
    names = {job.number: str(job.folder.relative_to(jobs.sweep_dir)) for job in item.jobs}
    jobs = Jobs(hydra_context, task_function, config, 0, names)
    torch.set_num_threads(int(about["environment"][THREADS]))
    for job in item.jobs:
        note_start(job.folder)
    status, errors = 0, dict[int, dict[str, str]]()
    try:
        with ending.heeded_by(_end_now):
            if ending.at_s is not None:
                raise KeyboardInterrupt
            # An earlier process of this item may live though the scheduler has given it up, as where a slurmd was lost.
            wait_for([job.folder for job in item.jobs], for_ends=True, on_wait=partial(notify, str(files.path)))
            errors = run_jobs(jobs, item)
    except KeyboardInterrupt:
        status = INTERRUPTED
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
    folders = {job.number: str(job.folder) for job in item.jobs}
    cut_short = status != 0 and ending.at_s is not None
    left = [job for job in item.jobs if not has_ended(job, about["before"][str(job.folder)])]
    starts = max((starts_in_a_row(job.folder) for job in left), default=0)
    if cut_short and starts > about["restarts"]:
        reason = f"started {starts} times without a new checkpoint; give it more time, or smaller epochs"
        files.write_ended(INTERRUPTED, {}, reason=reason)
    elif not (cut_short and slurm_job.job_id()):
        files.write_ended(status, {folders[number]: error for number, error in errors.items()}, cut_short)
    elif not ending.by_user_signal:
        files.write_saved()  # SLURM knows whether the job is cancelled, or starts again
    else:
        files.leave_to_another()  # before it is, and this process is killed
        if not slurm_job.requeue():
            files.write_started()  # or its end would not be recorded
            files.write_ended(status, {}, cut_short)
    return status


def _end_now(left_s: float) -> None:
    raise KeyboardInterrupt


def _item(about: Mapping[str, Any]) -> Item:
    """As far as it is needed to run it."""
    return Item(
        tuple(
            Job(
                job["number"],
                tuple(job["overrides"]),
                Path(job["folder"]),
                job["fingerprint"],
                RUN,
                devices=job["devices"],
                settings=dict.fromkeys(job["settings"]),
            )
            for job in about["jobs"]
        )
    )
