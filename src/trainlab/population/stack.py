"""Members of a population whose parameters are the rows of one matrix, and the steps that they make together.

Axes: M members, S streams of batches, B images of a batch, P parameters, C classes.
"""

from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from trainlab.models.scaling import InputScaling
from trainlab.module import STEPS_BETWEEN_LOSS_CHECKS, Classifier, at_least_float32
from trainlab.population.layers import Tensors, constants, stacked_layers
from trainlab.population.streams import Streams

ALIGNMENT_BYTES = 64  # of torch's tensors in the processor's memory


class Stack:
    """M members as one model. Their networks stay what they are, views of its rows.

    Args:
        members: trainings of one architecture, on one device, with their optimizers made.

    Raises:
        ValueError: the architecture has a layer that cannot be stacked.
    """

    def __init__(self, members: Sequence[Classifier]) -> None:
        self.members = members
        first = members[0].flat.parameter
        networks: list[Any] = [member.network for member in members]
        self._scaling = cast(InputScaling, networks[0].scaling)
        self._layers = stacked_layers(networks[0].layers, "layers")
        self.values, self.gradients = _rows(members), _rows(members)
        for member, values, gradient in zip(members, self.values, self.gradients, strict=True):
            member.flat.move_to(values, gradient)
        self.running = _stack_running_statistics(networks)
        self.constants = {name: c.to(first.device) for name, c in constants(networks, first.dtype).items()}
        smoothing = [member.label_smoothing for member in members]
        self._smoothing = torch.tensor(smoothing, dtype=first.dtype, device=first.device)[:, None]
        self._root = torch.zeros((), dtype=first.dtype, device=first.device, requires_grad=True)

    def train_epoch(
        self, streams: Streams, steps: int, before_step: Callable[[], None]
    ) -> tuple[Tensor, Tensor, list[int]]:
        """Make ``steps`` steps of each member, fewer if none has a finite loss any more.

        A member whose loss is not finite stands still from the next check on.

        Args:
            streams: batches of the epoch.
            steps: to be made.
            before_step: called before each; what it raises ends the epoch.

        Returns:
            losses (steps, M), number of right answers (M,), images of each batch.
        """
        device = self.values.device
        losses = torch.zeros(steps, len(self.members), device=device)
        correct = torch.zeros(len(self.members), dtype=torch.int64, device=device)
        # Draws go by the step of the whole training.
        first = torch.tensor([member.current_epoch * steps for member in self.members], device=device)
        sizes: list[int] = []
        moving = list(self.members)
        for step in range(steps):
            before_step()
            images, labels = streams.batch(step)
            loss, right = self._backward(images, labels, streams, first + step)
            for member in moving:
                member.update()
            losses[step] = loss
            correct += right
            sizes.append(labels.shape[1])
            if (step + 1) % STEPS_BETWEEN_LOSS_CHECKS == 0:
                finite = losses[: step + 1].isfinite().all(0).tolist()
                moving = [member for member, fine in zip(self.members, finite, strict=True) if fine]
                if not moving:
                    break
        return losses[: len(sizes)], correct, sizes

    def _backward(self, images: Tensor, labels: Tensor, streams: Streams, steps: Tensor) -> tuple[Tensor, Tensor]:
        """Put the members' gradients into ``gradients``; loss (M,) and how many answers are right (M,)."""
        flat = self.members[0].flat
        values = flat.by_name(self.values) | self.running | self.constants
        tensors = Tensors(values, steps, flat.by_name(self.gradients), self._root)
        loss, right = self.objective(images, labels, streams, tensors)
        loss.sum().backward()
        return loss.detach(), right

    def objective(self, images: Tensor, labels: Tensor, streams: Streams, tensors: Tensors) -> tuple[Tensor, Tensor]:
        """Mean loss of each member's batch (M,), and how many of it are right (M,)."""
        x = streams.to_members(self._scaling(images).view(*labels.shape, -1))
        for layer in self._layers:
            x = layer(x, tensors)
        return mean_losses(at_least_float32(x), streams.to_members(labels), self._smoothing)


def mean_losses(logits: Tensor, labels: Tensor, smoothing: Tensor) -> tuple[Tensor, Tensor]:
    """Mean cross-entropy (M,) of logits (M, B, C), with torch's label smoothing (M, 1); right answers (M,)."""
    logs = functional.log_softmax(logits, -1)
    of_label = logs.gather(-1, labels[..., None]).squeeze(-1)
    # Not 0 times the mean, which may be infinite.
    spread = torch.where(smoothing > 0, smoothing * logs.mean(-1), 0)
    losses = -((1 - smoothing) * of_label + spread).mean(-1)
    return losses, (logits.detach().argmax(-1) == labels).sum(-1)


def _rows(members: Sequence[Classifier]) -> Tensor:
    """Zeros (M, P). Each row starts where a tensor of its own would: how factors are aligned decides how they round."""
    first = members[0].flat.parameter
    aligned = -(-first.numel() * first.element_size() // ALIGNMENT_BYTES) * ALIGNMENT_BYTES // first.element_size()
    return first.new_zeros(len(members), aligned)[:, : first.numel()]


def _stack_running_statistics(networks: Sequence[Any]) -> dict[str, Tensor]:
    """Running statistics (M, ...) by name; those of the networks become views of them."""
    found = {}
    for name, layer in networks[0].named_modules():
        if not isinstance(layer, _BatchNorm):
            continue
        for key, _ in layer.named_buffers(recurse=False):
            owners = [network.get_submodule(name) for network in networks]
            found[f"{name}.{key}"] = stacked = torch.stack([owner.get_buffer(key) for owner in owners])
            for owner, own in zip(owners, stacked, strict=True):
                setattr(owner, key, own)
    return found
