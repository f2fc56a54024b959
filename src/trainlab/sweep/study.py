"""A hyperparameter search as a study of Optuna: next trials, and results.

Needs Optuna, so only searches import it.
"""

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from trainlab.callbacks.pruning import make_pruner
from trainlab.config.run_folders import run_folders
from trainlab.runs.fingerprint import training_overrides
from trainlab.runs.format import FORMAT, check_format
from trainlab.runs.optuna_storage import trial_id
from trainlab.runs.result import Result
from trainlab.sweep.sampling import sampler_of
from trainlab.sweep.space import Space, describe
from trainlab.sweep.study_storage import JOURNAL, Database, copied_from, has_study, open_storage
from trainlab.tasks.metrics import METRICS, Metric

_MAX_DRAWS = 100  # attempts to sample new params
_TOP, _TOP_TRIALS = 0.1, 5  # share and minimal number of the best trials for the importance
# User attributes of a trial: status and reason of its run, that it is dropped, the failed trial that it replaces.
_STATUS, _REASON, _DROPPED, _REPLACES = "status", "reason", "dropped", "replaces"


@dataclass(frozen=True)
class Settings:
    """How a space is searched.

    Attributes:
        trials: number of trials.
        sampler: "tpe" or "random".
        seed: seed of the sampler.
        pruner: "none", "median" or "hyperband".
        max_epochs: epochs of the longest trial.
        objective: name of the metric to optimize, taken from a trial's best checkpoint.
        metric: that metric.
    """

    trials: int
    sampler: str
    seed: int
    pruner: str
    max_epochs: int
    objective: str = "val/loss"
    metric: Metric = METRICS["val/loss"]


class Study:
    """The study of the sweep in a folder; only one process may use it at a time.

    Args:
        folder: folder of the sweep, with the journal.
        space: search space.
        settings: settings of the search.
        database: that the study is stored in; None for a journal.
        check: called before anything is recorded; raises LeaseLost where another process has taken over the folder.

    Raises:
        ValueError: the journal is damaged, the database cannot be used, or it is another search.
    """

    def __init__(
        self,
        folder: Path,
        space: Space,
        settings: Settings,
        database: Database | None = None,
        check: Callable[[], object] = lambda: None,
    ) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.folder, self.space, self.settings, self.database = folder, space, settings, database
        self.journal, self._check = folder / JOURNAL, check
        self._storage, self._name = open_storage(folder, database)
        self.metric = settings.metric
        direction = StudyDirection.MINIMIZE if self.metric.mode == "min" else StudyDirection.MAXIMIZE
        if not has_study(self._storage, self._name):
            optuna.create_study(storage=self._storage, study_name=self._name, direction=direction)
        self._study = optuna.load_study(
            storage=self._storage,
            study_name=self._name,
            pruner=make_pruner(settings.pruner, settings.max_epochs),
        )
        about = {"format": FORMAT, "objective": settings.objective, "space": describe_space(space)}
        if not self._study.get_trials(deepcopy=False) and self._study.direction is direction:
            for key in about.keys() - self._study.user_attrs.keys():
                self._study.set_user_attr(key, about[key])
        self._check_is_same(about)
        if database:
            self._check_is_no_copy()
        self.drop_unsampled()

    def _check_is_same(self, about: Mapping[str, Any]) -> None:
        """Raise ValueError if the study is of another format, or another search than ``about`` describes."""
        found = self._study.user_attrs
        try:
            check_format(found.get("format", 1))
        except ValueError as error:
            place = f"the study {self._name}" if self.database else self.journal
            raise ValueError(f"{place} {error}; set another name=") from None
        for key, by in (("objective", "by"), ("space", "over")):
            if found.get(key) != about[key]:
                way_out = f", or sweep.objective={found.get(key)}" * (key == "objective")
                raise ValueError(
                    f"{self.folder} holds a search {by} {found.get(key)}; this one is {by} {about[key]}. "
                    f"Set another name={way_out}"
                )

    def _check_is_no_copy(self) -> None:
        """Raise ValueError if another folder has the study, too: its lease would not keep its processes away."""
        origin = self._study.user_attrs.get("folder", "")
        if origin and copied_from(self.folder, origin):
            raise ValueError(
                f"{self.folder} is a copy of {origin}, to which the study {self._name} belongs; resume that, or set "
                "another name="
            )
        if origin != (here := str(self.folder.resolve())):
            self._study.set_user_attr("folder", here)

    def trials(self) -> list[FrozenTrial]:
        """All trials except dropped and replaced ones, by number."""
        every = self._study.get_trials(deepcopy=False)
        replaced = {trial.user_attrs.get(_REPLACES) for trial in every}
        drawn = (trial for trial in every if trial.state is not TrialState.WAITING)
        return [trial for trial in drawn if trial.number not in replaced and _DROPPED not in trial.user_attrs]

    def running(self) -> list[FrozenTrial]:
        """Trials that have not ended."""
        return [trial for trial in self.trials() if trial.state is TrialState.RUNNING]

    def next(self, batch: int) -> list[FrozenTrial]:
        """Trials to run: interrupted ones, otherwise up to ``batch`` new ones; none if the search is finished."""
        if not self.running():
            room = min(batch, self.settings.trials - len(self.trials()))
            all(self._ask() for _ in range(room))  # until nothing new is left
        return self.running()

    def ask(self) -> bool:
        """Start a new trial, which is then running. Returns whether there was one left to try."""
        return len(self.trials()) < self.settings.trials and self._ask()

    def drop_unsampled(self) -> None:
        """Drop trials that this process, or one before, did not sample to the end."""
        for trial in self.running():
            if trial.params.keys() != self.space.dimensions.keys():
                self._drop(trial.number)

    def retry_failed(self) -> None:
        """Enqueue failed trials again, as new trials with the same values."""
        self._check()
        for trial in self.trials():
            if status_of(trial) == "failed":
                self._study.enqueue_trial(trial.params, user_attrs={_REPLACES: trial.number})

    def tell(self, trial: FrozenTrial, outcome: Result) -> None:
        """Record the outcome of a trial. Without a finite objective it counts as failed."""
        self._check()
        if self._storage.get_trial(trial._trial_id).state.is_finished():
            return  # a database has taken it without an answer
        status, reason = outcome.status, outcome.reason
        value = outcome.metrics.get(self.metric.key, math.nan)
        if status in ("completed", "debug") and not math.isfinite(value):
            status, reason = "failed", f"it has no finite {self.metric.label}"
        self._note(trial.number, _STATUS, status)
        self._note(trial.number, _REASON, reason)
        if status == "completed":
            self._study.tell(trial.number, value)
        else:
            self._study.tell(trial.number, state=TrialState.PRUNED if status == "pruned" else TrialState.FAIL)

    def judge(self, number: int, values: Mapping[int, float]) -> bool:
        """Record the objective of a running trial by epochs; returns whether the pruner ends it after one of them.

        The newest epoch is judged in any case: an earlier process may have recorded it and not have come to that.
        """
        id_, is_pruned = trial_id(self._storage, number, self._name), False
        known = self._storage.get_trial(id_).intermediate_values
        for epochs in sorted((values.keys() - known.keys()) | {max(values)}):
            if epochs not in known:
                self._check()
                self._storage.set_trial_intermediate_value(id_, epochs, values[epochs])
            is_pruned |= self._study.pruner.prune(self._study, self._storage.get_trial(id_))
        return is_pruned

    def best(self) -> FrozenTrial | None:
        """The completed trial with the best objective."""
        completed = any(trial.state is TrialState.COMPLETE for trial in self.trials())
        return self._study.best_trial if completed else None

    def overrides(self, trial: FrozenTrial) -> list[str]:
        """Overrides of a trial's run."""
        return self.space.overrides(trial.params)

    def folders_of(self, trials: Sequence[FrozenTrial]) -> list[Path]:
        """Folders of the trials' runs."""
        names = run_folders(self.folder, [self.overrides(trial) for trial in trials], self.space.fixed)
        return [self.folder / name for name in names]

    def importance(self) -> dict[str, float]:
        """Importance of each key for being among the best trials, by PED-ANOVA; empty for too few trials."""
        completed = [trial for trial in self.trials() if trial.state is TrialState.COMPLETE]
        varied = [key for key in self.space.dimensions if len({trial.params[key] for trial in completed}) > 1]
        if len(completed) < 2 * _TOP_TRIALS or len(varied) < 2:
            return {}
        evaluator = PedAnovaImportanceEvaluator(target_quantile=max(_TOP, _TOP_TRIALS / len(completed)))
        return get_param_importances(self._study, evaluator=evaluator, params=varied)

    def _ask(self) -> bool:
        """Start a new trial. Returns whether there were new params to try."""
        for _ in range(_MAX_DRAWS):
            self._check()
            seen = [trial.params for trial in self.trials()]
            unseen = self.space.unseen(seen)
            if unseen == [] and not self._study.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
                return False
            # Its values are a function of the seed, the number and the results so far.
            number = len(self._study.get_trials(deepcopy=False))
            self._study.sampler = sampler_of(self.settings.sampler, self.settings.seed, number)
            trial = self._study.ask(dict(self.space.dimensions))
            if _REPLACES in trial.user_attrs or trial.params not in seen:
                return True
            self._drop(trial.number)
            if unseen:
                chosen = random.Random(f"{self.settings.seed} {trial.number}").choice(unseen)
                self._study.enqueue_trial(dict(chosen))
        return False

    def _drop(self, number: int) -> None:
        """Drop a trial; Optuna cannot delete one."""
        self._check()
        self._note(number, _DROPPED, True)
        self._study.tell(number, state=TrialState.FAIL)

    def _note(self, number: int, key: str, value: Any) -> None:
        self._storage.set_trial_user_attr(trial_id(self._storage, number, self._name), key, value)


def status_of(trial: FrozenTrial) -> str:
    """Status of the trial's run."""
    return "running" if trial.state is TrialState.RUNNING else str(trial.user_attrs.get(_STATUS))


def reason_of(trial: FrozenTrial) -> str:
    """Reason why the trial's run failed."""
    return str(trial.user_attrs.get(_REASON, ""))


def describe_space(space: Space) -> str:
    """Description of the dimensions and the fixed overrides."""
    searched = ", ".join(f"{key} in {describe(dimension)}" for key, dimension in sorted(space.dimensions.items()))
    fixed = " ".join(sorted(training_overrides(space.fixed)))
    return searched + (f" with {fixed}" if fixed else "")
