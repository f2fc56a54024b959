"""Images in folders, one folder per class."""

import hashlib
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from trainlab.data import cache
from trainlab.data.decode import decode, in_threads
from trainlab.data.images import Images
from trainlab.data.lazy import LazyImages
from trainlab.data.listing import SPLITS, Listing, content_digest, describe_skipped, list_images
from trainlab.data.module import ImageData
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
    reads_lazily = True
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

    def count_test_images(self) -> int:
        """Number of image files in ``root/test``."""
        return self.listing.counts[1]

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
        train, test = torch.from_numpy(decoded.pixels).split(decoded.counts.tolist())
        return self._images_of(train, test, decoded.labels, decoded.counts, content)

    def read_lazily(self) -> Images:
        """List all images, to be decoded when they are needed.

        With ``on_corrupt="skip"`` all are decoded once to find those that can be, which is cached.

        Raises:
            FileNotFoundError, ValueError: as in `count_train_images`, or all files of a class are corrupt.
        """
        with setting_of_path("data.cache_dir", self.cache_dir), setting_of_path("data.root", self.root):
            if self.may_write:
                with locked(self.cache_dir / ".lock"):
                    content, readable = self._find_readable()
            else:
                content, readable = self._find_readable()
        kept, counts = np.flatnonzero(readable), self._count(readable)
        if skipped := describe_skipped(self.listing):
            warnings.warn(f"skipped in {self.root}: {skipped}", stacklevel=2)
        parts = [
            LazyImages(Files(self.root, tuple(self.listing.paths[i] for i in part), shape), len(part), shape)
            for part in np.split(kept, counts[:1])
            for shape in [self.image_shape]
        ]
        return self._images_of(parts[0], parts[1], self.listing.labels[kept], counts, content)

    def _images_of(self, train: Any, test: Any, labels: np.ndarray, counts: np.ndarray, content: str) -> Images:
        """The images that were not left out."""
        self._check_corrupt(labels, counts)
        train_labels, test_labels = torch.from_numpy(labels).split(counts.tolist())
        return Images(train, train_labels, test, test_labels, self.listing.classes, content)

    def _find_readable(self) -> tuple[str, np.ndarray]:
        """Digest of the contents, and which of the files are to be used, bool (N,)."""
        manifest = cache.Manifest(self.cache_dir, self.root)
        content = manifest.find(self.listing.digest) or content_digest(self.root, self.listing)
        if self.may_write:
            manifest.store(self.listing.digest, content)
        total = len(self.listing.paths)
        if self.on_corrupt == "error":  # those that are corrupt are found when they are needed
            return content, np.ones(total, bool)
        file = self._cache_file(content, "readable")
        found = cache.load(file, (1, 1, 1))
        if found is None:
            readable = self._decode_each(lambda i, pixels: None)
            shares = readable.astype(np.uint8).reshape(total, 1, 1, 1)
            found = cache.Decoded(shares, self.listing.labels, np.array(self.listing.counts))
            if self.may_write:
                cache.save(file, found)
        return content, found.pixels.reshape(total) == 1

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

    def _cache_file(self, content: str, *what: str) -> Path:
        channels, height, width = self.image_shape
        size: Any = height if channels == 3 and height == width else self.image_shape
        key = " ".join([content, str(size), self.on_corrupt, str(_DECODING), *what])
        return self.cache_dir / f"{hashlib.blake2b(key.encode(), digest_size=16).hexdigest()}.npy"

    def _decode_files(self) -> cache.Decoded:
        labels = self.listing.labels
        pixels = np.empty((len(labels), *self.image_shape), np.uint8)
        readable = self._decode_each(pixels.__setitem__)
        counts = self._count(readable)
        if not readable.all():
            pixels, labels = pixels[readable], labels[readable]
        return cache.Decoded(pixels, labels, counts)

    def _decode_each(self, keep: Callable[[int, np.ndarray], object]) -> np.ndarray:
        """Decode all files; which of them can be, bool (N,)."""
        files = Files(self.root, self.listing.paths, self.image_shape, self.listing.unreadable)
        readable = np.ones(len(files.paths), bool)

        def decode_one(i: int) -> None:
            try:
                keep(i, files(i))
            except ValueError:
                if self.on_corrupt == "error":
                    raise
                readable[i] = False

        in_threads(decode_one, len(files.paths), f"decoding {self.root}")
        return readable

    def _count(self, readable: np.ndarray) -> np.ndarray:
        """Number of files of each split that can be decoded."""
        return np.array([part.sum() for part in np.split(readable, self.listing.counts[:1])])

    def _check_corrupt(self, labels: np.ndarray, counts: np.ndarray) -> None:
        skipped = len(self.listing.paths) - len(labels)
        if skipped == 0:
            return
        for split, part in zip(SPLITS, np.split(labels, counts[:1]), strict=True):
            for label, name in enumerate(self.listing.classes):
                if label not in part:
                    raise ValueError(
                        "every class must have an image that can be decoded, "
                        f"{self.root}/{split}/{name} has none; set data.root"
                    )
        warnings.warn(f"skipped {skipped} corrupt files of {self.root} (data.on_corrupt=skip)", stacklevel=2)


@dataclass(frozen=True)
class Files:
    """Decodes image files by their numbers.

    Attributes:
        root: folder of the files.
        paths: relative to it.
        image_shape: (C, H, W).
        unreadable: reasons by number.
    """

    root: Path
    paths: Sequence[str]
    image_shape: tuple[int, int, int]
    unreadable: Mapping[int, str] = field(default_factory=dict)

    def __call__(self, i: int) -> np.ndarray:
        """A file, uint8 (C, H, W).

        Raises:
            ValueError: it cannot be decoded.
        """
        path = f"{self.root}/{self.paths[i]}"
        try:
            if reason := self.unreadable.get(i):
                raise ValueError(f"{path} {reason}")
            return decode(path, self.image_shape)
        except (ValueError, OSError) as error:
            reason = f"{path} cannot be read: {error.strerror}" if isinstance(error, OSError) else str(error)
            raise ValueError(f"{reason}; {_ADVICE}") from error
