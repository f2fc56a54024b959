"""Networks and callbacks as users write them: they know nothing of trainlab and draw from global generators."""

import random
from typing import Any

import numpy as np
import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from torch import Tensor, nn
from torch.nn import functional


class Residual(nn.Module):
    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.norm, self.up, self.down = nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.Linear(2 * width, width)
        self.dropout = dropout

    def forward(self, x: Tensor) -> Tensor:
        hidden = functional.gelu(self.up(self.norm(x)))
        return x + self.down(functional.dropout(hidden, self.dropout, self.training))


class ResidualMLP(nn.Module):
    """Skip connections, layer normalization, dropout of its own; takes what its signature names of the data."""

    def __init__(
        self, image_shape: tuple[int, int, int], num_classes: int, width: int = 16, depth: int = 2, dropout: float = 0.0
    ) -> None:
        super().__init__()
        assert isinstance(image_shape, tuple)
        channels, height, width_ = image_shape
        self.stem = nn.Linear(channels * height * width_, width)
        self.blocks = nn.Sequential(*[Residual(width, dropout) for _ in range(depth)])
        self.head = nn.Linear(width, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.blocks(self.stem(x.flatten(1))))


class ViT(nn.Module):
    """Two layers of attention on patches, batch normalization of the patches."""

    def __init__(self, num_classes: int, width: int = 16, heads: int = 2) -> None:
        super().__init__()
        self.patches = nn.Linear(3 * 16 * 16, width)
        self.norm = nn.BatchNorm1d(width)
        layer = nn.TransformerEncoderLayer(width, heads, 2 * width, dropout=0.0, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(width, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        patches = x.unfold(2, 16, 16).unfold(3, 16, 16).permute(0, 2, 3, 1, 4, 5).flatten(3).flatten(1, 2)
        tokens = self.norm(self.patches(patches).transpose(1, 2)).transpose(1, 2)
        return self.head(self.encoder(tokens).mean(1))


class Bag(nn.Module):
    """Embeds the gray levels of an image, in one of two ways."""

    def __init__(self, sparse: bool = False, by_function: bool = False) -> None:
        super().__init__()
        self.levels, self.head = nn.EmbeddingBag(256, 8, sparse=sparse), nn.Linear(8, 10)
        self.by_function = by_function

    def forward(self, x: Tensor) -> Tensor:
        levels = (255 * x).long().flatten(1)
        if self.by_function:
            return self.head(functional.embedding(levels, self.levels.weight, sparse=True).mean(1))
        return self.head(self.levels(levels))


class Noisy(nn.Module):
    """Draws from torch, numpy and Python in every pass, and at construction into a buffer that is not saved."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.register_buffer("features", torch.randn(3 * 32 * 32, 8), persistent=False)
        self.head = nn.Linear(8, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        hidden = torch.tanh(x.flatten(1) @ self.features)
        if self.training:
            hidden = hidden * (1 + 0.1 * torch.randn(())) + 0.1 * float(np.random.rand()) + 0.1 * random.random()
        return self.head(hidden)


class Recurrent(nn.Module):
    """Rows of the image as a sequence. Its layer keeps a list of its parameters, too."""

    def __init__(self, num_classes: int, kind: str = "GRU", width: int = 8) -> None:
        super().__init__()
        self.rows = getattr(nn, kind)(3 * 32, width, batch_first=True)
        self.head = nn.Linear(width, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.rows(x.transpose(1, 2).flatten(2))[0][:, -1])


def convolutional(num_classes: int, norm: type[nn.Module] | None = None) -> nn.Module:
    """A factory, with group normalization and a lazy layer."""
    layers = [nn.Conv2d(3, 8, 3, stride=2), norm(8) if norm else nn.GroupNorm(2, 8), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.LazyLinear(num_classes))


def tuple_of_logits(num_classes: int) -> nn.Module:
    class Pair(nn.Linear):
        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
            return (super().forward(x.flatten(1)),) * 2

    return Pair(3 * 32 * 32, num_classes)


def no_module(num_classes: int) -> int:
    return num_classes


class SeesBatches(Callback):
    """A user's callback: it counts batches, in its state."""

    def __init__(self, every: int = 1) -> None:
        self.every, self.batches = every, 0

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, i: int
    ) -> None:
        self.batches += 1

    def state_dict(self) -> dict[str, Any]:
        return {"batches": self.batches}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.batches = state_dict["batches"]


class AlwaysNoisy(Noisy):
    """Draws in evaluation mode, too."""

    def forward(self, x: Tensor) -> Tensor:
        logits = super().forward(x)
        return logits + 0.1 * torch.randn_like(logits) + 0.1 * float(np.random.rand()) * self.head.bias
