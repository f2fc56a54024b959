"""Synthetic images of ten shapes, generated from a seed: a data set without download."""

import hashlib
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from trainlab.data.images import Images
from trainlab.data.module import ImageData
from trainlab.randomness import generator

_Distance = Callable[[Tensor, Tensor], Tensor]
_LARGEST = 2**32  # bytes of all images in memory, which take minutes to generate
_CHUNK = 250  # images generated together, so that one channel of them fits in the CPU's cache


class Shapes(ImageData):
    """Ten classes of square color images, each with one shape on a background with clutter and noise.

    Position, size, rotation, colors and shading vary. The numbers of images per class differ by at most one. The test
    images do not depend on the number of training images.

    Args:
        num_train: training images, including validation images.
        num_test: test images.
        image_size: height and width in pixels, at least 16.
        noise: standard deviation of the noise, in [0, 1], where 1 is the range from black to white.
        data_seed: seed of the images, independent of the training's seed.
        **settings: those of `ImageData`.

    Raises:
        ValueError: an argument is out of range.
    """

    def __init__(
        self,
        *,
        num_train: int = 6000,
        num_test: int = 2000,
        image_size: int = 32,
        noise: float = 0.1,
        data_seed: int = 0,
        val_size: int = 1000,
        **settings: Any,
    ) -> None:
        super().__init__(val_size=val_size, **settings)
        smallest = {
            "num_train": (num_train, len(SHAPES)),
            "num_test": (num_test, 1),
            "image_size": (image_size, 16),
        }
        for key, (value, least) in smallest.items():
            if value < least:
                raise ValueError(f"{key} must be at least {least}, got {value}; set data.{key}")
        if (size := 3 * image_size**2 * (num_train + num_test)) > _LARGEST:
            raise ValueError(
                f"num_train and num_test images must take at most {_LARGEST >> 30} GiB, "
                f"got {size / 2**30:.3g} GiB; set data.num_train"
            )
        if not 0 <= noise <= 1:
            raise ValueError(f"noise must be in [0, 1], got {noise}; set data.noise")
        self.num_train, self.num_test, self.image_size = num_train, num_test, image_size
        self.noise, self.data_seed = noise, data_seed

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(3, image_size, image_size)."""
        return 3, self.image_size, self.image_size

    def count_train_images(self) -> int:
        """``num_train``."""
        return self.num_train

    def count_test_images(self) -> int:
        """``num_test``."""
        return self.num_test

    def count_classes(self) -> int:
        """10."""
        return len(SHAPES)

    def read(self) -> Images:
        """Generate all images."""
        train, train_labels = self._draw("train", self.num_train)
        test, test_labels = self._draw("test", self.num_test)
        digest = hashlib.blake2b(digest_size=16)
        for tensor in (train, train_labels, test, test_labels):
            digest.update(tensor.numpy().data)
        return Images(train, train_labels, test, test_labels, tuple(SHAPES), digest.hexdigest())

    def _draw(self, part: str, count: int) -> tuple[Tensor, Tensor]:
        draws = generator(self.data_seed, "shapes", part)
        labels = torch.randperm(count, generator=draws) % len(SHAPES)
        images = torch.empty(count, *self.image_shape, dtype=torch.uint8)
        for label, shape in enumerate(SHAPES.values()):
            for chosen in (labels == label).nonzero().flatten().split(_CHUNK):
                images[chosen] = _paint(shape, len(chosen), self.image_size, self.noise, draws)
        return images, labels


def _paint(shape: _Distance, count: int, size: int, noise: float, draws: torch.Generator) -> Tensor:
    """uint8 (count, 3, size, size): background, clutter, the shape over it, noise."""

    def uniform(low: float, high: float, *columns: int) -> Tensor:
        numbers = torch.rand(count, *columns, 1, 1, generator=draws)
        return numbers.mul_(high - low).add_(low)

    axis = (torch.arange(size) + 0.5) * (2 / size) - 1
    x, y = axis.expand(1, size, size), axis[:, None].expand(1, size, size)
    pixel = 2 / size

    bright = uniform(0, 1) < 0.5
    dark_color, light_color = uniform(0.05, 0.5, 3), uniform(0.5, 0.95, 3)
    color = torch.where(bright[:, None], light_color, dark_color)
    image = torch.where(bright[:, None], dark_color, light_color)
    image = image + _shading(x, y, uniform(0, 2 * math.pi), uniform(0, 0.2))[:, None]
    for _ in range(3):
        blot = torch.hypot(x - uniform(-1, 1), y - uniform(-1, 1)) - uniform(0.06, 0.16)
        image = torch.lerp(image, uniform(0.1, 0.9, 3), _coverage(blot, pixel))

    angle, radius = uniform(-0.35, 0.35), uniform(0.5, 0.75)
    u, v = (x - uniform(-0.2, 0.2)) / radius, (y - uniform(-0.2, 0.2)) / radius
    distance = shape(u * angle.cos() + v * angle.sin(), v * angle.cos() - u * angle.sin()) * radius
    color = color + _shading(x, y, uniform(0, 2 * math.pi), uniform(0, 0.2))[:, None]
    image = torch.lerp(image, color, _coverage(distance, pixel))

    image += torch.randn(image.shape, generator=draws).mul_(noise)
    return image.mul_(255).round_().clamp_(0, 255).to(torch.uint8)


def _shading(x: Tensor, y: Tensor, direction: Tensor, strength: Tensor) -> Tensor:
    return (x * direction.cos() + y * direction.sin()) * strength


def _coverage(distance: Tensor, pixel: float) -> Tensor:
    """Share (B, 1, H, W) of each pixel that is inside, from the signed distance of its centre to the edge."""
    return (0.5 - distance / pixel).clamp_(0, 1)[:, None]


# Signed distances, negative inside, up to a factor near 1. Radii are near 1; v points down.


def _circle(u: Tensor, v: Tensor) -> Tensor:
    return torch.hypot(u, v) - 0.85


def _square(u: Tensor, v: Tensor) -> Tensor:
    return torch.maximum(u.abs(), v.abs()) - 0.75


def _triangle(u: Tensor, v: Tensor) -> Tensor:
    return torch.maximum(v, math.sqrt(0.75) * u.abs() - 0.5 * v) - 0.5


def _cross(u: Tensor, v: Tensor) -> Tensor:
    long, short = torch.maximum(u.abs(), v.abs()), torch.minimum(u.abs(), v.abs())
    return torch.maximum(long - 0.95, short - 0.28)


def _ring(u: Tensor, v: Tensor) -> Tensor:
    return (torch.hypot(u, v) - 0.7).abs() - 0.2


def _star(u: Tensor, v: Tensor) -> Tensor:
    # One half of one of five points, cut out by symmetry: the edge runs from a tip at (1, 0) to a notch.
    fifth = 2 * math.pi / 5
    turned = (torch.remainder(torch.atan2(u, -v) + fifth / 2, fifth) - fifth / 2).abs()
    length = torch.hypot(u, v)
    notch_x, notch_y = 0.42 * math.cos(fifth / 2), 0.42 * math.sin(fifth / 2)
    edge = math.hypot(1 - notch_x, notch_y)
    return ((length * turned.cos() - 1) * notch_y + length * turned.sin() * (1 - notch_x)) / edge


def _crescent(u: Tensor, v: Tensor) -> Tensor:
    return torch.maximum(torch.hypot(u, v) - 0.95, 0.75 - torch.hypot(u - 0.45, v))


def _heart(u: Tensor, v: Tensor) -> Tensor:
    # A square on its tip and circles around the middles of its two upper edges.
    half = 0.55
    middle = half * math.sqrt(0.5)
    u, v = u.abs(), v - 0.15
    square, bow = (u + v.abs()) * math.sqrt(0.5) - half, torch.hypot(u - middle, v + middle) - half
    return torch.minimum(square, bow)


def _stripes(u: Tensor, v: Tensor) -> Tensor:
    return torch.maximum(torch.maximum(u.abs(), v.abs()) - 0.85, _bands(v))


def _checkerboard(u: Tensor, v: Tensor) -> Tensor:
    across, down = _bands(u), _bands(v)
    board = torch.maximum(torch.minimum(across, down), -torch.maximum(across, down))
    return torch.maximum(torch.maximum(u.abs(), v.abs()) - 0.85, board)


def _bands(t: Tensor) -> Tensor:
    """Bands as wide as the gaps between them, one in the middle."""
    width = 0.34
    return (torch.remainder(t + width, 2 * width) - width).abs() - width / 2


SHAPES: dict[str, _Distance] = {
    "circle": _circle,
    "square": _square,
    "triangle": _triangle,
    "cross": _cross,
    "ring": _ring,
    "star": _star,
    "crescent": _crescent,
    "heart": _heart,
    "stripes": _stripes,
    "checkerboard": _checkerboard,
}
