"""Hyperparameter search: trials, in batches or each as there is room for it, run by the launcher."""

import contextlib
import shlex
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from hydra.core.override_parser.types import Override
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from omegaconf import OmegaConf
from optuna.exceptions import StorageInternalError
from optuna.trial import FrozenTrial

from hydra_plugins.trainlab._check import checked
from hydra_plugins.trainlab._jobs import Jobs
from hydra_plugins.trainlab._space import longest_trial, space_of, without_aliases
from hydra_plugins.trainlab._sweep import report_on
from trainlab.cli import SweepFailed
from trainlab.config.overrides import in_quotes
from trainlab.console import say
from trainlab.loggers.hyperparameters import pass_swept
from trainlab.programs import command_words
from trainlab.runs.fingerprint import is_debug_run, training_overrides
from trainlab.runs.result import Result
from trainlab.sweep.folder import folder_lock
from trainlab.sweep.outcome import recorded_outcome
from trainlab.sweep.plan import KEEP, Job
from trainlab.sweep.study import Settings, Study, reason_of, status_of
from trainlab.sweep.study_storage import Database
from trainlab.sweep.study_summary import describe_progress, write_summary
from trainlab.sweep.trials import REQUESTS, Judge, Patience, Trials, record
from trainlab.tasks.metrics import Metric, key_of

if TYPE_CHECKING:
    from hydra_plugins.trainlab.launcher import ProcessLauncher

_LEASE = ".study.lease"
_MAX_REASONS = 3  # of failures that are listed


def search(
    launcher: Launcher,
    overrides: Sequence[Override],
    settings: Settings,
    batch: int | None,
    database: Database | None,
) -> list[JobReturn]:
    """Run trials until ``settings.trials`` is reached or all combinations have been tried.

    Results are read from the runs' folders, so none is lost if this process is killed.

    Args:
        launcher: of the sweep.
        overrides: of the command line.
        settings: of the search.
        batch: trials that are launched together; None to launch each as soon as there is room for it.
        database: that the study is stored in; None for a journal in the folder of the sweep.

    Raises:
        ValueError: the settings are invalid, or the folder holds another search; no trial was started.
        SweepFailed: values are invalid, and no trial was started; or trials failed, or none was completed.
        KeyboardInterrupt: the search was interrupted.
    """
    from hydra_plugins.trainlab.launcher import ProcessLauncher  # Hydra may have imported the module again

    if not isinstance(launcher, ProcessLauncher) or not launcher.trainings:
        raise SweepFailed("hydra/sweeper=optuna needs hydra/launcher=trainlab; leave out hydra/launcher=")
    if is_debug_run(cast(dict[str, Any], OmegaConf.to_container(launcher.config))):
        raise SweepFailed(
            "a search cannot use debug runs, which have no results; leave out debug=, fast_dev_run and overfit_batches"
        )
    if launcher.dry_run:
        raise SweepFailed("a search has no plan in advance: results decide what it tries next; leave out sweep.dry_run")
    if launcher.detach:
        raise SweepFailed("a search needs the results of its trials to continue; leave out sweep.detach")
    if batch is None and launcher.most_together not in (None, 1):
        raise SweepFailed(
            f"asynchronous trials are trained solo, got sweep.population={launcher.most_together}; leave it out", 2
        )
    launcher.reports = False
    jobs = Jobs(launcher.hydra_context, launcher.task_function, launcher.config, 0)
    space = space_of(overrides)
    settings = replace(settings, max_epochs=longest_trial(settings, space))
    corners = list(space.corners())
    overrides_of = [space.overrides(params) for params in corners]
    jobs = jobs.with_folders(overrides_of, space.fixed)
    found, *_ = checked(
        jobs, overrides_of, retry_failed=False, measure=False
    )  # checks all values that are known in advance
    settings = replace(settings, metric=_metric_of(settings.objective, found))
    if any(job.settings.get("trainer.limit_val_batches") == 0 for job in found):
        raise ValueError(f"a search needs validation for its {settings.objective}; set trainer.limit_val_batches=1.0")
    space = without_aliases(space, corners, found)
    with folder_lock(jobs.sweep_dir, _LEASE, "search") as lease, _explained(database):
        study = Study(jobs.sweep_dir, space, settings, database, lease.check)
        launcher.shared = study.space.fixed
        if launcher.retry_failed:
            study.retry_failed()
        try:
            if batch:
                returns = _in_batches(study, launcher, batch)
            else:
                pass_swept([(job.hyperparameters, job.overrides) for job in found])
                sample = next((job for job in found if job.todo != KEEP), found[0])
                returns = _as_there_is_room(study, launcher, sample)
        finally:
            report_on(study.folders_of(study.trials()), study.folder)
        _say_best(study)
        _raise_failures(study)
        return returns


@contextlib.contextmanager
def _explained(database: Database | None) -> Iterator[None]:
    """Name the ``database`` in errors of it, and leave out what may be a part of its URL."""
    try:
        yield
    except StorageInternalError as error:
        if not database:
            raise
        reason = database.reason(error)
        raise SweepFailed(
            f"the database of {database.variable} does not answer ({reason}); the same command resumes from here"
        ) from None


def _metric_of(objective: str, jobs: Sequence[Job]) -> Metric:
    """The metric that all ``jobs`` have under the name ``objective``.

    Raises:
        ValueError: they do not.
    """
    found = {metric for job in jobs for metric in job.metrics.every if metric.key == key_of(objective)}
    if {metric.mode for metric in found} not in ({"min"}, {"max"}):
        raise ValueError(
            f"the objective must be a metric that all trials have, better in the same direction, got {objective}; "
            "set sweep.objective"
        )
    return found.pop()


def _in_batches(study: Study, launcher: "ProcessLauncher", batch: int) -> list[JobReturn]:
    judge, patience = Judge(study), Patience(study)
    returns: list[JobReturn] = []
    while trials := patience.wait_for(partial(study.next, batch)):
        by_number = dict(zip((trial.number for trial in trials), study.folders_of(trials), strict=True))
        launcher.follow = partial(_prune, judge, patience, by_number)
        try:
            returns += launcher.launch([_job(study, trial) for trial in trials], trials[0].number)
        except SweepFailed as failure:
            if not failure.mistakes:
                raise
            for index, message in failure.mistakes.items():
                study.tell(trials[index], Result("failed", "", [], error={"message": message}))
            continue
        finally:
            patience.say = say
            patience.wait_for(partial(_record, study, judge))  # runs may have ended, with a result
            say(describe_progress(study))
        _check_is_through(study, launcher, {trial.number for trial in trials})
    return returns


def _prune(judge: Judge, patience: Patience, running: Mapping[int, Path], say: Callable[[str], object]) -> None:
    patience.say = say
    patience.attempt(partial(judge.look, running))


def _record(study: Study, judge: Judge) -> bool:
    """Record the results in the folders of running trials."""
    running = study.running()
    folders = zip((trial.number for trial in running), study.folders_of(running), strict=True)
    record(study, judge, {number: recorded_outcome(folder) for number, folder in folders})
    write_summary(study)
    return True


def _as_there_is_room(study: Study, launcher: "ProcessLauncher", sample: Job) -> list[JobReturn]:
    """Run trials of which each begins when another one has ended; ``sample`` is a job like theirs."""
    launcher.most_together = 1
    trials = Trials(study, sample, partial(_job, study))
    launcher.source, launcher.follow = trials, trials.follow
    returns: list[JobReturn] = []
    before = {trial.number for trial in study.trials() if status_of(trial) != "running"}
    try:
        while trials.first():
            try:
                returns += launcher.launch([], 0)
                break
            except SweepFailed as failure:
                if not failure.mistakes:
                    raise
                trials.refuse(failure.mistakes)
    finally:
        trials.close()
        say(describe_progress(study))
    _check_is_through(study, launcher, {trial.number for trial in study.trials()} - before)
    return returns


def _check_is_through(study: Study, launcher: "ProcessLauncher", numbers: Collection[int]) -> None:
    """Raise SweepFailed if a failure, or an interruption, among the trials of such numbers ends the search."""
    failed = {trial.number for trial in study.trials() if status_of(trial) in ("diverged", "failed")}
    if launcher.on_failure == "stop" and failed & {*numbers}:
        raise SweepFailed("a failure stopped the search; the same command resumes from here")
    if running := study.running():
        raise SweepFailed(
            f"{len(running)} trial{'s' * (len(running) > 1)} of the search did not end; the same command resumes from "
            "here"
        )


def _job(study: Study, trial: FrozenTrial) -> list[str]:
    """Overrides of a trial's run, with access to the study if trials are pruned."""
    settings = study.settings
    if settings.pruner == "none":
        return study.overrides(trial)
    if study.database:
        about = f"{{requests:{in_quotes(str((study.folder / REQUESTS).absolute()))},number:{trial.number}}}"
        return [*study.overrides(trial), f"sweep.trial={about}"]
    about = f"{{journal:{in_quotes(str(study.journal.absolute()))},number:{trial.number},pruner:{settings.pruner},"
    return [*study.overrides(trial), f"sweep.trial={about}max_epochs:{settings.max_epochs}}}"]


def _say_best(study: Study) -> None:
    """Print number, folder and command of the best trial."""
    if best := study.best():
        command = shlex.join([*command_words("train"), *training_overrides(study.overrides(best))])
        summary = f"best: trial {best.number}, {study.metric.label} {study.metric.format(best.values[0])}"
        (folder,) = study.folders_of([best])
        say(f"{summary}\n  in {folder}\n  again: {command}")


def _raise_failures(study: Study) -> None:
    """Raise SweepFailed for failed trials, but not for diverged ones, or if none was completed."""
    failed = [trial for trial in study.trials() if status_of(trial) == "failed"]
    if failed:
        reasons = "; ".join(f"trial {trial.number}: {reason_of(trial)}" for trial in failed[:_MAX_REASONS])
        more = f"; and {len(failed) - _MAX_REASONS} more" if len(failed) > _MAX_REASONS else ""
        again = "the same command with sweep.retry_failed=true retries them"
        raise SweepFailed(f"{len(failed)} of {len(study.trials())} trials failed ({reasons}{more}); {again}")
    if not study.best():
        raise SweepFailed("no trial was completed; search over lower values of optim.lr")
