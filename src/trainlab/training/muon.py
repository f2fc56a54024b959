"""Muon for matrices and AdamW for all other parameters, as one optimizer."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch.optim import Optimizer


class Muon(Optimizer):
    """`torch.optim.Muon` for parameters of two dimensions, `torch.optim.AdamW` for all others (Jordan, 2024).

    Each parameter group is of one of both, by its entry ``muon``; false in a group given leaves its matrices to AdamW.

    Args:
        params: parameters or groups of them.
        lr: learning rate of Muon.
        weight_decay: decoupled, of both.
        momentum: of Muon.
        nesterov: whether it is Nesterov's.
        ns_steps: iterations by which a step is made orthogonal.
        adjust_lr_fn: factor of Muon's rate by the shape of a matrix: "original", "match_rms_adamw", with which rates
            as of AdamW fit, or "spectral_unclamped".
        adamw_lr_multiplier: learning rate of AdamW, as a multiple of ``lr``.
        adamw_betas: of AdamW.
        adamw_eps: of AdamW.

    Raises:
        ValueError: an argument is out of range, or there is no matrix.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        nesterov: bool = True,
        ns_steps: int = 5,
        adjust_lr_fn: str | None = "match_rms_adamw",
        adamw_lr_multiplier: float = 1.0,
        adamw_betas: tuple[float, float] = (0.9, 0.999),
        adamw_eps: float = 1e-8,
    ) -> None:
        if not adamw_lr_multiplier > 0:
            raise ValueError(
                f"adamw_lr_multiplier must be positive, got {adamw_lr_multiplier}; set optim.adamw_lr_multiplier"
            )
        defaults: dict[str, Any] = {"lr": lr, "weight_decay": weight_decay, "betas": tuple(adamw_betas), "muon": True}
        # Muon's momentum is in the place of beta1, too, so that schedules move either.
        of_muon: dict[str, Any] = {"betas": (momentum, 0.0)}
        matrices, others = [], []
        params = list(params)
        given = params if isinstance(params[0], dict) else [{"params": params}]
        if not any(p.ndim == 2 for group in given for p in group["params"]):
            raise ValueError("Muon needs a parameter of two dimensions, got none; choose another optim")
        for group in given:
            settings, parameters = defaults | group, list(group["params"])
            by_muon = [p for p in parameters if settings["muon"] and p.ndim == 2]
            by_adamw = [p for p in parameters if not (settings["muon"] and p.ndim == 2)]
            rate = settings["lr"] * adamw_lr_multiplier
            multiplier = settings.get("lr_multiplier", 1.0) * adamw_lr_multiplier
            matrices.append(defaults | of_muon | group | {"params": by_muon, "muon": True})
            others.append(settings | {"params": by_adamw, "muon": False, "lr": rate, "lr_multiplier": multiplier})
        self._muon = torch.optim.Muon(
            matrices, lr, weight_decay, momentum, nesterov, ns_steps=ns_steps, adjust_lr_fn=adjust_lr_fn
        )
        self._adamw = torch.optim.AdamW(others, lr, (adamw_betas[0], adamw_betas[1]), adamw_eps, weight_decay)
        groups = [group for group in (*self._muon.param_groups, *self._adamw.param_groups) if group["params"]]
        super().__init__(groups, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Make a step of both; the value of ``closure``, if given."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for optimizer in (self._muon, self._adamw):  # which get their groups and states anew: they may have been loaded
            is_muon = optimizer is self._muon
            optimizer.param_groups = [group for group in self.param_groups if group["muon"] == is_muon]
            optimizer.state = self.state
        for group in self._muon.param_groups:
            group["momentum"] = group["betas"][0]
        self._muon.step()
        self._adamw.step()
        return loss
