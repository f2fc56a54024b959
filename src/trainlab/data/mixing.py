"""Mixing of the images and targets of a batch: MixUp and CutMix."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from trainlab.randomness import derive_seed


@dataclass(frozen=True)
class Mix:
    """How the images of a batch are mixed.

    Attributes:
        own: weight of an image itself in its target; the other one has the rest.
        box: (top, bottom, left, right) of the pixels that are the other image's; None to average all pixels.
    """

    own: float
    box: tuple[int, int, int, int] | None = None


@dataclass(frozen=True)
class Mixing:
    """MixUp (Zhang et al., 2018) and CutMix (Yun et al., 2019), one of them by chance for each batch if both are on.

    As in torchvision: each image is mixed with the one before it in the batch, with one draw for the whole batch.

    Attributes:
        mixup: alpha of the Beta distribution of MixUp's weight; 0 for no MixUp.
        cutmix: alpha of the Beta distribution of the share of an image that CutMix keeps; 0 for no CutMix.
        seed: seed of the draws, which also depend on the epoch and the batch.
        num_classes: number of columns of the targets of integer labels.
    """

    mixup: float
    cutmix: float
    seed: int
    num_classes: int

    def draw(self, epoch: int, batch: int, image_size: tuple[int, int]) -> Mix:
        """The draw for a batch of an epoch, of images of that height and width."""
        draws = np.random.default_rng(derive_seed(self.seed, "mixing", epoch, batch))
        cut = self.cutmix > 0 and (self.mixup == 0 or draws.random() < 0.5)
        alpha = self.cutmix if cut else self.mixup
        weight = float(draws.beta(alpha, alpha))
        if not cut:
            return Mix(weight)
        side = math.sqrt(1 - weight) / 2
        edges: list[int] = []
        for size in image_size:
            center, half = int(draws.integers(size)), int(side * size)
            edges += [max(center - half, 0), min(center + half, size)]
        area = (edges[1] - edges[0]) * (edges[3] - edges[2]) / math.prod(image_size)
        return Mix(1 - area, (edges[0], edges[1], edges[2], edges[3]))

    def __call__(self, images: Tensor, targets: Tensor, mixes: Sequence[Mix]) -> tuple[Tensor, Tensor]:
        """Mix the images within each of S batches.

        Args:
            images: uint8 (S * B, C, H, W), one batch after the other.
            targets: (S * B, ...); integers (S * B,) are labels.
            mixes: S draws.

        Returns:
            uint8 images, to the nearest number, and float32 targets of the same sizes; of labels (S * B, classes).
        """
        if targets.ndim == 1 and not targets.is_floating_point():
            targets = functional.one_hot(targets, self.num_classes)
        batches = images.view(len(mixes), -1, *images.shape[1:])
        others = batches.roll(1, 1)
        own = torch.tensor([mix.own for mix in mixes], dtype=torch.float32, device=images.device)
        if all(mix.box is None for mix in mixes):
            mixed = _average(batches, others, own)
        elif all(mix.box for mix in mixes):
            mixed = torch.where(_inside(mixes, images), others, batches)
        else:
            cut = torch.tensor([mix.box is not None for mix in mixes], device=images.device).view(-1, 1, 1, 1, 1)
            average = _average(batches, others, own)
            mixed = torch.where(cut, torch.where(_inside(mixes, images), others, batches), average)
        parts = targets.float().view(len(mixes), -1, *targets.shape[1:])
        return mixed.view_as(images), _weighted(parts, parts.roll(1, 1), own).view(targets.shape)


def _average(images: Tensor, others: Tensor, own: Tensor) -> Tensor:
    return _weighted(images.float(), others.float(), own).round_().to(torch.uint8)


def _weighted(values: Tensor, others: Tensor, own: Tensor) -> Tensor:
    weight = own.view(-1, *[1] * (values.ndim - 1))
    return values * weight + others * (1 - weight)


def _inside(mixes: Sequence[Mix], images: Tensor) -> Tensor:
    """Whether each pixel is in the box of its batch, (S, 1, 1, H, W)."""
    boxes = torch.tensor([mix.box or (0, 0, 0, 0) for mix in mixes], device=images.device)
    rows = torch.arange(images.shape[2], device=images.device)
    columns = torch.arange(images.shape[3], device=images.device)
    down = (rows >= boxes[:, :1]) & (rows < boxes[:, 1:2])
    across = (columns >= boxes[:, 2:3]) & (columns < boxes[:, 3:])
    return (down[:, :, None] & across[:, None, :])[:, None, None]
