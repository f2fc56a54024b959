"""The loop that all methods fine-tune with: Adam, a rate that falls to zero, and room for what a method adds."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from exercise.flat_parameters import FlatParameters
from trainlab.data import ImageData

N = TypeVar("N", bound=nn.Module)
Loss = Callable[[nn.Module, Tensor, Tensor], Tensor]  # network, images, labels -> ()
# Made once of the parameters, then called after each step with its learning rate, to change them in place.
Constraint = Callable[[FlatParameters], Callable[[float], object]]


@dataclass(frozen=True)
class Plan:
    """How long and how fast.

    Attributes:
        epochs: each has an order of the images of its own.
        batches: of an epoch, or all, if that is fewer.
        lr: of the first step; it falls linearly to zero.
    """

    epochs: int
    batches: int
    lr: float

    def steps(self, batches: int) -> int:
        """All together, where the data have so many batches."""
        return self.epochs * min(self.batches, batches)


def cross_entropy(network: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """The mean loss of a batch."""
    return functional.cross_entropy(network(images), labels)


def fine_tune(
    network: N, data: ImageData, plan: Plan, loss: Loss = cross_entropy, constraint: Constraint | None = None
) -> N:
    """A copy of ``network`` trained on; in evaluation mode.

    Args:
        network: on the CPU; left as it is.
        data: whose training batches are used, in an order that follows from its seed and the epoch.
        plan: epochs and learning rate.
        loss: of a batch.
        constraint: on the parameters.
    """
    network = deepcopy(network).train()
    flat = FlatParameters(network)
    optimizer = torch.optim.Adam([flat.parameter], lr=plan.lr)
    constrain = constraint(flat) if constraint else None
    batches = data.train_dataloader()
    steps, step = plan.steps(len(batches)), 0
    for epoch in range(plan.epochs):
        batches.set_epoch(epoch)
        for images, labels in islice(batches, plan.batches):
            optimizer.param_groups[0]["lr"] = lr = plan.lr * (1 - step / steps)
            loss(network, images, labels).backward()
            flat.gather_gradients()
            optimizer.step()
            if constrain:
                constrain(lr)
            step += 1
    return deepcopy(network).eval()  # with parameters of its own again, not views of one vector


def linear_layers(network: nn.Module) -> dict[str, nn.Linear]:
    """The layers whose weights can be made sparse, by name, from input to output."""
    return {name: module for name, module in network.named_modules() if isinstance(module, nn.Linear)}


def over_weights(flat: FlatParameters, values: dict[str, Tensor], others: float) -> Tensor:
    """One vector over all parameters: ``values`` at the weights of the layers named, ``others`` elsewhere."""
    vector = torch.full_like(flat.parameter, others, requires_grad=False)
    parts = flat.by_name(vector)
    for name, value in values.items():
        parts[f"{name}.weight"].copy_(value)
    return vector
