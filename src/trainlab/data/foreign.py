"""Any LightningDataModule, as data of a training."""

import hashlib
import inspect
from collections.abc import Iterator
from functools import cached_property, partial
from typing import Any

import torch
from lightning import LightningDataModule
from lightning.pytorch.utilities.model_helpers import is_overridden
from torch import Tensor
from torch.utils.data import DataLoader

from trainlab.data.images import Images, mean_and_std
from trainlab.data.lazy import begin_worker
from trainlab.data.training_data import BatchCounts, TrainingData
from trainlab.randomness import derive_seed, global_generators_restored, seed_global_generators, seeded_for_data

_CPU = torch.device("cpu")
_PARTS = {"train": "fit", "val": "fit", "test": "test"}  # and the stage that sets each up
_FOLDERS = ("root", "data_dir", "data_root", "path")


class ForeignData(TrainingData):
    """A LightningDataModule that is not of trainlab, whose batches are (images, targets).

    Images are (B, C, H, W): uint8, which the network scales, or floats, which it gets as they are. Names and number of
    classes are its attributes ``classes`` or ``num_classes``, its content is identified by ``digest``, where it has
    such attributes. What it draws from global generators follows from the seed and the epoch, in its constructor and in
    ``setup`` from neither, so that runs with different seeds have the same split.

    Args:
        module: the data module.
        seed: of its batches.
        num_classes: number of classes where the module does not say it.
        tests: whether it needs test data.

    Raises:
        ValueError: it lacks a data loader.
    """

    whole_epochs = True

    def __init__(
        self, module: LightningDataModule, seed: int, num_classes: int | None = None, tests: bool = True
    ) -> None:
        super().__init__()
        self.module, self.seed, self._num_classes = module, seed, num_classes
        self._name, self._set_up = type(module).__name__, set[str]()
        for part in _PARTS if tests else ("train", "val"):
            if not is_overridden(f"{part}_dataloader", module, LightningDataModule):
                advice = ", or set test=false" if part == "test" else ""
                raise ValueError(f"{self._name} has no {part}_dataloader; define it{advice}")
        arguments = inspect.signature(type(module).__init__).parameters
        self.located_by = next((name for name in _FOLDERS if name in arguments), "root")
        self.solo_reason = f"data are of {self._name}"

    @cached_property
    def _example(self) -> tuple[Tensor, Tensor]:
        """The first training batch, by which images and targets are known."""
        if (batch := next(self._batches("train"), None)) is None:
            raise ValueError(f"train_dataloader of {self._name} must have a batch, got none; set data.batch_size lower")
        return batch

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W), of the first batch."""
        channels, height, width = self._example[0].shape[1:]
        return channels, height, width

    @property
    def has_floats(self) -> bool:  # type: ignore[override]  # it is known later
        """Of the first batch."""
        return self._example[0].is_floating_point()

    @property
    def batch_size(self) -> int:  # type: ignore[override]  # it is known later
        """Images of the first batch."""
        return len(self._example[0])

    def example_targets(self, count: int) -> Tensor:
        """Zeros like targets of the first batch."""
        targets = self._example[1]
        return targets.new_zeros(count, *targets.shape[1:])

    def count_classes(self) -> int:
        """Of the attributes, the columns of the targets, or as it was given.

        Raises:
            ValueError: nothing says it.
        """
        targets = self._example[1]
        for name in ("num_classes", "classes"):
            if (value := getattr(self.module, name, None)) is not None:
                return value if isinstance(value, int) else len(value)
        if targets.ndim > 1 or targets.is_floating_point():
            return targets[0].numel()
        if self._num_classes is None:
            raise ValueError(
                f"the number of classes must be known, and {self._name} has no attribute num_classes or classes; "
                "set model.num_classes"
            )
        return self._num_classes

    @property
    def classes(self) -> tuple[str, ...]:
        """Those of the attribute, or numbers."""
        names = getattr(self.module, "classes", None)
        return tuple(map(str, range(self.count_classes()) if names is None else names))

    @property
    def digest(self) -> str:
        """The attribute; without it a hash of class, shapes and numbers of batches, which not all changes change."""
        if (own := getattr(self.module, "digest", None)) is not None:
            return str(own)
        known = [type(self.module).__qualname__, self.image_shape, self.classes, self.count_batches(1)]
        return hashlib.blake2b(repr(known).encode(), digest_size=16).hexdigest()

    def check(self) -> None:
        """Read the first training batch, and count batches."""
        self.count_batches(1)

    def count_batches(self, processes: int) -> BatchCounts:
        """Batches of an epoch, as Lightning's sampler divides them among processes."""
        (train, last), (val, _) = (_count(self.loader(part), processes) for part in ("train", "val"))
        return BatchCounts(train, val, self.batch_size, last or self.batch_size)

    def describe_memory(self) -> str:
        """Where the images are, in one line."""
        kind = "floats, which are not scaled" if self.has_floats else "uint8"
        return f"images {self.image_shape} of the data loaders of {self._name}, {kind}"

    def share(self, source: Any) -> None:
        """Use the data module of ``source``, which is set up."""
        self.module, self._set_up = source.module, source._set_up

    def train_images(self) -> Iterator[Tensor]:
        """The images of a pass over the training batches."""
        return (images for images, _ in self._batches("train"))

    def statistics(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation (C, H, W) of every feature, in a pass over the training batches."""
        return mean_and_std(self.train_images(), self.image_shape)

    def train_targets(self) -> Tensor:
        """Targets of a pass over the training batches."""
        return torch.cat([targets for _, targets in self._batches("train")])

    def first_batch(self) -> tuple[Tensor, Tensor]:
        """The first training batch, the same at every call."""
        images, targets = self._example
        return images.to(self._device), targets.to(self._device)

    def val_images(self, count: int) -> Tensor:
        """The first validation images."""
        found: list[Tensor] = []
        for images, _ in self._batches("val"):
            found.append(images)
            if sum(map(len, found)) >= count:
                break
        return torch.cat(found)[:count]

    @cached_property
    def images(self) -> Images:
        """The test images, in memory, floats from their smallest to their largest value as 0 to 255."""
        images, targets = (torch.cat(part).cpu() for part in zip(*self._batches("test"), strict=True))
        if images.is_floating_point():
            low, high = images.aminmax()
            images = ((images - low) * (255 / (high - low).clamp(min=1e-12))).to(torch.uint8)
        return Images(images[:0], targets[:0], images, targets, self.classes, self.digest)

    def prepare_data(self) -> None:
        """Nothing: the module does it before it is set up."""

    def setup(self, stage: str) -> None:
        """Set the module up, once for each stage."""
        if stage in self._set_up:
            return
        self.module.trainer = self.trainer
        with seeded_for_data():
            if not self._set_up:
                self.module.prepare_data()
            self.module.setup(stage)
        self._set_up.add(stage)

    def loader(self, part: str) -> "DataLoader[Any]":
        """The data loader of a part, "train", "val" or "test".

        Raises:
            ValueError: there are several, or it has no length.
        """
        self.setup(_PARTS[part])
        self.module.trainer = self.trainer
        loader = getattr(self.module, f"{part}_dataloader")()
        if isinstance(loader, list | tuple) and len(loader) == 1:
            loader = loader[0]
        try:
            if not isinstance(loader, DataLoader):
                raise TypeError
            len(loader)
        except TypeError:  # of an iterable data set, too
            raise ValueError(
                f"{part}_dataloader of {self._name} must return one torch.utils.data.DataLoader with a length, got "
                f"{type(loader).__name__}; change it, or train a LightningModule of your own (module)"
            ) from None
        if loader.worker_init_fn is None or getattr(loader.worker_init_fn, "func", None) is not begin_worker:
            loader.worker_init_fn = partial(begin_worker, loader.worker_init_fn)
        return loader

    def train_dataloader(self) -> Any:
        """That of the module."""
        return self.loader("train")

    def val_dataloader(self) -> Any:
        """That of the module."""
        return self.loader("val")

    def test_dataloader(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Batches of the test set, on the device of the training."""
        return self._batches("test")

    def on_before_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """The module's."""
        return self.module.on_before_batch_transfer(batch, dataloader_idx)

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """The module's."""
        return self.module.transfer_batch_to_device(batch, device, dataloader_idx)

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """The module's, in the form that a network takes."""
        return self._checked(self.module.on_after_batch_transfer(batch, dataloader_idx))

    def state_dict(self) -> dict[str, Any]:
        """The module's."""
        return self.module.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """The module's."""
        self.module.load_state_dict(state_dict)

    def seed_generators(self, place: str, epoch: int) -> None:
        """Seed the global generators by (seed, place, epoch), in each process differently."""
        assert self.trainer is not None
        place_seed = derive_seed(self.seed, "data", place, epoch, self.trainer.global_rank)
        seed_global_generators(place_seed, self._device)

    def _batches(self, part: str) -> Iterator[tuple[Tensor, Tensor]]:
        """Batches of a pass outside of the training, the same in each pass."""
        loader, number = self.loader(part), 0
        batches: Iterator[Any] | None = None
        while True:
            with global_generators_restored(self._device):
                seed_global_generators(derive_seed(self.seed, "data", part, "pass", number), self._device)
                batches = batches or iter(loader)
                batch = next(batches, None)
                if batch is None:
                    return
                batch = self.on_before_batch_transfer(batch, 0)
                batch = self.on_after_batch_transfer(self.transfer_batch_to_device(batch, self._device, 0), 0)
            number += 1
            yield batch

    @property
    def _device(self) -> torch.device:
        return self.trainer.strategy.root_device if self.trainer else _CPU

    def _checked(self, batch: Any) -> tuple[Tensor, Tensor]:
        """A batch as images and targets.

        Raises:
            ValueError: it is something else.
        """
        parts = list(batch) if isinstance(batch, list | tuple) else [batch]
        if len(parts) == 2 and all(isinstance(part, Tensor) for part in parts):
            images, targets = parts
            if images.ndim == 4 and len(images) == len(targets) and _are_pixels(images):
                is_class = targets.ndim == 1 and not targets.is_floating_point()
                return images, targets.long() if is_class else targets
        found = ", ".join(f"{p.dtype} {tuple(p.shape)}" if isinstance(p, Tensor) else type(p).__name__ for p in parts)
        raise ValueError(
            f"batches of {self._name} must be (images, targets), with images (B, C, H, W) of uint8 or floats, "
            f"got ({found}); change its data loaders, or train a LightningModule of your own (module)"
        )


def _are_pixels(images: Tensor) -> bool:
    return images.dtype == torch.uint8 or images.is_floating_point()


def _count(loader: "DataLoader[Any]", processes: int) -> tuple[int, int | None]:
    """Batches of a data loader in each process, and the images of the last one, None where that is not known."""
    size: int | None = loader.batch_size
    if size is None:  # a batch sampler of the user's
        return -(-len(loader) // processes), None
    images = -(-len(loader.sampler) // processes)  # type: ignore[arg-type]  # the loader has a length
    count = images // size if loader.drop_last else -(-images // size)
    return count, None if loader.drop_last else images - (count - 1) * size
