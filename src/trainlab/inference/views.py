"""Test-time augmentation: outputs averaged over views of each image."""

from typing import Literal

import torch
from torch import Tensor, nn

from trainlab.data.augmentation import reflected

Views = Literal["none", "mirror", "mirror_translate"]
VIEWS: tuple[Views, ...] = ("none", "mirror", "mirror_translate")


class AveragedViews(nn.Module):
    """The mean of the outputs of a network over views of its images.

    With "mirror" these are an image and its mirror image. With "mirror_translate" four more are added: both, translated
    by a pixel up and to the left, and down and to the right, with the border reflected. The untranslated two then
    have half of the weight (Jordan, 2024, arXiv 2404.00498).

    Args:
        network: raw images (B, C, H, W) -> outputs.
        views: "mirror" or "mirror_translate".
    """

    def __init__(self, network: nn.Module, views: Views) -> None:
        super().__init__()
        self.network, self.translates = network, views == "mirror_translate"

    def forward(self, images: Tensor) -> Tensor:
        """Outputs of raw ``images`` (B, C, H, W)."""
        outputs = self._mirrored(images)
        if not self.translates:
            return outputs
        translated = [self._mirrored(_translated(images, by)) for by in (-1, 1)]
        return 0.5 * outputs + 0.25 * (translated[0] + translated[1])

    def _mirrored(self, images: Tensor) -> Tensor:
        return 0.5 * (self.network(images) + self.network(images.flip(-1)))


def check_views(views: str) -> None:
    """Raise ValueError unless ``views`` is one of ``VIEWS``."""
    if views not in VIEWS:
        raise ValueError(f"test_views must be one of {', '.join(VIEWS)}, got {views!r}; set test_views")


def with_views(network: nn.Module, views: Views) -> nn.Module:
    """``network`` with outputs averaged over ``views``; itself for "none"."""
    return network if views == "none" else AveragedViews(network, views)


def _translated(images: Tensor, by: int) -> Tensor:
    """Pixel (r, c) of the result is pixel (r + by, c + by) of ``images``, reflected at the border."""
    rows, columns = (reflected(torch.arange(size, device=images.device) + by, size) for size in images.shape[-2:])
    return images[..., rows[:, None], columns]
