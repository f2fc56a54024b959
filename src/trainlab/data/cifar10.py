"""CIFAR-10 from its official archive."""

import hashlib
import http.client
import io
import socket
import sys
import urllib.error
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from pathlib import Path
from typing import Any

import numpy as np
import torch

from trainlab.data.module import ImageData, Images
from trainlab.runs.files import locked, setting_of_path

_NETWORK_ERRORS = (
    urllib.error.URLError,
    http.client.HTTPException,
    ConnectionError,
    TimeoutError,
    RecursionError,  # too many redirects
)
_STALLED_AFTER_S = 30


class CIFAR10(ImageData):
    """60,000 color images of ten classes, 32 x 32 (Krizhevsky, 2009); downloaded once, 170 MB.

    Args:
        root: folder of the archive, where it is also unpacked to ``cifar-10-batches-py/``.

    The other arguments are those of `ImageData`.
    """

    writes_to = "root"

    def __init__(
        self,
        root: str,
        *,
        batch_size: int = 32,
        eval_batch_size: int = 1000,
        val_size: int = 5000,
        val_split: str = "stratified",
        split_seed: int = 0,
        fold: int | None = None,
        num_folds: int | None = None,
        flip: bool = False,
        crop_padding: int = 0,
        seed: int = 0,
    ) -> None:
        super().__init__(
            batch_size=batch_size,
            eval_batch_size=eval_batch_size,
            val_size=val_size,
            val_split=val_split,
            split_seed=split_seed,
            fold=fold,
            num_folds=num_folds,
            flip=flip,
            crop_padding=crop_padding,
            seed=seed,
        )
        self.root = Path(root).expanduser()

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(3, 32, 32)."""
        return 3, 32, 32

    def count_train_images(self) -> int:
        """50,000, even before the download."""
        return 50_000

    def count_classes(self) -> int:
        """10."""
        return 10

    def read(self) -> Images:
        """Read all images, downloading them at the first call.

        Raises:
            ConnectionError: the data set is not in ``root`` and cannot be downloaded.
            ValueError: the downloaded archive fails its MD5 check.
            OSError: ``root`` cannot be written, or the disk is full.
        """
        try:
            train, test = _load(self.root)
        except RuntimeError:  # torchvision raises it if files are missing or damaged
            if not self.may_write:
                where = "the folder where it is, or where to download it"
                raise FileNotFoundError(f"CIFAR-10 is not in {self.root}; set data.root to {where}") from None
            with setting_of_path("data.root", self.root), locked(self.root / ".cifar10.lock"):
                train, test = _load_or_download(self.root)
        images, labels = zip(_tensors(train), _tensors(test), strict=True)
        digest = hashlib.blake2b(digest_size=16)
        for tensor in (*images, *labels):
            digest.update(tensor.numpy().data)
        return Images(images[0], labels[0], images[1], labels[1], tuple(train.classes), digest.hexdigest())


def _load(root: Path) -> tuple[Any, Any]:
    from torchvision import datasets

    with warnings.catch_warnings():
        # The official pickles use a format that NumPy 2.4 deprecates (pytorch/vision issue 9340).
        warnings.simplefilter("ignore", np.exceptions.VisibleDeprecationWarning)
        return datasets.CIFAR10(root, train=True), datasets.CIFAR10(root, train=False)


def _load_or_download(root: Path) -> tuple[Any, Any]:
    try:
        return _load(root)  # another process has downloaded it
    except RuntimeError:
        _download(root)
        return _load(root)


def _download(root: Path) -> None:
    from torchvision import datasets
    from torchvision.datasets.utils import download_and_extract_archive

    source = datasets.CIFAR10
    archive = root / source.filename
    advice = (
        "set data.root (or the environment variable TRAINLAB_DATA) to a folder that contains it, "
        "or choose data=image_folder or data=shapes, which need no download"
    )
    try:
        with _without_progress_bar(f"downloading CIFAR-10 to {root}"), _stall_limit():
            # Not CIFAR10(download=True), which never repairs a damaged batches.meta. An archive in `root` is
            # used if its MD5 is correct and overwritten otherwise, for example after an interrupted download.
            download_and_extract_archive(source.url, root, filename=source.filename, md5=source.tgz_md5)
    except _NETWORK_ERRORS as error:
        found = f" ({archive} is there, but incomplete or damaged)" if archive.exists() else ""
        raise ConnectionError(
            f"CIFAR-10 is not in {root}{found} and cannot be downloaded from {source.url}: {error}\n{advice}"
        ) from error
    except RuntimeError as error:
        raise ValueError(
            f"{archive}, as downloaded from {source.url}, fails its MD5 check: delete it and start again\n"
            f"if that does not help, {advice}"
        ) from error


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


def _tensors(source: Any) -> tuple[torch.Tensor, torch.Tensor]:
    # torchvision returns a view (N, H, W, C) of memory in the order (N, C, H, W): no copy is needed.
    return torch.from_numpy(source.data.transpose(0, 3, 1, 2)), torch.tensor(source.targets)
