"""The parameters of a network laid end to end: an optimizer step is then a few operations, not a few hundred."""

import torch
from torch import Tensor, nn


class FlatParameters:
    """One parameter that holds all trainable parameters of a network; those become views of it.

    torch's optimizers are elementwise, so a step on ``parameter`` is the step that they would make on each of its
    parts. Gradients are computed in the parts and gathered by ``gather_gradients``.

    Attributes:
        parameter: (P,).
        gradient: (P,), that of ``parameter`` before anything like clipping; empty after ``move_to``.

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

    def move_to(self, values: Tensor) -> None:
        """Lie in ``values``, like ``parameter``, from now on. Gradients are then the matter of who made the room."""
        self.parameter.data = values.copy_(self.parameter.detach())
        self.gradient, self._gradient_views = self.gradient.new_empty(0), []
        self.parameter.grad = None
        for part, view in zip(self._parts, self._views(values), strict=True):
            part.data = view

    def by_name(self, flat: Tensor) -> dict[str, Tensor]:
        """The parts of ``flat`` (..., P), tensors like ``parameter``, by the names that the network has for them."""
        return dict(zip(self._names, self._views(flat), strict=True))

    def _views(self, flat: Tensor) -> list[Tensor]:
        chunks = flat.split(self._sizes, dim=-1)
        return [chunk.view(*flat.shape[:-1], *s) for chunk, s in zip(chunks, self._shapes, strict=True)]
