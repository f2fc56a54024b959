"""A step of a whole stack as one function: forward, backward, clipping and the optimizers' updates of all members."""

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.func import grad_and_value

from trainlab.population.layers import Tensors
from trainlab.training.cuda_graph import GraphedCallable
from trainlab.training.flat_parameters import FlatParameters
from trainlab.training.fused_step import compiled, to_device
from trainlab.training.module import Classifier
from trainlab.training.optimizers import rule_for


class Model(Protocol):
    """What a step needs of a stack.

    Attributes:
        members: trainings of one architecture; their optimizers have made a first step.
        flat: how the parameters of one lie.
        values: parameters (M, P).
        running: running statistics (M, ...) by name.
        constants: other tensors that the objective reads, by name.
    """

    members: Sequence[Classifier]
    flat: FlatParameters
    values: Tensor
    running: dict[str, Tensor]
    constants: dict[str, Tensor]

    def objective(self, x: Tensor, labels: Tensor, tensors: Tensors) -> tuple[Tensor, Tensor]:
        """Losses (M,), which are minimized, and numbers of correct predictions (M,)."""


class StackStep:
    """Steps of all members of ``model``; compiled if set, captured as a CUDA graph on a GPU.

    The tensors of the optimizers' states become rows of matrices (M, P); numbers stay in the optimizers.
    """

    def __init__(self, model: Model) -> None:
        self._members, values, running = model.members, model.values, model.running
        flat, constants, first = model.flat, model.constants, model.members[0]
        clip = first.clip.func if first.clip else None
        self._rule = rule = rule_for(first.optimizer)
        self._state = state = self._stack_state()
        limits = [member.clip.keywords["limit"] for member in self._members if member.clip]
        limit = torch.tensor(limits, dtype=values.dtype, device=values.device)[:, None]

        def step(scalars: Tensor, steps: Tensor, x: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
            def loss(values: Tensor) -> Any:
                # A function to differentiate is pure: new running statistics are written back after it.
                fresh = {name: buffer.clone() for name, buffer in running.items()}
                tensors = Tensors({**flat.by_name(values), **fresh, **constants}, steps)
                losses, right = model.objective(x, labels, tensors)
                return losses.sum(), (losses, right, fresh)

            gradient, (_, (losses, right, fresh)) = grad_and_value(loss, has_aux=True)(values)
            rule.update(values, clip(gradient, limit) if clip else gradient, state, scalars)
            for name, buffer in running.items():
                buffer.copy_(fresh[name])
            return losses, right

        self._step, self._values = GraphedCallable(compiled(step) if first.compile_step else step), values

    def _stack_state(self) -> dict[str, Tensor]:
        """Tensors of the optimizers' states as rows (M, P)."""
        found = {}
        for name in self._rule.tensors(self._members[0].optimizer.param_groups[0]):
            states = [member.optimizer.state[member.flat.parameter] for member in self._members]
            found[name] = stacked = torch.stack([state[name] for state in states])
            for state, row in zip(states, stacked, strict=True):
                state[name] = row
        return found

    @torch.no_grad()
    def __call__(self, active: set[Classifier], steps: Tensor, x: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Make a step.

        Args:
            active: the members that make the step; the rows of others are no longer used.
            steps: (M,) step numbers, of which random draws are functions.
            x: inputs (M, B, D).
            labels: (M, B).

        Returns:
            losses (M,) and numbers of correct predictions (M,) before it.
        """
        columns = {member: self._scalars(member) for member in active}
        nothing = [0.0] * len(next(iter(columns.values())))
        scalars = to_device([columns.get(member, nothing) for member in self._members], self._values)
        result = self._step(scalars.t()[..., None].contiguous(), steps, x, labels)
        for member in active:
            member.step_schedule("step")
        return result

    def _scalars(self, member: Classifier) -> list[float]:
        state = member.optimizer.state[member.flat.parameter]
        return self._rule.scalars(member.optimizer.param_groups[0], state)
