"""The wrapper that makes a network take raw images: conversion and scaling of its input."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from trainlab.models.self_normalization import warn_if_not_standardized

# Of the section `model`: settings of `ImageNetwork`, and those of them that its network does not take.
WRAPPER_SETTINGS, NOT_OF_NETWORK = ("num_classes", "standardize"), ("standardize",)


class InputScaling(nn.Module):
    """Scale uint8 images (B, C, H, W) to [0, 1], or standardize every feature (pixel and channel) of them.

    The statistics for standardizing are the training split's, set once by ``set_statistics`` and kept as buffers. Until
    then they and all outputs are NaN.
    """

    gain: Tensor
    shift: Tensor

    def __init__(self, image_shape: tuple[int, int, int], standardize: bool) -> None:
        super().__init__()
        self.standardize = standardize
        if standardize:
            self.register_buffer("gain", torch.full(image_shape, torch.nan))
            self.register_buffer("shift", torch.full(image_shape, torch.nan))

    def set_statistics(self, mean: Tensor, std: Tensor) -> None:
        """Set mean and standard deviation, (C, H, W) in units of pixel values 0 to 255.

        A feature with a deviation of 0 is only centred.
        """
        std = torch.where(std > 0, std, torch.ones_like(std))
        self.gain.copy_(1 / std)
        self.shift.copy_(-mean / std)

    def forward(self, images: Tensor) -> Tensor:
        """Floats (B, C, H, W)."""
        if self.standardize:
            return torch.addcmul(self.shift, images.to(self.gain.dtype), self.gain)
        return images.to(torch.get_default_dtype()).mul_(1 / 255)


class ImageNetwork(nn.Module):
    """A network on raw images: input scaling, then a network of floats.

    Args:
        module: scaled images (B, C, H, W) -> logits (B, num_classes).
        image_shape: (C, H, W) of the raw uint8 images.
        num_classes: number of logits.
        standardize: standardize every input feature, instead of scaling to [0, 1].
    """

    def __init__(
        self, module: nn.Module, image_shape: tuple[int, int, int], num_classes: int = 10, standardize: bool = False
    ) -> None:
        super().__init__()
        if not standardize:
            warn_if_not_standardized(module)
        self.num_classes = num_classes
        self.scaling = InputScaling(image_shape, standardize)
        self.module = module

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, num_classes) of raw uint8 ``images`` (B, C, H, W)."""
        return self.module(self.scaling(images))


def image_network(
    make: Callable[..., nn.Module],
    image_shape: tuple[int, int, int] = (3, 32, 32),
    seed: int = 0,
    *,
    num_classes: int = 10,
    standardize: bool = False,
    **settings: Any,
) -> ImageNetwork:
    """An `ImageNetwork` of the network that ``make``, such as `MLP`, builds with these settings."""
    module = make(image_shape, seed, num_classes=num_classes, **settings)
    return ImageNetwork(module, image_shape, num_classes, standardize)
