"""Batches of images: one indexed gather each, or read ahead where the images are not in memory."""

from collections.abc import Hashable, Iterator, Sequence

import torch
from torch import Tensor

from trainlab.data.augmentation import Augmentation, Transforms, augment
from trainlab.data.lazy import LazyImages, load
from trainlab.data.mixing import Mix, Mixing
from trainlab.randomness import generator


class Batches:
    """Epochs of (uint8 images (B, C, H, W), int64 labels (B,)) over a subset of images on one device.

    With mixing, the targets are float32 (B, classes).

    Args:
        images: uint8 (N, C, H, W).
        labels: int64 (N,), on the device of the batches.
        indices: the subset, int64 (n,).
        batch_size: images per batch and process; the last batch may be smaller.
        order_seed: epochs are shuffled by (order_seed, epoch); None for no shuffling.
        augmentation: applied to every batch.
        transforms: applied to every batch after that, image by image.
        mixing: applied to every batch after that.
        num_workers: processes that read images that are not in memory; see `load`.
        rank: rank of this process, which takes every ``world_size``-th image of the epoch.
        world_size: number of processes. Shuffled epochs are padded by their first images to a multiple of it, so
            that all processes have the same number of steps.
    """

    def __init__(
        self,
        images: Tensor | LazyImages,
        labels: Tensor,
        indices: Tensor,
        batch_size: int,
        *,
        order_seed: int | None = None,
        augmentation: Augmentation | None = None,
        transforms: Transforms | None = None,
        mixing: Mixing | None = None,
        num_workers: int | None = None,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self.images, self.labels, self.indices = images, labels, indices
        self.batch_size, self.order_seed, self.augmentation = batch_size, order_seed, augmentation
        self.transforms, self.mixing, self.num_workers = transforms, mixing, num_workers
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
        for number, (chosen, images) in enumerate(self._read(self._shard(self.order()), start), start):
            images, labels = self._augmented(images, None if draws is None else draws[chosen]), self._labels_of(chosen)
            if self.transforms is not None:
                images = self.transforms(images, chosen, self.epoch)
            yield self.mix(images, labels, [self.draw_mix(number)])

    def _read(self, order: Tensor, start: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Indices and images of each batch of ``order``, from the batch ``start`` on, on the device."""
        batches = order.to(self.labels.device).split(self.batch_size)[start:]
        if isinstance(self.images, LazyImages):
            read = load(self.images, order.split(self.batch_size)[start:], self.labels.device, self.num_workers)
            return zip(batches, read, strict=True)
        return ((chosen, self._rows(chosen)) for chosen in batches)

    def gather(self, chosen: Tensor, draws: Tensor | None) -> tuple[Tensor, Tensor]:
        """Images in memory and labels with indices ``chosen`` (B,), augmented by ``draws`` if given."""
        return self._augmented(self._rows(chosen), draws), self._labels_of(chosen)

    def _rows(self, chosen: Tensor) -> Tensor:
        assert isinstance(self.images, Tensor)
        rows = self.images.flatten(1)  # copies whole rows; indexing in four dimensions copies pixel by pixel
        return rows.index_select(0, chosen).view(-1, *self.images.shape[1:])

    def _labels_of(self, chosen: Tensor) -> Tensor:
        return self.labels.index_select(0, chosen)

    def _augmented(self, images: Tensor, draws: Tensor | None) -> Tensor:
        if self.augmentation is None or draws is None:
            return images
        settings = self.augmentation
        return augment(images, draws, settings.crop_padding, settings.padding_mode, settings.cutout)

    def draw_mix(self, number: int) -> Mix | None:
        """How the images of a batch of the epoch are mixed; None without mixing."""
        if self.mixing is None:
            return None
        height, width = self.images.shape[2:]
        return self.mixing.draw(self.epoch, number, (height, width))

    def mix(self, images: Tensor, labels: Tensor, mixes: Sequence[Mix | None]) -> tuple[Tensor, Tensor]:
        """Mix the images of S batches by their draws; unchanged without mixing."""
        if self.mixing is None:
            return images, labels
        return self.mixing(images, labels, [mix for mix in mixes if mix])

    def draws(self) -> Tensor | None:
        """Augmentation draws of the epoch for every image, on its device; None without augmentation."""
        if self.augmentation is None:
            return None
        return self.augmentation.draw(len(self.images), self.epoch).to(self.labels.device)

    @property
    def stream(self) -> Hashable:
        """Seed, epoch and subset, of which order, augmentation and mixing are functions."""
        return self.order_seed, self.epoch, id(self.indices)

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
