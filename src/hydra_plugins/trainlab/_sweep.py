"""A sweep of trainings: check, plan, run and report."""

import gc
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from multiprocessing import RawArray
from pathlib import Path
from typing import Any, cast

import torch
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, JobRuntime, JobStatus
from omegaconf import OmegaConf

import trainlab.run  # noqa: F401  here, so that the jobs' processes start with it
from hydra_plugins.trainlab._jobs import Jobs, describe_error, numbered, write_output_to
from trainlab.cli import SweepFailed, explain
from trainlab.config.compose import as_typed
from trainlab.config.construct import construct
from trainlab.config.loader import texts_parsed_once
from trainlab.console import output, say, say_error, status_line
from trainlab.loggers.hyperparameters import SWEPT_VARIABLE, pass_swept
from trainlab.processes import count_cores, run_forked
from trainlab.programs import command_line, same_command, tensorboard_line
from trainlab.report import analyze, answer_text, find_runs, groups_table, runs_table, write_report
from trainlab.runs.files import describe_os_error
from trainlab.sweep.check import Earlier, aliases, check_job, describe_aliases, describe_mistakes, same_folders
from trainlab.sweep.executors.executor import LEAVE, Executor, Program
from trainlab.sweep.folder import sweep_folder_lock
from trainlab.sweep.outcome import WAITING
from trainlab.sweep.plan import RUN, Item, Job, plan
from trainlab.sweep.preview import describe_jobs, describe_plan
from trainlab.sweep.progress import summary, watcher
from trainlab.sweep.resources import Memory, gpu_memory, host_memory
from trainlab.sweep.run_items import run_items
from trainlab.sweep.source import Source
from trainlab.sweep.state import State
from trainlab.tasks.metrics import key_of
from trainlab.training.length import one_batch_notes

_JOBS_PER_CHECK = 25  # number that justifies another process


def launch_trainings(
    jobs: Jobs,
    job_overrides: Sequence[Sequence[str]],
    *,
    at_once: int | None,
    on_failure: str,
    retry_failed: bool,
    most_together: int | None,
    reports: bool,
    shared: Collection[str] | None,
    detach: bool = False,
    source: Source | None = None,
    follow: Callable[[Callable[[str], object]], object] = lambda say: None,
) -> list[JobReturn]:
    """Run all jobs that have not ended; returns one JobReturn per job, in order. Settings: see `ProcessLauncher`.

    With a ``source``, its jobs are run in the place of ``job_overrides``.

    Raises:
        SweepFailed: jobs are invalid, or another sweep uses the folder; none was started.
        KeyboardInterrupt: the sweep was interrupted.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # handled like Ctrl-C, so that everything is cleaned up
    executor = _executor(jobs)
    with sweep_folder_lock(jobs.sweep_dir):
        given = source.first() if source else numbered(job_overrides)
        jobs = jobs.with_folders(given, shared)
        found, gpus, gpu_bytes = checked(jobs, given, retry_failed, most_together != 1)
        same = aliases(found) if reports else {}
        runs = [job for job in found if job.number not in same]
        if not source:
            pass_swept([(job.hyperparameters, job.overrides) for job in found])
        program = Program(
            jobs.sweep_dir.absolute(),
            partial(run_jobs, jobs),
            jobs.item_command,
            str(jobs.config.name),
            {SWEPT_VARIABLE: os.environ[SWEPT_VARIABLE]},
            say,
            detach,
        )
        attached = executor.attach(program, runs)
        submitted = [one.item for one in attached]
        like = [replace(source.sample, todo=RUN)] * source.total if source else runs
        items, slots, gpus = _planned(executor, runs, at_once, most_together, gpus, gpu_bytes, submitted, like)
        state = State(runs, slots, [*submitted, *items], source.left if source else None)

        def more(room: int) -> list[Item] | None:
            follow(watch.say)
            return _added(source, room, jobs, shared, state, retry_failed) if source else []

        watch = watcher(state)
        program = replace(program, say=watch.say)
        try:
            notes = one_batch_notes(jobs.config.trainer) if reports else []
            for line in [*notes, *describe_aliases(same, found)]:
                watch.say(line)
            if attached:
                watch.say(f"{sum(len(item.jobs) for item in submitted)} jobs were submitted before")
            if most_together != 1 and len(state.waiting) > 1 and items:
                watch.say(describe_plan(items, runs, min(slots, len(items))))
            with executor.opened(program, slots, gpus) as notices:
                interrupted = run_items(
                    items, executor, state, notices, on_failure == "stop", watch, attached, detach, more
                )
        finally:
            watch.close()
        message = "" if interrupted or detach else _describe_failures(jobs, state)
        if reports:
            if message:
                say_error(f"error: {message}")  # before the results, which are what is read at the end
            report_on([job.folder for job in runs], jobs.sweep_dir)
    if interrupted:
        does = "shows how far they are" if executor.on_interrupt == LEAVE else "resumes from here"
        say_error(f"interrupted: {summary(state)}; {_same_command(jobs)} {does}")
        raise KeyboardInterrupt
    if detach:
        say(f"{summary(state)}; {_same_command(jobs)} shows how far they are, with sweep.detach=false until they end")
    failure = SweepFailed(message, is_said=reports)
    every = found if source is None else state.jobs
    return _returns(jobs, state, {job: same.get(job.number, job.number) for job in every}, failure, detach)


def _added(
    source: Source, room: int, jobs: Jobs, shared: Collection[str] | None, state: State, retry_failed: bool
) -> list[Item] | None:
    """Items of new jobs of a ``source``, which are added to the sweep; None if it is to be asked again."""
    new = source.more(room, state.outcomes)
    if not new:
        return None if new is None else []
    cast(dict[int, str], jobs.folders).update(jobs.with_folders(new, shared).folders)
    try:
        found, *_ = checked(jobs, new, retry_failed, measure=False, shows=False)
    except SweepFailed as failure:
        if not failure.mistakes:
            raise
        source.refuse(failure.mistakes)
        return None
    items = plan(found, most=1)
    state.add(found, items)
    return items


def print_plan(
    jobs: Jobs,
    job_overrides: Sequence[Sequence[str]],
    at_once: int | None,
    retry_failed: bool,
    most_together: int | None,
) -> None:
    """Check all jobs and print what `launch_trainings` would do with each, and the plan. Writes nothing.

    Raises:
        SweepFailed: jobs are invalid.
    """
    sweep_dir = jobs.sweep_dir  # a name that is the time is fixed here, before other processes compose
    jobs = jobs.with_folders(job_overrides)
    found, gpus, gpu_bytes = checked(jobs, job_overrides, retry_failed, most_together != 1)
    same = aliases(found)
    runs = [job for job in found if job.number not in same]
    items, slots, _ = _planned(_executor(jobs), runs, at_once, most_together, gpus, gpu_bytes)
    lines = [*one_batch_notes(jobs.config.trainer), *describe_aliases(same, found), *describe_jobs(runs)]
    if items:
        lines.append(describe_plan(items, runs, min(slots, len(items)), whole=True))
    print("\n".join([*lines, f"dry run: nothing was trained or written; runs would be in {sweep_dir}"]))


def _executor(jobs: Jobs) -> Executor[Any]:
    """The one that `sweep.executor` names.

    Raises:
        ValueError: a setting of it is invalid.
    """
    settings = OmegaConf.to_container(jobs.config.sweep.executor, resolve=True)
    executor = construct({"sweep": {"executor": settings}}, "sweep.executor")
    assert isinstance(executor, Executor)
    return executor


def _planned(
    executor: Executor[Any],
    runs: Sequence[Job],
    at_once: int | None,
    most_together: int | None,
    gpus: int,
    gpu_bytes: int | None,
    submitted: Sequence[Item] = (),
    like: Sequence[Job] | None = None,
) -> tuple[list[Item], int, int]:
    """The items of the jobs that are in none yet, how many run at the same time at most, and the GPUs of all.

    ``like`` are the jobs by which the latter two are decided, if more are to come.
    """
    slots, memory, gpus = executor.capacity(like or runs, Memory(host_memory(), gpu_bytes), gpus)
    taken = {job.number for item in submitted for job in item.jobs}
    left = [job for job in runs if job.number not in taken]
    return plan(left, most_together, memory, at_once or slots, gpus), at_once or slots, gpus


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
    gpus_elsewhere = _executor(jobs).gpus_elsewhere
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


Checked = tuple[list[Job], dict[int, tuple[int, str]], int, int | None]


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
) -> Checked:
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
        except Exception as error:
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


def run_jobs(jobs: Jobs, item: Item) -> dict[int, dict[str, str]]:
    """In the item's process: run its jobs with output to their logs. Returns errors by job number."""
    if len(item.jobs) > 1:
        from hydra_plugins.trainlab._population import train_together

        return train_together(jobs, item)
    (job,) = item.jobs
    try:
        job.folder.mkdir(parents=True, exist_ok=True)
        write_output_to(job.folder / f"{jobs.config.hydra.job.name}.log")
        overrides = [*job.overrides, *jobs.quiet()]
        if job.devices > 1:
            _run_command(jobs.command(overrides, job.folder))
            return {}
        returned = jobs.run(overrides, job.number)
    except Exception as error:
        return {job.number: describe_error(error)}
    return {job.number: describe_error(returned._return_value)} if returned.status is JobStatus.FAILED else {}


def _run_command(command: Sequence[str]) -> None:
    """Run a command and exit with its status. Lightning repeats the command line for each further device.

    Ctrl-C reaches all processes of the group; this one only waits for the others.
    """
    signal.signal(signal.SIGINT, lambda *_: None)  # not SIG_IGN, which the command would inherit
    status = subprocess.run(command).returncode
    if status < 0:
        signal.signal(-status, signal.SIG_DFL)
        signal.raise_signal(-status)
    sys.exit(status)


def report_on(folders: Sequence[Path], sweep_dir: Path) -> None:
    """Print tables of the runs in ``folders`` and of the groups, and which is best, and write the sweep's report."""
    folders = [folder for folder in folders if (folder / "result.json").exists()]
    if not folders:
        return
    console = output()
    found, own = find_runs([sweep_dir]), {folder.resolve() for folder in folders}
    console.print(runs_table([run for run in found if run.folder.resolve() in own], Path.cwd(), console.width))
    try:
        findings = analyze([sweep_dir], found)
        console.print(groups_table(findings))
        for note in findings.notes():
            say(note)
        console.print(answer_text(findings))
        say(f"report: {write_report([sweep_dir], None, findings)}")
    except OSError as error:  # the report can be written later, as the runs are on disk
        reason = describe_os_error(error, "--output-dir")
        say_error(f"no report: {reason}; {command_line('report')} {sweep_dir} writes it")
    if line := tensorboard_line(sweep_dir.absolute(), folders):
        say(line, wraps=False)


def _describe_failures(jobs: Jobs, state: State) -> str:
    """Number of jobs by status, and what can be done about those that have not completed; "" if all have."""
    outcomes = {outcome.status for outcome in state.outcomes.values()}
    messages = []
    if outcomes & {WAITING, "interrupted"}:
        messages.append(f"{_same_command(jobs)} resumes from here")
    if "failed" in outcomes:
        messages.append(f"{_same_command(jobs, 'sweep.retry_failed=true')} retries failed runs")
    if "diverged" in outcomes:
        messages.append("diverged runs are not retried; their messages say what to change")
    return "; ".join([summary(state), *messages]) if messages else ""


def _returns(
    jobs: Jobs, state: State, runs: Mapping[Job, int], failure: SweepFailed, detach: bool = False
) -> list[JobReturn]:
    """Returns for Hydra's sweepers: the objective of each job, or the one ``failure`` of the sweep.

    ``runs`` maps each job to the number of its run, which aliases share. A sweep that was detached has not failed.
    """
    returns, objective = [], key_of(jobs.config.sweep.objective)
    for job, number in runs.items():
        outcome = state.outcomes[number]
        completed = detach or outcome.status in ("completed", "debug", "pruned")
        returned = JobReturn(
            overrides=list(job.overrides),
            working_dir=str(Path.cwd()),
            task_name=JobRuntime.instance().get("name"),
            status=JobStatus.COMPLETED if completed else JobStatus.FAILED,
        )
        returned.return_value = outcome.metrics.get(objective) if completed else failure
        returns.append(returned)
    return returns


def _same_command(jobs: Jobs, *more: str) -> str:
    """The command that resumes the sweep."""
    return same_command(as_typed(jobs.config.hydra.overrides.task), str(jobs.config.name), *more)
