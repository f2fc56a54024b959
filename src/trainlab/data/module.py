"""Base class of data modules: images in memory on the training device, split, statistics and batches."""

import hashlib
import inspect
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import lightning
import torch
from torch import Tensor

from trainlab.data.augmentation import Augmentation, Transforms
from trainlab.data.batches import Batches
from trainlab.data.split import SPLITS, count_fold, split, split_fold


@dataclass(frozen=True)
class Images:
    """A data set in memory.

    Attributes:
        train: uint8 (N, C, H, W), with ``train_labels``: classes int64 (N,), or what else a task learns (N, ...).
        test: uint8 (N, C, H, W), with ``test_labels`` of the same type.
        classes: names of the outputs, as of the classes by label.
        digest: hexadecimal hash of the content.
    """

    train: Tensor
    train_labels: Tensor
    test: Tensor
    test_labels: Tensor
    classes: tuple[str, ...]
    digest: str


def content_hash(*tensors: Tensor) -> str:
    """Hexadecimal hash of the values of contiguous ``tensors`` on the CPU."""
    digest = hashlib.blake2b(digest_size=16)
    for tensor in tensors:
        digest.update(tensor.numpy().data)
    return digest.hexdigest()


def as_rgb(images: Tensor) -> Tensor:
    """Images (..., C, H, W) to be displayed, (..., 3, H, W); of other numbers of channels than 3 the first, as gray."""
    return images if images.shape[-3] == 3 else images[..., :1, :, :].expand(*images.shape[:-3], 3, -1, -1)


class ImageData(lightning.LightningDataModule, ABC):
    """Training, validation and test batches of a data set that fits in memory.

    A subclass whose constructor takes ``**settings`` and passes them to this one has these arguments, too.

    Args:
        batch_size: training images per step and process.
        eval_batch_size: images per step in validation and test.
        val_size: validation images, split off the training set.
        val_split: "stratified" by ``split_seed``, or the "first" images of the training set.
        split_seed: independent of the training's seed, so that runs with different seeds share one split.
        fold: which of ``num_folds`` folds is held out for validation, counted from 0; takes the place of ``val_size``.
        num_folds: number of folds of a stratified partition by ``split_seed``; None for no folds.
        flip: flip training images horizontally: True with probability 1/2, or "alternating" in every other epoch.
        crop_padding: pixels of padding from which training images are cropped; 0 for no cropping.
        padding_mode: what the padding is: "constant" for zeros, or "reflect".
        cutout: size in pixels of a square of zeros in every training image; 0 for none. See `Augmentation`.
        transforms: of uint8 training images (C, H, W), after flip, crop and cutout. See `Transforms`.
        seed: seed of the order of batches and of augmentation.

    Attributes:
        more_classes: advice in the error message for data with only one class.
        located_by: argument that names the folder or file of the data.
        writes_to: argument that names the folder `read` writes to; None if it writes nothing.
        may_write: whether `read` may write; false if a checkpoint names that folder, as it may come from anywhere.

    Raises:
        ValueError: an argument is out of range.
    """

    located_by = "root"
    writes_to: str | None = None
    more_classes = "set data to images of more classes"
    may_write = True

    def __init_subclass__(cls, **options: Any) -> None:
        """Have the constructor's signature, against which settings are checked, name what ``**settings`` stand for."""
        super().__init_subclass__(**options)
        construct: Any = cls.__init__
        own = inspect.signature(construct)
        named = {name: p for name, p in own.parameters.items() if p.kind is not p.VAR_KEYWORD}
        if len(named) == len(own.parameters) or "__init__" not in vars(cls):
            return
        inherited = inspect.signature(super(cls, cls).__init__).parameters.items()
        more = {name: p for name, p in inherited if name not in named and p.kind is p.KEYWORD_ONLY}
        construct.__signature__ = own.replace(parameters=[*named.values(), *more.values()])
        annotations = {name: p.annotation for name, p in more.items() if p.annotation is not p.empty}
        construct.__annotations__ = annotations | construct.__annotations__

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
        seed: int = 0,
    ) -> None:
        super().__init__()
        sizes = {"batch_size": batch_size, "eval_batch_size": eval_batch_size, "val_size": val_size}
        for key, size in sizes.items():
            if size < 1:
                raise ValueError(f"{key} must be at least 1, got {size}; set data.{key}")
        for key, size in {"crop_padding": crop_padding, "cutout": cutout}.items():
            if size < 0:
                raise ValueError(f"{key} must be at least 0, got {size}; set data.{key}")
        if val_split not in SPLITS:
            raise ValueError(f"val_split must be one of {', '.join(SPLITS)}, got {val_split!r}; set data.val_split")
        _check_fold(fold, num_folds, val_split)
        self.batch_size, self.eval_batch_size, self.val_size = batch_size, eval_batch_size, val_size
        self.fold, self.num_folds = fold, num_folds
        self.val_split, self.split_seed = val_split, split_seed
        self.augmentation: Augmentation | None = None
        if flip or crop_padding or cutout:
            self.augmentation = Augmentation(flip, crop_padding, seed, padding_mode, cutout)
        self.transforms = Transforms(transforms, seed) if transforms else None
        self.seed = seed
        self._images: Images | None = None
        self._statistics: tuple[Tensor, Tensor] | None = None
        self._source: ImageData | None = None
        self._split: tuple[Tensor, Tensor] | None = None

    def share(self, source: "ImageData") -> None:
        """Use images, split and statistics of ``source``, whose settings differ at most in the seed."""
        self._source = source

    @property
    @abstractmethod
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W) of every image."""

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

    def count_val_images(self, total: int) -> int:
        """Number of images held out for validation, of ``total`` training images."""
        if self.fold is None or self.num_folds is None:
            return self.val_size
        return count_fold(total, self.fold, self.num_folds)

    def check(self) -> None:
        """Check the settings for a training, without reading an image.

        Raises:
            ValueError: a size does not fit the data.
            FileNotFoundError: the data are not where the settings say.
        """
        self._check_sizes(self.count_train_images())
        if self.transforms:
            self.transforms(torch.zeros(1, *self.image_shape, dtype=torch.uint8), torch.zeros(1, dtype=torch.int64), 0)

    def _check_sizes(self, total: int) -> None:
        if self.augmentation and self.augmentation.crop_padding:
            reflect = self.augmentation.padding_mode == "reflect"  # does not repeat the pixels at the border
            size, what = min(self.image_shape[1:]) - reflect, "the image size less 1" if reflect else "the image size"
            if self.augmentation.crop_padding > size:
                raise ValueError(
                    f"crop_padding must be at most {what}, {size}, got {self.augmentation.crop_padding}; "
                    "set data.crop_padding"
                )
        if self.num_folds is not None and self.num_folds > total:
            raise ValueError(
                f"num_folds must be at most the {total} training images, got {self.num_folds}; set data.num_folds"
            )
        if self.num_folds is None and self.val_size >= total:
            raise ValueError(
                f"val_size must be below the {total} training images, got {self.val_size}; set data.val_size"
            )
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
            self._images = self.read()
        return self._images

    @property
    def _indices(self) -> tuple[Tensor, Tensor]:
        """Indices of the training and the validation images; a test needs neither, so only this checks their sizes."""
        if self._source is not None:
            return self._source._indices
        if self._split is None:
            labels = self.images.train_labels.cpu()
            self._check_sizes(len(labels))
            if self.fold is None or self.num_folds is None:
                self._split = split(labels, self.val_size, self.val_split, self.split_seed)
            else:
                self._split = split_fold(labels, self.fold, self.num_folds, self.split_seed)
        return self._split

    def train_targets(self) -> Tensor:
        """Targets of the training split."""
        labels = self.images.train_labels
        return labels[self._indices[0].to(labels.device)]

    @property
    def classes(self) -> tuple[str, ...]:
        """Names, by label."""
        return self.images.classes

    def setup(self, stage: str) -> None:
        """Move the images to the training device."""
        assert self.trainer is not None
        self._put_on(self.trainer.strategy.root_device)

    def _put_on(self, device: torch.device) -> None:
        """Move the images, also for all modules that share them."""
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
        """Batches of the whole test set, in every process."""
        images = self.images
        return Batches(images.test, images.test_labels, torch.arange(len(images.test)), self.eval_batch_size)

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Return ``batch``, which is on the device already."""
        return batch

    @property
    def _rank(self) -> int:
        return self.trainer.global_rank if self.trainer else 0

    @property
    def _world_size(self) -> int:
        return self.trainer.world_size if self.trainer else 1


def _check_fold(fold: int | None, num_folds: int | None, val_split: str) -> None:
    if num_folds is None:
        if fold is not None:
            raise ValueError(f"fold needs the number of folds, got {fold} of none; set data.num_folds")
        return
    if num_folds < 2:
        raise ValueError(f"num_folds must be at least 2, got {num_folds}; set data.num_folds")
    if fold is None or not 0 <= fold < num_folds:
        got = "null" if fold is None else fold
        raise ValueError(f"fold must be in 0 to {num_folds - 1}, with num_folds={num_folds}, got {got}; set data.fold")
    if val_split != "stratified":
        raise ValueError(f"folds are stratified, got val_split={val_split}; set data.val_split=stratified")
