"""A first layer that whitens patches of images."""

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional

EPSILON = 5e-4  # added to the eigenvalues


class PatchWhitening(nn.Conv2d):
    """A convolution whose filters are the whitened principal components of patches, and their negatives.

    An eigenvector v of the patches' second moments E[p p^T], with the eigenvalue e, gives the filter v / sqrt(e + 5e-4)
    and its negative, so that an activation function keeps both signs (Page, 2019; Jordan, 2024, arXiv 2404.00498). The
    filters are set once by ``fit``; until then they and all outputs are NaN. The bias starts at zero.

    Args:
        channels: of the images.
        size: height and width of the patches; there is no padding.
    """

    def __init__(self, channels: int, size: int) -> None:
        super().__init__(channels, 2 * channels * size**2, size)

    def reset_parameters(self) -> None:
        """Draw nothing."""
        nn.init.constant_(self.weight, math.nan)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    @torch.no_grad()
    def fit(self, batches: Iterable[Tensor]) -> None:
        """Set the filters by all patches of ``batches`` of scaled images (B, C, H, W)."""
        values = self.weight[0].numel()
        moments, count = torch.zeros(values, values, dtype=torch.float64), 0
        for images in batches:
            patches = functional.unfold(images, self.weight.shape[2:]).transpose(0, 1).flatten(1)  # (values, patches)
            moments += (patches @ patches.T).cpu().double()
            count += patches.shape[1]
        eigenvalues, vectors = torch.linalg.eigh(moments / count)
        filters = (vectors / (eigenvalues + EPSILON).sqrt()).T.flip(0)  # the largest eigenvalue first
        self.weight.copy_(torch.cat([filters, -filters]).view_as(self.weight))
