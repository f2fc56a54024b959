"""A data set in memory, and functions of its images."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from trainlab.data.lazy import LazyImages


@dataclass(frozen=True)
class Images:
    """A data set in memory, or whose images are read when they are needed.

    Attributes:
        train: uint8 (N, C, H, W), or such `LazyImages`, with ``train_labels``: classes int64 (N,), or what else a task
            learns (N, ...).
        test: the same of the test set, with ``test_labels`` of the same type.
        classes: names of the outputs, as of the classes by label.
        digest: hexadecimal hash of the content.
    """

    train: Tensor | LazyImages
    train_labels: Tensor
    test: Tensor | LazyImages
    test_labels: Tensor
    classes: tuple[str, ...]
    digest: str

    def to(self, device: torch.device) -> "Images":
        """The same on a device; images that are read when they are needed stay where they are."""
        return replace(
            self,
            train=self.train.to(device),
            train_labels=self.train_labels.to(device),
            test=self.test.to(device),
            test_labels=self.test_labels.to(device),
        )


def content_hash(*tensors: Tensor) -> str:
    """Hexadecimal hash of the values of contiguous ``tensors`` on the CPU."""
    digest = hashlib.blake2b(digest_size=16)
    for tensor in tensors:
        digest.update(tensor.numpy().data)
    return digest.hexdigest()


def as_rgb(images: Tensor) -> Tensor:
    """Images (..., C, H, W) to be displayed, (..., 3, H, W); of other numbers of channels than 3 the first, as gray."""
    return images if images.shape[-3] == 3 else images[..., :1, :, :].expand(*images.shape[:-3], 3, -1, -1)


def mean_and_std(chunks: Iterable[Tensor], image_shape: tuple[int, int, int]) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation (C, H, W) of every feature over ``chunks`` of images (B, C, H, W), in one pass."""
    total = torch.zeros(image_shape, dtype=torch.float64)
    squares, count = torch.zeros_like(total), 0
    for images in chunks:
        chunk = images.cpu().double()
        count += len(chunk)
        total += chunk.sum(0)
        squares += chunk.square_().sum(0)
    mean = total / count
    variance = (squares / count - mean.square()).clamp_(min=0)
    return mean.float(), variance.sqrt().float()
