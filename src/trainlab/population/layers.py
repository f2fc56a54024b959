"""The layers of M networks of one architecture as functions of their stacked tensors.

Axes: M members, D features, B images of a batch. A layer takes x (M, D, B) and returns the same for its units: small
batches are multiplied faster with the images of a unit contiguous.
"""

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from trainlab.models.activations import RReLU
from trainlab.models.dropout import SELU_MINIMUM, AlphaDropout, Dropout
from trainlab.randomness import CounterDraws, counter_draws

ELEMENTWISE = (nn.ReLU, nn.LeakyReLU, nn.Tanh, nn.Sigmoid, nn.GELU, nn.SiLU, nn.Mish)


@dataclass(frozen=True)
class Tensors:
    """The tensors of a pass through the layers.

    Attributes:
        values: parameters, running statistics and constants (M, ...) by name.
        steps: (M,) int64, the step that each member draws for.
        gradients: where a backward pass puts those of parameters; None where torch.func.grad collects them.
        root: a scalar that requires a gradient, so that there is a backward pass; only used with ``gradients``.
    """

    values: Mapping[str, Tensor]
    steps: Tensor
    gradients: Mapping[str, Tensor] | None = None
    root: Tensor | None = None

    def parameter(self, name: str) -> Tensor:
        """A parameter (M, ...) that autograd knows of."""
        if self.gradients is None:
            return self.values[name]
        return _Parameter.apply(self.root, self.values[name], self.gradients[name])


Layer = Callable[[Tensor, Tensors], Tensor]


class _Parameter(torch.autograd.Function):
    """A stacked parameter whose gradient is written to a given tensor: one copy, nothing to zero or gather."""

    @staticmethod
    def forward(ctx: Any, root: Tensor, value: Tensor, gradient: Tensor) -> Tensor:
        ctx.gradient = gradient
        return value.detach()

    @staticmethod
    def backward(ctx: Any, *outputs: Tensor) -> tuple[None, None, None]:
        ctx.gradient.copy_(outputs[0])
        return None, None, None


class _Linear(torch.autograd.Function):
    """`_Parameter` and product in one, so that the weight's gradient is computed in its memory layout."""

    @staticmethod
    def forward(
        ctx: Any, root: Tensor, x: Tensor, weight: Tensor, bias: Tensor | None, to_weight: Tensor, to_bias: Any
    ) -> Tensor:
        if torch.is_autocast_enabled(x.device.type):  # once, for the backward pass, too
            lower = torch.get_autocast_dtype(x.device.type)
            x, weight = x.to(lower), weight.to(lower)
        ctx.save_for_backward(x, weight)
        ctx.to_weight, ctx.to_bias = to_weight, to_bias
        return _product(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, *outputs: Tensor) -> tuple[None, Tensor | None, None, None, None, None]:
        (output,), (x, weight) = outputs, ctx.saved_tensors
        rows = x.transpose(1, 2)
        if output.dtype == ctx.to_weight.dtype:
            torch.bmm(output, rows, out=ctx.to_weight)
            if ctx.to_bias is not None:
                torch.sum(output, 2, out=ctx.to_bias)
        else:  # rounded as that of a solo run
            ctx.to_weight.copy_(torch.bmm(output, rows))
            if ctx.to_bias is not None:
                ctx.to_bias.copy_(output.sum(2))
        to_x = torch.bmm(weight.transpose(1, 2), output) if ctx.needs_input_grad[1] else None
        return None, to_x, None, None, None, None


def _product(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    if bias is None:
        return torch.bmm(weight, x)
    if not torch.compiler.is_compiling():
        return torch.baddbmm(bias[:, :, None], weight, x)
    product = torch.bmm(weight, x)
    return product + bias[:, :, None].to(product.dtype)  # fused with what follows


def _linear(name: str, layer: nn.Linear) -> Layer:
    weight, bias = f"{name}.weight", f"{name}.bias" if layer.bias is not None else None

    def apply(x: Tensor, tensors: Tensors) -> Tensor:
        values, gradients = tensors.values, tensors.gradients
        if gradients is None:
            return _product(x, values[weight], values[bias] if bias else None)
        biases = (values[bias], gradients[bias]) if bias else (None, None)
        return _Linear.apply(tensors.root, x, values[weight], biases[0], gradients[weight], biases[1])

    return apply


def _batch_norm(name: str, layer: nn.BatchNorm1d) -> Layer:
    """With the statistics of each member's batch; updates the running ones in ``values``."""

    def apply(x: Tensor, tensors: Tensors) -> Tensor:
        members, units, images = x.shape
        mean, var = (tensors.values[f"{name}.{key}"].view(-1) for key in ("running_mean", "running_var"))
        weight, bias = (tensors.parameter(f"{name}.{key}").reshape(-1) for key in ("weight", "bias"))
        rows = x.reshape(1, members * units, images)
        assert layer.momentum is not None
        normal = functional.batch_norm(rows, mean, var, weight, bias, True, layer.momentum, layer.eps)
        tensors.values[f"{name}.num_batches_tracked"].add_(1)
        return normal.view(members, units, images)

    return apply


def _elu(name: str, layer: nn.ELU | nn.SELU) -> Layer:
    in_place = copy(layer)
    in_place.inplace = True

    def apply(x: Tensor, tensors: Tensors) -> Tensor:
        # In place, autograd takes the derivative from the result, without an exponential; bfloat16 has too few digits.
        # Of a view, as batch normalization returns, autograd would copy gradients; the compiler drops the clone.
        if torch.compiler.is_compiling() and x.dtype.itemsize >= 4:
            return in_place(x.clone())
        return layer(x)

    return apply


def _prelu(name: str, layer: nn.PReLU) -> Layer:
    return lambda x, tensors: torch.where(x > 0, x, tensors.parameter(f"{name}.weight")[:, :, None].to(x.dtype) * x)


def _draws(name: str, x: Tensor, tensors: Tensors) -> Tensor:
    """Draws (M, D, B), those of `CounterDraws` for each member."""
    units, images = x.shape[1:]
    elements = torch.arange(images * units, device=x.device).view(images, units).t()
    return counter_draws(tensors.values[f"{name}.key"], tensors.steps, elements)


def _rrelu(name: str, layer: RReLU) -> Layer:
    def apply(x: Tensor, tensors: Tensors) -> Tensor:
        fraction = _draws(f"{name}.draws", x, tensors).to(x.dtype) / 2**32
        return torch.where(x >= 0, x, x * (layer.lower + (layer.upper - layer.lower) * fraction))

    return apply


def _keep(name: str, x: Tensor, tensors: Tensors) -> Tensor:
    return _draws(f"{name}.draws", x, tensors) >= tensors.values[f"{name}.threshold"]


def _dropout(name: str, layer: Dropout) -> Layer:
    return lambda x, tensors: x * (_keep(name, x, tensors).to(x.dtype) / tensors.values[f"{name}.kept"]).to(x.dtype)


def _alpha_dropout(name: str, layer: AlphaDropout) -> Layer:
    def apply(x: Tensor, tensors: Tensors) -> Tensor:
        gain, bias = tensors.values[f"{name}.gain"], tensors.values[f"{name}.shift"]
        scaled = (x * gain).to(x.dtype) + bias.to(x.dtype)  # rounded as that of a solo run
        return torch.where(_keep(name, x, tensors), scaled, SELU_MINIMUM * gain + bias).to(x.dtype)

    return apply


_STACKED: dict[type[nn.Module], Callable[[str, Any], Layer | None]] = {
    nn.Linear: _linear,
    nn.BatchNorm1d: _batch_norm,
    nn.ELU: _elu,
    nn.SELU: _elu,
    nn.PReLU: _prelu,
    RReLU: _rrelu,
    Dropout: _dropout,
    AlphaDropout: _alpha_dropout,
    nn.Flatten: lambda name, layer: None,  # images come in flat
    **{kind: lambda name, layer: lambda x, tensors: layer(x) for kind in ELEMENTWISE},
}


def stacked_layers(network: nn.Module, prefix: str) -> list[Layer]:
    """The layers of ``network`` and of all like it.

    Raises:
        ValueError: a kind of layer is not supported.
    """
    layers = []
    for name, layer in network.named_children():
        if type(layer) not in _STACKED:
            raise ValueError(f"a population has no layer {type(layer).__name__}; set sweep.population=off")
        layers.append(_STACKED[type(layer)](f"{prefix}.{name}", layer))
    return [layer for layer in layers if layer]


def constants(networks: Sequence[nn.Module], dtype: torch.dtype) -> dict[str, Tensor]:
    """What differs between the ``networks`` and is not trained: keys of random draws (M, 2), rates (M, 1, 1).

    Rates are in ``dtype``.
    """
    found: dict[str, Tensor] = {}
    for name, layer in networks[0].named_modules():
        alike: list[Any] = [network.get_submodule(name) for network in networks]
        if isinstance(layer, CounterDraws):
            found[f"{name}.key"] = torch.stack([one.key for one in alike])
        if isinstance(layer, Dropout):
            columns: dict[str, tuple[list[Any], torch.dtype]] = {
                "threshold": ([one.threshold for one in alike], torch.int64),
                "kept": ([1 - one.rate for one in alike], dtype),
            }
            if isinstance(layer, AlphaDropout):
                columns |= {"gain": ([one.gain for one in alike], dtype), "shift": ([one.bias for one in alike], dtype)}
            for key, (numbers, kind) in columns.items():
                found[f"{name}.{key}"] = torch.tensor(numbers, dtype=kind).view(-1, 1, 1)
    return found
