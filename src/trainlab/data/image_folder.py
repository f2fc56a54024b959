"""Images in folders, one folder a class."""

import hashlib
import warnings
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from trainlab.data import cache
from trainlab.data.decode import decode, in_threads
from trainlab.data.listing import SPLITS, Listing, content_digest, describe_left_out, list_images
from trainlab.data.module import ImageData, Images
from trainlab.runs.files import locked, setting_of_path

ON_CORRUPT = ("error", "skip")
_WAY_OUT = "to leave such files out set data.on_corrupt=skip"
_DECODING = 1  # counts up when `decode` changes, so that what the older one gave is not used


class ImageFolder(ImageData):
    """Image files under ``root/train/<class>/`` and ``root/test/<class>/``, in any format Pillow reads.

    Folders within those of the classes, files beside these and files without an image format's extension are left out
    with a warning, hidden ones without. `decode` says how an image becomes square RGB.
    Decoded images are kept in ``cache_dir`` under a digest of the files' paths and bytes: a folder that was
    moved or touched is not decoded again, and a damaged cache file is made anew.

    Args:
        root: folder of the two splits.
        image_size: pixels a side.
        on_corrupt: a file that cannot be decoded is an "error", or left out with a warning ("skip").
        cache_dir: folder of decoded images, uncompressed; data sets may share it.

    The other arguments are those of `ImageData`.

    Raises:
        ValueError: an argument is out of range.
    """

    writes_to = "cache_dir"
    more_classes = "make a folder for each class in DIR/train and DIR/test, with DIR of data.root"

    def __init__(
        self,
        root: str,
        *,
        image_size: int = 32,
        on_corrupt: str = "error",
        cache_dir: str,
        batch_size: int = 32,
        eval_batch_size: int = 1000,
        val_size: int = 5000,
        val_split: str = "stratified",
        split_seed: int = 0,
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
            flip=flip,
            crop_padding=crop_padding,
            seed=seed,
        )
        if image_size < 1:
            raise ValueError(f"image_size must be at least 1, got {image_size}; set data.image_size")
        if on_corrupt not in ON_CORRUPT:
            raise ValueError(
                f"on_corrupt must be one of {', '.join(ON_CORRUPT)}, got {on_corrupt!r}; set data.on_corrupt"
            )
        self.root, self.cache_dir = Path(root).expanduser(), Path(cache_dir).expanduser()
        self.image_size, self.on_corrupt = image_size, on_corrupt

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(3, image_size, image_size)."""
        return 3, self.image_size, self.image_size

    @cached_property
    def listing(self) -> Listing:
        """The files, looked up once for all that share images: the names of 60,000 are 5 MB."""
        return self._source.listing if isinstance(self._source, ImageFolder) else list_images(self.root)

    def count_train_images(self) -> int:
        """Files in ``root/train``, the corrupt ones too.

        Raises:
            FileNotFoundError: there is no such folder.
            ValueError: a class has no image, or the splits have different classes.
        """
        return self.listing.counts[0]

    def count_classes(self) -> int:
        """Folders in ``root/train``."""
        return len(self.listing.classes)

    def check(self) -> None:
        """As for all data; and a file that cannot be read is an error, unless such files are left out."""
        if self.listing.unreadable and self.on_corrupt == "error":
            i, reason = next(iter(self.listing.unreadable.items()))
            raise ValueError(f"{self.root}/{self.listing.paths[i]} {reason}; {_WAY_OUT}")
        super().check()

    def read(self) -> Images:
        """All images, decoded at the first call.

        Raises:
            FileNotFoundError: there is no such folder.
            ValueError: as by `count_train_images`; or a file is corrupt; or all files of a class are.
        """
        with setting_of_path("data.cache_dir", self.cache_dir), setting_of_path("data.root", self.root):
            found = self._cached()
            if found is None and self.may_write:
                with locked(self.cache_dir / ".lock"):
                    found = self._cached() or self._make()
            content, decoded = found or self._make()
        if left_out := describe_left_out(self.listing):
            warnings.warn(f"left out of {self.root}: {left_out}", stacklevel=2)
        self._check_corrupt(decoded)
        train, test = torch.from_numpy(decoded.pixels).split(decoded.counts.tolist())
        train_labels, test_labels = torch.from_numpy(decoded.labels).split(decoded.counts.tolist())
        return Images(train, train_labels, test, test_labels, self.listing.classes, content)

    def _cached(self) -> tuple[str, cache.Decoded] | None:
        content = cache.Manifest(self.cache_dir, self.root).find(self.listing.digest)
        decoded = cache.load(self._cache_file(content), self.image_shape) if content else None
        return (content, decoded) if content and decoded else None

    def _make(self) -> tuple[str, cache.Decoded]:
        content = content_digest(self.root, self.listing)
        decoded = cache.load(self._cache_file(content), self.image_shape)
        if decoded is None:
            decoded = self._decode()
            if self.may_write:
                cache.save(self._cache_file(content), decoded)
        if self.may_write:
            cache.Manifest(self.cache_dir, self.root).store(self.listing.digest, content)
        return content, decoded

    def _cache_file(self, content: str) -> Path:
        key = f"{content} {self.image_size} {self.on_corrupt} {_DECODING}"
        return self.cache_dir / f"{hashlib.blake2b(key.encode(), digest_size=16).hexdigest()}.npy"

    def _decode(self) -> cache.Decoded:
        paths, labels = self.listing.paths, self.listing.labels
        pixels = np.empty((len(paths), *self.image_shape), np.uint8)
        readable = np.ones(len(paths), bool)

        def decode_one(i: int) -> None:
            path = f"{self.root}/{paths[i]}"
            try:
                if reason := self.listing.unreadable.get(i):
                    raise ValueError(f"{path} {reason}")
                pixels[i] = decode(path, self.image_size)
            except (ValueError, PermissionError) as error:
                if self.on_corrupt == "error":
                    reason = f"{path} cannot be read: {error.strerror}" if isinstance(error, OSError) else str(error)
                    raise ValueError(f"{reason}; {_WAY_OUT}") from error
                readable[i] = False

        in_threads(decode_one, len(paths), f"decoding {self.root}")
        counts = np.array([part.sum() for part in np.split(readable, self.listing.counts[:1])])
        if not readable.all():
            pixels, labels = pixels[readable], labels[readable]
        return cache.Decoded(pixels, labels, counts)

    def _check_corrupt(self, decoded: cache.Decoded) -> None:
        left_out = len(self.listing.paths) - len(decoded.pixels)
        if left_out == 0:
            return
        for split, labels in zip(SPLITS, np.split(decoded.labels, decoded.counts[:1]), strict=True):
            for label, name in enumerate(self.listing.classes):
                if label not in labels:
                    raise ValueError(
                        "a class must have an image that can be decoded, "
                        f"{self.root}/{split}/{name} has none; set data.root"
                    )
        warnings.warn(f"left out {left_out} corrupt files of {self.root} (data.on_corrupt=skip)", stacklevel=2)
