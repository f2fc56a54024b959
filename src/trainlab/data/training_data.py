"""What a run needs of its data, whichever data module gives the batches."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import lightning
from torch import Tensor

from trainlab.data.images import Images


@dataclass(frozen=True)
class BatchCounts:
    """Batches of an epoch in each process.

    Attributes:
        train: number of training batches.
        val: number of validation batches.
        full: images of a training batch.
        last: images of the last one.
    """

    train: int
    val: int
    full: int
    last: int


class TrainingData(lightning.LightningDataModule, ABC):
    """Batches of images (B, C, H, W) and targets (B, ...), and what is known of them before a training.

    Attributes:
        more_classes: advice in the error message for data with only one class.
        located_by: argument that names the folder or file of the data.
        writes_to: argument that names the folder that reading writes to; None if it writes nothing.
        may_write: whether it may; false if a checkpoint names that folder, as it may come from anywhere.
        batch_size: training images per step and process.
        has_floats: whether images are floats, which the network gets as they are, and not uint8.
        whole_epochs: whether a training can only continue at the end of an epoch.
        solo_reason: why runs on it cannot be trained together; "" if they can.
    """

    more_classes = "set data to images of more classes"
    located_by = "root"
    writes_to: str | None = None
    may_write = True
    batch_size: int
    has_floats = False
    whole_epochs = False
    solo_reason = ""

    @property
    @abstractmethod
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W) of every image."""

    @abstractmethod
    def count_classes(self) -> int:
        """Number of classes, or of what else has a name and an output of its own."""

    @abstractmethod
    def example_targets(self, count: int) -> Tensor:
        """Zeros of the type and shape of ``count`` targets."""

    @abstractmethod
    def check(self) -> None:
        """Check the settings for a training.

        Raises:
            ValueError: a setting does not fit the data.
            FileNotFoundError: the data are not where the settings say.
        """

    @abstractmethod
    def count_batches(self, processes: int) -> BatchCounts:
        """Batches of an epoch, divided among so many processes."""

    @property
    @abstractmethod
    def classes(self) -> tuple[str, ...]:
        """Names, by label."""

    @property
    @abstractmethod
    def digest(self) -> str:
        """Hexadecimal hash of the content. May read it."""

    @abstractmethod
    def describe_memory(self) -> str:
        """Where the images are, in one line."""

    @abstractmethod
    def train_images(self) -> Iterator[Tensor]:
        """The images of the training split, in batches (B, C, H, W); of images of trainlab without augmentation."""

    @abstractmethod
    def statistics(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation (C, H, W) of every feature over the training split."""

    @abstractmethod
    def train_targets(self) -> Tensor:
        """Targets of the training split."""

    def first_batch(self) -> tuple[Tensor, Tensor]:
        """The first training batch of the epoch, on the device of the training."""
        images, targets = next(iter(self.train_dataloader()))
        return images, targets

    @abstractmethod
    def val_images(self, count: int) -> Tensor:
        """At most ``count`` validation images, the same at every call, on the device of the training."""

    @property
    @abstractmethod
    def images(self) -> Images:
        """The data set; of data that are not images of trainlab the test set alone, to be displayed."""

    @abstractmethod
    def share(self, source: Any) -> None:
        """Use what ``source``, of the same class and settings but for the seed, has read."""
