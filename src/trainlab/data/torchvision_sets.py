"""Data sets of torchvision by name, from their official archives."""

import http.client
import io
import socket
import sys
import urllib.error
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trainlab.data.images import Images, content_hash
from trainlab.data.module import ImageData
from trainlab.runs.files import locked, setting_of_path

_NETWORK_ERRORS = (
    urllib.error.URLError,
    http.client.HTTPException,
    ConnectionError,
    TimeoutError,
    RecursionError,  # too many redirects
)
_STALLED_AFTER_S = 30
# What torchvision's messages of a RuntimeError contain if files are missing or a checksum is wrong.
_MISSING = ("not found", "Error downloading")


@dataclass(frozen=True)
class Facts:
    """What is known of a data set before it is downloaded."""

    image_shape: tuple[int, int, int]
    num_train: int
    num_classes: int


_GREY, _COLOR = (1, 28, 28), (3, 32, 32)
DATA_SETS = {
    "CIFAR10": Facts(_COLOR, 50_000, 10),
    "CIFAR100": Facts(_COLOR, 50_000, 100),
    "SVHN": Facts(_COLOR, 73_257, 10),
    "MNIST": Facts(_GREY, 60_000, 10),
    "FashionMNIST": Facts(_GREY, 60_000, 10),
    "KMNIST": Facts(_GREY, 60_000, 10),
    "EMNIST-balanced": Facts(_GREY, 112_800, 47),
    "EMNIST-byclass": Facts(_GREY, 697_932, 62),
    "EMNIST-bymerge": Facts(_GREY, 697_932, 47),
    "EMNIST-digits": Facts(_GREY, 240_000, 10),
    "EMNIST-letters": Facts(_GREY, 124_800, 26),
    "EMNIST-mnist": Facts(_GREY, 60_000, 10),
}


class TorchvisionImages(ImageData):
    """A data set of `torchvision.datasets`, which reads the official archive and downloads it once.

    Args:
        name: one of ``DATA_SETS``: the class of torchvision, and for EMNIST its split.
        root: folder of the archive, where torchvision also unpacks it.
        **settings: those of `ImageData`.

    Raises:
        ValueError: an argument is out of range.
    """

    writes_to = "root"

    def __init__(self, name: str, root: str, **settings: Any) -> None:
        super().__init__(**settings)
        if name not in DATA_SETS:
            raise ValueError(f"name must be one of {', '.join(DATA_SETS)}, got {name!r}; set data.name")
        self.data_set, self.root = name, Path(root).expanduser()
        self._title = name.replace("CIFAR", "CIFAR-")

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W), even before the download."""
        return DATA_SETS[self.data_set].image_shape

    def count_train_images(self) -> int:
        """As in the official archive, even before the download."""
        return DATA_SETS[self.data_set].num_train

    def count_classes(self) -> int:
        """As in the official archive."""
        return DATA_SETS[self.data_set].num_classes

    def read(self) -> Images:
        """Read all images, downloading them at the first call.

        Raises:
            ConnectionError: the data set is not in ``root`` and cannot be downloaded.
            ValueError: files are damaged.
            OSError: ``root`` cannot be written, or the disk is full.
        """
        try:
            train, test = self._load()
        except RuntimeError:
            if not self.may_write:
                where = "the folder where it is, or where to download it"
                raise FileNotFoundError(f"{self._title} is not in {self.root}; set data.root to {where}") from None
            with setting_of_path("data.root", self.root), locked(self.root / f".{self.data_set.lower()}.lock"):
                train, test = self._load_or_download()
        (train_images, train_labels), (test_images, test_labels) = _tensors(train), _tensors(test)
        classes = tuple(getattr(train, "classes", map(str, range(self.count_classes()))))  # SVHN has digits
        if classes[0] == "N/A":  # of EMNIST-letters, whose labels begin at 1
            classes, train_labels, test_labels = classes[1:], train_labels - 1, test_labels - 1
        if not hasattr(train, "tgz_md5") and len(train_labels) != self.count_train_images():  # others have a checksum
            raise ValueError(
                f"{self._title} has {self.count_train_images()} training images, the one in {self.root} has "
                f"{len(train_labels)}; set data.root to the official one, or data=arrays"
            )
        digest = content_hash(train_images, test_images, train_labels, test_labels)
        return Images(train_images, train_labels, test_images, test_labels, classes, digest)

    def _load(self, **options: Any) -> tuple[Any, Any]:
        """Training and test set of torchvision; RuntimeError if files are missing, ValueError if they are damaged."""
        from torchvision import datasets

        kind, _, split = self.data_set.partition("-")
        parts: list[dict[str, Any]] = [{"train": True}, {"train": False}]
        if kind == "SVHN":
            parts = [{"split": "train"}, {"split": "test"}]
        if split:
            options["split"] = split
        with warnings.catch_warnings():
            # The official pickles use a format that NumPy 2.4 deprecates (pytorch/vision issue 9340).
            warnings.simplefilter("ignore", np.exceptions.VisibleDeprecationWarning)
            try:
                train, test = (getattr(datasets, kind)(self.root, **part, **options) for part in parts)
            except (RuntimeError, AssertionError, ValueError, LookupError, TypeError) as error:
                if any(words in str(error) for words in _MISSING):
                    raise
                raise ValueError(
                    f"the files of {self._title} in {self.root} are damaged ({str(error) or type(error).__name__}): "
                    "delete them and start again, or set data.root to another folder"
                ) from error
        return train, test

    def _load_or_download(self) -> tuple[Any, Any]:
        try:
            return self._load()  # another process has downloaded it
        except RuntimeError:
            self._download()
            return self._load()

    def _download(self) -> None:
        from torchvision import datasets
        from torchvision.datasets.utils import download_and_extract_archive

        kind = getattr(datasets, self.data_set.partition("-")[0])
        archive, url = self.root / getattr(kind, "filename", ""), getattr(kind, "url", "its servers")
        advice = (
            "set data.root (or the environment variable TRAINLAB_DATA) to a folder that contains it, "
            "or choose data=image_folder or data=shapes, which need no download"
        )
        reason: Exception | str
        try:
            with _without_progress_bar(f"downloading {self._title} to {self.root}"), _stall_limit():
                if archive != self.root:
                    # Not CIFAR10(download=True), which never repairs a damaged batches.meta. An archive in `root` is
                    # used if its MD5 is correct and overwritten otherwise, for example after an interrupted download.
                    download_and_extract_archive(url, self.root, filename=kind.filename, md5=kind.tgz_md5)
                else:
                    self._load(download=True)
            return
        except _NETWORK_ERRORS as error:
            reason = error
        except RuntimeError as error:
            if archive != self.root:
                raise ValueError(
                    f"{archive}, as downloaded from {url}, fails its MD5 check: delete it and start again\n"
                    f"if that does not help, {advice}"
                ) from error
            reason = str(error).strip().splitlines()[-1]  # of the last of several servers
        found = f" ({archive} is there, but incomplete or damaged)" if archive.is_file() else ""
        raise ConnectionError(
            f"{self._title} is not in {self.root}{found} and cannot be downloaded from {url}: {reason}\n{advice}"
        )


def _tensors(source: Any) -> tuple[Tensor, Tensor]:
    """uint8 images (N, C, H, W) and int64 labels (N,) of a data set of torchvision."""
    labels = torch.as_tensor(source.labels if hasattr(source, "labels") else source.targets)
    if isinstance(source.data, Tensor):  # (N, H, W)
        return source.data[:, None], labels
    if source.data.shape[1] == 3:
        return torch.from_numpy(np.ascontiguousarray(source.data)), labels
    # torchvision returns a view (N, H, W, C) of memory in the order (N, C, H, W): no copy is made.
    return torch.from_numpy(np.ascontiguousarray(source.data.transpose(0, 3, 1, 2))), labels


@contextmanager
def _without_progress_bar(message: str) -> Iterator[None]:
    """Print one line instead of torchvision's progress bar if stderr is not a terminal."""
    if sys.stderr.isatty():
        yield
        return
    print(message, file=sys.stderr, flush=True)
    with redirect_stderr(io.StringIO()):
        yield


@contextmanager
def _stall_limit() -> Iterator[None]:
    """Raise an error if the server does not answer, instead of waiting forever."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_STALLED_AFTER_S)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
