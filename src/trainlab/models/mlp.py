"""A deep dense network. Its variants (`elu_he`, `bn`, `selu_lecun`, `alpha_dropout`) are arguments, not subclasses."""

import math
from collections import OrderedDict

from torch import nn

from trainlab.models.activations import build_activation, check_activation
from trainlab.models.batch_norm import check_batch_norm, in_order
from trainlab.models.dropout import build_dropout, check_dropout
from trainlab.models.initializers import (
    check_bias_initializer,
    check_initializer,
    check_scale,
    empty_linear,
    initialize,
    initialize_bias,
)
from trainlab.models.self_normalization import warn_if_broken

DROPOUT_AFTER = ("last", "every")


class MLP(nn.Sequential):
    """``depth`` hidden layers of ``width`` units and a linear output.

    A hidden layer is linear, batch normalization (then without a bias before it), activation, dropout; with
    ``batch_norm_order="after"`` it is linear, activation, batch normalization, dropout.

    Args:
        image_shape: (C, H, W) of the images.
        seed: what initial weights and dropout masks are derived from.
        depth: number of hidden layers, at least 1.
        width: units of each.
        num_classes: number of logits.
        activation: a name in ``activations.ACTIVATIONS``.
        initializer: a name in ``initializers.INITIALIZERS``, for the hidden layers.
        output_initializer: the same for the output layer; logits are linear, so Glorot's by default.
        initializer_scale: factor of the deviation that the initializer gives the hidden layers.
        initializer_truncated: draw normal weights, of all layers, within two deviations; see `initializers.initialize`.
        bias_initializer: "zeros", "constant" or "normal", for the biases of all linear layers.
        bias_scale: the constant, or the deviation of the normal draws; of no effect on zeros.
        batch_norm: normalize in every hidden layer.
        batch_norm_order: "before" or "after" the activation.
        batch_norm_input: normalize the scaled pixels too.
        batch_norm_momentum: weight of a new batch in the running statistics, in (0, 1].
        batch_norm_eps: added to the variance of a batch.
        dropout: probability of dropping an element, in [0, 1).
        dropout_kind: "alpha" or "standard".
        dropout_after: the "last" hidden layer or "every" one.

    Raises:
        ValueError: an argument is out of range.
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int] = (3, 32, 32),
        seed: int = 0,
        *,
        depth: int = 20,
        width: int = 100,
        num_classes: int = 10,
        activation: str = "elu",
        initializer: str = "he_normal",
        output_initializer: str = "glorot_uniform",
        initializer_scale: float = 1.0,
        initializer_truncated: bool = False,
        bias_initializer: str = "zeros",
        bias_scale: float = 0.1,
        batch_norm: bool = False,
        batch_norm_order: str = "before",
        batch_norm_input: bool = False,
        batch_norm_momentum: float = 0.1,
        batch_norm_eps: float = 1e-5,
        dropout: float = 0.0,
        dropout_kind: str = "alpha",
        dropout_after: str = "last",
    ) -> None:
        for key, size in {"depth": depth, "width": width, "num_classes": num_classes}.items():
            if size < 1:
                raise ValueError(f"{key} must be at least 1, got {size}; set model.{key}")
        check_batch_norm(batch_norm_momentum, batch_norm_eps, batch_norm_order)
        if dropout_after not in DROPOUT_AFTER:
            raise ValueError(f"dropout_after must be last or every, got {dropout_after!r}; set model.dropout_after")
        check_activation(activation)
        check_initializer(initializer, "initializer")
        check_initializer(output_initializer, "output_initializer")
        check_scale(initializer_scale)
        check_bias_initializer(bias_initializer, bias_scale)
        check_dropout(dropout, dropout_kind)
        warn_if_broken(
            activation,
            initializer,
            batch_norm,
            alpha_dropout=dropout > 0 and dropout_kind == "alpha",
        )

        features = math.prod(image_shape)
        layers: OrderedDict[str, nn.Module] = OrderedDict(flatten=nn.Flatten())
        if batch_norm_input:
            layers["norm_0"] = nn.BatchNorm1d(features, batch_norm_eps, batch_norm_momentum)
        has_bias = not batch_norm or batch_norm_order == "after"
        for i in range(1, depth + 1):
            layers[f"linear_{i}"] = linear = empty_linear(features, width, bias=has_bias)
            initialize(linear, initializer, seed, f"linear_{i}", initializer_scale, initializer_truncated)
            initialize_bias(linear, bias_initializer, seed, f"linear_{i}", bias_scale)
            norm = (f"norm_{i}", nn.BatchNorm1d(width, batch_norm_eps, batch_norm_momentum)) if batch_norm else None
            act = f"activation_{i}"
            layers.update(in_order(norm, (act, build_activation(activation, seed, act)), batch_norm_order))
            if dropout > 0 and (dropout_after == "every" or i == depth):
                layers[f"dropout_{i}"] = build_dropout(dropout, dropout_kind, seed, f"dropout_{i}")
            features = width
        layers["output"] = output = empty_linear(features, num_classes)
        initialize(output, output_initializer, seed, "output", truncated=initializer_truncated)
        initialize_bias(output, bias_initializer, seed, "output", bias_scale)
        super().__init__(layers)
