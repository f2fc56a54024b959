"""Low-rank factors in the place of weight matrices: fewer weights, none of them zero."""

from copy import deepcopy

import torch
from torch import nn

from exercise.questions.sparsity.fine_tuning import N, Plan, fine_tune, linear_layers
from trainlab.data import ImageData


def factors(layer: nn.Linear, rank: int) -> nn.Sequential:
    """Two layers whose product is the best approximation of ``layer`` of that rank (Eckart and Young)."""
    left, sizes, right = torch.linalg.svd(layer.weight.detach(), full_matrices=False)
    roots = sizes[:rank].sqrt()
    first = nn.utils.skip_init(nn.Linear, layer.in_features, rank, bias=False)
    second = nn.utils.skip_init(nn.Linear, rank, layer.out_features, bias=layer.bias is not None)
    with torch.no_grad():
        first.weight.copy_(roots[:, None] * right[:rank])
        second.weight.copy_(left[:, :rank] * roots)
        if layer.bias is not None:
            second.bias.copy_(layer.bias)
    return nn.Sequential(first, second)


def factorize(network: N, rank: int) -> N:
    """A copy with factors of ``rank`` in each layer where they have fewer weights than it."""
    network = deepcopy(network)
    for name, layer in linear_layers(network).items():
        if rank * (layer.in_features + layer.out_features) < layer.weight.numel():
            parent, _, own = name.rpartition(".")
            setattr(network.get_submodule(parent), own, factors(layer, rank))
    return network


def factorize_and_tune(network: N, rank: int, data: ImageData, plan: Plan) -> N:
    """The same, fine-tuned."""
    return fine_tune(factorize(network, rank), data, plan)
