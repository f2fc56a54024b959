"""Images in folders, one folder per class."""

import hashlib
import warnings
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from trainlab.data import cache
from trainlab.data.decode import decode, in_threads
from trainlab.data.listing import SPLITS, Listing, content_digest, describe_skipped, list_images
from trainlab.data.module import ImageData, Images
from trainlab.runs.files import locked, setting_of_path

ON_CORRUPT = ("error", "skip")
_ADVICE = "set data.on_corrupt=skip to leave such files out"
_DECODING = 1  # version of `decode`; raised when its output changes, which invalidates the cache


class ImageFolder(ImageData):
    """Image files in ``root/train/<class>/`` and ``root/test/<class>/``, in any format that Pillow reads.

    Skipped with a warning: folders inside class folders, files outside class folders, and files without the extension
    of an image format. Hidden files are ignored. `decode` describes the conversion to one size. Decoded images
    are cached in ``cache_dir`` under a digest of the paths and contents of the files: a folder that was moved or
    touched is not decoded again, and a damaged cache file is replaced.

    Args:
        root: folder of the two splits.
        image_size: height and width in pixels, one number if they are the same.
        channels: 3 for RGB, 1 for gray.
        on_corrupt: "error" for an error if a file cannot be decoded, "skip" to leave it out with a warning.
        cache_dir: folder of decoded images, uncompressed; data sets may share it.

    The other arguments are those of `ImageData`.

    Raises:
        ValueError: an argument is out of range.
    """

    writes_to = "cache_dir"
    more_classes = "make one folder per class in train/ and test/ of data.root"

    def __init__(
        self,
        root: str,
        *,
        image_size: int | tuple[int, int] = 32,
        channels: int = 3,
        on_corrupt: str = "error",
        cache_dir: str,
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        height, width = (image_size, image_size) if isinstance(image_size, int) else image_size
        if min(height, width) < 1:
            raise ValueError(f"image_size must be at least 1, got {image_size}; set data.image_size")
        if channels not in (1, 3):
            raise ValueError(f"channels must be 1 for gray or 3 for RGB, got {channels}; set data.channels")
        if on_corrupt not in ON_CORRUPT:
            raise ValueError(
                f"on_corrupt must be one of {', '.join(ON_CORRUPT)}, got {on_corrupt!r}; set data.on_corrupt"
            )
        self.root, self.cache_dir = Path(root).expanduser(), Path(cache_dir).expanduser()
        self.on_corrupt, self._shape = on_corrupt, (channels, height, width)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(channels, height, width)."""
        return self._shape

    @cached_property
    def listing(self) -> Listing:
        """The image files, listed once for all modules that share images (60,000 names take 5 MB)."""
        return self._source.listing if isinstance(self._source, ImageFolder) else list_images(self.root)

    def count_train_images(self) -> int:
        """Number of image files in ``root/train``, including corrupt ones.

        Raises:
            FileNotFoundError: the folder of a split is missing.
            ValueError: a class has no image, or the splits have different classes.
        """
        return self.listing.counts[0]

    def count_classes(self) -> int:
        """Number of folders in ``root/train``."""
        return len(self.listing.classes)

    def check(self) -> None:
        """Check the settings, and that all files can be read unless corrupt ones are skipped."""
        if self.listing.unreadable and self.on_corrupt == "error":
            i, reason = next(iter(self.listing.unreadable.items()))
            raise ValueError(f"{self.root}/{self.listing.paths[i]} {reason}; {_ADVICE}")
        super().check()

    def read(self) -> Images:
        """Read all images, decoding them at the first call.

        Raises:
            FileNotFoundError: the folder of a split is missing.
            ValueError: as in `count_train_images`, or a file is corrupt, or all files of a class are.
        """
        with setting_of_path("data.cache_dir", self.cache_dir), setting_of_path("data.root", self.root):
            found = self._cached()
            if found is None and self.may_write:
                with locked(self.cache_dir / ".lock"):
                    found = self._cached() or self._decode_all()
            content, decoded = found or self._decode_all()
        if skipped := describe_skipped(self.listing):
            warnings.warn(f"skipped in {self.root}: {skipped}", stacklevel=2)
        self._check_corrupt(decoded)
        train, test = torch.from_numpy(decoded.pixels).split(decoded.counts.tolist())
        train_labels, test_labels = torch.from_numpy(decoded.labels).split(decoded.counts.tolist())
        return Images(train, train_labels, test, test_labels, self.listing.classes, content)

    def _cached(self) -> tuple[str, cache.Decoded] | None:
        content = cache.Manifest(self.cache_dir, self.root).find(self.listing.digest)
        decoded = cache.load(self._cache_file(content), self.image_shape) if content else None
        return (content, decoded) if content and decoded else None

    def _decode_all(self) -> tuple[str, cache.Decoded]:
        content = content_digest(self.root, self.listing)
        decoded = cache.load(self._cache_file(content), self.image_shape)
        if decoded is None:
            decoded = self._decode_files()
            if self.may_write:
                cache.save(self._cache_file(content), decoded)
        if self.may_write:
            cache.Manifest(self.cache_dir, self.root).store(self.listing.digest, content)
        return content, decoded

    def _cache_file(self, content: str) -> Path:
        channels, height, width = self.image_shape
        size: Any = height if channels == 3 and height == width else self.image_shape
        key = f"{content} {size} {self.on_corrupt} {_DECODING}"
        return self.cache_dir / f"{hashlib.blake2b(key.encode(), digest_size=16).hexdigest()}.npy"

    def _decode_files(self) -> cache.Decoded:
        paths, labels = self.listing.paths, self.listing.labels
        pixels = np.empty((len(paths), *self.image_shape), np.uint8)
        readable = np.ones(len(paths), bool)

        def decode_one(i: int) -> None:
            path = f"{self.root}/{paths[i]}"
            try:
                if reason := self.listing.unreadable.get(i):
                    raise ValueError(f"{path} {reason}")
                pixels[i] = decode(path, self.image_shape)
            except (ValueError, PermissionError) as error:
                if self.on_corrupt == "error":
                    reason = f"{path} cannot be read: {error.strerror}" if isinstance(error, OSError) else str(error)
                    raise ValueError(f"{reason}; {_ADVICE}") from error
                readable[i] = False

        in_threads(decode_one, len(paths), f"decoding {self.root}")
        counts = np.array([part.sum() for part in np.split(readable, self.listing.counts[:1])])
        if not readable.all():
            pixels, labels = pixels[readable], labels[readable]
        return cache.Decoded(pixels, labels, counts)

    def _check_corrupt(self, decoded: cache.Decoded) -> None:
        skipped = len(self.listing.paths) - len(decoded.pixels)
        if skipped == 0:
            return
        for split, labels in zip(SPLITS, np.split(decoded.labels, decoded.counts[:1]), strict=True):
            for label, name in enumerate(self.listing.classes):
                if label not in labels:
                    raise ValueError(
                        "every class must have an image that can be decoded, "
                        f"{self.root}/{split}/{name} has none; set data.root"
                    )
        warnings.warn(f"skipped {skipped} corrupt files of {self.root} (data.on_corrupt=skip)", stacklevel=2)
