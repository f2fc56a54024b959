"""Learning-rate range test: the rate rises exponentially over a few hundred steps (Smith, 2017)."""

import contextlib
import logging
import math
from collections.abc import Sequence
from statistics import geometric_mean
from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from trainlab.console import Bar
from trainlab.lr_search.base import Search, SearchContext, SearchFailed, SearchResult, Trial
from trainlab.lr_search.suggestions import RULES, smooth
from trainlab.randomness import derive_seed
from trainlab.runs.errors import Diverged
from trainlab.training.context import RunContext
from trainlab.training.module import TaskModule
from trainlab.validation import check_at_least

log = logging.getLogger(__name__)
SKIPPED = 0.1  # share of the steps, at the start, whose averages have too few losses (fastai skips them, too)
MIN_STEPS = 10  # of a curve, after the skipped ones


def exponential(optimizer: Optimizer, total_steps: int, *, factor: float) -> dict[str, Any]:
    """Schedule that multiplies the learning rate by ``factor`` after every step."""
    return {"scheduler": LambdaLR(optimizer, lambda step: factor**step), "interval": "step"}


class RangeTest(Search):
    """Increases the rate exponentially, step by step, and chooses one from the curve of the training loss.

    Args:
        min_lr: rate of the first step.
        max_lr: rate of the last step; the loss usually diverges before.
        num_steps: steps per seed.
        num_seeds: number of trainings; the suggestion is the geometric mean over them.
        smoothing: decay of the exponential moving average of the loss, in [0, 1).
        early_stop_threshold: a training stops when its smoothed loss exceeds this multiple of its minimum.
        rule: "steepest", "valley" or "tenth_of_minimum". On CIFAR-10 with NAdam, "valley" suggested 6e-5 for elu_he,
            6e-4 to 8e-4 for bn and 1.2e-4 to 1.4e-4 for selu; sweeps of 6 to 8 epochs with one seed had their lowest
            loss at 1.2e-4, 2e-4 to 7e-4 and 1.2e-4. "tenth_of_minimum" was up to 5 times below these, "steepest" up
            to 24 times.
        seed: seed of the trainings, independent of the run's.
        cache_dir: folder where results are cached.

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
        check_at_least(2 * MIN_STEPS, "lr_search", num_steps=num_steps)
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

    def search(self, context: SearchContext) -> SearchResult:
        """Run the search; see `Search.search`."""
        steps = len(self.rates)
        factor = (self.rates[-1] / self.rates[0]) ** (1 / (steps - 1))
        schedule = {"_target_": f"{__name__}.exponential", "_partial_": True, "factor": factor}
        trainer = {"max_epochs": -1, "max_steps": steps, "limit_val_batches": 0}
        curves = []
        with Bar("range test", steps * self.num_seeds) as bar:
            for number in range(self.num_seeds):
                curve = _Curve(self.smoothing, self.early_stop_threshold, bar)
                seed = derive_seed(self.seed, "lr_search", number)
                with contextlib.suppress(_StopEarly, Diverged):
                    context.train(Trial(self.rates[0], seed, [curve], trainer, scheduler=schedule), RunContext())
                curves.append(curve.smoothed)
                bar.update(steps * (number + 1) - bar.steps)
        return self.evaluate(curves)

    def evaluate(self, curves: list[list[float]]) -> SearchResult:
        """Choose a rate from ``curves``, one list of smoothed losses per seed.

        Raises:
            SearchFailed: a curve is too short.
        """
        first = int(SKIPPED * len(self.rates))
        if min(map(len, curves)) < first + MIN_STEPS:
            raise SearchFailed(
                f"the loss diverged within {min(map(len, curves))} steps, below a learning rate of "
                f"{self.rates[min(map(len, curves))]:.2g}; set lr_search.min_lr lower"
            )
        self._warn_at_boundary([curve[first:] for curve in curves], len(self.rates) - first)
        suggestions = {
            name: geometric_mean([rule(self.rates[first : len(curve)], curve[first:]) for curve in curves])
            for name, rule in RULES.items()
        }
        formatted = ", ".join(f"{name} {lr:.2e}" for name, lr in suggestions.items())
        log.info("range test over %d seeds: %s", len(curves), formatted)
        curve: dict[str, list[Any]] = {"lr": _rounded(self.rates), "losses": [_rounded(curve) for curve in curves]}
        return SearchResult("range_test", suggestions[self.rule], self.rule, suggestions, curve)

    def _warn_at_boundary(self, curves: Sequence[Sequence[float]], steps: int) -> None:
        """Warn if all curves have their minimum at the first step, or at the last of ``steps``."""
        lowest = [curve.index(min(curve)) for curve in curves]
        if all(step == steps - 1 for step in lowest):
            log.warning("the loss decreases up to lr_search.max_lr; a better rate may lie above it")
        elif all(step == 0 for step in lowest):
            log.warning("the loss increases from the first step; a better rate may lie below lr_search.min_lr")


def _rounded(values: Sequence[float]) -> list[float]:
    return [float(f"{value:.6g}") for value in values]


class _StopEarly(Exception):
    """The loss has exceeded the threshold, or is not finite."""


class _Curve(Callback):
    """Smoothed losses of the optimizer steps, until the threshold is exceeded."""

    def __init__(self, smoothing: float, early_stop_threshold: float, bar: Bar) -> None:
        self._smoothing, self._threshold, self._bar = smoothing, early_stop_threshold, bar
        self._losses: list[float] = []
        self._micro_batches: list[float] = []  # of the batches whose gradients one step accumulates
        self.smoothed: list[float] = []

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        """Record the loss of a step; stop the training if it exceeds the threshold."""
        assert isinstance(pl_module, TaskModule)
        self._micro_batches.append(float(pl_module.loss))
        if trainer.global_step == len(self._losses):
            return
        loss = sum(self._micro_batches) / len(self._micro_batches)
        self._micro_batches.clear()
        self._bar.update(1)
        if not math.isfinite(loss):
            raise _StopEarly
        self._losses.append(loss)
        smoothed = smooth(self._losses, self._smoothing)
        if smoothed[-1] > self._threshold * min(smoothed):
            raise _StopEarly
        self.smoothed = smoothed
