"""Statistics of the layers of a network: activations, gradient norms, and ranks of the weights."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from trainlab.inference.network import in_mode
from trainlab.models.dropout import Dropout
from trainlab.randomness import CounterDraws
from trainlab.training.module import at_least_float32

SAME = 1e-6  # relative tolerance: rounding errors of float32
_BINS = 64  # of a histogram; TensorBoard shows 30
_AFTER_LAYER = (nn.Flatten, nn.MaxPool2d, nn.AvgPool2d, Dropout)  # modules that follow the activations of a layer


@dataclass(frozen=True)
class Layer:
    """A linear layer or convolution with its normalization and activation function.

    Attributes:
        name: name of the first part.
        parts: the modules that can have parameters; the last one outputs the activations, or the logits.
    """

    name: str
    parts: list[nn.Module]


@dataclass(frozen=True)
class Statistics:
    """Statistics of a layer's activations on a batch of images.

    Attributes:
        mean: mean over images and units, and the pixels of a convolution.
        std: standard deviation over the same.
        dead: share of dead units, in [0, 1]. A unit is dead if its output is the same for every image (for a channel,
            at every pixel), to within a relative tolerance of ``SAME``: a ReLU at 0 or an ELU at -1 for all images, or
            a unit that receives input from dead units only.
        histogram: of the finite activations, as arguments of ``SummaryWriter.add_histogram_raw``; None without any.
    """

    mean: float
    std: float
    dead: float
    histogram: dict[str, Any] | None


def layers_of(network: nn.Module) -> list[Layer]:
    """The layers of a network of ``trainlab.models``, in order; batch normalization of the input is one, too."""
    found: list[Layer] = []
    for name, part in network.get_submodule("module").named_children():
        if isinstance(part, nn.Linear | nn.Conv2d) or (not found and any(True for _ in part.parameters())):
            found.append(Layer(name, [part]))
        elif not isinstance(part, _AFTER_LAYER):
            found[-1].parts.append(part)
    return found


@torch.no_grad()
def weights_of(layer: Layer) -> dict[str, float]:
    """Statistics of a layer's weight matrix, one row per unit: output of a dense layer, channel of a convolution.

    Returns:
        rank: of the matrix, the number of singular values above rounding errors; distinct_units: number of distinct
        rows, to within ``SAME`` times the largest weight. NaN without a matrix, or if weights are not finite.
    """
    weight = getattr(layer.parts[0], "weight", None)
    if weight is None or weight.dim() < 2 or not weight.isfinite().all():
        return {"rank": math.nan, "distinct_units": math.nan}
    rows = weight.flatten(1).double().cpu()
    precision = max(rows.shape) * torch.finfo(weight.dtype).eps  # default of torch.linalg.matrix_rank for this dtype
    rank = float(torch.linalg.matrix_rank(rows, rtol=precision))
    return {"rank": rank, "distinct_units": float(_distinct(rows))}


def _distinct(rows: Tensor) -> int:
    """Number of distinct rows: those that differ from the previous one after sorting."""
    # Projections on a direction unrelated to the weights are equal for equal rows only.
    direction = torch.arange(1, rows.shape[1] + 1, dtype=rows.dtype).sqrt().sin()
    ordered = rows[(rows @ direction).argsort()]
    apart = (ordered[1:] - ordered[:-1]).abs().amax(1)
    return 1 + int((apart > SAME * rows.abs().max()).sum())


@torch.no_grad()
def activations(network: nn.Module, layers: Sequence[Layer], images: Tensor) -> list[Statistics]:
    """Statistics of the activations of each layer on raw ``images``, in evaluation mode."""
    found: list[Statistics] = []

    def record(part: nn.Module, inputs: Any, output: Tensor) -> None:
        found.append(statistics(output))

    hooks = [layer.parts[-1].register_forward_hook(record) for layer in layers]
    try:
        with in_mode(network, training=False):
            network(images)
    finally:
        for hook in hooks:
            hook.remove()
    return found


def statistics(values: Tensor) -> Statistics:
    """Statistics of activations (N, units) or (N, channels, height, width)."""
    values = at_least_float32(values)
    low, high = values.amin(0), values.amax(0)
    is_same = high - low <= SAME * torch.maximum(high.abs(), low.abs())
    is_dead = is_same.flatten(1).all(1) if is_same.dim() > 1 else is_same
    mean, std = float(values.mean()), float(values.std(correction=0))
    return Statistics(mean, std, float(is_dead.double().mean()), histogram([values]))


def histogram(tensors: Sequence[Tensor]) -> dict[str, Any] | None:
    """Histogram of the finite values of all ``tensors``, as arguments of ``SummaryWriter.add_histogram_raw``.

    None without any.
    """
    values = (
        torch.cat([at_least_float32(tensor.detach()).flatten() for tensor in tensors]) if tensors else torch.empty(0)
    )
    values = values[values.isfinite()]
    if not len(values):
        return None
    low, high = map(float, values.aminmax())
    counts = values.histc(_BINS, low, high).tolist() if low < high else [float(len(values))]
    width = (high - low) / len(counts)
    return {
        **{"min": low, "max": high, "num": sum(counts), "bucket_counts": counts},
        "bucket_limits": [low + width * (i + 1) for i in range(len(counts))],
        **{"sum": float(values.double().sum()), "sum_squares": float(values.double().square().sum())},
    }


def gradients(
    network: nn.Module,
    layers: Sequence[Layer],
    images: Tensor,
    targets: Tensor,
    loss: Callable[[Tensor, Tensor], Tensor] = functional.cross_entropy,
) -> list[list[Tensor]]:
    """Gradients of ``loss`` with respect to the parameters of each layer, as in the first training step.

    ``loss`` is the mean over a batch, of outputs and targets. Empty for a layer without a gradient, such as a frozen
    one. Uses copies of all buffers, so running statistics and step counters are unchanged.
    """
    buffers = {name: buffer.clone() for name, buffer in network.named_buffers()}
    for name, part in network.named_modules():
        if isinstance(part, CounterDraws):
            buffers[f"{name}.step"].zero_()
    parameters = [[p for part in layer.parts for p in part.parameters() if p.requires_grad] for layer in layers]
    with torch.enable_grad(), in_mode(network, training=True):
        outputs = at_least_float32(functional_call(network, buffers, (images,)))
        found = iter(
            torch.autograd.grad(loss(outputs, targets), [p for own in parameters for p in own], allow_unused=True)
        )
    return [[gradient for _ in own if (gradient := next(found)) is not None] for own in parameters]


def norm(gradients: Sequence[Tensor]) -> float:
    """Norm of all gradients of a layer together; NaN without any."""
    return float(torch.stack([g.norm() for g in gradients]).norm()) if gradients else math.nan
