"""Dropout and alpha dropout whose masks are a function of (seed, layer, step, element)."""

import math

import torch
from torch import Tensor, nn

from trainlab.randomness import CounterDraws

# SELU's limit for large negative inputs, -scale * alpha (Klambauer et al., 2017, equation 14).
SELU_MINIMUM = -1.0507009873554804934193349852946 * 1.6732632423543772848170429916717
DROPOUT_KINDS = ("alpha", "standard")


def check_dropout(rate: float, kind: str, key: str = "dropout") -> None:
    """Raise ValueError, naming the config key, unless the rate is in [0, 1) and the kind is known."""
    if not 0 <= rate < 1:
        raise ValueError(f"{key} must be in [0, 1), got {rate}; set model.{key}")
    if kind not in DROPOUT_KINDS:
        raise ValueError(
            f"dropout_kind must be one of {', '.join(DROPOUT_KINDS)}, got {kind!r}; set model.dropout_kind"
        )


class Dropout(nn.Module):
    """Zero each element with probability ``rate`` in training and divide the others by ``1 - rate``."""

    def __init__(self, rate: float, draws: CounterDraws) -> None:
        super().__init__()
        self.rate, self.draws = rate, draws

    def forward(self, x: Tensor) -> Tensor:
        """Apply it to ``x`` (B, ...)."""
        if not self.training:
            return x
        return x * (self.keep(x.shape).to(x.dtype) / (1 - self.rate))

    def keep(self, shape: torch.Size) -> Tensor:
        """The mask of this step, bool, True where an element is kept."""
        return self.draws(shape) >= self.threshold

    @property
    def threshold(self) -> int:
        """Elements whose draws are below it are dropped."""
        return round(self.rate * 2**32)

    def extra_repr(self) -> str:
        """The rate, for ``print(network)``."""
        return f"rate={self.rate}"


class AlphaDropout(Dropout):
    """Set dropped elements to SELU's minimum and rescale, so that mean 0 and variance 1 are kept.

    Klambauer et al., 2017, section "New Dropout Technique". This holds only for outputs of SELU.
    """

    def __init__(self, rate: float, draws: CounterDraws) -> None:
        super().__init__(rate, draws)
        self.gain = ((1 - rate) * (1 + rate * SELU_MINIMUM**2)) ** -0.5
        self.bias = -self.gain * SELU_MINIMUM * rate
        assert math.isfinite(self.gain)

    def forward(self, x: Tensor) -> Tensor:
        """Apply it to ``x`` (B, ...)."""
        if not self.training:
            return x
        return torch.where(self.keep(x.shape), x * self.gain + self.bias, SELU_MINIMUM * self.gain + self.bias)


def build_dropout(rate: float, kind: str, seed: int, place: str) -> Dropout:
    """The dropout layer of one place in a network."""
    draws = CounterDraws(seed, "dropout", place)
    return AlphaDropout(rate, draws) if kind == "alpha" else Dropout(rate, draws)
