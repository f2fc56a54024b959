"""Initial weights: a variance rule times a distribution, drawn from a generator per layer."""

import math

import torch
from torch import Tensor, nn

from trainlab.randomness import generator

# Variance of a weight as a function of fan in and fan out.
_VARIANCE = {
    "he": lambda fan_in, fan_out: 2 / fan_in,  # He et al., 2015
    "lecun": lambda fan_in, fan_out: 1 / fan_in,  # LeCun et al., 1998; Klambauer et al., 2017, for SELU
    "glorot": lambda fan_in, fan_out: 2 / (fan_in + fan_out),  # Glorot and Bengio, 2010
    "torch": lambda fan_in, fan_out: 1 / (3 * fan_in),  # uniform: what torch gives linear layers and convolutions
}
# "constant" is one draw of the normal distribution for all weights of a layer: its units can then never differ.
SHAPES = ("normal", "uniform", "constant")
TRUNCATED_AT = 2  # standard deviations, in Keras
TRUNCATED_DEVIATION = 0.87962566103423978  # of a standard normal distribution within these
INITIALIZERS = tuple(f"{rule}_{shape}" for rule in _VARIANCE for shape in SHAPES)
BIAS_INITIALIZERS = ("zeros", "constant", "normal")


def check_initializer(name: str, key: str) -> None:
    """Raise ValueError, naming the config key, unless ``name`` is one of ``INITIALIZERS``."""
    if name not in INITIALIZERS:
        raise ValueError(f"{key} must be one of {', '.join(INITIALIZERS)}, got {name!r}; set model.{key}")


def check_scale(scale: float) -> None:
    """Raise ValueError, naming the config key, unless ``scale`` can be a factor of a deviation."""
    if not 0 < scale < math.inf:
        raise ValueError(f"initializer_scale must be positive and finite, got {scale}; set model.initializer_scale")


def check_bias_initializer(name: str, scale: float) -> None:
    """Raise ValueError, naming the config key, unless ``name`` and ``scale`` are valid for biases."""
    if name not in BIAS_INITIALIZERS:
        raise ValueError(
            f"bias_initializer must be one of {', '.join(BIAS_INITIALIZERS)}, got {name!r}; set model.bias_initializer"
        )
    if not 0 < scale < math.inf:
        raise ValueError(f"bias_scale must be positive and finite, got {scale}; set model.bias_scale")


def variance(name: str, fan_in: int, fan_out: int) -> float:
    """The variance that the initializer ``name`` gives a weight."""
    return _VARIANCE[name.split("_")[0]](fan_in, fan_out)


def empty_linear(features: int, outputs: int, bias: bool = True) -> nn.Linear:
    """A layer without initial values, as by `skip_init`, in a tenth of its time."""
    layer = _Empty(features, outputs, bias, device="cpu")
    layer.__class__ = nn.Linear  # type: ignore[assignment]  # of which it has all the attributes
    return layer


class _Empty(nn.Linear):
    def reset_parameters(self) -> None:
        pass


@torch.no_grad()
def initialize(
    layer: nn.Linear | nn.Conv2d, name: str, seed: int, place: str, scale: float = 1.0, truncated: bool = False
) -> None:
    """Draw the weights of ``layer`` from (seed, place) by the rule ``name``; set its bias, if any, to zero.

    ``scale`` multiplies the deviation of the rule. With ``truncated`` the draws of a "normal" rule are those of Keras's
    `VarianceScaling`: of a normal distribution within two deviations, widened so that the variance is that of the rule.
    """
    receptive_field = math.prod(layer.weight.shape[2:])
    fan_in, fan_out = layer.weight.shape[1] * receptive_field, layer.weight.shape[0] * receptive_field
    deviation = scale * math.sqrt(variance(name, fan_in, fan_out))
    layer.weight.copy_(_standard(name, layer.weight.shape, generator(seed, "weights", place), truncated) * deviation)
    if layer.bias is not None:
        layer.bias.zero_()


def initialize_as_identity(layer: nn.Conv2d) -> None:
    """Have the first filters of ``layer``, as many as it has inputs, pass these on."""
    nn.init.dirac_(layer.weight.data[: layer.in_channels])


@torch.no_grad()
def initialize_bias(layer: nn.Linear, name: str, seed: int, place: str, scale: float) -> None:
    """Initialize the bias of ``layer``, if any, with ``zeros``, a ``constant``, or a ``normal`` draw by (seed, place).

    ``scale`` is the constant, or the deviation of the draws, whose mean is 0.
    """
    if layer.bias is None:
        return
    if name == "normal":
        layer.bias.copy_(torch.randn(layer.bias.shape, generator=generator(seed, "biases", place)) * scale)
    else:
        layer.bias.fill_(scale if name == "constant" else 0.0)


def _standard(name: str, shape: torch.Size, draws: torch.Generator, truncated: bool) -> Tensor:
    """Numbers of mean 0 and variance 1 with the distribution that ``name`` ends in."""
    if name.endswith("_constant"):
        return torch.randn((), generator=draws).expand(shape)
    if name.endswith("_normal"):
        return _truncated(shape, draws) if truncated else torch.randn(shape, generator=draws)
    return (torch.rand(shape, generator=draws) * 2 - 1) * math.sqrt(3)


def _truncated(shape: torch.Size, draws: torch.Generator) -> Tensor:
    """Truncated normal numbers of variance 1, float64, by the inverse of their distribution function."""
    uniform = torch.rand(shape, generator=draws, dtype=torch.float64) * 2 - 1
    within = math.erf(TRUNCATED_AT / math.sqrt(2))  # probability
    return torch.erfinv(uniform * within) * (math.sqrt(2) / TRUNCATED_DEVIATION)
