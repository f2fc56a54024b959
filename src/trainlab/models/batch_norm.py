"""Batch normalization of hidden layers: its settings, and its place beside the activation."""

import math

from torch import nn

ORDERS = ("before", "after")


def check_batch_norm(momentum: float, eps: float, order: str) -> None:
    """Raise ValueError, naming the config key, unless these are settings of batch normalization."""
    if not 0 < momentum <= 1:
        raise ValueError(f"batch_norm_momentum must be in (0, 1], got {momentum}; set model.batch_norm_momentum")
    if not 0 < eps < math.inf:
        raise ValueError(f"batch_norm_eps must be positive and finite, got {eps}; set model.batch_norm_eps")
    if order not in ORDERS:
        raise ValueError(f"batch_norm_order must be before or after, got {order!r}; set model.batch_norm_order")


def in_order(
    norm: tuple[str, nn.Module] | None, activation: tuple[str, nn.Module], order: str
) -> list[tuple[str, nn.Module]]:
    """The named activation of a hidden layer, and its normalization, if any, ``order`` ("before" or "after") it."""
    if norm is None:
        return [activation]
    return [norm, activation] if order == "before" else [activation, norm]
