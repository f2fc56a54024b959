"""A sweep of trainings: plan, run and report, once its jobs are checked."""

import os
import signal
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, cast

from hydra.core.utils import JobReturn, JobRuntime, JobStatus

from hydra_plugins.trainlab._check import checked, executor_of
from hydra_plugins.trainlab._jobs import Jobs, numbered
from hydra_plugins.trainlab._run_jobs import run_jobs  # here, so that forked processes start with what it needs
from trainlab.cli import SweepFailed
from trainlab.config.compose import as_typed
from trainlab.console import output, say, say_error
from trainlab.loggers.hyperparameters import SWEPT_VARIABLE, pass_swept
from trainlab.programs import command_line, same_command, tensorboard_line
from trainlab.report import analyze, answer_text, find_runs, groups_table, runs_table, write_report
from trainlab.runs.files import describe_os_error, read_listed
from trainlab.runs.result import RESULT
from trainlab.sweep.check import aliases, describe_aliases
from trainlab.sweep.executors.executor import LEAVE, Executor, Program
from trainlab.sweep.folder import sweep_folder_lock
from trainlab.sweep.outcome import WAITING
from trainlab.sweep.plan import RUN, Item, Job, plan
from trainlab.sweep.preview import describe_jobs, describe_plan
from trainlab.sweep.progress import summary, watcher
from trainlab.sweep.resources import Memory, host_memory
from trainlab.sweep.run_items import run_items
from trainlab.sweep.source import Source
from trainlab.sweep.state import State
from trainlab.tasks.metrics import key_of
from trainlab.training.length import one_batch_notes


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
    executor = executor_of(jobs)
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
    items, slots, _ = _planned(executor_of(jobs), runs, at_once, most_together, gpus, gpu_bytes)
    lines = [*one_batch_notes(jobs.config.trainer), *describe_aliases(same, found), *describe_jobs(runs)]
    if items:
        lines.append(describe_plan(items, runs, min(slots, len(items)), whole=True))
    print("\n".join([*lines, f"dry run: nothing was trained or written; runs would be in {sweep_dir}"]))


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


def report_on(folders: Sequence[Path], sweep_dir: Path) -> None:
    """Print tables of the runs in ``folders`` and of the groups, and which is best, and write the sweep's report."""
    folders = [folder for folder in folders if read_listed(folder / RESULT) is not None]
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
