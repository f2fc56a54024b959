"""Interfaces of a learning-rate search: its context, its trials and its result."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lightning.pytorch.callbacks import Callback

from trainlab.lr_search.suggestions import log_spaced
from trainlab.tasks.metrics import METRICS, Metric
from trainlab.training.context import RunContext


class SearchFailed(ValueError):
    """No rate of the range can be trained with."""


@dataclass(frozen=True)
class Trial:
    """A short training of the run's network on the training split.

    Attributes:
        lr: replaces `optim.lr`.
        seed: of the training.
        callbacks: the only callbacks of the training.
        trainer: settings of the Trainer, which must include `max_epochs` or `max_steps`.
        scheduler: settings of a schedule that replaces the run's; None to keep the run's.
    """

    lr: float
    seed: int
    callbacks: Sequence[Callback]
    trainer: Mapping[str, Any]
    scheduler: Mapping[str, Any] | None = None


Train = Callable[[Trial, RunContext], None]  # returns when the training has ended; raises its error


@dataclass(frozen=True)
class SearchContext:
    """What a search needs to know about its run.

    Attributes:
        train: runs one trial.
        ineligible_reason: why trials cannot be trained as one population; "" if they can.
        num_processes: processes that can compute at the same time, with one thread each.
        batches_per_epoch: batches of one epoch.
        primary: name of the task's primary metric.
        metric: that metric.
    """

    train: Train
    ineligible_reason: str
    num_processes: int
    batches_per_epoch: int
    primary: str = "val/loss"
    metric: Metric = METRICS["val/loss"]


@dataclass(frozen=True)
class SearchResult:
    """Result of a search; plain values, for JSON.

    Attributes:
        method: "range_test" or "grid".
        lr: the rate to train with.
        rule: the rule that chose it.
        suggestions: rates by rule.
        curve: the measurements. Range test: `lr`, and `losses` with one list of smoothed training losses per seed.
            Grid: `lr`, and `losses` with one list per rate, of the primary metric after each validation; a last None
            is a training that diverged. `label` and `mode` of the metric, unless it is the validation loss. Lists end
            where their training was stopped.
    """

    method: str
    lr: float
    rule: str
    suggestions: dict[str, float]
    curve: dict[str, list[Any]] = field(default_factory=dict)


class Search(ABC):
    """Base class of learning-rate searches.

    Args:
        min_lr: lowest rate.
        max_lr: highest rate.
        count: number of rates, log-spaced from ``min_lr`` to ``max_lr``.
        seed: seed of the trials, independent of the run's.
        cache_dir: folder where results are cached.

    Raises:
        ValueError: the range is empty.
    """

    def __init__(self, min_lr: float, max_lr: float, count: int, seed: int, cache_dir: str) -> None:
        if not 0 < min_lr < max_lr < math.inf:
            raise ValueError(
                f"min_lr must be above 0 and below max_lr, got {min_lr} and {max_lr}; "
                "set lr_search.min_lr, lr_search.max_lr"
            )
        self.rates = log_spaced(min_lr, max_lr, count)
        self.seed, self.cache_dir = seed, cache_dir

    @abstractmethod
    def search(self, context: SearchContext) -> SearchResult:
        """Run the search.

        Raises:
            SearchFailed: no rate can be trained with.
            KeyboardInterrupt: the search was interrupted.
        """
