"""The learning-rate range test: one sweep of the rate over a few hundred steps (Smith, 2017)."""

import contextlib
import logging
import math
from collections.abc import Sequence
from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from trainlab.console import Bar
from trainlab.lr_search.base import Found, Means, NothingFound, Search, Trial
from trainlab.lr_search.suggestions import RULES, geometric_mean, smooth
from trainlab.randomness import derive_seed
from trainlab.runs.errors import Diverged
from trainlab.training.context import RunContext
from trainlab.training.module import Classifier
from trainlab.validation import check_at_least

log = logging.getLogger(__name__)
LEFT_OUT = 0.1  # of the steps, at the start: averages of so few losses tell one batch from another (fastai's, too)
FEWEST = 10  # steps that a curve must have


def rising(optimizer: Optimizer, total_steps: int, *, factor: float) -> dict[str, Any]:
    """A schedule whose rate is multiplied by ``factor`` after every step."""
    return {"scheduler": LambdaLR(optimizer, lambda step: factor**step), "interval": "step"}


class RangeTest(Search):
    """Raises the rate exponentially, step by step, and reads the rate to train with off the curve of the training loss.

    Args:
        min_lr: at the first step.
        max_lr: at the last step; the loss usually explodes before.
        num_steps: of each seed.
        num_seeds: trainings that the suggestions are averaged over, geometrically.
        smoothing: weight of the past in the exponential average of the losses, in [0, 1).
        early_stop_threshold: a seed ends once its smoothed loss is so many times its lowest one.
        rule: steepest, valley or tenth_of_minimum, whose suggestion is taken. On CIFAR-10 with NAdam the valley gave
            6e-5 for elu_he, 6e-4 to 8e-4 for bn and 1.2e-4 to 1.4e-4 for selu; sweeps of 6 to 8 epochs with a seed each
            had their lowest loss at 1.2e-4, at 2e-4 to 7e-4 and at 1.2e-4. A tenth of the minimum lay up to 5 times
            below these, the steepest slope up to 24 times.
        seed: that the trainings follow from; not that of the run.
        cache_dir: where what was found is kept.

    Raises:
        ValueError: an argument is out of range.
    """

    def __init__(
        self,
        *,
        cache_dir: str,
        min_lr: float = 1e-6,
        max_lr: float = 1.0,
        num_steps: int = 300,
        num_seeds: int = 3,
        smoothing: float = 0.95,
        early_stop_threshold: float = 4.0,
        rule: str = "valley",
        seed: int = 0,
    ) -> None:
        check_at_least(2 * FEWEST, "lr_search", num_steps=num_steps)
        check_at_least(1, "lr_search", num_seeds=num_seeds)
        if not 0 <= smoothing < 1:
            raise ValueError(f"smoothing must be in [0, 1), got {smoothing}; set lr_search.smoothing")
        if not early_stop_threshold > 1:
            raise ValueError(
                f"early_stop_threshold must be above 1, got {early_stop_threshold}; set lr_search.early_stop_threshold"
            )
        if rule not in RULES:
            raise ValueError(f"rule must be one of {', '.join(RULES)}, got {rule!r}; set lr_search.rule")
        super().__init__(min_lr, max_lr, num_steps, seed, cache_dir)
        self.num_seeds, self.smoothing, self.rule = num_seeds, smoothing, rule
        self.early_stop_threshold = early_stop_threshold

    def search(self, means: Means) -> Found:
        """Search; see `Search`."""
        steps = len(self.rates)
        factor = (self.rates[-1] / self.rates[0]) ** (1 / (steps - 1))
        schedule = {"_target_": f"{__name__}.rising", "_partial_": True, "factor": factor}
        trainer = {"max_epochs": -1, "max_steps": steps, "limit_val_batches": 0}
        curves = []
        with Bar("range test", steps * self.num_seeds) as bar:
            for number in range(self.num_seeds):
                curve = _Curve(self.smoothing, self.early_stop_threshold, bar)
                seed = derive_seed(self.seed, "lr_search", number)
                with contextlib.suppress(_Exploded, Diverged):
                    means.train(Trial(self.rates[0], seed, [curve], trainer, scheduler=schedule), RunContext())
                curves.append(curve.smoothed)
                bar.update(steps * (number + 1) - bar.steps)
        return self.read(curves)

    def read(self, curves: list[list[float]]) -> Found:
        """What smoothed losses suggest, one list for each seed.

        Raises:
            NothingFound: a curve is too short.
        """
        first = int(LEFT_OUT * len(self.rates))
        if min(map(len, curves)) < first + FEWEST:
            raise NothingFound(
                f"the loss exploded within {min(map(len, curves))} steps, below a learning rate of "
                f"{self.rates[min(map(len, curves))]:.2g}; set lr_search.min_lr lower"
            )
        self._warn_of_ends([curve[first:] for curve in curves], len(self.rates) - first)
        suggestions = {
            name: geometric_mean([rule(self.rates[first : len(curve)], curve[first:]) for curve in curves])
            for name, rule in RULES.items()
        }
        told = ", ".join(f"{name} {lr:.2e}" for name, lr in suggestions.items())
        log.info("range test over %d seeds: %s", len(curves), told)
        curve: dict[str, list[Any]] = {"lr": _rounded(self.rates), "losses": [_rounded(curve) for curve in curves]}
        return Found("range_test", suggestions[self.rule], self.rule, suggestions, curve)

    def _warn_of_ends(self, curves: Sequence[Sequence[float]], steps: int) -> None:
        """Say so where all curves, of so many ``steps`` where none exploded, are lowest at an end of the range."""
        lowest = [curve.index(min(curve)) for curve in curves]
        if all(step == steps - 1 for step in lowest):
            log.warning("the loss falls up to lr_search.max_lr; a better rate may lie beyond it")
        elif all(step == 0 for step in lowest):
            log.warning("the loss rises from the first; a better rate may lie below lr_search.min_lr")


def _rounded(values: Sequence[float]) -> list[float]:
    return [float(f"{value:.6g}") for value in values]


class _Exploded(Exception):
    """The smoothed loss has gone up too far: what follows says nothing any more."""


class _Curve(Callback):
    """Smoothed losses of the optimizer's steps, up to where they explode."""

    def __init__(self, smoothing: float, early_stop_threshold: float, bar: Bar) -> None:
        self._smoothing, self._factor, self._bar = smoothing, early_stop_threshold, bar
        self._losses: list[float] = []
        self._of_step: list[float] = []  # of the batches whose gradients a step sums
        self.smoothed: list[float] = []

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        """Note the loss that a step began with; end the training if it has exploded."""
        assert isinstance(pl_module, Classifier)
        self._of_step.append(float(pl_module.loss))
        if trainer.global_step == len(self._losses):
            return
        loss = sum(self._of_step) / len(self._of_step)
        self._of_step.clear()
        self._bar.update(1)
        if not math.isfinite(loss):
            raise _Exploded
        self._losses.append(loss)
        smoothed = smooth(self._losses, self._smoothing)
        if smoothed[-1] > self._factor * min(smoothed):
            raise _Exploded
        self.smoothed = smoothed
