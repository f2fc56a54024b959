"""Whether an optimizer can train a network with its settings: tried before the run."""

import contextlib
import inspect
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import nn
from torch.optim import Optimizer

from trainlab.training.parameter_groups import Group, make_optimizer, own_name


def needs_closure(optimizer: Optimizer) -> bool:
    """Whether ``optimizer`` evaluates the loss itself, as LBFGS does."""
    return inspect.signature(optimizer.step).parameters["closure"].default is inspect.Parameter.empty


def check_closure(optimizer: Optimizer, accumulate: int, devices: int, precision: str) -> None:
    """Raise ValueError if ``optimizer`` evaluates the loss itself, which cannot be done with these settings."""
    if not needs_closure(optimizer):
        return
    rule = f"{type(optimizer).__name__} evaluates the loss several times a step, "
    if accumulate > 1:
        raise ValueError(f"{rule}each time on one batch, got {accumulate}; set trainer.accumulate_grad_batches=1")
    if devices > 1:
        raise ValueError(f"{rule}each process on other images, got {devices} processes; set trainer.devices=1")
    if precision == "16-mixed":
        raise ValueError(f"{rule}and cannot undo the scaling of {precision}; set trainer.precision=bf16-mixed")


def check_sparse(network: nn.Module) -> None:
    """Raise ValueError if an embedding that is trained has sparse gradients."""
    for name, module in network.named_modules():
        if isinstance(module, nn.Embedding | nn.EmbeddingBag) and module.sparse and module.weight.requires_grad:
            raise ValueError(
                f"gradients must be dense, got sparse=true in {own_name(name)!r}, {type(module).__name__} of the "
                "network; set sparse=false there"
            )


def try_optimizer(build: Callable[..., Optimizer], groups: Sequence[Group], on_cpu: bool) -> Optimizer:
    """The optimizer that ``build`` makes for ``groups`` of parameters, after others like it have made a step.

    Raises:
        ValueError: it does not take the parameters, or cannot make a training step with its settings.
    """
    if not groups:
        raise ValueError("the network must have trainable parameters, got none; set another model or freeze less")
    try:
        optimizer = make_optimizer(build, groups)
    except (ValueError, RuntimeError, TypeError) as error:
        raise ValueError(f"{_first_line(error)}; {_hint(build, groups)}") from error
    name = type(optimizer).__name__
    if isinstance(optimizer, torch.optim.SparseAdam):
        raise ValueError(f"{name} needs sparse gradients, and those of a network here are dense; set optim=adam")
    if "closure" not in inspect.signature(optimizer.step).parameters:
        raise ValueError(f"{name}.step must take a closure, as those of torch.optim do; choose another optim")
    if "lr" not in optimizer.param_groups[0]:
        raise ValueError(f"{name} must keep its learning rate in param_groups as 'lr'; choose another optim")
    known = [*(key for key in optimizer.defaults if key != "lr"), "lr_multiplier"]
    if unknown := [key for group in groups for key in group.settings if key not in known]:
        raise ValueError(f"groups of {name} can set {', '.join(known)}, got {unknown[0]}; set optim.groups")
    if optimizer.defaults.get("capturable") and not on_cpu:
        return optimizer  # which makes steps on a GPU only
    for group in groups:
        _try_step(build, group, optimizer)
    return optimizer


def _hint(build: Callable[..., Optimizer], groups: Sequence[Group]) -> str:
    """What to do where ``build`` does not take ``groups``."""
    if getattr(build, "func", build) is torch.optim.Muon:
        return "choose optim=muon, which trains the others by AdamW"
    if any(group.settings for group in groups):
        with contextlib.suppress(ValueError, RuntimeError, TypeError):
            build([parameter for group in groups for parameter in group.parameters])
            return "leave out optim.groups"
    return "set optim.* or choose another optim"


def _try_step(build: Callable[..., Optimizer], group: Group, optimizer: Optimizer) -> None:
    """Make a step with the settings of ``group``, those that torch checks only in the constructor given there."""
    name, known = type(optimizer).__name__, inspect.signature(build).parameters
    parameter = nn.Parameter(torch.zeros(2, 2, dtype=torch.float64))  # in which any valid rate is finite
    parameter.grad = torch.ones_like(parameter)
    checked = {key: value for key, value in group.settings.items() if key in known}
    untouched: list[bool] = []  # at each evaluation of the loss

    def evaluate() -> float:
        untouched.append(not parameter.any() and parameter.grad is not None)
        return 1.0

    try:
        trial = make_optimizer(partial(build, **checked), [Group([parameter], group.settings)])
        trial.step(evaluate)
    except Exception as error:
        if checked:
            raise ValueError(f"{name} cannot have {checked} ({_first_line(error)}); set optim.groups") from error
        keys = [key for key, value in optimizer.defaults.items() if value is True]
        settings, where = (", ".join(f"{key}=true" for key in keys), ", ".join(f"optim.{key}" for key in keys))
        raise ValueError(
            f"{name} cannot make a step{' with ' * bool(keys)}{settings} ({_first_line(error)}); "
            f"{f'leave out {where}' if keys else 'choose another optim'}"
        ) from error
    if untouched not in ([], [True]) and not needs_closure(optimizer):
        raise ValueError(
            f"{name} evaluates the loss itself, which it can where the argument closure of its step has no default; "
            "change that, or choose another optim"
        )


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0].rstrip(".")
