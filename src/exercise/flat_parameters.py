"""The parameters of a network as one vector, on which a step of an optimizer is a few operations, not a few hundred."""

import torch
from torch import Tensor, nn


class FlatParameters:
    """All parameters of a network end to end, as the library trains them; the network's own become views of the vector.

    Attributes:
        parameter: (P,), for an optimizer that works element by element.
    """

    def __init__(self, network: nn.Module) -> None:
        self._parts = dict(network.named_parameters())
        self.parameter = nn.Parameter(torch.cat([part.detach().flatten() for part in self._parts.values()]))
        for name, view in self.by_name(self.parameter.detach()).items():
            self._parts[name].data = view

    def gather_gradients(self) -> None:
        """Move the gradients of the network's parameters to ``parameter``."""
        self.parameter.grad = torch.cat([part.grad.flatten() for part in self._parts.values() if part.grad is not None])
        for part in self._parts.values():
            part.grad = None

    def by_name(self, flat: Tensor) -> dict[str, Tensor]:
        """Views of the parts of ``flat`` (P,), by the names of the network's parameters."""
        chunks = flat.split([part.numel() for part in self._parts.values()])
        return {name: chunk.view_as(part) for (name, part), chunk in zip(self._parts.items(), chunks, strict=True)}
