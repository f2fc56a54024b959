"""What a search is given and what it comes to."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lightning.pytorch.callbacks import Callback

from trainlab.lr_search.suggestions import log_spaced
from trainlab.training.context import RunContext


class NothingFound(ValueError):
    """None of the rates that were tried can be trained with."""


@dataclass(frozen=True)
class Trial:
    """A short training of the network that a rate is searched for, on the training split.

    Attributes:
        lr: what takes the place of `optim.lr`.
        seed: of the training.
        callbacks: what watches it, and nothing else does.
        trainer: settings of the Trainer; without `max_epochs` and `max_steps` it would have no end.
        scheduler: settings of a schedule that takes the place of the run's; None to keep that.
    """

    lr: float
    seed: int
    callbacks: Sequence[Callback]
    trainer: Mapping[str, Any]
    scheduler: Mapping[str, Any] | None = None


Train = Callable[[Trial, RunContext], None]  # to the end of the training; raises what ends it before


@dataclass(frozen=True)
class Means:
    """What a search has to work with.

    Attributes:
        train: makes a training.
        alone: why no two can be made as one; "" if they can.
        processes: that can compute at once, with a thread each.
        batches: of an epoch.
    """

    train: Train
    alone: str
    processes: int
    batches: int


@dataclass(frozen=True)
class Found:
    """What a search has come to; plain values, for JSON.

    Attributes:
        method: range_test or grid.
        lr: the rate to train with.
        rule: that it was chosen by.
        suggestions: rates by rule.
        curve: what was measured. A range test has `lr` and `losses`, for each seed the smoothed losses, as far as it
            came. A grid has `lr`, and for each the validation `losses`, as far as it came; one that is not finite ends
            them as None.
    """

    method: str
    lr: float
    rule: str
    suggestions: dict[str, float]
    curve: dict[str, list[Any]] = field(default_factory=dict)


class Search(ABC):
    """Searches a learning rate.

    Args:
        min_lr: lowest rate.
        max_lr: highest rate.
        count: rates from the one to the other, each the same multiple of the one before.
        seed: that its trainings follow from; not that of the run.
        cache_dir: where what was found is kept.

    Raises:
        ValueError: there is no range to search.
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
    def search(self, means: Means) -> Found:
        """Search.

        Raises:
            NothingFound: no rate can be trained with.
            KeyboardInterrupt: it was interrupted.
        """
