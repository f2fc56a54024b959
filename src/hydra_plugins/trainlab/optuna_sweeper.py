"""A search as Hydra sees it. Imported at every start, so Optuna is imported when one begins."""

from collections.abc import Sequence
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.utils import JobReturn

from trainlab.cli import SweepFailed, gc_paused
from trainlab.config.overrides import parse_overrides

SAMPLERS = ("tpe", "random")
PRUNERS = ("none", "median", "hyperband")
_BATCH = 8  # enough for populations, few enough that most trials learn from others
_LEAST_VERSION = 5


class OptunaSweeper(BasicSweeper):
    """Searches over intervals and choices for the best value of a validation metric.

    Args:
        trials: number of trials.
        sampler: tpe or random.
        seed: of the sampler.
        batch: trials that are launched together; "auto" for 8.
        asynchronous: whether each trial is launched as soon as there is room for it, whatever the others do.
        storage: of the study: "journal", or "env:NAME" for a database of which that environment variable has the URL.
        pruner: none, median or hyperband.
        objective: a metric of the task; by default its primary one.
        max_epochs: of a trial, which Hyperband divides.
        params: more overrides than those of the command line.
    """

    def __init__(
        self,
        trials: int = 20,
        sampler: str = "tpe",
        seed: int = 1,
        batch: int | str = "auto",
        asynchronous: bool = False,
        storage: str = "journal",
        pruner: str = "none",
        objective: str = "val/loss",
        max_epochs: int | None = None,
        params: dict[str, str] | None = None,
    ) -> None:
        super().__init__(max_batch_size=None, params=params)
        if sampler not in SAMPLERS:
            raise ValueError(f"sampler must be tpe or random, got {sampler!r}; set sweep.sampler")
        if pruner not in PRUNERS:
            raise ValueError(f"pruner must be none, median or hyperband, got {pruner!r}; set sweep.pruner")
        if not _is_count(trials):
            raise ValueError(f"trials must be an integer of at least 1, got {trials!r}; set sweep.trials")
        if batch != "auto" and not _is_count(batch):
            raise ValueError(f"batch must be auto or an integer of at least 1, got {batch!r}; set sweep.batch")
        if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
            raise ValueError(f"seed must be an integer of at least 0, got {seed!r}; set sweep.seed")
        self.settings = trials, sampler, seed, pruner, max_epochs or -1, objective
        if not isinstance(asynchronous, bool):
            raise ValueError(f"asynchronous must be true or false, got {asynchronous!r}; set sweep.asynchronous")
        if asynchronous and batch != "auto":
            raise ValueError(f"asynchronous trials have no batches, got {batch!r}; leave out sweep.batch")
        self.batch = None if asynchronous else _BATCH if isinstance(batch, str) else batch
        self.storage = storage

    def sweep(self, arguments: list[str]) -> Sequence[JobReturn]:
        """Search; returns what the trials' runs returned.

        Raises:
            SweepFailed: Optuna is missing, there is nothing to search, or trials failed.
        """
        from trainlab.sweep.auto_seeds import AUTO

        if any(word.lstrip("+") == AUTO for word in [*self._parse_config(), *arguments]):
            raise SweepFailed(f"a search tries settings with one seed, got {AUTO}; set a number, such as seed=1", 2)
        _require_optuna()
        with gc_paused():
            from hydra_plugins.trainlab._search import Settings, search
            from trainlab.sweep.study_storage import database_of
        database = database_of(str(self.storage))
        assert self.hydra_context is not None and self.launcher is not None
        overrides = parse_overrides([*self._parse_config(), *arguments], self.hydra_context.config_loader)
        return search(self.launcher, overrides, Settings(*self.settings), self.batch, database)


def _require_optuna() -> None:
    install = "pip install 'trainlab[optuna]'"
    try:
        import optuna
    except ImportError as error:
        raise SweepFailed(f"hydra/sweeper=optuna needs Optuna ({error}); {install}") from None
    if int(optuna.__version__.partition(".")[0]) < _LEAST_VERSION:
        raise SweepFailed(f"hydra/sweeper=optuna needs Optuna {_LEAST_VERSION}, got {optuna.__version__}; {install}")


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1
