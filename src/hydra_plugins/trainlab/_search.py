"""Hyperparameter search: batches of trials, run by the launcher."""

import shlex
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from omegaconf import OmegaConf
from optuna.distributions import CategoricalDistribution
from optuna.trial import FrozenTrial

from hydra_plugins.trainlab._jobs import Jobs
from hydra_plugins.trainlab._sweep import checked, report_on
from trainlab.cli import SweepFailed
from trainlab.config.overrides import in_quotes, swept_values
from trainlab.console import say
from trainlab.programs import command_words
from trainlab.runs.fingerprint import is_debug_run, training_overrides
from trainlab.runs.result import ENDED, Result
from trainlab.sweep.folder import folder_lock
from trainlab.sweep.outcome import recorded_outcome
from trainlab.sweep.plan import Job
from trainlab.sweep.space import Dimension, Params, Space, Value, ends, interval, steps
from trainlab.sweep.study import Settings, Study, reason_of, status_of
from trainlab.tasks.metrics import Metric, key_of

if TYPE_CHECKING:
    from hydra_plugins.trainlab.launcher import ProcessLauncher

_LEASE = ".study.lease"
_MAX_REASONS = 3  # of failures that are listed


def search(launcher: Launcher, overrides: Sequence[Override], settings: Settings, batch: int) -> list[JobReturn]:
    """Run trials until ``settings.trials`` is reached or all combinations have been tried.

    Results are read from the runs' folders at the end of a batch, so none is lost if this process is killed.

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
    launcher.reports = False
    jobs = Jobs(launcher.hydra_context, launcher.task_function, launcher.config, 0)
    space = space_of(overrides)
    settings = replace(settings, max_epochs=_longest(settings, space))
    corners = list(space.corners())
    overrides_of = [space.overrides(params) for params in corners]
    jobs = jobs.with_folders(overrides_of, space.fixed)
    found, *_ = checked(
        jobs, overrides_of, retry_failed=False, measure=False
    )  # checks all values that are known in advance
    settings = replace(settings, metric=_metric_of(settings.objective, found))
    if any(job.settings.get("trainer.limit_val_batches") == 0 for job in found):
        raise ValueError(f"a search needs validation for its {settings.objective}; set trainer.limit_val_batches=1.0")
    space = _without_aliases(space, corners, found)
    with folder_lock(jobs.sweep_dir, _LEASE, "search"):
        return _search(Study(jobs.sweep_dir, space, settings), launcher, batch)


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


def _without_aliases(space: Space, corners: Sequence[Params], jobs: Sequence[Job]) -> Space:
    """The space without choices that give the same run as earlier ones; ``jobs`` are those of its corners."""
    first: dict[str, Params] = {}
    dropped: dict[str, list[Value]] = defaultdict(list)
    for params, job in zip(corners, jobs, strict=True):
        other = first.setdefault(job.identity, params)
        keys = [key for key in params if params[key] != other[key]]
        if len(keys) == 1:
            (key,) = keys
            dropped[key].append(params[key])
            say(f"{key}={params[key]} is the same run as {key}={other[key]} and is skipped")
    return space.without(dropped)


def space_of(overrides: Sequence[Override]) -> Space:
    """The search space of a command line; the last override of a key counts.

    Raises:
        ValueError: no key is searched, or a key cannot be searched.
    """
    parts: dict[str, str | tuple[str, Dimension]] = {}
    affecting = training_overrides([str(override.input_line) for override in overrides])
    affecting = [override.partition("=")[0].lstrip("+") for override in affecting]
    for override in overrides:
        key = override.get_key_element()
        if "." in key and override.is_choice_sweep() and len(values := {*swept_values(override)}) == 1:
            parts[key] = f"{key}={values.pop()}"  # a setting of an option that trials choose
        elif override.is_sweep_override():
            if key.lstrip("+") not in affecting:
                raise ValueError(f"{key} does not affect the training and cannot be searched; give one value")
            parts[key] = (key, _dimension(key, override))
        elif override.is_delete():
            parts[key] = str(override.input_line)
        else:
            parts[key] = f"{key}={override.get_value_element_as_str()}"
    space = Space(tuple(parts.values()))
    if not space.dimensions:
        raise ValueError("a search needs a key to search over, such as 'optim.lr=interval(1e-5,1e-2)' or model=bn,selu")
    return space


def _dimension(key: str, override: Override) -> Dimension:
    value = override.value()
    if isinstance(value, IntervalSweep):
        assert value.start is not None and value.end is not None
        return interval(key, value.start, value.end, value.tags)
    if getattr(value, "tags", None):
        raise ValueError(f"only an interval can have a tag, got {override.input_line}; set {key}")
    values = swept_values(override)
    if isinstance(value, RangeSweep):
        return steps(list(value.range()))
    return CategoricalDistribution(tuple(dict.fromkeys(values)))


def _longest(settings: Settings, space: Space) -> int:
    """Epochs of the longest trial; -1 for no limit."""
    searched = space.dimensions.get("trainer.max_epochs")
    given = dict(part.split("=", 1) for part in space.fixed if "=" in part).get("trainer.max_epochs")
    longest = max(map(int, ends(searched) if searched else [given or settings.max_epochs]))
    if settings.pruner == "hyperband" and longest < 1:
        raise ValueError("the pruner hyperband divides the epochs of a trial; set trainer.max_epochs to a limit")
    return longest


def _search(study: Study, launcher: "ProcessLauncher", batch: int) -> list[JobReturn]:
    launcher.shared = study.space.fixed
    if launcher.retry_failed:
        study.retry_failed()
    returns: list[JobReturn] = []
    try:
        while trials := study.next(batch):
            try:
                returns += launcher.launch([_job(study, trial) for trial in trials], trials[0].number)
            except SweepFailed as failure:
                if not failure.mistakes:
                    raise
                for index, message in failure.mistakes.items():
                    study.tell(trials[index], Result("failed", "", [], error={"message": message}))
                continue
            finally:
                running = study.running()  # their runs may have ended, with a result
                for trial, folder in zip(running, study.folders_of(running), strict=True):
                    outcome = recorded_outcome(folder)
                    if outcome.status in ENDED:
                        study.tell(trial, outcome)
                study.write()
                say(study.progress())
            failed = {trial.number for trial in study.trials() if status_of(trial) in ("diverged", "failed")}
            stops = launcher.on_failure == "stop" and any(trial.number in failed for trial in trials)
            if study.running() or stops:
                raise SweepFailed("a failure stopped the search; the same command resumes from here")
    finally:
        report_on(study.folders_of(study.trials()), study.folder)
    _say_best(study)
    _raise_failures(study)
    return returns


def _job(study: Study, trial: FrozenTrial) -> list[str]:
    """Overrides of a trial's run, with access to the study if trials are pruned."""
    settings = study.settings
    if settings.pruner == "none":
        return study.overrides(trial)
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
