"""A small convolutional network in the style of VGG. Its variants are arguments, not subclasses."""

import math
from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils import skip_init

from trainlab.models.activations import build_activation, check_activation
from trainlab.models.batch_norm import check_batch_norm, in_order
from trainlab.models.dropout import build_dropout, check_dropout
from trainlab.models.initializers import (
    check_initializer,
    check_scale,
    empty_linear,
    initialize,
    initialize_as_identity,
)
from trainlab.models.self_normalization import warn_if_broken
from trainlab.models.whitening import PatchWhitening

POOLED = ("last", "first")
_GLOBAL_POOLS = {"none": None, "max": nn.MaxPool2d, "mean": nn.AvgPool2d}


class CNN(nn.Sequential):
    """Stages of convolutions, each with a max pooling over 2 x 2, then dense layers and a linear output.

    Args:
        image_shape: (C, H, W) of the images.
        seed: what initial weights and dropout masks are derived from.
        whitening: height and width of the patches of a first layer that whitens them, see `PatchWhitening`; 0 for none.
        stages: output channels of the convolutions of each stage, e.g. ``[[32, 32], [64, 64]]``.
        pool_after: where a stage pools: "last", after the activation of its last convolution, or "first", right after
            its first convolution.
        global_pool: what is taken over all pixels before the dense layers: "max", "mean" or "none".
        dense: units of each dense layer.
        kernel_size: height and width of the kernels, odd.
        padding: keep height and width in a convolution.
        num_classes: number of logits.
        activation: a name in ``activations.ACTIVATIONS``.
        initializer: a name in ``initializers.INITIALIZERS``, for all but the output layer.
        output_initializer: the same for the output layer.
        initializer_scale: factor of the deviation that the initializer gives the hidden layers.
        initializer_truncated: draw normal weights, of all layers, within two deviations; see `initializers.initialize`.
        identity_filters: have the first filters of each convolution, one for each of its inputs, start as the identity.
        batch_norm: normalize in every layer but the output.
        batch_norm_order: "before" the activation, then the layer has no bias, or "after" it.
        batch_norm_momentum: weight of a new batch in the running statistics, in (0, 1].
        batch_norm_eps: added to the variance of a batch.
        output_bias: whether the output layer has a bias.
        output_scale: factor of the logits.
        dropout: rates: one per stage, after it, and a last one for after each dense layer.
        dropout_kind: "alpha" or "standard".

    Raises:
        ValueError: an argument is out of range, or the images are too small for the stages.
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int] = (3, 32, 32),
        seed: int = 0,
        *,
        whitening: int = 0,
        stages: Sequence[Sequence[int]] = ((32,), (64,)),
        pool_after: str = "last",
        global_pool: str = "none",
        dense: Sequence[int] = (64,),
        kernel_size: int = 3,
        padding: bool = False,
        num_classes: int = 10,
        activation: str = "relu",
        initializer: str = "he_normal",
        output_initializer: str = "glorot_uniform",
        initializer_scale: float = 1.0,
        initializer_truncated: bool = False,
        identity_filters: bool = False,
        batch_norm: bool = False,
        batch_norm_order: str = "before",
        batch_norm_momentum: float = 0.1,
        batch_norm_eps: float = 1e-5,
        output_bias: bool = True,
        output_scale: float = 1.0,
        dropout: Sequence[float] = (0.0, 0.0, 0.0),
        dropout_kind: str = "standard",
    ) -> None:
        if kernel_size < 1 or kernel_size % 2 == 0:
            raise ValueError(f"kernel_size must be odd and positive, got {kernel_size}; set model.kernel_size")
        if not 0 <= whitening <= min(image_shape[1:]):
            raise ValueError(f"whitening must be 0 or a size within the images, got {whitening}; set model.whitening")
        for key, value, known in (("pool_after", pool_after, POOLED), ("global_pool", global_pool, [*_GLOBAL_POOLS])):
            if value not in known:
                raise ValueError(f"{key} must be one of {', '.join(known)}, got {value!r}; set model.{key}")
        if not 0 < output_scale < math.inf:
            raise ValueError(f"output_scale must be positive and finite, got {output_scale}; set model.output_scale")
        if len(dropout) != len(stages) + 1:
            raise ValueError(
                f"dropout must have {len(stages) + 1} rates, one per stage and one for the dense layers, "
                f"got {len(dropout)}; set model.dropout"
            )
        channels_of_all = [channels for stage in stages for channels in stage]
        for key, sizes in {"num_classes": [num_classes], "stages": channels_of_all, "dense": dense}.items():
            if any(size < 1 for size in sizes):
                raise ValueError(f"{key} must be at least 1, got {min(sizes)}; set model.{key}")
        check_batch_norm(batch_norm_momentum, batch_norm_eps, batch_norm_order)
        check_activation(activation)
        check_initializer(initializer, "initializer")
        check_initializer(output_initializer, "output_initializer")
        check_scale(initializer_scale)
        for rate in dropout:
            check_dropout(rate, dropout_kind)
        warn_if_broken(
            activation,
            initializer,
            batch_norm,
            alpha_dropout=any(dropout) and dropout_kind == "alpha",
        )

        layers: OrderedDict[str, nn.Module] = OrderedDict()

        def add(name: str, layer: nn.Conv2d | nn.Linear, norm: nn.Module, pool: str = "") -> None:
            initialize(layer, initializer, seed, name, initializer_scale, initializer_truncated)
            if identity_filters and isinstance(layer, nn.Conv2d):
                initialize_as_identity(layer)
            layers[name] = layer
            if pool:
                layers[pool] = nn.MaxPool2d(2)
            act = (f"activation_{name}", build_activation(activation, seed, name))
            layers.update(in_order((f"norm_{name}", norm) if batch_norm else None, act, batch_norm_order))

        def drop(name: str, rate: float) -> None:
            if rate > 0:
                layers[f"dropout_{name}"] = build_dropout(rate, dropout_kind, seed, name)

        has_bias = not batch_norm or batch_norm_order == "after"
        channels, height, width = image_shape
        if whitening:
            layers["whitening"] = PatchWhitening(channels, whitening)
            layers["activation_whitening"] = build_activation(activation, seed, "whitening")
            channels = 2 * channels * whitening**2
            height, width = height - whitening + 1, width - whitening + 1
        shrink = 0 if padding else kernel_size - 1
        for s, stage in enumerate(stages, 1):
            for c, out_channels in enumerate(stage, 1):
                conv = skip_init(
                    nn.Conv2d,
                    channels,
                    out_channels,
                    kernel_size,
                    padding=kernel_size // 2 if padding else 0,
                    bias=has_bias,
                )
                pool = f"pool_{s}" if pool_after == "first" and c == 1 else ""
                add(f"conv_{s}_{c}", conv, nn.BatchNorm2d(out_channels, batch_norm_eps, batch_norm_momentum), pool)
                channels, height, width = out_channels, height - shrink, width - shrink
                if pool:
                    height, width = height // 2, width // 2
            if f"pool_{s}" not in layers:
                layers[f"pool_{s}"] = nn.MaxPool2d(2)
                height, width = height // 2, width // 2
            if min(height, width) < 1:
                raise ValueError(
                    f"images of {image_shape[1]} x {image_shape[2]} are too small for {len(stages)} stages; "
                    "set model.stages or model.padding=true"
                )
            drop(f"stage_{s}", dropout[s - 1])
        if pool_all := _GLOBAL_POOLS[global_pool]:
            layers["global_pool"] = pool_all((height, width))
            height = width = 1
        layers["flatten"] = nn.Flatten()
        features = math.prod((channels, height, width))
        for d, units in enumerate(dense, 1):
            linear = empty_linear(features, units, bias=has_bias)
            add(f"dense_{d}", linear, nn.BatchNorm1d(units, batch_norm_eps, batch_norm_momentum))
            drop(f"dense_{d}", dropout[-1])
            features = units
        layers["output"] = output = empty_linear(features, num_classes, bias=output_bias)
        initialize(output, output_initializer, seed, "output", truncated=initializer_truncated)
        if output_scale != 1:
            layers["scale"] = Scale(output_scale)
        super().__init__(layers)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, num_classes) of scaled images ``x`` (B, C, H, W)."""
        return super().forward(x.contiguous(memory_format=torch.channels_last))  # in which convolutions are faster


class Scale(nn.Module):
    """Multiplies by a constant.

    Args:
        factor: the constant.
    """

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        """Any ``x`` times the constant."""
        return x * self.factor
