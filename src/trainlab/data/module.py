"""Base class of data modules of images: in memory on the training device or not, split, statistics and batches."""

import math
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from trainlab.data.augmentation import Augmentation, Transforms
from trainlab.data.batches import Batches
from trainlab.data.images import Images, mean_and_std
from trainlab.data.lazy import parts_of, workers
from trainlab.data.mixing import Mixing
from trainlab.data.split import Split
from trainlab.data.training_data import BatchCounts, TrainingData
from trainlab.ranks import share_of_cores
from trainlab.validation import name_settings


class ImageData(TrainingData):
    """Training, validation and test batches of a data set.

    A subclass whose constructor takes ``**settings`` and passes them to this one has these arguments, too.

    Args:
        batch_size: training images per step and process.
        eval_batch_size: images per step in validation and test.
        val_size: validation images, split off the training set.
        val_split: "stratified" by ``split_seed``, or the "first" or "last" images of the training set.
        split_seed: independent of the training's seed, so that runs with different seeds share one split.
        fold: which of ``num_folds`` folds is held out for validation, counted from 0; takes the place of ``val_size``.
        num_folds: number of folds of a stratified partition by ``split_seed``; None for no folds.
        flip: flip training images horizontally: True with probability 1/2, or "alternating" in every other epoch.
        crop_padding: pixels of padding from which training images are cropped; 0 for no cropping.
        padding_mode: what the padding is: "constant" for zeros, or "reflect".
        cutout: size in pixels of a square of zeros in every training image; 0 for none. See `Augmentation`.
        transforms: of uint8 training images (C, H, W), after flip, crop and cutout. See `Transforms`.
        mixup: alpha of the Beta distribution of MixUp's weights; 0 for no MixUp. See `Mixing`.
        cutmix: alpha of the Beta distribution of CutMix; 0 for no CutMix. With both, each batch gets one by chance.
        memory: GB (10^9 bytes) of images that are held in memory, on the training device. More are read when they are
            needed, if the data set can be read so; training, validation and test are the same.
        num_workers: processes that read those, 0 for none; None for one per CPU core, at most 8.
        seed: seed of the order of batches and of augmentation.

    Attributes:
        reads_lazily: whether `read_lazily` is there.

    Raises:
        ValueError: an argument is out of range.
    """

    reads_lazily = False
    scaling: Callable[[Tensor], Tensor] | None = None  # of batches for a LightningModule of the user's

    def __init_subclass__(cls, **options: Any) -> None:
        """Have the constructor's signature, against which settings are checked, name what ``**settings`` stand for."""
        super().__init_subclass__(**options)
        name_settings(cls)

    def __init__(
        self,
        *,
        batch_size: int = 32,
        eval_batch_size: int = 1000,
        val_size: int = 5000,
        val_split: str = "stratified",
        split_seed: int = 0,
        fold: int | None = None,
        num_folds: int | None = None,
        flip: bool | Literal["alternating"] = False,
        crop_padding: int = 0,
        padding_mode: Literal["constant", "reflect"] = "constant",
        cutout: int = 0,
        transforms: Sequence[Any] = (),
        mixup: float = 0.0,
        cutmix: float = 0.0,
        memory: float = 8.0,
        num_workers: int | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        sizes = {"batch_size": batch_size, "eval_batch_size": eval_batch_size}
        for key, size in sizes.items():
            if size < 1:
                raise ValueError(f"{key} must be at least 1, got {size}; set data.{key}")
        amounts = {"crop_padding": crop_padding, "cutout": cutout, "mixup": mixup, "cutmix": cutmix, "memory": memory}
        for key, amount in (amounts | {"num_workers": num_workers or 0}).items():
            if amount < 0:
                raise ValueError(f"{key} must be at least 0, got {amount}; set data.{key}")
        self.batch_size, self.eval_batch_size, self.val_size = batch_size, eval_batch_size, val_size
        self._held_out = Split(val_size, val_split, split_seed, fold, num_folds)
        self.augmentation: Augmentation | None = None
        if flip or crop_padding or cutout:
            self.augmentation = Augmentation(flip, crop_padding, seed, padding_mode, cutout)
        self.transforms = Transforms(transforms, seed) if transforms else None
        self.mixup, self.cutmix, self.memory, self.num_workers = mixup, cutmix, memory, num_workers
        self.seed = seed
        self._images: Images | None = None
        self._source: Any = None
        self._splits: dict[Split, tuple[Tensor, Tensor]] = {}  # of this one, and of those that share its images
        self._statistics: dict[Split, tuple[Tensor, Tensor]] = {}

    def share(self, source: Any) -> None:
        """Use the images of ``source``, whose settings differ at most in the seeds; the split may be another one."""
        self._source = source

    @abstractmethod
    def count_train_images(self) -> int:
        """Number of training images before the split, without reading an image.

        Raises:
            FileNotFoundError: the data are not where the settings say.
        """

    @abstractmethod
    def count_classes(self) -> int:
        """Number of classes, or of what else has a name and an output of its own, without reading an image."""

    def example_targets(self, count: int) -> Tensor:
        """Zeros of the type and shape of ``count`` targets, without reading an image: here classes."""
        return torch.zeros(count, dtype=torch.int64)

    @abstractmethod
    def read(self) -> Images:
        """Read all images, downloading or decoding them if necessary."""

    def count_test_images(self) -> int:
        """Number of test images, without reading one; 0 where that is not known."""
        return 0

    def read_lazily(self) -> Images:
        """`Images` that are `LazyImages`, with labels and all else but the pixels read.

        A subclass that has this sets ``reads_lazily``.
        """
        raise NotImplementedError

    @property
    def num_bytes(self) -> int:
        """Of all images in memory."""
        return (self.count_train_images() + self.count_test_images()) * math.prod(self.image_shape)

    @property
    def in_memory(self) -> bool:
        """Whether all images are held in memory, and not read when they are needed."""
        return not self.reads_lazily or self.num_bytes <= self.memory * 1e9

    def describe_memory(self) -> str:
        """Where the images are, in one line."""
        gb, limit = self.num_bytes / 1e9, f"{self.memory:g} GB"
        size = f"{gb:.3g} GB of images" if gb >= 1 else f"{1000 * gb:.1f} MB of images"
        if self.in_memory:
            return f"{size} in memory (limit {limit})"
        workers = self._of_process["num_workers"]
        by = f"by {workers} worker{'s' if workers != 1 else ''}"
        return f"{size}, above the limit of {limit} (data.memory), are read when they are needed, {by}"

    def count_val_images(self, total: int) -> int:
        """Number of images held out for validation, of ``total`` training images."""
        return self._held_out.count(total)

    def check(self) -> None:
        """Check the settings for a training, without reading an image.

        Raises:
            ValueError: a size does not fit the data.
            FileNotFoundError: the data are not where the settings say.
        """
        self.count_classes()
        self._check_sizes(self.count_train_images())
        if self.in_memory and (size := self.num_bytes / 1e9) > self.memory:
            raise ValueError(
                f"memory must be at least the {size:.3g} GB of images, which {type(self).__name__} reads all at once, "
                f"got {self.memory:g}; set data.memory"
            )
        if self.transforms:
            self.transforms(torch.zeros(1, *self.image_shape, dtype=torch.uint8), torch.zeros(1, dtype=torch.int64), 0)

    def _check_sizes(self, total: int) -> None:
        if self.augmentation:
            self.augmentation.check(self.image_shape)
        self._held_out.check(total)
        if self.batch_size > (left := total - self.count_val_images(total)):
            raise ValueError(
                f"batch_size must be at most the {left} training images, got {self.batch_size}; set data.batch_size"
            )

    @property
    def images(self) -> Images:
        """The data set, read at the first access."""
        if self._source is not None:
            self._images = self._source.images
        if self._images is None:
            self._images = self.read() if self.in_memory else self.read_lazily()
        return self._images

    @property
    def _indices(self) -> tuple[Tensor, Tensor]:
        """Indices of the training and the validation images; a test needs neither, so only this checks their sizes."""
        drawn = self._owner._splits
        if self._held_out not in drawn:
            labels = self.images.train_labels.cpu()
            self._check_sizes(len(labels))
            drawn[self._held_out] = self._held_out.draw(labels)
        return drawn[self._held_out]

    @property
    def _owner(self) -> Any:
        """The module that has the images."""
        return self if self._source is None else self._source._owner

    def train_targets(self) -> Tensor:
        """Targets of the training split."""
        labels = self.images.train_labels
        return labels[self._indices[0].to(labels.device)]

    @property
    def classes(self) -> tuple[str, ...]:
        """Names, by label."""
        return self.images.classes

    @property
    def digest(self) -> str:
        """Hexadecimal hash of the images."""
        return self.images.digest

    @property
    def solo_reason(self) -> str:  # type: ignore[override]  # it depends on the settings
        """Members of a population share images in memory."""
        return "" if self.in_memory else "the images take more than data.memory"

    def count_batches(self, processes: int) -> BatchCounts:
        """Batches of an epoch in each of so many processes, before an image is read."""
        total = self.count_train_images()
        val = self.count_val_images(total)
        own, of_val = (-(-images // processes) for images in (total - val, val))
        train = -(-own // self.batch_size)
        last = own - (train - 1) * self.batch_size
        return BatchCounts(train, -(-of_val // self.eval_batch_size), self.batch_size, last)

    def val_images(self, count: int) -> Tensor:
        """Validation images, spread over all of them."""
        images, held_out = self.images.train, self._indices[1]
        places = torch.linspace(0, len(held_out) - 1, min(count, len(held_out))).long()
        return images[held_out[places].to(images.device)].to(self.images.train_labels.device)

    def setup(self, stage: str) -> None:
        """Move the images to the training device."""
        assert self.trainer is not None
        self._put_on(self.trainer.strategy.root_device)

    def _put_on(self, device: torch.device) -> None:
        """Move the images, also for all modules that share them."""
        if self._source is not None:
            self._source._put_on(device)
            return
        self._images = self.images.to(device)

    def train_images(self) -> Iterator[Tensor]:
        """The images of the training split, in batches, without augmentation."""
        return parts_of(self.images.train, self._indices[0].split(1000), self.num_workers)

    def statistics(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation (C, H, W) of every feature over the training split, in pixel values 0 to 255."""
        measured = self._owner._statistics
        if self._held_out not in measured:
            measured[self._held_out] = mean_and_std(self.train_images(), self.image_shape)
        return measured[self._held_out]

    def train_dataloader(self) -> Batches:
        """Shuffled and augmented batches of the training split; not shuffled with `overfit_batches`."""
        images = self.images
        # Lightning sets `overfit_batches` dynamically.
        overfit = self.trainer is not None and self.trainer.overfit_batches > 0  # type: ignore[attr-defined]  # see above
        return Batches(
            images.train,
            images.train_labels,
            self._indices[0],
            self.batch_size,
            order_seed=None if overfit else self.seed,
            augmentation=self.augmentation,
            transforms=self.transforms,
            mixing=self._mixing,
            **self._of_process,
        )

    def val_dataloader(self) -> Batches:
        """Batches of the validation split."""
        images = self.images
        return Batches(
            images.train,
            images.train_labels,
            self._indices[1],
            self.eval_batch_size,
            **self._of_process,
        )

    def test_dataloader(self) -> Batches:
        """Batches of the whole test set, in every process."""
        images = self.images
        indices, number = torch.arange(len(images.test)), self.num_workers
        return Batches(images.test, images.test_labels, indices, self.eval_batch_size, num_workers=number)

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Return ``batch``, which is on the device already, with images as ``scaling`` returns them."""
        if self.scaling is None or self.trainer is None:
            return batch
        images, *targets = batch
        return self.trainer.precision_plugin.convert_input(self.scaling(images)), *targets

    @property
    def _mixing(self) -> Mixing | None:
        if not (self.mixup or self.cutmix):
            return None
        return Mixing(self.mixup, self.cutmix, self.seed, self.count_classes())

    @property
    def _of_process(self) -> dict[str, Any]:
        """Settings of `Batches` that several processes divide."""
        rank, processes = (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        sharing = share_of_cores(self.trainer.num_devices) if self.trainer else 1
        return {"rank": rank, "world_size": processes, "num_workers": workers(self.num_workers, sharing)}
