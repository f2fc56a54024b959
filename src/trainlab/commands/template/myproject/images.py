"""Data sets of myproject."""

import math
from typing import Any

import torch
from torch import Tensor

from trainlab.data import ImageData, Images

DIRECTIONS = range(0, 180, 20)  # degrees
SIZE = 16


class Stripes(ImageData):
    """Stripes of nine directions under noise. Replace `read` by one that reads images of your own.

    Args:
        num_train: training images, including validation images.
        num_test: test images.
        noise: largest number that is added to a pixel of a stripe, which is in [0, 100].
        settings: those of `ImageData`: batch_size, val_size and others.
    """

    image_shape = (3, SIZE, SIZE)

    def __init__(self, num_train: int = 1200, num_test: int = 300, noise: float = 155.0, **settings: Any) -> None:
        super().__init__(**settings)
        if not 0 <= noise <= 155:
            raise ValueError(f"noise must be in [0, 155], got {noise}; set data.noise")
        self.num_train, self.num_test, self.noise = num_train, num_test, noise

    def count_train_images(self) -> int:
        """Number of training images before the validation images are split off."""
        return self.num_train

    def count_classes(self) -> int:
        """Number of directions."""
        return len(DIRECTIONS)

    def read(self) -> Images:
        """Draw all images: uint8 (N, C, H, W), and their labels."""
        generator = torch.Generator().manual_seed(0)
        train, train_labels = self._draw(self.num_train, generator)
        test, test_labels = self._draw(self.num_test, generator)
        # Runs are compared only if they saw the same images: the digest is another one if the images are.
        digest = f"stripes-1,{self.num_train},{self.num_test},{self.noise}"
        classes = tuple(f"{degrees} degrees" for degrees in DIRECTIONS)
        return Images(train, train_labels, test, test_labels, classes, digest)

    def _draw(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        labels = torch.arange(count) % len(DIRECTIONS)
        angles = torch.tensor(DIRECTIONS)[labels][:, None, None] * math.pi / 180
        axis = torch.arange(SIZE)
        across = axis * angles.sin() + axis[:, None] * angles.cos()
        phases = torch.rand(count, 1, 1, generator=generator) * 2 * math.pi
        stripes = (across * math.pi / 3 + phases).sin() * 50 + 50
        noise = torch.rand(count, *self.image_shape, generator=generator) * self.noise
        return (stripes[:, None] + noise).to(torch.uint8), labels
