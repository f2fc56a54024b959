"""What all data modules share: images in memory on the training device, split, statistics, batches."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import lightning
import torch
from torch import Tensor

from trainlab.data.augmentation import Augmentation
from trainlab.data.batches import Batches
from trainlab.data.split import SPLITS, split


@dataclass(frozen=True)
class Images:
    """A data set in memory.

    Attributes:
        train: uint8 (N, C, H, W), with ``train_labels`` int64 (N,).
        test: the same, with ``test_labels``.
        classes: names, by label.
        digest: hexadecimal hash of the content.
    """

    train: Tensor
    train_labels: Tensor
    test: Tensor
    test_labels: Tensor
    classes: tuple[str, ...]
    digest: str


class ImageData(lightning.LightningDataModule, ABC):
    """Training, validation and test batches of a data set that fits in memory.

    Args:
        batch_size: training images a step and process.
        eval_batch_size: images a step in validation and test.
        val_size: validation images, carved out of the training set.
        val_split: "stratified" by ``split_seed``, or the "first" images of the training set.
        split_seed: kept apart from the training's seed, so that runs with different seeds share one split.
        flip: flip training images horizontally with probability 1/2.
        crop_padding: pixels of zero padding out of which training images are cropped; 0 for none.
        seed: what the order of batches and the draws of augmentation are derived from.

    Attributes:
        more_classes: what to do where there is one class alone, for a message.
        writes_to: the argument, if any, that names the folder that `read` writes into.
        may_write: whether it may; false where that folder was named by a checkpoint, which may come from anywhere.

    Raises:
        ValueError: an argument is out of range.
    """

    writes_to: str | None = None
    more_classes = "set data to images of more classes"
    may_write = True

    def __init__(
        self,
        *,
        batch_size: int = 32,
        eval_batch_size: int = 1000,
        val_size: int = 5000,
        val_split: str = "stratified",
        split_seed: int = 0,
        flip: bool = False,
        crop_padding: int = 0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        sizes = {"batch_size": batch_size, "eval_batch_size": eval_batch_size, "val_size": val_size}
        for key, size in sizes.items():
            if size < 1:
                raise ValueError(f"{key} must be at least 1, got {size}; set data.{key}")
        if crop_padding < 0:
            raise ValueError(f"crop_padding must be at least 0, got {crop_padding}; set data.crop_padding")
        if val_split not in SPLITS:
            raise ValueError(f"val_split must be one of {', '.join(SPLITS)}, got {val_split!r}; set data.val_split")
        self.batch_size, self.eval_batch_size, self.val_size = batch_size, eval_batch_size, val_size
        self.val_split, self.split_seed = val_split, split_seed
        self.augmentation = Augmentation(flip, crop_padding, seed) if flip or crop_padding else None
        self.seed = seed
        self._images: Images | None = None
        self._statistics: tuple[Tensor, Tensor] | None = None
        self._source: ImageData | None = None
        self._split: tuple[Tensor, Tensor] | None = None

    def share(self, source: "ImageData") -> None:
        """Have the images, split and statistics of ``source``, whose settings differ in the seed alone."""
        self._source = source

    @property
    @abstractmethod
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W) of every image."""

    @abstractmethod
    def count_train_images(self) -> int:
        """Size of the training set before the split, found without reading an image.

        Raises:
            FileNotFoundError: the data are not where the settings say; the message says what to do.
        """

    @abstractmethod
    def count_classes(self) -> int:
        """Number of classes, found in the same way."""

    @abstractmethod
    def read(self) -> Images:
        """All images, downloaded or decoded if need be."""

    def check(self) -> None:
        """Raise, before any image is read, what can be known by then to be wrong with the data for a training."""
        if (count := self.count_classes()) < 2:
            raise ValueError(f"a classifier needs at least 2 classes, got {count}; {self.more_classes}")
        self._check_sizes(self.count_train_images())

    def _check_sizes(self, total: int) -> None:
        if self.augmentation and self.augmentation.crop_padding > (size := min(self.image_shape[1:])):
            raise ValueError(
                f"crop_padding must be at most the images' size, {size}, got {self.augmentation.crop_padding}; "
                "set data.crop_padding"
            )
        if self.val_size >= total:
            raise ValueError(
                f"val_size must leave training images: it is {self.val_size} of {total}; set data.val_size"
            )
        if self.batch_size > total - self.val_size:
            raise ValueError(
                f"batch_size must be at most the {total - self.val_size} training images, got {self.batch_size}; "
                "set data.batch_size"
            )

    @property
    def images(self) -> Images:
        """The data set, read once."""
        if self._source is not None:
            self._images = self._source.images
        if self._images is None:
            self._images = self.read()
        return self._images

    @property
    def _indices(self) -> tuple[Tensor, Tensor]:
        """Of the training and of the validation images; a test alone needs neither, so nothing is checked for it."""
        if self._source is not None:
            return self._source._indices
        if self._split is None:
            labels = self.images.train_labels.cpu()
            self._check_sizes(len(labels))
            self._split = split(labels, self.val_size, self.val_split, self.split_seed)
        return self._split

    @property
    def classes(self) -> tuple[str, ...]:
        """Names, by label."""
        return self.images.classes

    def setup(self, stage: str) -> None:
        """Put the images on the training device."""
        assert self.trainer is not None
        self._put_on(self.trainer.strategy.root_device)

    def _put_on(self, device: torch.device) -> None:
        """Move the images, and with them those of all that share them."""
        if self._source is not None:
            self._source._put_on(device)
            return
        images = self.images
        self._images = Images(
            images.train.to(device),
            images.train_labels.to(device),
            images.test.to(device),
            images.test_labels.to(device),
            images.classes,
            images.digest,
        )

    def statistics(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation (C, H, W) of every feature over the training split, in pixel values 0 to 255."""
        if self._source is not None:
            return self._source.statistics()
        if self._statistics is None:
            self._statistics = self._compute_statistics()
        return self._statistics

    def _compute_statistics(self) -> tuple[Tensor, Tensor]:
        images = self.images.train
        total = torch.zeros(self.image_shape, dtype=torch.float64)
        squares = torch.zeros_like(total)
        for chosen in self._indices[0].split(1000):
            chunk = images[chosen.to(images.device)].cpu().double()
            total += chunk.sum(0)
            squares += chunk.square_().sum(0)
        mean = total / len(self._indices[0])
        variance = (squares / len(self._indices[0]) - mean.square()).clamp_(min=0)
        return mean.float(), variance.sqrt().float()

    def train_dataloader(self) -> Batches:
        """Shuffled and augmented batches of the training split; in one order when overfitting on purpose."""
        images = self.images
        # Lightning sets it unseen.
        overfit = self.trainer is not None and self.trainer.overfit_batches > 0  # type: ignore[attr-defined]
        return Batches(
            images.train,
            images.train_labels,
            self._indices[0],
            self.batch_size,
            order_seed=None if overfit else self.seed,
            augmentation=self.augmentation,
            rank=self._rank,
            world_size=self._world_size,
        )

    def val_dataloader(self) -> Batches:
        """Batches of the validation split."""
        images = self.images
        return Batches(
            images.train,
            images.train_labels,
            self._indices[1],
            self.eval_batch_size,
            rank=self._rank,
            world_size=self._world_size,
        )

    def test_dataloader(self) -> Batches:
        """Batches of the test set, all of them in every process."""
        images = self.images
        return Batches(images.test, images.test_labels, torch.arange(len(images.test)), self.eval_batch_size)

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Batches are on the device."""
        return batch

    @property
    def _rank(self) -> int:
        return self.trainer.global_rank if self.trainer else 0

    @property
    def _world_size(self) -> int:
        return self.trainer.world_size if self.trainer else 1
