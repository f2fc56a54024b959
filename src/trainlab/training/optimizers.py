"""Steps of torch's optimizers in two parts: scalars from their settings, and arithmetic on tensors, to be compiled.

Formulas are those of torch.optim's documentation. The tensors of a step are those that torch keeps in its state, so a
training can go from one to the other at any step.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

Settings = Mapping[str, Any]  # a parameter group
State = dict[str, Tensor]


@dataclass(frozen=True)
class Rule:
    """How one kind of optimizer makes a step.

    Attributes:
        scalars: (settings, state) -> the numbers of the next step; counts the step in ``state``.
        update: (parameter, gradient, state, scalars) -> None; changes the parameter and ``state`` in place. The
            parameter may be a population's (M, P); each scalar is then (M, 1).
        tensors: names of the state that has the parameter's shape, and those that ``settings`` switch on.
    """

    scalars: Callable[[Settings, State], list[float]]
    update: Callable[[Tensor, Tensor, State, Tensor], None]
    tensors: Callable[[Settings], tuple[str, ...]]


def _count(state: State) -> float:
    state["step"] += 1
    return float(state["step"])


def _decay(settings: Settings, decoupled: bool) -> list[float]:
    """Factor of the parameter in itself, and in the gradient."""
    weight_decay = settings["weight_decay"]
    return [1 - settings["lr"] * weight_decay, 0.0] if decoupled else [1.0, weight_decay]


def _adam_scalars(settings: Settings, state: State) -> list[float]:
    step, (beta1, beta2) = _count(state), settings["betas"]
    rate = settings["lr"] / (1 - beta1**step)
    decay = _decay(settings, settings["decoupled_weight_decay"])
    return [*decay, 1 - beta1, 1 - beta2, 1 / (1 - beta2**step), settings["eps"], rate]


def _adam_update(parameter: Tensor, gradient: Tensor, state: State, scalars: Tensor) -> None:
    shrink, weight_decay, beta1_rest, beta2_rest, unbias2, eps, rate = scalars.unbind()
    gradient = gradient + weight_decay * parameter
    mean = state["exp_avg"].lerp_(gradient, beta1_rest)
    square = state["exp_avg_sq"].lerp_(gradient * gradient, beta2_rest)
    if "max_exp_avg_sq" in state:
        square = state["max_exp_avg_sq"].copy_(torch.maximum(state["max_exp_avg_sq"], square))
    parameter.copy_(shrink * parameter - rate * mean / ((square * unbias2).sqrt() + eps))


def _adam_tensors(settings: Settings) -> tuple[str, ...]:
    return ("exp_avg", "exp_avg_sq") + (("max_exp_avg_sq",) if settings["amsgrad"] else ())


def _nadam_scalars(settings: Settings, state: State) -> list[float]:
    step, (beta1, beta2), lr = _count(state), settings["betas"], settings["lr"]
    momentum, following = (beta1 * (1 - 0.5 * 0.96 ** (s * settings["momentum_decay"])) for s in (step, step + 1))
    state["mu_product"] *= momentum
    product = float(state["mu_product"])
    rates = [lr * (1 - momentum) / (1 - product), lr * following / (1 - product * following)]
    decay = _decay(settings, settings["decoupled_weight_decay"])
    return [*decay, 1 - beta1, 1 - beta2, 1 / (1 - beta2**step), settings["eps"], *rates]


def _nadam_update(parameter: Tensor, gradient: Tensor, state: State, scalars: Tensor) -> None:
    shrink, weight_decay, beta1_rest, beta2_rest, unbias2, eps, gradient_rate, mean_rate = scalars.unbind()
    gradient = gradient + weight_decay * parameter
    mean = state["exp_avg"].lerp_(gradient, beta1_rest)
    square = state["exp_avg_sq"].lerp_(gradient * gradient, beta2_rest)
    parameter.copy_(
        shrink * parameter - (gradient_rate * gradient + mean_rate * mean) / ((square * unbias2).sqrt() + eps)
    )


def _sgd_scalars(settings: Settings, state: State) -> list[float]:
    return [settings["weight_decay"], settings["momentum"], 1 - settings["dampening"], settings["lr"]]


def _sgd_update(parameter: Tensor, gradient: Tensor, state: State, scalars: Tensor) -> None:
    weight_decay, momentum, undamped, rate = scalars.unbind()
    gradient = gradient + weight_decay * parameter
    if "momentum_buffer" in state:
        gradient = state["momentum_buffer"].copy_(momentum * state["momentum_buffer"] + undamped * gradient)
    parameter.sub_(rate * gradient)


def _nesterov_update(parameter: Tensor, gradient: Tensor, state: State, scalars: Tensor) -> None:
    weight_decay, momentum, undamped, rate = scalars.unbind()
    gradient = gradient + weight_decay * parameter
    buffer = state["momentum_buffer"].copy_(momentum * state["momentum_buffer"] + undamped * gradient)
    parameter.sub_(rate * (gradient + momentum * buffer))


def _sgd_tensors(settings: Settings) -> tuple[str, ...]:
    return ("momentum_buffer",) if settings["momentum"] else ()


def _rmsprop_scalars(settings: Settings, state: State) -> list[float]:
    _count(state)
    return [settings["weight_decay"], 1 - settings["alpha"], settings["eps"], settings["momentum"], settings["lr"]]


def _rmsprop_update(parameter: Tensor, gradient: Tensor, state: State, scalars: Tensor) -> None:
    weight_decay, alpha_rest, eps, momentum, rate = scalars.unbind()
    gradient = gradient + weight_decay * parameter
    square = state["square_avg"].lerp_(gradient * gradient, alpha_rest)
    if "grad_avg" in state:
        mean = state["grad_avg"].lerp_(gradient, alpha_rest)
        square = square - mean * mean
    move = gradient / (square.sqrt() + eps)
    if "momentum_buffer" in state:
        move = state["momentum_buffer"].copy_(momentum * state["momentum_buffer"] + move)
    parameter.sub_(rate * move)


def _rmsprop_tensors(settings: Settings) -> tuple[str, ...]:
    centered = ("grad_avg",) if settings["centered"] else ()
    return ("square_avg", *centered) + (("momentum_buffer",) if settings["momentum"] else ())


_ADAM = Rule(_adam_scalars, _adam_update, _adam_tensors)
_RULES: dict[type[Optimizer], Rule] = {
    torch.optim.Adam: _ADAM,
    torch.optim.AdamW: _ADAM,
    torch.optim.NAdam: Rule(_nadam_scalars, _nadam_update, lambda _: ("exp_avg", "exp_avg_sq")),
    torch.optim.RMSprop: Rule(_rmsprop_scalars, _rmsprop_update, _rmsprop_tensors),
}

# A step of these on a vector equals the steps on its elements. That is not known of others: of subclasses, and of
# functions that return one of these, which may have chosen its settings by the shapes of the parameters.
ELEMENTWISE: tuple[type[Optimizer], ...] = (
    *(torch.optim.Adadelta, torch.optim.Adagrad, torch.optim.Adam, torch.optim.Adamax, torch.optim.AdamW),
    *(torch.optim.ASGD, torch.optim.NAdam, torch.optim.RAdam, torch.optim.RMSprop, torch.optim.Rprop, torch.optim.SGD),
)


def is_elementwise(build: Callable[..., Optimizer]) -> bool:
    """Whether ``build``, an optimizer's class or a partial of it, makes the same step on concatenated parameters."""
    return getattr(build, "func", build) in ELEMENTWISE


def rule_for(optimizer: Optimizer) -> Rule:
    """The rule of ``optimizer``, which has one parameter group; see `rules_for`."""
    (rule,) = rules_for(optimizer)
    return rule


def rules_for(optimizer: Optimizer) -> list[Rule]:
    """The rule of each parameter group of ``optimizer``.

    Raises:
        ValueError: there is none for its kind or for a setting of it.
    """
    return [_rule(type(optimizer), settings) for settings in optimizer.param_groups]


def _rule(kind: type[Optimizer], settings: Settings) -> Rule:
    if settings.get("maximize"):
        raise ValueError("compile=true minimizes, got maximize=true; set compile=false")
    if kind is torch.optim.SGD:
        return Rule(_sgd_scalars, _nesterov_update if settings["nesterov"] else _sgd_update, _sgd_tensors)
    if kind not in _RULES:
        known = ", ".join(sorted(kind.__name__ for kind in [*_RULES, torch.optim.SGD]))
        raise ValueError(f"compile=true knows the optimizers {known}, got {kind.__name__}; set compile=false")
    return _RULES[kind]


def has_rule(optimizer: Optimizer) -> bool:
    """Whether ``rules_for`` knows ``optimizer``."""
    try:
        rules_for(optimizer)
    except ValueError:
        return False
    return True


def has_state(optimizer: Optimizer) -> bool:
    """Whether the state has the tensors that the rules need, as it has after torch's first step."""
    return all(
        isinstance(optimizer.state.get(settings["params"][0], {}).get(name), Tensor)
        for rule, settings in zip(rules_for(optimizer), optimizer.param_groups, strict=True)
        for name in rule.tensors(settings)
    )


def clip_norm(gradient: Tensor, limit: float | Tensor) -> Tensor:
    """Scale each row of ``gradient`` (..., P) to a norm of at most ``limit``; torch.nn.utils.clip_grad_norm_."""
    return gradient * (limit / (row_norms(gradient) + 1e-6)).clamp(max=1)


# A custom operation, opaque to the compiler: fused with the update of several rows, inductor cannot generate code for
# the CPU (pytorch issue 196570).
@torch.library.custom_op("trainlab::row_norms", mutates_args=())
def row_norms(x: Tensor) -> Tensor:
    """Euclidean norms (..., 1) of the rows of ``x`` (..., P)."""
    return torch.linalg.vector_norm(x, dim=-1, keepdim=True)


@row_norms.register_fake
def _(x: Tensor) -> Tensor:
    return x.new_empty(*x.shape[:-1], 1)


def clip_value(gradient: Tensor, limit: float | Tensor) -> Tensor:
    """Every element in [-limit, limit]."""
    return gradient.clamp(-limit, limit)  # type: ignore[arg-type]  # either is declared, not both


_CLIPPINGS = {"norm": clip_norm, "value": clip_value}


def clipping(algorithm: str, limit: float | None) -> partial[Tensor] | None:
    """The function that clips a gradient; None where ``limit`` is None or 0.

    Raises:
        ValueError: there is no such algorithm or limit.
    """
    if limit is not None and not limit >= 0:
        raise ValueError(f"gradient_clip_val must be at least 0, got {limit}; set trainer.gradient_clip_val")
    if algorithm not in _CLIPPINGS:
        raise ValueError(
            f"gradient_clip_algorithm must be norm or value, got {algorithm!r}; set trainer.gradient_clip_algorithm"
        )
    return partial(_CLIPPINGS[algorithm], limit=limit) if limit else None
