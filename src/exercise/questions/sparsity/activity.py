"""Sparse activations: units that say nothing to most images. Their weights are all there."""

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy

import torch
from torch import Tensor, nn

from exercise.questions.sparsity.fine_tuning import N, Plan, cross_entropy, fine_tune
from trainlab.data import ImageData


def with_relu(network: N) -> N:
    """A copy with ReLU for its hidden units: ELU and its like never put out a zero."""
    network = deepcopy(network)
    for name in _activation_names(network):
        parent, _, own = name.rpartition(".")
        setattr(network.get_submodule(parent), own, nn.ReLU())
    return network


def sparsely_active(network: N, strength: float, data: ImageData, plan: Plan) -> N:
    """A copy with ReLU, trained on under ``strength`` times the mean output of a unit, summed over the layers."""
    if not strength:
        return fine_tune(with_relu(network), data, plan)

    def loss(of: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
        with record_activations(of) as outputs:
            errors = cross_entropy(of, images, labels)
        return errors + strength * torch.stack([output.mean() for output in outputs]).sum()

    return fine_tune(with_relu(network), data, plan, loss)


@torch.inference_mode()
def share_of_zeros(network: nn.Module, images: Tensor) -> float:
    """Of the outputs of all hidden units to ``images``."""
    with record_activations(network) as outputs:
        network(images)
    return sum(int((output == 0).sum()) for output in outputs) / sum(output.numel() for output in outputs)


@contextmanager
def record_activations(network: nn.Module) -> Iterator[list[Tensor]]:
    """What the activations put out while it is entered."""
    outputs: list[Tensor] = []
    hooks = [
        network.get_submodule(name).register_forward_hook(lambda module, given, output: outputs.append(output))
        for name in _activation_names(network)
    ]
    try:
        yield outputs
    finally:
        for hook in hooks:
            hook.remove()


def _activation_names(network: nn.Module) -> list[str]:
    return [name for name, _ in network.named_modules() if name.rpartition(".")[2].startswith("activation_")]
