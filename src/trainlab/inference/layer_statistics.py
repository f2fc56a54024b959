"""What goes on in the layers of a network: statistics of their activations, and norms of their gradients."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from trainlab.loggers.tensorboard import Histogram
from trainlab.models.dropout import Dropout
from trainlab.randomness import CounterDraws
from trainlab.training.module import at_least_float32

SAME = 1e-6  # of a number: what rounding in float32 makes of one that is computed in several ways
_BINS = 64  # of a histogram; TensorBoard shows 30
_BEHIND = (nn.Flatten, nn.MaxPool2d, Dropout)  # what comes after a layer's activations


@dataclass(frozen=True)
class Layer:
    """A linear layer or a convolution with what normalizes it, and its activation.

    Attributes:
        name: of the first part.
        parts: all that can have parameters. The last puts out the activations; of the output layer, the logits.
    """

    name: str
    parts: list[nn.Module]


@dataclass(frozen=True)
class Weights:
    """Of a layer's weights, a row for all that go into a unit: an output of a dense layer, a channel of a convolution.

    Attributes:
        rank: of that matrix: how many singular values are more than the rounding of its numbers can make.
        distinct_units: rows that differ by more than ``SAME`` of the largest weight somewhere.
    """

    rank: float
    distinct_units: float


@dataclass(frozen=True)
class Statistics:
    """Of a layer's activations on a batch of images.

    Attributes:
        mean: over images and units, and the pixels of a convolution.
        std: over the same.
        dead: share of units that are, in [0, 1]. A unit, an output of a dense layer or a channel of a convolution, is
            dead if it gives the same number for every image (a channel at each pixel), to within ``SAME`` of it: a ReLU
            that is 0 or an ELU that is -1 for all, or a unit behind such units alone. It tells nothing of an image, and
            where its activation is flat no gradient goes through it.
        histogram: of those that are finite; None where none is.
    """

    mean: float
    std: float
    dead: float
    histogram: Histogram | None


def layers_of(network: nn.Module) -> list[Layer]:
    """The layers of a network of ``trainlab.models``, in order; normalized pixels are one by themselves."""
    found: list[Layer] = []
    for name, part in network.get_submodule("layers").named_children():
        if isinstance(part, nn.Linear | nn.Conv2d) or (not found and any(True for _ in part.parameters())):
            found.append(Layer(name, [part]))
        elif not isinstance(part, _BEHIND):
            found[-1].parts.append(part)
    return found


@torch.no_grad()
def weights_of(layer: Layer) -> Weights:
    """Those of a layer's weights; NaN where it has none, as normalized pixels, or where they are not finite."""
    weight = getattr(layer.parts[0], "weight", None)
    if weight is None or weight.dim() < 2 or not weight.isfinite().all():
        return Weights(math.nan, math.nan)
    rows = weight.flatten(1).double().cpu()
    precision = max(rows.shape) * torch.finfo(weight.dtype).eps  # torch's own for a matrix of that type
    return Weights(float(torch.linalg.matrix_rank(rows, rtol=precision)), float(_distinct(rows)))


def _distinct(rows: Tensor) -> int:
    """How many rows are not as the one before, in an order in which equal ones are neighbours."""
    # Along a direction that has nothing to do with any weights, only equal rows are equally far.
    direction = torch.arange(1, rows.shape[1] + 1, dtype=rows.dtype).sqrt().sin()
    ordered = rows[(rows @ direction).argsort()]
    apart = (ordered[1:] - ordered[:-1]).abs().amax(1)
    return 1 + int((apart > SAME * rows.abs().max()).sum())


@torch.no_grad()
def activations(network: nn.Module, layers: Sequence[Layer], images: Tensor) -> list[Statistics]:
    """Those of each layer on raw ``images``, in evaluation mode."""
    found: list[Statistics] = []

    def look(part: nn.Module, inputs: Any, output: Tensor) -> None:
        found.append(statistics(output))

    hooks = [layer.parts[-1].register_forward_hook(look) for layer in layers]
    try:
        with _in_mode(network, training=False):
            network(images)
    finally:
        for hook in hooks:
            hook.remove()
    return found


def statistics(values: Tensor) -> Statistics:
    """Those of activations (N, units) or (N, channels, height, width)."""
    values = at_least_float32(values)
    low, high = values.amin(0), values.amax(0)
    is_same = high - low <= SAME * torch.maximum(high.abs(), low.abs())
    is_dead = is_same.flatten(1).all(1) if is_same.dim() > 1 else is_same
    mean, std = float(values.mean()), float(values.std(correction=0))
    return Statistics(mean, std, float(is_dead.double().mean()), _histogram(values))


def _histogram(values: Tensor) -> Histogram | None:
    values = values[values.isfinite()]
    if not len(values):
        return None
    low, high = map(float, values.aminmax())
    counts = values.histc(_BINS, low, high).tolist() if low < high else [float(len(values))]
    return Histogram(low, high, counts, float(values.double().sum()), float(values.double().square().sum()))


def gradient_norms(
    network: nn.Module, layers: Sequence[Layer], images: Tensor, labels: Tensor, label_smoothing: float = 0.0
) -> list[float]:
    """Euclidean norm of the loss's gradient by the parameters of each layer, in the training's first step.

    The step is made on copies of all buffers, running statistics and the number of the step among them.
    """
    buffers = {name: buffer.clone() for name, buffer in network.named_buffers()}
    for name, part in network.named_modules():
        if isinstance(part, CounterDraws):
            buffers[f"{name}.step"].zero_()
    parameters = [[p for part in layer.parts for p in part.parameters()] for layer in layers]
    with torch.enable_grad(), _in_mode(network, training=True):
        logits = at_least_float32(functional_call(network, buffers, (images,)))
        loss = functional.cross_entropy(logits, labels, label_smoothing=label_smoothing)
        gradients = iter(torch.autograd.grad(loss, [p for own in parameters for p in own]))
    norms = [torch.stack([next(gradients).norm() for _ in own]).norm() for own in parameters]
    return [float(norm) for norm in norms]


@contextmanager
def _in_mode(network: nn.Module, training: bool) -> Iterator[None]:
    """In training or evaluation mode, and afterwards each part in that which it had."""
    modes = {part: part.training for part in network.modules()}
    network.train(training)
    try:
        yield
    finally:
        for part, mode in modes.items():
            part.training = mode
