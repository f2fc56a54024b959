"""Learning-rate schedules: (optimizer, total steps, settings) -> Lightning's scheduler dictionary, or None.

``optim.lr`` is the constant rate, and the peak of a schedule that rises or falls. The rates of several parameter groups
keep their ratio.
"""

import inspect
import math
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import (
    CosineAnnealingLR,
    LambdaLR,
    LinearLR,
    LRScheduler,
    OneCycleLR,
    ReduceLROnPlateau,
    SequentialLR,
)

from trainlab.tasks.metrics import METRICS, Metric, metric_of, mode_of
from trainlab.training.parameter_groups import multipliers
from trainlab.validation import check_at_least

SchedulerConfig = dict[str, Any]
_KEYS = ("scheduler", "interval", "monitor", "frequency")


def check_scheduler(
    build: Callable[[Optimizer, int], Any],
    optimizer: Optimizer,
    total_steps: int,
    known: Mapping[str, Metric] = METRICS,
) -> None:
    """Raise ValueError unless ``build`` makes a schedule for ``optimizer`` of which nothing would be ignored.

    ``known`` are the validation metrics that it can watch.
    """
    wrong = "scheduler must be a function (optimizer, total_steps) that returns "
    wrong += '{"scheduler": ..., "interval": "step" or "epoch"} or None'
    try:
        inspect.signature(build).bind(optimizer, total_steps)
        fits = not isinstance(_function(build), type)
    except TypeError:
        fits = False
    if not fits:
        raise ValueError(f"{wrong}, got {_name(build)}; set scheduler._target_")
    found = build(optimizer, total_steps)
    if found is None:
        return
    if not isinstance(found, dict) or not isinstance(found.get("scheduler"), LRScheduler):
        raise ValueError(f"{wrong}, and it returned {type(found).__name__} {found!r}; set scheduler._target_")
    if unknown := [key for key in found if key not in _KEYS]:
        raise ValueError(f"the dictionary of scheduler may have {', '.join(_KEYS)}, got {unknown[0]!r}; leave it out")
    scheduler, interval = found["scheduler"], found.get("interval")
    monitor: Any = found.get("monitor")
    if interval not in ("step", "epoch"):
        raise ValueError(f"interval of scheduler must be 'step' or 'epoch', got {interval!r}; set it in {_name(build)}")
    if (frequency := found.get("frequency", 1)) != 1:
        raise ValueError(f"frequency of scheduler must be 1, got {frequency!r}; leave it out of {_name(build)}")
    steps_by_metric = any(p.default is p.empty for p in inspect.signature(scheduler.step).parameters.values())
    name = type(scheduler).__name__
    if not steps_by_metric:
        if monitor is not None:
            raise ValueError(f"{name} watches no metric, got monitor={monitor!r}; leave it out of {_name(build)}")
        return
    metric_of(monitor, "scheduler.monitor", known)
    mode_of(monitor, getattr(scheduler, "mode", None), "scheduler", known)
    if interval != "epoch":
        raise ValueError(f"interval must be 'epoch' for {name}, got {interval!r}; set it in {_name(build)}")


def _function(build: Callable[..., Any]) -> Any:
    """What a partial calls."""
    return getattr(build, "func", build)


def _name(build: Callable[..., Any]) -> str:
    return f"{_function(build).__module__}.{_function(build).__qualname__}"


def _check_pct_start(pct_start: float) -> None:
    if not 0 <= pct_start <= 1:
        raise ValueError(f"pct_start must be in [0, 1], got {pct_start}; set scheduler.pct_start")


def constant(optimizer: Optimizer, total_steps: int) -> None:
    """The rate stays at ``optim.lr``."""


def one_cycle(
    optimizer: Optimizer,
    total_steps: int,
    *,
    pct_start: float = 0.3,
    div_factor: float = 25.0,
    final_div_factor: float = 1e4,
    anneal_strategy: str = "cos",
    three_phase: bool = False,
    cycle_momentum: bool = True,
    base_momentum: float = 0.85,
    max_momentum: float = 0.95,
) -> SchedulerConfig:
    """Smith's 1cycle (2018): from lr / div_factor up to lr and down to lr / (div_factor * final_div_factor).

    Momentum (or beta1) moves the other way, from ``max_momentum`` to ``base_momentum`` and back. It spans
    exactly ``total_steps`` optimizer steps.
    """
    if total_steps < 3:
        raise ValueError(
            f"scheduler=one_cycle needs at least 3 steps, got {total_steps}; "
            "set trainer.max_epochs or trainer.max_steps"
        )
    for key, factor in {"div_factor": div_factor, "final_div_factor": final_div_factor}.items():
        if not 0 < factor < math.inf:
            raise ValueError(f"{key} must be above 0, got {factor}; set scheduler.{key}")
    for key, momentum in {"base_momentum": base_momentum, "max_momentum": max_momentum}.items():
        if not 0 <= momentum < 1:
            raise ValueError(f"{key} must be in [0, 1), got {momentum}; set scheduler.{key}")
    _check_pct_start(pct_start)
    if cycle_momentum and not {"momentum", "betas"} & optimizer.defaults.keys():
        raise ValueError(
            f"cycle_momentum needs an optimizer with momentum or beta1, got {type(optimizer).__name__}; "
            "set scheduler.cycle_momentum=false"
        )
    rise = pct_start * total_steps
    ends = [0, rise - 1, *([2 * rise - 2] if three_phase else []), total_steps - 1]  # of the phases, as torch has them
    if any(start == end for start, end in pairwise(ends)):
        raise ValueError(
            f"pct_start must leave each phase of the cycle more than one step, got {pct_start} of {total_steps} steps; "
            "set scheduler.pct_start or the length of the run"
        )
    scheduler = OneCycleLR(
        optimizer,
        max_lr=[group["lr"] for group in optimizer.param_groups],
        total_steps=total_steps,
        pct_start=pct_start,
        div_factor=div_factor,
        final_div_factor=final_div_factor,
        anneal_strategy=anneal_strategy,  # type: ignore[arg-type]  # torch checks it
        three_phase=three_phase,
        cycle_momentum=cycle_momentum,
        base_momentum=base_momentum,
        max_momentum=max_momentum,
    )
    return {"scheduler": scheduler, "interval": "step"}


def triangular(
    optimizer: Optimizer,
    total_steps: int,
    *,
    start_factor: float = 0.2,
    pct_start: float = 0.25,
    end_factor: float = 0.0,
) -> SchedulerConfig:
    """Linear from ``start_factor`` times the peak to the peak, and from there to ``end_factor`` times it.

    The peak is at step ``int(pct_start * total_steps)``, the end after the last step.
    """
    if total_steps < 1:
        raise ValueError(
            f"scheduler=triangular needs a known number of steps, at least 1, got {total_steps}; "
            "set trainer.max_epochs or trainer.max_steps"
        )
    _check_pct_start(pct_start)
    check_at_least(0, "scheduler", start_factor=start_factor, end_factor=end_factor)
    peak = int(pct_start * total_steps)

    def factor(step: int) -> float:
        if step < peak:
            return start_factor + (1 - start_factor) * step / peak
        return 1 + (end_factor - 1) * (step - peak) / max(1, total_steps - peak)

    return {"scheduler": LambdaLR(optimizer, factor), "interval": "step"}


def cosine(optimizer: Optimizer, total_steps: int, *, warmup_steps: int = 0, min_lr: float = 0.0) -> SchedulerConfig:
    """A linear rise over ``warmup_steps``, then half a cosine to ``min_lr`` (Loshchilov, Hutter; 2017)."""
    if total_steps < 1:
        raise ValueError(
            f"scheduler=cosine needs a known number of steps, at least 1, got {total_steps}; "
            "set trainer.max_epochs or trainer.max_steps"
        )
    if not 0 <= warmup_steps < total_steps:
        raise ValueError(
            f"warmup_steps must be in [0, {total_steps}), the steps of the run, got {warmup_steps}; "
            "set scheduler.warmup_steps"
        )
    check_at_least(0, "scheduler", min_lr=min_lr)
    kind = _CosineOfGroups if len(optimizer.param_groups) > 1 else CosineAnnealingLR
    fall = kind(optimizer, T_max=total_steps - warmup_steps, eta_min=min_lr)
    if warmup_steps == 0:
        return {"scheduler": fall, "interval": "step"}
    rise = LinearLR(optimizer, start_factor=1 / (warmup_steps + 1), total_iters=warmup_steps)
    return {"scheduler": SequentialLR(optimizer, [rise, fall], milestones=[warmup_steps]), "interval": "step"}


class _CosineOfGroups(CosineAnnealingLR):
    """To a lowest rate of each group's own, in the ratio of their rates."""

    def get_lr(self) -> list[Any]:
        """The next rate of each group."""
        lowest, found = self.eta_min, []
        for number, multiplier in enumerate(multipliers(self.optimizer)):
            self.eta_min = lowest * multiplier
            found.append(super().get_lr()[number])
        self.eta_min = lowest
        return found


def plateau(
    optimizer: Optimizer,
    total_steps: int,
    *,
    monitor: str = "val/loss",
    mode: str | None = None,
    factor: float = 0.5,
    patience: int = 5,
    threshold: float = 1e-4,
    cooldown: int = 0,
    min_lr: float = 0.0,
) -> SchedulerConfig:
    """Multiply the rate by ``factor`` once ``monitor`` has not improved in more than ``patience`` validations.

    ``mode``, the direction in which it improves, follows from it.
    """
    if not 0 < factor < 1:
        raise ValueError(f"factor must be in (0, 1), got {factor}; set scheduler.factor")
    check_at_least(0, "scheduler", patience=patience, threshold=threshold, cooldown=cooldown, min_lr=min_lr)
    lowest = [min_lr * multiplier for multiplier in multipliers(optimizer)]
    scheduler = ReduceLROnPlateau(
        optimizer,
        mode=mode_of(monitor, mode, "scheduler"),  # type: ignore[arg-type]  # a Literal to torch
        factor=factor,
        patience=patience,
        threshold=threshold,
        cooldown=cooldown,
        min_lr=lowest if len(lowest) > 1 else min_lr,
    )
    return {"scheduler": scheduler, "interval": "epoch", "monitor": monitor}
