"""What self-normalization needs (Klambauer et al., 2017): SELU, LeCun initialization, standardized inputs, no batch
normalization; and alpha dropout keeps the statistics only of such a network."""

import warnings


def warn_if_broken(activation: str, initializer: str, standardize: bool, batch_norm: bool, alpha_dropout: bool) -> None:
    """Warn once, with the reasons, where SELU or alpha dropout is used without what it relies on."""
    if activation != "selu" and not alpha_dropout:
        return
    reasons = []
    if activation != "selu":
        reasons.append(f"the activation is {activation}: alpha dropout preserves statistics only under SELU")
    if not initializer.startswith("lecun"):
        reasons.append(f"the initializer is {initializer}, not LeCun's: the variance drifts from layer to layer")
    if not standardize:
        reasons.append("the inputs are not standardized (model.standardize=true)")
    if batch_norm:
        reasons.append("batch normalization takes the place of self-normalization")
    if reasons:
        what = "alpha dropout" if alpha_dropout else "SELU"
        warnings.warn(f"{what} will not keep mean 0 and variance 1: {'; '.join(reasons)}.", stacklevel=3)
