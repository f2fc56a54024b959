"""What an optimizer trains: the parameters of a network concatenated into one, where it is elementwise, or as they are.

A step on concatenated parameters is a few operations instead of a few hundred.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from trainlab.training.optimizers import is_elementwise
from trainlab.training.parameter_groups import Group, Rules, group_parameters, make_optimizer


class FlatParameters:
    """One parameter that holds all trainable parameters of a network; those become views of it.

    A step of an elementwise optimizer on ``vectors`` equals its steps on each of the parts. Gradients are computed in
    the parts and gathered by ``gather_gradients``.

    Attributes:
        parameter: (P,).
        vectors: what the optimizer has: the part of ``parameter`` of each group; ``parameter`` itself if there is one.
        gradient: (P,), that of ``parameter`` before clipping; empty after ``move_to``.
        complete: whether all parts are known to get a gradient, as they did in the latest step.

    Args:
        network: parameters on one device and of one type.
        groups: its trainable parameters by group; None for one group of all.

    Raises:
        ValueError: the network has no trainable parameters, or of several types.
    """

    def __init__(self, network: nn.Module, groups: Sequence[Sequence[nn.Parameter]] | None = None) -> None:
        names = {p: name for name, p in network.named_parameters() if p.requires_grad}
        self._groups = [list(group) for group in groups or [list(names)]]
        self._parts = [p for group in self._groups for p in group]
        self._names = [names[p] for p in self._parts]
        self._shapes, self._sizes = [p.shape for p in self._parts], [p.numel() for p in self._parts]
        self._group_sizes = [sum(p.numel() for p in group) for group in self._groups]
        kinds = {(p.dtype, p.device) for p in self._parts}
        if len(kinds) != 1:
            raise ValueError(f"the trainable parameters must be of one type on one device, got {kinds or 'none'}")
        self.parameter = nn.Parameter(torch.cat([p.detach().flatten() for p in self._parts]))
        several = len(self._groups) > 1
        views = self.by_group(self.parameter.detach())
        self.vectors = [nn.Parameter(view) for view in views] if several else [self.parameter]
        self.complete = False
        self.gradient = torch.zeros_like(self.parameter)
        self._gradient_views = self._views(self.gradient)
        for part, view in zip(self._parts, self._views(self.parameter.detach()), strict=True):
            part.data = view

    def zero_grad(self) -> None:
        """Drop the gradients of all parts."""
        for part in self._parts:
            part.grad = None

    def gather_gradients(self) -> bool:
        """Copy the gradients of the parts into those of ``vectors``; do nothing and return False if a part has none.

        A gradient that is sparse counts as none: an optimizer may take it for a reason to leave elements alone.
        """
        gradients = [grad for part in self._parts if (grad := part.grad) is not None and not grad.is_sparse]
        self.complete = len(gradients) == len(self._parts)
        if self.complete:
            torch._foreach_copy_(self._gradient_views, gradients)
            self._set_gradient(self.gradient)
        return self.complete

    def show_gradients(self) -> None:
        """Make views of the gathered gradient those of the parts, so that callbacks can read and change them."""
        for part, view in zip(self._parts, self._gradient_views, strict=True):
            part.grad = view

    def scale_gradients(self, factor: float | Tensor) -> None:
        """Multiply the gradient by ``factor``, ()."""
        self.gradient *= factor

    def clip_gradients(self, clip: Callable[[Tensor], Tensor]) -> None:
        """Replace the gradient of ``vectors`` by ``clip`` of it."""
        self._set_gradient(clip(self.gradient))

    def move_to(self, values: Tensor) -> None:
        """Move the parameters into ``values`` (P,). From then on the owner of ``values`` has to provide gradients."""
        assert len(self.vectors) == 1
        self.parameter.data = values.copy_(self.parameter.detach())
        self.gradient, self._gradient_views = self.gradient.new_empty(0), []
        self.parameter.grad = None
        for part, view in zip(self._parts, self._views(values), strict=True):
            part.data = view

    def separate(self, optimizer: Optimizer) -> "SeparateParameters":
        """Have ``optimizer`` train the parts in place of ``vectors``, each with its share of the state.

        It continues as if it had had them from the start. The parts get memory of their own, as in a resumed training.
        """
        for part in self._parts:
            part.data = part.detach().clone()
        for group, vector, parts in zip(optimizer.param_groups, self.vectors, self._groups, strict=True):
            group["params"] = parts
            if vector in optimizer.state:
                state, sizes = optimizer.state.pop(vector), [part.numel() for part in parts]
                for number, part in enumerate(parts):
                    optimizer.state[part] = {key: _share(state[key], vector, sizes, number, part) for key in state}
        return SeparateParameters(self._parts)

    def by_group(self, flat: Tensor) -> Sequence[Tensor]:
        """The parts of ``flat`` (P,), a tensor like ``parameter``, that belong to each of ``vectors``."""
        return flat.split(self._group_sizes) if len(self._group_sizes) > 1 else [flat]

    def by_name(self, flat: Tensor) -> dict[str, Tensor]:
        """The parts of ``flat`` (..., P), tensors like ``parameter``, by their names in the network."""
        return dict(zip(self._names, self._views(flat), strict=True))

    def _set_gradient(self, gradient: Tensor) -> None:
        for vector, own in zip(self.vectors, self.by_group(gradient), strict=True):
            vector.grad = own

    def _views(self, flat: Tensor) -> list[Tensor]:
        chunks = flat.split(self._sizes, dim=-1)
        return [chunk.view((*flat.shape[:-1], *s)) for chunk, s in zip(chunks, self._shapes, strict=True)]


class SeparateParameters:
    """The trainable parameters of a network as they are; a parameter without gradient keeps None.

    Args:
        parameters: to be trained.
    """

    def __init__(self, parameters: Sequence[nn.Parameter]) -> None:
        self.parameters = parameters

    def zero_grad(self) -> None:
        """Drop all gradients."""
        for parameter in self.parameters:
            parameter.grad = None

    def gather_gradients(self) -> bool:
        """Does nothing: the optimizer has the parameters themselves."""
        return True

    def show_gradients(self) -> None:
        """Does nothing: each parameter has its gradient."""

    def scale_gradients(self, factor: float | Tensor) -> None:
        """Multiply all gradients by ``factor``, ()."""
        torch._foreach_mul_(self._gradients, factor)

    def clip_gradients(self, clip: Callable[[Tensor], Tensor]) -> None:
        """Replace all gradients by ``clip`` of their concatenation."""
        gradients = self._gradients
        clipped = clip(torch.cat([gradient.flatten() for gradient in gradients]))
        for gradient, part in zip(gradients, clipped.split([g.numel() for g in gradients]), strict=True):
            gradient.copy_(part.view_as(gradient))

    @property
    def _gradients(self) -> list[Tensor]:
        return [parameter.grad for parameter in self.parameters if parameter.grad is not None]


def _share(value: Any, vector: Tensor, sizes: list[int], number: int, part: Tensor) -> Any:
    """What a part has of a value of the state of ``vector``: its elements, or a copy of a count and the like."""
    if not isinstance(value, Tensor):
        return value
    return (value.split(sizes)[number].view_as(part) if value.shape == vector.shape else value).clone()


def build_optimizer(
    build: Callable[..., Optimizer], network: nn.Module, rules: Rules = (), may_be_flat: bool = True
) -> tuple[FlatParameters | SeparateParameters, Optimizer]:
    """The optimizer that ``build`` makes for a network, and what it trains: flat parameters where it is elementwise.

    Args:
        build: parameters, or groups of them -> optimizer.
        network: has the parameters.
        rules: of their groups, as of `group_parameters`.
        may_be_flat: false where a parameter is known to get no gradient in some step.
    """
    groups = group_parameters(network, rules)
    parameters = [parameter for group in groups for parameter in group.parameters]
    if not (may_be_flat and is_elementwise(build) and len({(p.dtype, p.device) for p in parameters}) == 1):
        return SeparateParameters(parameters), make_optimizer(build, groups)
    flat = FlatParameters(network, [group.parameters for group in groups])
    merged = [Group([vector], group.settings) for vector, group in zip(flat.vectors, groups, strict=True)]
    return flat, make_optimizer(build, merged)
