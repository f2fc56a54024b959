"""Activation functions by name."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from trainlab.randomness import CounterDraws


class RReLU(nn.Module):
    """Randomized leaky ReLU (Xu et al., 2015): a slope drawn from U(lower, upper) for each negative element.

    In evaluation the slope is the mean of the two bounds. Unlike torch's, it does not draw from the global generator.
    """

    def __init__(self, draws: CounterDraws, lower: float = 1 / 8, upper: float = 1 / 3) -> None:
        super().__init__()
        self.draws, self.lower, self.upper = draws, lower, upper

    def forward(self, x: Tensor) -> Tensor:
        """Apply it to ``x`` (B, ...)."""
        if not self.training:
            return nn.functional.leaky_relu(x, (self.lower + self.upper) / 2)
        slope = self.lower + (self.upper - self.lower) * (self.draws(x.shape).to(x.dtype) / 2**32)
        return torch.where(x >= 0, x, x * slope)


_ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "elu": nn.ELU,
    "selu": nn.SELU,
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "prelu": nn.PReLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "mish": nn.Mish,
}
ACTIVATIONS = (*_ACTIVATIONS, "rrelu")


def check_activation(name: str) -> None:
    """Raise ValueError unless ``name`` is one of ``ACTIVATIONS``."""
    if name not in ACTIVATIONS:
        raise ValueError(f"activation must be one of {', '.join(ACTIVATIONS)}, got {name!r}; set model.activation")


def build_activation(name: str, seed: int, place: str) -> nn.Module:
    """The activation ``name``; its draws, if any, are functions of (seed, place)."""
    if name == "rrelu":
        return RReLU(CounterDraws(seed, "rrelu", place))
    return _ACTIVATIONS[name]()
