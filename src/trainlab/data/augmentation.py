"""Random flips and crops of a batch on its device, with separate draws for each image."""

import torch
from torch import Tensor
from torch.nn import functional

from trainlab.randomness import generator


class Augmentation:
    """Horizontal flip with probability 1/2, and a crop of the image's own size out of the zero-padded image.

    Args:
        flip: whether to flip.
        crop_padding: pixels of padding on each side, at least 0.
        seed: seed of the draws, which also depend on the epoch and the image.
    """

    def __init__(self, flip: bool, crop_padding: int, seed: int) -> None:
        self.flip, self.crop_padding, self.seed = flip, crop_padding, seed

    def draw(self, num_images: int, epoch: int) -> Tensor:
        """Draws of one epoch, int64 (num_images, 3): whether to flip, and row and column of the crop."""
        draws = generator(self.seed, "augmentation", epoch)
        flips = torch.randint(0, 2 if self.flip else 1, (num_images, 1), generator=draws)
        corners = torch.randint(0, 2 * self.crop_padding + 1, (num_images, 2), generator=draws)
        return torch.cat([flips, corners], dim=1)


def augment(images: Tensor, draws: Tensor, crop_padding: int) -> Tensor:
    """Flip and crop uint8 ``images`` (B, C, H, W) by ``draws`` (B, 3)."""
    height, width = images.shape[2:]
    flips, row, column = draws.unbind(1)
    if crop_padding:
        images = functional.pad(images, [crop_padding] * 4)
    rows = row[:, None] + torch.arange(height, device=images.device)
    columns = torch.arange(width, device=images.device).expand(len(images), width)
    columns = column[:, None] + torch.where(flips[:, None] == 1, columns.flip(1), columns)
    pixels = (rows[:, :, None] * images.shape[3] + columns[:, None, :]).flatten(1)
    picked = images.flatten(2).gather(2, pixels[:, None, :].expand(-1, images.shape[1], -1))
    return picked.view(*images.shape[:2], height, width)
