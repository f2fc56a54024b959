"""Magnitude pruning: the smallest weights are set to zero, and stay there in fine-tuning."""

from collections.abc import Callable
from copy import deepcopy

import torch
from torch import Tensor, nn

from exercise.flat_parameters import FlatParameters
from exercise.questions.sparsity.fine_tuning import N, Plan, fine_tune, linear_layers, over_weights
from trainlab.data import ImageData


def masks(network: nn.Module, share: float) -> dict[str, Tensor]:
    """Which weights stay, bool by layer, so that ``share`` of all weights together do not.

    Magnitudes are in units of the root mean square of their layer. A layer of many inputs has smaller weights than one
    of few, and before batch normalization the size of all weights of a layer means nothing: by the plain magnitude the
    first layer would be the first to go.
    """
    layers = linear_layers(network)
    scores = {name: layer.weight.detach().abs() / _root_mean_square(layer) for name, layer in layers.items()}
    together = torch.cat([score.flatten() for score in scores.values()])
    keep = torch.ones(len(together), dtype=torch.bool)
    keep[together.argsort(stable=True)[: round(share * len(together))]] = False
    parts = keep.split([score.numel() for score in scores.values()])
    return {name: part.view_as(score) for (name, score), part in zip(scores.items(), parts, strict=True)}


def _root_mean_square(layer: nn.Linear) -> Tensor:
    size = layer.weight.detach().square().mean().sqrt()
    return size if size > 0 else torch.ones_like(size)


def prune(network: N, share: float) -> N:
    """A copy with ``share`` of the weights set to zero and nothing done about it."""
    network = deepcopy(network)
    layers = linear_layers(network)
    with torch.no_grad():
        for name, keep in masks(network, share).items():
            layers[name].weight.mul_(keep)
    return network


def prune_and_tune(network: N, share: float, data: ImageData, plan: Plan) -> N:
    """The same, fine-tuned with these weights held at zero."""
    kept = masks(network, share)

    def hold(flat: FlatParameters) -> Callable[[float], Tensor]:
        factors = over_weights(flat, kept, others=1.0)
        return lambda lr: flat.parameter.data.mul_(factors)

    return fine_tune(prune(network, share), data, plan, constraint=hold)
