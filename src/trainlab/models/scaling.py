"""The first layer of every network: raw uint8 images to floats."""

import torch
from torch import Tensor, nn


class InputScaling(nn.Module):
    """Scale uint8 images (B, C, H, W) to [0, 1], or standardize every feature (pixel and channel) of them.

    The statistics for standardizing are the training split's, given once by ``set_statistics`` and kept as buffers.
    Until then they are NaN, and so is all that comes out.
    """

    gain: Tensor
    shift: Tensor

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        standardize: bool,
        memory_format: torch.memory_format = torch.contiguous_format,
    ) -> None:
        super().__init__()
        self.standardize, self.memory_format = standardize, memory_format
        if standardize:
            self.register_buffer("gain", torch.full(image_shape, torch.nan))
            self.register_buffer("shift", torch.full(image_shape, torch.nan))

    def set_statistics(self, mean: Tensor, std: Tensor) -> None:
        """Take the mean and standard deviation, (C, H, W) in units of pixel values 0 to 255.

        A feature that never varies has a deviation of 0 and is only centred.
        """
        std = torch.where(std > 0, std, torch.ones_like(std))
        self.gain.copy_(1 / std)
        self.shift.copy_(-mean / std)

    def forward(self, images: Tensor) -> Tensor:
        """Floats (B, C, H, W)."""
        if self.standardize:
            scaled = torch.addcmul(self.shift, images.to(self.gain.dtype), self.gain)
        else:
            scaled = images.to(torch.get_default_dtype()).mul_(1 / 255)
        return scaled.contiguous(memory_format=self.memory_format)
