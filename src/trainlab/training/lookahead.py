"""Lookahead: slow weights that follow those in training, which return to them (Zhang et al., 2019)."""

from typing import Any

import torch
from torch import Tensor, nn

from trainlab.validation import check_at_least


class Lookahead:
    """Moves the weights of a network in training back to an average of them.

    The slow weights start as a copy of the network's. Every ``every_n_steps`` steps they become

        slow = keep * slow + (1 - keep) * fast,  keep = decay ** every_n_steps * (step / all steps) ** decay_power,

    and the network continues from them. At the end of each epoch it has them, too, to be validated and saved; the next
    epoch continues with the weights in training.
    Running statistics of batch normalization are averaged like weights. The optimizer keeps its own state. With
    ``decay_power`` above 0 the average becomes longer during the run (Jordan, 2024, arXiv 2404.00498).

    Args:
        every_n_steps: optimizer steps between two updates; 0 for no slow weights.
        start_epoch: epochs before the slow weights start.
        decay: share of themselves that slow weights keep per step, in [0, 1).
        decay_power: exponent of the share of the run that is over, at least 0.

    Raises:
        ValueError: an argument is out of range.
    """

    def __init__(
        self, every_n_steps: int = 0, start_epoch: int = 0, decay: float = 0.95, decay_power: float = 0.0
    ) -> None:
        counts = {"every_n_steps": every_n_steps, "start_epoch": start_epoch}
        check_at_least(0, "optim.lookahead", **counts, decay_power=decay_power)
        if not 0 <= decay < 1:
            raise ValueError(f"decay must be in [0, 1), got {decay}; set optim.lookahead.decay")
        self.every_n_steps, self.start_epoch = every_n_steps, start_epoch
        self.decay, self.decay_power = decay, decay_power
        self._started = self._settled = False
        self._slow: dict[str, Tensor] = {}
        self._fast: dict[str, Tensor] = {}  # those in training, while the network has the slow ones

    @property
    def needs_total_steps(self) -> bool:
        """Whether it depends on the number of all steps."""
        return bool(self.every_n_steps and self.decay_power)

    @torch.no_grad()
    def begin_epoch(self, network: nn.Module) -> None:
        """Take the slow weights, which ``network`` has between epochs, and give it back those in training."""
        self._settled = False
        if not self._started:
            return
        weights = _weights_of(network)
        self._slow = {name: tensor.clone() for name, tensor in weights.items()}
        for name, tensor in self._fast.items():
            weights[name].copy_(tensor)
        self._fast = {}

    @torch.no_grad()
    def after_step(self, network: nn.Module, epoch: int, step: int, total_steps: int) -> None:
        """Update slow weights and ``network`` where it is time to.

        Args:
            network: in training.
            epoch: that the step belongs to, counted from 0.
            step: the number of steps so far, this one included.
            total_steps: of the whole run.
        """
        if not self.every_n_steps or epoch < self.start_epoch or step % self.every_n_steps:
            return
        weights = _weights_of(network)
        if not self._started:
            self._started, self._slow = True, {name: tensor.clone() for name, tensor in weights.items()}
            return
        keep = self.decay**self.every_n_steps
        if self.decay_power:
            keep *= (step / total_steps) ** self.decay_power
        for name, fast in weights.items():
            fast.copy_(self._slow[name].lerp_(fast, 1 - keep))

    @torch.no_grad()
    def settle(self, network: nn.Module) -> None:
        """At the end of an epoch: give ``network`` the slow weights."""
        if not self._started or self._settled:
            return
        self._settled = True
        for name, tensor in _weights_of(network).items():
            self._fast[name] = tensor.clone()
            tensor.copy_(self._slow[name])

    def state(self) -> dict[str, Any]:
        """For a checkpoint, which has the slow weights as those of the network; {} before they have started."""
        return {"fast": self._fast} if self._started else {}

    def load(self, state: dict[str, Any]) -> None:
        """Continue with the state of a checkpoint."""
        self._started, self._fast = True, dict(state["fast"])


def _weights_of(network: nn.Module) -> dict[str, Tensor]:
    """Parameters and floating-point buffers by name, to be changed in place."""
    return {name: tensor for name, tensor in network.state_dict().items() if tensor.is_floating_point()}
