"""The check of all jobs of a sweep before the first one starts, in other processes."""

import gc
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from multiprocessing import RawArray
from typing import Any

import torch
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf

from hydra_plugins.trainlab._jobs import Jobs, numbered
from trainlab.cli import SweepFailed, explain
from trainlab.config.construct import construct
from trainlab.config.loader import texts_parsed_once
from trainlab.console import status_line
from trainlab.processes import count_cores, run_forked
from trainlab.sweep.check import Earlier, aliases, check_job, describe_mistakes, same_folders
from trainlab.sweep.executors.executor import Executor
from trainlab.sweep.plan import Job
from trainlab.sweep.resources import gpu_memory

_JOBS_PER_CHECK = 25  # number that justifies another process


def checked(
    jobs: Jobs,
    job_overrides: Sequence[Sequence[str]] | Mapping[int, Sequence[str]],
    retry_failed: bool,
    measure: bool,
    shows: bool = True,
) -> tuple[list[Job], int, int | None]:
    """All jobs, the number of GPUs and, with ``measure``, their memory. ``shows``: how far it is, on a terminal.

    Runs in other processes, as this one must not initialize torch.

    Raises:
        SweepFailed: jobs are invalid.
    """
    by_number = numbered(job_overrides)
    numbers = [*by_number]
    gpus_elsewhere = executor_of(jobs).gpus_elsewhere
    ways = max(1, min(count_cores(), len(numbers) // _JOBS_PER_CHECK))
    made = RawArray("q", ways)  # jobs that each process has checked: 0.1 to 0.2 s per job
    checks = [
        partial(
            _check, jobs, by_number, numbers[i::ways], retry_failed, measure, gpus_elsewhere, partial(_count, made, i)
        )
        for i in range(ways)
    ]

    def show() -> None:
        if shows:
            status_line.show(f"composing and checking {len(numbers)} jobs: {sum(made)} done")

    found: list[Job] = []
    mistakes: dict[int, str] = {}
    statuses, gpus = set[int](), 0
    measured: list[int] = []
    for process in run_forked(checks, ways, show):
        if process.returned is None:
            raise SweepFailed("the check of the jobs was killed; none was started")
        fine, wrong, gpus, gpu_bytes = process.returned
        found += fine
        measured += [gpu_bytes] if gpu_bytes is not None else []
        mistakes |= {number: message for number, (_, message) in wrong.items()}
        statuses |= {status for status, _ in wrong.values()}
    if shows:
        status_line.clear()
    found.sort(key=lambda job: job.number)
    same = aliases(found)
    mistakes |= same_folders([job for job in found if job.number not in same])
    if mistakes:
        places = {numbers.index(number): message for number, message in mistakes.items()}
        raise SweepFailed(describe_mistakes(places, [*by_number.values()]), max(statuses, default=2), mistakes)
    return found, gpus, max(measured, default=None)  # every check uses some memory itself


def _count(made: Any, i: int) -> None:
    made[i] += 1


@texts_parsed_once()
def _check(
    jobs: Jobs,
    job_overrides: Mapping[int, Sequence[str]],
    numbers: Sequence[int],
    retry_failed: bool,
    measure: bool,
    gpus_elsewhere: int | None,
    count: Callable[[], object],
) -> tuple[list[Job], dict[int, tuple[int, str]], int, int | None]:
    """In another process: valid jobs, exit status and message of the others, number of GPUs and their memory."""
    gc.freeze()  # what libraries have made is garbage of no job, and would be looked at again and again
    torch.set_num_threads(1)  # the others of a check would wait most of the time, which takes CPU time, too
    found, mistakes = [], {}
    earlier = Earlier()
    sweep_dir = jobs.sweep_dir.absolute()
    for number in numbers:
        overrides = job_overrides[number]
        try:
            cfg = jobs.run_config(overrides, number)
            job = check_job(cfg, number, overrides, retry_failed, earlier, gpus_elsewhere)
            if not job.folder.is_relative_to(sweep_dir):
                raise ValueError("name and output_dir apply to the whole sweep; give one value for each")
            found.append(replace(job, ineligible_reason=job.ineligible_reason or _needs_a_process()))
        except Exception as error:  # all mistakes are listed together; a bug is one of them, with its traceback
            mistakes[number] = _explained(error, overrides)
        count()
    on_gpus = gpus_elsewhere is None and any(job.on_gpu for job in found)
    return found, mistakes, torch.cuda.device_count(), gpu_memory() if measure and on_gpus else None


def _needs_a_process() -> str:
    """Why the job whose Hydra config is set cannot share a process with others; "" if it can."""
    of_hydra = HydraConfig.get()
    if of_hydra.callbacks:
        return "hydra.callbacks are called for one job of a process"
    if of_hydra.job.chdir or of_hydra.job.env_set:
        return f"hydra.job.{'chdir' if of_hydra.job.chdir else 'env_set'} holds for a whole process"
    return ""


def _explained(error: Exception, overrides: Sequence[str]) -> tuple[int, str]:
    try:
        status, message = explain(error, overrides)
    except Exception:
        return 1, "".join(traceback.format_exception(error)).rstrip()  # a bug: show all of it
    return status, message.removeprefix("error: ")


def executor_of(jobs: Jobs) -> Executor[Any]:
    """The one that `sweep.executor` names.

    Raises:
        ValueError: a setting of it is invalid.
    """
    settings = OmegaConf.to_container(jobs.config.sweep.executor, resolve=True)
    executor = construct({"sweep": {"executor": settings}}, "sweep.executor")
    assert isinstance(executor, Executor)
    return executor
