"""What self-normalization needs (Klambauer et al., 2017): SELU, LeCun initialization, standardized inputs, no batch
normalization; and alpha dropout keeps the statistics only of such a network."""

import warnings

from torch import nn

from trainlab.models.dropout import AlphaDropout


def warn_if_broken(activation: str, initializer: str, batch_norm: bool, alpha_dropout: bool) -> None:
    """Warn once, with all reasons, where a network with SELU or alpha dropout does not meet their assumptions."""
    if activation != "selu" and not alpha_dropout:
        return
    reasons = []
    if activation != "selu":
        reasons.append(f"the activation is {activation}: alpha dropout preserves statistics only under SELU")
    if not initializer.startswith("lecun"):
        reasons.append(f"the initializer is {initializer}, not LeCun's: the variance drifts from layer to layer")
    if batch_norm:
        reasons.append("batch normalization replaces self-normalization")
    if reasons:
        _warn(alpha_dropout, "; ".join(reasons))


def warn_if_not_standardized(network: nn.Module) -> None:
    """Warn where a network whose inputs are not standardized has SELU or alpha dropout."""
    kinds = {type(module) for module in network.modules()}
    if kinds & {nn.SELU, AlphaDropout}:
        _warn(AlphaDropout in kinds, "the inputs are not standardized (model.standardize=true)")


def _warn(alpha_dropout: bool, reason: str) -> None:
    what = "alpha dropout" if alpha_dropout else "SELU"
    warnings.warn(f"{what} will not keep mean 0 and variance 1: {reason}.", stacklevel=4)
