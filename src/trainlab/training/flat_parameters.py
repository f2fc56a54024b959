"""What an optimizer trains: the parameters of a network concatenated into one, where it is elementwise, or as they are.

A step on concatenated parameters is a few operations instead of a few hundred.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from trainlab.training.optimizers import is_elementwise


class FlatParameters:
    """One parameter that holds all trainable parameters of a network; those become views of it.

    A step of an elementwise optimizer on ``parameter`` equals its steps on each of the parts. Gradients are computed in
    the parts and gathered by ``gather_gradients``.

    Attributes:
        parameter: (P,).
        gradient: (P,), that of ``parameter`` before clipping; empty after ``move_to``.

    Args:
        network: parameters on one device and of one type.

    Raises:
        ValueError: the network has no trainable parameters, or of several types.
    """

    def __init__(self, network: nn.Module) -> None:
        named = {name: p for name, p in network.named_parameters() if p.requires_grad}
        self._names, self._parts = list(named), list(named.values())
        self._shapes, self._sizes = [p.shape for p in self._parts], [p.numel() for p in self._parts]
        kinds = {(p.dtype, p.device) for p in self._parts}
        if len(kinds) != 1:
            raise ValueError(f"the trainable parameters must be of one type on one device, got {kinds or 'none'}")
        self.parameter = nn.Parameter(torch.cat([p.detach().flatten() for p in self._parts]))
        self.gradient = torch.zeros_like(self.parameter)
        self._gradient_views = self._views(self.gradient)
        for part, view in zip(self._parts, self._views(self.parameter.detach()), strict=True):
            part.data = view

    def zero_grad(self) -> None:
        """Drop the gradients of all parts."""
        for part in self._parts:
            part.grad = None

    def gather_gradients(self) -> None:
        """Copy the gradients of the parts into ``parameter.grad``; a part without one counts as zero."""
        if any(part.grad is None for part in self._parts):
            self.gradient.zero_()
        pairs = [(v, p.grad) for v, p in zip(self._gradient_views, self._parts, strict=True) if p.grad is not None]
        torch._foreach_copy_([view for view, _ in pairs], [grad for _, grad in pairs])
        self.parameter.grad = self.gradient

    def show_gradients(self) -> None:
        """Make views of the gathered gradient those of the parts, so that callbacks can read and change them."""
        for part, view in zip(self._parts, self._gradient_views, strict=True):
            part.grad = view

    def scale_gradients(self, factor: float) -> None:
        """Multiply the gradient by ``factor``."""
        assert self.parameter.grad is not None
        self.parameter.grad *= factor

    def clip_gradients(self, clip: Callable[[Tensor], Tensor]) -> None:
        """Replace the gradient by ``clip`` of it."""
        assert self.parameter.grad is not None
        self.parameter.grad = clip(self.parameter.grad)

    def move_to(self, values: Tensor) -> None:
        """Move the parameters into ``values`` (P,). From then on the owner of ``values`` has to provide gradients."""
        self.parameter.data = values.copy_(self.parameter.detach())
        self.gradient, self._gradient_views = self.gradient.new_empty(0), []
        self.parameter.grad = None
        for part, view in zip(self._parts, self._views(values), strict=True):
            part.data = view

    def by_name(self, flat: Tensor) -> dict[str, Tensor]:
        """The parts of ``flat`` (..., P), tensors like ``parameter``, by their names in the network."""
        return dict(zip(self._names, self._views(flat), strict=True))

    def _views(self, flat: Tensor) -> list[Tensor]:
        chunks = flat.split(self._sizes, dim=-1)
        return [chunk.view((*flat.shape[:-1], *s)) for chunk, s in zip(chunks, self._shapes, strict=True)]


class SeparateParameters:
    """The trainable parameters of a network as they are; a parameter without gradient keeps None.

    Attributes:
        parameters: to be trained.
    """

    def __init__(self, network: nn.Module) -> None:
        self.parameters = [p for p in network.parameters() if p.requires_grad]

    def zero_grad(self) -> None:
        """Drop all gradients."""
        for parameter in self.parameters:
            parameter.grad = None

    def gather_gradients(self) -> None:
        """Does nothing: the optimizer has the parameters themselves."""

    def show_gradients(self) -> None:
        """Does nothing: each parameter has its gradient."""

    def scale_gradients(self, factor: float) -> None:
        """Multiply all gradients by ``factor``."""
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


def build_optimizer(
    build: Callable[[list[nn.Parameter]], Optimizer], network: nn.Module
) -> tuple[FlatParameters | SeparateParameters, Optimizer]:
    """The optimizer that ``build`` makes for a network, and what it trains: flat parameters where it is elementwise."""
    separate = SeparateParameters(network)
    optimizer = build(separate.parameters)
    if not is_elementwise(optimizer) or len({(p.dtype, p.device) for p in separate.parameters}) != 1:
        return separate, optimizer
    flat = FlatParameters(network)
    return flat, build([flat.parameter])
