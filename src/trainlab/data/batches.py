"""Batches of images in memory, one indexed gather each."""

from collections.abc import Iterator

import torch
from torch import Tensor

from trainlab.data.augmentation import Augmentation, Transforms, augment
from trainlab.randomness import generator


class Batches:
    """Epochs of (uint8 images (B, C, H, W), int64 labels (B,)) over a subset of images on one device.

    Args:
        images: uint8 (N, C, H, W).
        labels: int64 (N,), on the same device.
        indices: the subset, int64 (n,).
        batch_size: images per batch and process; the last batch may be smaller.
        order_seed: epochs are shuffled by (order_seed, epoch); None for no shuffling.
        augmentation: applied to every batch.
        transforms: applied to every batch after that, image by image.
        rank: rank of this process, which takes every ``world_size``-th image of the epoch.
        world_size: number of processes. Shuffled epochs are padded by their first images to a multiple of it, so
            that all processes have the same number of steps.
    """

    def __init__(
        self,
        images: Tensor,
        labels: Tensor,
        indices: Tensor,
        batch_size: int,
        *,
        order_seed: int | None = None,
        augmentation: Augmentation | None = None,
        transforms: Transforms | None = None,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self.images, self.labels, self.indices = images, labels, indices
        self.batch_size, self.order_seed, self.augmentation = batch_size, order_seed, augmentation
        self.transforms = transforms
        self.rank, self.world_size = rank, world_size
        self.epoch = 0
        self.start = 0  # first batch of the next iteration
        self.sampler, self.batch_sampler = self, None  # Lightning looks here for `set_epoch`

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch of the next iteration."""
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-len(self._shard(self.indices)) // self.batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        draws = self.draws()
        start, self.start = self.start, 0
        for chosen in self._shard(self.order()).to(self.images.device).split(self.batch_size)[start:]:
            images, labels = self.gather(chosen, None if draws is None else draws[chosen])
            if self.transforms is not None:
                images = self.transforms(images, chosen, self.epoch)
            yield images, labels

    def gather(self, chosen: Tensor, draws: Tensor | None) -> tuple[Tensor, Tensor]:
        """Images and labels with indices ``chosen`` (B,), augmented by ``draws`` if given."""
        rows = self.images.flatten(1)  # copies whole rows; indexing in four dimensions copies pixel by pixel
        images = rows.index_select(0, chosen).view(-1, *self.images.shape[1:])
        if self.augmentation is not None and draws is not None:
            settings = self.augmentation
            images = augment(images, draws, settings.crop_padding, settings.padding_mode, settings.cutout)
        return images, self.labels.index_select(0, chosen)

    def draws(self) -> Tensor | None:
        """Augmentation draws of the epoch for every image, on its device; None without augmentation."""
        if self.augmentation is None:
            return None
        return self.augmentation.draw(len(self.images), self.epoch).to(self.images.device)

    @property
    def stream(self) -> tuple[int | None, int]:
        """(order_seed, epoch), of which order and augmentation are functions."""
        return self.order_seed, self.epoch

    def order(self) -> Tensor:
        """Indices of the subset in the order of the epoch, before they are divided among processes."""
        if self.order_seed is None:
            return self.indices
        draws = generator(self.order_seed, "order", self.epoch)
        return self.indices[torch.randperm(len(self.indices), generator=draws)]

    def _shard(self, order: Tensor) -> Tensor:
        if self.order_seed is not None and (missing := -len(order) % self.world_size):
            order = torch.cat([order, order[:missing]])
        return order[self.rank :: self.world_size]
