"""The wrapper that makes a network take raw images: conversion and scaling of its input."""

import copy
import inspect
import warnings
from collections.abc import Callable, Collection
from typing import Any, Literal

import torch
from torch import Tensor, nn

from trainlab.models.self_normalization import warn_if_not_standardized
from trainlab.randomness import derive_seed, global_generators_restored, seed_global_generators

NOT_OF_NETWORK = ("standardize",)  # of the section `model`: settings of `ImageNetwork` alone
Standardize = bool | Literal["channel"]


class InputScaling(nn.Module):
    """Scale uint8 images (B, C, H, W) to [0, 1], or standardize every feature (pixel and channel) or channel of them.

    Images of floats are standardized, too, but not scaled.

    The statistics for standardizing are the training split's, set once by ``set_statistics`` and kept as buffers. Until
    then they and all outputs are NaN.
    """

    gain: Tensor
    shift: Tensor

    def __init__(self, image_shape: tuple[int, int, int], standardize: Standardize) -> None:
        super().__init__()
        if standardize not in (False, True, "channel"):
            raise ValueError(f"standardize must be true, false or channel, got {standardize!r}; set model.standardize")
        self.standardize = standardize
        if standardize:
            self.register_buffer("gain", torch.full(image_shape, torch.nan))
            self.register_buffer("shift", torch.full(image_shape, torch.nan))

    def set_statistics(self, mean: Tensor, std: Tensor) -> None:
        """Set mean and standard deviation, (C, H, W) in units of pixel values 0 to 255.

        A feature with a deviation of 0 is only centred. With ``standardize="channel"`` all pixels of a channel share
        mean and deviation.
        """
        if self.standardize == "channel":
            shape, (mean, std) = mean.shape, (mean.double(), std.double())
            of_channel = mean.mean((1, 2), keepdim=True)
            std = ((std.square() + mean.square()).mean((1, 2), keepdim=True) - of_channel.square()).clamp(min=0).sqrt()
            mean, std = of_channel.expand(shape), std.expand(shape)
        std = torch.where(std > 0, std, torch.ones_like(std))
        self.gain.copy_(1 / std)
        self.shift.copy_(-mean / std)

    def forward(self, images: Tensor) -> Tensor:
        """Floats (B, C, H, W)."""
        if self.standardize:
            return torch.addcmul(self.shift, images.to(self.gain.dtype), self.gain)
        if images.is_floating_point():
            return images.to(torch.get_default_dtype())
        return images.to(torch.get_default_dtype()).mul_(1 / 255)


class ImageNetwork(nn.Module):
    """A network on raw images: input scaling, then a network of floats.

    Args:
        module: scaled images (B, C, H, W) -> logits (B, num_classes).
        image_shape: (C, H, W) of the raw uint8 images.
        num_classes: number of logits.
        standardize: instead of scaling to [0, 1], standardize every input feature (True) or every "channel".
    """

    def __init__(
        self,
        module: nn.Module,
        image_shape: tuple[int, int, int],
        num_classes: int = 10,
        standardize: Standardize = False,
    ) -> None:
        super().__init__()
        if not standardize:
            warn_if_not_standardized(module)
        self.image_shape, self.num_classes = image_shape, num_classes
        self.scaling = InputScaling(image_shape, standardize)
        self.module = module

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, num_classes) of raw uint8 ``images`` (B, C, H, W)."""
        return self.module(self.scaling(images))


def wrap(
    make: Callable[[], nn.Module],
    image_shape: tuple[int, int, int],
    num_classes: int,
    standardize: Standardize = False,
    seed: int = 0,
) -> ImageNetwork:
    """An `ImageNetwork` of the module that ``make`` returns.

    Modules that are not of trainlab may draw their initial weights from the global generators of torch, numpy and
    Python, which follow from ``seed`` meanwhile. Their outputs are checked, which gives lazy modules their shapes.

    Raises:
        ValueError: the module cannot compute logits (B, num_classes) of images (B, \\*image_shape).
    """
    with global_generators_restored():
        seed_global_generators(derive_seed(seed, "network"), torch.device("cpu"))
        module = make()
        network = ImageNetwork(module, image_shape, num_classes, standardize)
        if not is_own(module):
            _check_outputs(network, image_shape)
    return network


def is_own(module: nn.Module) -> bool:
    """Whether a network is of trainlab, and so draws no random numbers but functions of a seed."""
    return type(module).__module__ in ("trainlab.models.mlp", "trainlab.models.cnn")


@torch.no_grad()
def _check_outputs(network: ImageNetwork, image_shape: tuple[int, int, int]) -> None:
    images, name = torch.zeros(2, *image_shape, dtype=torch.uint8), type(network.module).__name__
    network.eval()
    try:
        outputs = network(images)
    except Exception as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise ValueError(
            f"{name} cannot compute logits of images {image_shape} ({reason[:200]}); set model to one that can"
        ) from error
    network.train()
    expected = (2, network.num_classes)
    if not isinstance(outputs, Tensor) or outputs.shape != expected or not outputs.is_floating_point():
        found = f"{outputs.dtype} {tuple(outputs.shape)}" if isinstance(outputs, Tensor) else type(outputs).__name__
        raise ValueError(
            f"{name} must return logits {expected} of 2 images, one for each of the {network.num_classes} classes, "
            f"got {found}; set model.num_classes, or another argument of the network"
        )


def check_training_step(network: ImageNetwork, of_classes: bool) -> None:
    """Try a training step of a module that is not of trainlab, on a copy and two random images.

    Warns of probabilities where logits ``of_classes`` are expected.

    Raises:
        ValueError: the module has no gradient, or returns something else in training mode.
    """
    name, expected = type(network.module).__name__, (2, network.num_classes)
    try:
        module = copy.deepcopy(network.module)
    except Exception:  # it keeps an open file, a lock: the training does not copy it
        return
    images = torch.rand(2, *network.image_shape, generator=torch.Generator().manual_seed(0))
    with global_generators_restored(), torch.enable_grad():
        with torch.no_grad():
            evaluated = module.eval()(images)
        try:
            outputs = module.train()(images)
            if not isinstance(outputs, Tensor) or outputs.shape != expected:
                raise TypeError(f"it must return logits {expected} in training mode, too")
            if not outputs.requires_grad and any(p.requires_grad for p in module.parameters()):
                raise TypeError("its outputs have no gradient: no_grad, detach and NumPy cut it off in forward")
            if outputs.requires_grad:
                outputs.sum().backward()
        except Exception as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise ValueError(f"{name} cannot be trained ({reason[:200]}); set model to one that can") from error
    if of_classes and any(_are_probabilities(values.detach()) for values in (evaluated, outputs)):
        warnings.warn(
            f"the outputs of {name} are probabilities, and the loss expects logits; leave out its softmax", stacklevel=2
        )


def _are_probabilities(outputs: Tensor) -> bool:
    return bool((outputs >= 0).all()) and torch.allclose(outputs.sum(1), torch.ones(()), rtol=0, atol=1e-3)


def late_arguments(target: Callable[..., Any], given: Collection[str], **late: Any) -> dict[str, Any]:
    """Those of ``late`` that the signature of ``target`` has and that are not ``given``."""
    try:
        parameters = inspect.signature(target).parameters
    except ValueError:  # of some classes and functions that are not written in Python
        return {}
    return {key: value for key, value in late.items() if key in parameters and key not in given}


def image_network(
    make: Callable[..., nn.Module],
    image_shape: tuple[int, int, int] = (3, 32, 32),
    seed: int = 0,
    *,
    num_classes: int = 10,
    standardize: Standardize = False,
    **settings: Any,
) -> ImageNetwork:
    """An `ImageNetwork` of the network that ``make``, such as `MLP`, builds with these settings."""
    module = make(image_shape, seed, num_classes=num_classes, **settings)
    return ImageNetwork(module, image_shape, num_classes, standardize)
