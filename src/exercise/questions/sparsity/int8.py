"""Weights of 8 bits: a smaller file, not a sparse network.

Written out here, since torch's own quantized types are on their way out of it, for a package that this project does
without. Only the weights are quantized; the arithmetic is in float32 on what they stand for, so nothing is faster.
"""

from copy import deepcopy

import torch
from torch import Tensor

from exercise.questions.sparsity.fine_tuning import N, linear_layers

LARGEST = 127


def row_scales(weight: Tensor) -> Tensor:
    """What 1 stands for in each row (R, 1), float32: the largest weight is 127 of it.

    Scales have the 8 significant bits of bfloat16. With the 7 of an integer a product has 15 at most, which float32
    holds: what is stored stands for the quantized weights to the last bit.
    """
    return (weight.abs().amax(1, keepdim=True) / LARGEST).bfloat16().float()


def quantize_weight(weight: Tensor, scales: Tensor) -> Tensor:
    """The nearest integers, int8."""
    return (weight / scales.where(scales > 0, 1)).round().clamp(-LARGEST, LARGEST).to(torch.int8)


def quantize(network: N) -> N:
    """A copy whose weights are those that 8 bits and a scale a row stand for; symmetric, zero stays zero."""
    network = deepcopy(network)
    with torch.no_grad():
        for layer in linear_layers(network).values():
            scales = row_scales(layer.weight)
            layer.weight.copy_(quantize_weight(layer.weight, scales) * scales)
    return network
