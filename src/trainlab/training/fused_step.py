"""A training step as one graph, compiled or captured: forward, backward, clipping and the optimizer's update."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim import Optimizer

from trainlab.training.compiler import compiled
from trainlab.training.cuda_graph import GraphedCallable
from trainlab.training.flat_parameters import FlatParameters
from trainlab.training.optimizers import has_state, rules_for

Objective = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]  # logits, labels -> loss, how many are right
Clip = Callable[[Tensor], Tensor]


class FusedStep:
    """A step of ``optimizer`` on a network with flat parameters; on a GPU captured as a CUDA graph.

    The state stays in ``optimizer.state``, in torch's format. Its entries exist once torch has made a first step.

    Args:
        network: raw images -> logits.
        objective: what is minimized, and what is counted.
        flat: the network's parameters; ``optimizer`` has their vectors, one in each parameter group.
        clip: applied to the gradient before the update.
        compile: whether to compile it.

    Raises:
        ValueError: there is no rule for the optimizer.
    """

    def __init__(
        self,
        network: nn.Module,
        objective: Objective,
        flat: FlatParameters,
        optimizer: Optimizer,
        clip: Clip | None,
        compile: bool,
    ) -> None:
        self._rules = rules_for(optimizer)
        self._optimizer, self._flat = optimizer, flat
        # A function to differentiate is pure: new running statistics are written back after it.
        self._running = {
            f"{name}.{key}": buffer
            for name, module in network.named_modules()
            if isinstance(module, _BatchNorm)
            for key, buffer in module.named_buffers(recurse=False)
        }

        def loss(parameter: Tensor, running: dict[str, Tensor], images: Tensor, labels: Tensor) -> Any:
            fresh = {name: buffer.clone() for name, buffer in running.items()}
            value, correct = objective(
                functional_call(network, flat.by_name(parameter) | fresh, (images,), strict=False), labels
            )
            return value, (correct, fresh)

        def step(
            parameter: Tensor,
            states: list[dict[str, Tensor]],
            running: dict[str, Tensor],
            scalars: Tensor,
            images: Tensor,
            labels: Tensor,
        ) -> tuple[Tensor, Tensor]:
            gradient, (value, (correct, fresh)) = grad_and_value(loss, has_aux=True)(parameter, running, images, labels)
            gradients = flat.by_group(clip(gradient) if clip else gradient)
            of_groups = (self._rules, flat.by_group(parameter), gradients, states, scalars.unbind())
            for rule, own, its, state, numbers in zip(*of_groups, strict=True):
                rule.update(own, its, state, numbers)
            for name, buffer in running.items():
                buffer.copy_(fresh[name])
            return value, correct

        self._step: Callable[..., tuple[Tensor, Tensor]] = compiled(step) if compile else step
        self._graphed: GraphedCallable | None = None

    @property
    def ready(self) -> bool:
        """Whether torch has made a first step: it creates the tensors of the state, and shows which gradients exist."""
        return self._graphed is not None or (self._flat.complete and has_state(self._optimizer))

    @torch.no_grad()
    def __call__(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Make a step; loss and number of right answers before it."""
        parameter, groups = self._flat.parameter, self._optimizer.param_groups
        states = [self._optimizer.state[vector] for vector in self._flat.vectors]
        of_groups = list(zip(self._rules, groups, states, strict=True))
        scalars = to_device([rule.scalars(settings, state) for rule, settings, state in of_groups], parameter)
        if self._graphed is None:  # now the state has its addresses
            tensors = [{name: state[name] for name in rule.tensors(settings)} for rule, settings, state in of_groups]
            self._graphed = GraphedCallable(partial(self._step, parameter.detach(), tensors, self._running))
        return self._graphed(scalars, images, labels)


def to_device(numbers: Sequence[Any], like: Tensor) -> Tensor:
    """A tensor of ``numbers`` with the device and type of ``like``, without synchronization."""
    on_gpu = like.device.type == "cuda"
    return torch.tensor(numbers, dtype=like.dtype, pin_memory=on_gpu).to(like.device, non_blocking=on_gpu)
