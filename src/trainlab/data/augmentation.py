"""Random changes of a batch on its device, with separate draws for each image."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from trainlab.randomness import derive_seed, generator, global_generators_restored, seed_global_generators

FLIPS = (False, True, "alternating")
PADDING_MODES = ("constant", "reflect")


@dataclass(frozen=True)
class Augmentation:
    """Horizontal flips, a crop of the image's own size out of the padded image, and cutout.

    Attributes:
        flip: True to flip with probability 1/2; "alternating" to flip half of the images in the first epoch and in
            each later one those that were not flipped in the epoch before (Jordan, 2024, arXiv 2404.00498).
        crop_padding: pixels of padding on each side, at least 0.
        seed: seed of the draws, which also depend on the epoch and the image.
        padding_mode: "constant" for zeros, "reflect" for the image's own pixels.
        cutout: height and width in pixels of a square that is set to 0 (DeVries and Taylor, 2017), at least 0. Its
            center is anywhere in the image, so that a part of the square may be outside.
    """

    flip: bool | str
    crop_padding: int
    seed: int
    padding_mode: str = "constant"
    cutout: int = 0

    def check(self, image_shape: tuple[int, int, int]) -> None:
        """Raise ValueError if the padding is larger than images (C, H, W) allow."""
        reflect = self.padding_mode == "reflect"  # does not repeat the pixels at the border
        size, what = min(image_shape[1:]) - reflect, "the image size less 1" if reflect else "the image size"
        if self.crop_padding > size:
            raise ValueError(
                f"crop_padding must be at most {what}, {size}, got {self.crop_padding}; set data.crop_padding"
            )

    def draw(self, num_images: int, epoch: int) -> Tensor:
        """Draws of one epoch for `augment`, int64 (num_images, 3), or (num_images, 5) with cutout.

        The columns are: whether to flip, row and column of the crop, row and column of the center of the cutout as
        draws in [0, 2**31).
        """
        draws = generator(self.seed, "augmentation", epoch)
        flips = torch.randint(0, 2 if self.flip is True else 1, (num_images, 1), generator=draws)
        if self.flip == "alternating":
            first = torch.randint(0, 2, (num_images, 1), generator=generator(self.seed, "alternating flip"))
            flips = (first + epoch) % 2
        corners = torch.randint(0, 2 * self.crop_padding + 1, (num_images, 2), generator=draws)
        columns = [flips, corners]
        if self.cutout:
            columns.append(torch.randint(0, 2**31, (num_images, 2), generator=draws))
        return torch.cat(columns, dim=1)


def augment(
    images: Tensor, draws: Tensor, crop_padding: int, padding_mode: str = "constant", cutout: int = 0
) -> Tensor:
    """Uint8 ``images`` (B, C, H, W), flipped, cropped and cut out by ``draws``; see `Augmentation`."""
    height, width = images.shape[2:]
    flips, row, column = draws[:, :3].unbind(1)
    if crop_padding and padding_mode == "constant":
        images = functional.pad(images, [crop_padding] * 4)
    rows = row[:, None] + torch.arange(height, device=images.device)
    columns = torch.arange(width, device=images.device).expand(len(images), width)
    columns = column[:, None] + torch.where(flips[:, None] == 1, columns.flip(1), columns)
    if crop_padding and padding_mode == "reflect":
        rows, columns = reflected(rows - crop_padding, height), reflected(columns - crop_padding, width)
    pixels = (rows[:, :, None] * images.shape[3] + columns[:, None, :]).flatten(1)
    picked = images.flatten(2).gather(2, pixels[:, None, :].expand(-1, images.shape[1], -1))
    picked = picked.view(*images.shape[:2], height, width)
    if cutout:
        down, across = (
            _inside(center, size, cutout) for center, size in zip(draws[:, 3:].unbind(1), (height, width), strict=True)
        )
        picked.masked_fill_((down[:, :, None] & across[:, None, :])[:, None], 0)
    return picked


def reflected(index: Tensor, size: int) -> Tensor:
    """Indices mirrored at the first and the last pixel, which are not repeated."""
    return (size - 1) - (index.abs() - (size - 1)).abs()


def _inside(draws: Tensor, size: int, square: int) -> Tensor:
    """Whether each of ``size`` pixels is in the square whose center is drawn, (B, size)."""
    start = draws % size - square // 2
    pixels = torch.arange(size, device=draws.device) - start[:, None]
    return (pixels >= 0) & (pixels < square)


class Transforms:
    """Transforms of torchvision, or others of uint8 tensors (C, H, W), that draw from global generators.

    They are called image by image, as most of them draw once per call. The generators are seeded for each image by
    (seed, epoch, image) and put back after the batch.

    Args:
        transforms: called one after the other.
        seed: of the draws.

    Raises:
        ValueError: one of them cannot be called.
    """

    def __init__(self, transforms: Sequence[Any], seed: int) -> None:
        for transform in transforms:
            if not callable(transform):
                example = "{_target_: torchvision.transforms.v2.RandomRotation, degrees: 10}"
                raise ValueError(
                    f"transforms must be objects such as {example}, got {transform!r}; set data.transforms"
                )
            if type(transform).__name__ in ("MixUp", "CutMix"):
                raise ValueError(
                    f"transforms must leave labels alone, {type(transform).__name__} mixes them; "
                    f"leave it out of data.transforms and set data.{type(transform).__name__.lower()}"
                )
        self.transforms: Sequence[Callable[[Tensor], Tensor]] = transforms
        self.seed = seed

    def __call__(self, images: Tensor, indices: Tensor, epoch: int) -> Tensor:
        """Transform uint8 ``images`` (B, C, H, W) with ``indices`` (B,) in the data set.

        Raises:
            ValueError: a result is no uint8 image of the same shape.
        """
        results = []
        with global_generators_restored(images.device):
            for image, index in zip(images, indices.tolist(), strict=True):
                seed_global_generators(derive_seed(self.seed, "transforms", epoch, index), images.device)
                results.append(self._transform(image))
        return torch.stack(results)

    def _transform(self, image: Tensor) -> Tensor:
        shape = image.shape
        for transform in self.transforms:
            try:
                image = transform(image)
            except Exception as error:  # of any package
                reason = f"{type(error).__name__}: {error}".splitlines()[0]
                raise ValueError(
                    f"{type(transform).__name__} cannot transform uint8 images {tuple(shape)} ({reason[:200]}); "
                    "set data.transforms"
                ) from error
        if not isinstance(image, Tensor) or image.shape != shape or image.dtype != torch.uint8:
            found = f"{image.dtype} {tuple(image.shape)}" if isinstance(image, Tensor) else type(image).__name__
            raise ValueError(
                f"transforms must return uint8 images {tuple(shape)}, {type(self.transforms[-1]).__name__} returned "
                f"{found}; set data.transforms"
            )
        return image
