"""Images in NumPy arrays."""

import hashlib
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.lib import format as npy

from trainlab.data.images import Images, content_hash
from trainlab.data.lazy import LazyImages
from trainlab.data.module import ImageData
from trainlab.runs.files import setting_of_path

PARTS = ("train", "test")
LAYOUTS = ("channels_first", "channels_last")
_CHUNK = 1000  # images that are hashed together
_FORMATS = "(N, H, W), (N, H, W, C) or (N, C, H, W)"
_OF_TASKS = "0 or 1 (N, L), or floats (N,) or (N, K)"


class Arrays(ImageData):
    """Arrays ``train``, ``train_labels``, ``test`` and ``test_labels``, and names ``classes`` if there are any.

    Images are uint8 (N, H, W), (N, H, W, C) or (N, C, H, W). Labels are integers (N,) from 0 for a classification; for
    several labels (N, L) of 0 and 1; for a regression floats (N,) or (N, K). Classes are strings, the names of these.

    Args:
        path: an ``.npz`` file, as `numpy.savez` writes it; or a folder with a ``.npy`` file for each array, which are
            mapped into memory, so that images that are (N, C, H, W) or (N, H, W) are read where they are needed.
        layout: "channels_first" or "channels_last"; needed if both the second and the last size of images, or none,
            could be a number of channels, 1 or 3.
        **settings: those of `ImageData`.

    Raises:
        ValueError: an argument is out of range.
    """

    located_by = "path"
    more_classes = "set data.path to arrays with labels of more classes"

    def __init__(
        self, path: str, *, layout: Literal["channels_first", "channels_last"] | None = None, **settings: Any
    ) -> None:
        super().__init__(**settings)
        if layout not in (None, *LAYOUTS):
            raise ValueError(f"layout must be one of {', '.join(LAYOUTS)} or null, got {layout!r}; set data.layout")
        self.path, self.layout = Path(path).expanduser(), layout

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W), from the headers of the arrays.

        Raises:
            FileNotFoundError: there are no arrays at ``path``.
            ValueError: an array is missing, or its type or shape is wrong.
        """
        return self._image_shape

    def count_train_images(self) -> int:
        """Size of the first axis of ``train``."""
        return self._headers["train"][0][0]

    def count_test_images(self) -> int:
        """Size of the first axis of ``test``."""
        return self._headers["test"][0][0]

    def count_classes(self) -> int:
        """Number of ``classes``; without these, one more than the largest label, or the number of labels or values."""
        return len(self._labels[1])

    def example_targets(self, count: int) -> torch.Tensor:
        """Zeros of the type and shape of ``count`` labels."""
        labels = self._labels[0][0]
        return labels.new_zeros(count, *labels.shape[1:])

    def read(self) -> Images:
        """Read all arrays.

        Raises:
            FileNotFoundError, ValueError: as for ``image_shape``.
        """
        (train_labels, test_labels), classes = self._labels
        train, test = (torch.from_numpy(np.ascontiguousarray(part)) for part in self._arrays())
        digest = content_hash(train, test, train_labels, test_labels)
        return Images(train, train_labels, test, test_labels, classes, digest)

    @property
    def reads_lazily(self) -> bool:  # type: ignore[override]  # it depends on the path
        """Whether ``path`` is a folder, whose arrays are mapped into memory."""
        return self.path.is_dir()

    def read_lazily(self) -> Images:
        """Map the arrays into memory; each image is read when it is needed.

        Raises:
            FileNotFoundError, ValueError: as for ``image_shape``.
        """
        (train_labels, test_labels), classes = self._labels
        arrays = self._arrays()
        train, test = (LazyImages(part.__getitem__, len(part), self.image_shape) for part in arrays)
        digest = hashlib.blake2b(digest_size=16)
        for part in arrays:  # as of all images at once
            for start in range(0, len(part), _CHUNK):
                digest.update(np.ascontiguousarray(part[start : start + _CHUNK]).data)
        for labels in (train_labels, test_labels):
            digest.update(labels.numpy().data)
        return Images(train, train_labels, test, test_labels, classes, digest.hexdigest())

    def _arrays(self) -> list[np.ndarray]:
        """Images of both parts (N, C, H, W), without a copy."""
        images = self._load(*PARTS)
        if images[0].ndim == 3:
            return [part[:, None] for part in images]
        return images if self._channels_first else [part.transpose(0, 3, 1, 2) for part in images]

    @cached_property
    def _headers(self) -> Mapping[str, tuple[tuple[int, ...], np.dtype[Any]]]:
        """Shape and type of each array, without reading it."""
        if isinstance(self._source, Arrays):
            return self._source._headers
        with setting_of_path("data.path", self.path):
            found = _headers(self.path)
        for part in PARTS:
            for key in (part, f"{part}_labels"):
                if key not in found:
                    there = ", ".join(sorted(found)) or "none"
                    raise ValueError(f"{self.path} must have the array {key!r}, it has {there}; set data.path")
            (shape, kind), (of_labels, kind_of_labels) = found[part], found[f"{part}_labels"]
            if kind != np.uint8 or len(shape) not in (3, 4) or not all(shape):
                raise ValueError(
                    f"{part!r} must be uint8 {_FORMATS}, {self.path} has {_describe(shape, kind)}; set data.path"
                )
            if of_labels[:1] != shape[:1] or not _are_targets(of_labels, kind_of_labels):
                raise ValueError(
                    f"'{part}_labels' must be integers ({shape[0]},), or {_OF_TASKS}, one row for each image, "
                    f"{self.path} has {_describe(of_labels, kind_of_labels)}; set data.path"
                )
        if found["train"][0][1:] != found["test"][0][1:]:
            raise ValueError(
                f"'train' and 'test' must have images of the same shape, {self.path} has {found['train'][0]} and "
                f"{found['test'][0]}; set data.path"
            )
        (of_train, kind_of_train), (of_test, kind_of_test) = (found[f"{part}_labels"] for part in PARTS)
        if of_train[1:] != of_test[1:] or (kind_of_train.kind == "f") != (kind_of_test.kind == "f"):
            raise ValueError(
                f"'train_labels' and 'test_labels' must be of the same shape and kind, {self.path} has "
                f"{_describe(of_train, kind_of_train)} and {_describe(of_test, kind_of_test)}; set data.path"
            )
        if "classes" in found and (found["classes"][1].kind != "U" or len(found["classes"][0]) != 1):
            raise ValueError(
                f"'classes' must be strings (C,), {self.path} has {_describe(*found['classes'])}; set data.path"
            )
        return found

    @cached_property
    def _channels_first(self) -> bool:
        shape = self._headers["train"][0]
        if self.layout or len(shape) == 3:
            return self.layout != "channels_last"
        first, last = (size in (1, 3) for size in (shape[1], shape[3]))
        if first == last:
            raise ValueError(
                f"images {shape} may be (N, C, H, W) or (N, H, W, C); "
                "set data.layout to channels_first or channels_last"
            )
        return first

    @cached_property
    def _image_shape(self) -> tuple[int, int, int]:
        sizes = self._headers["train"][0][1:]
        if len(sizes) == 2:
            return 1, *sizes
        a, b, c = sizes
        return (a, b, c) if self._channels_first else (c, a, b)

    @cached_property
    def _labels(self) -> tuple[tuple[torch.Tensor, torch.Tensor], tuple[str, ...]]:
        """Labels of both parts, and the names of the classes, labels or values."""
        if isinstance(self._source, Arrays):
            return self._source._labels
        names = tuple(map(str, self._load("classes")[0])) if "classes" in self._headers else None
        labels_of = self._load(*(f"{part}_labels" for part in PARTS))
        is_classes = labels_of[0].ndim == 1 and labels_of[0].dtype.kind != "f"
        kind = np.float32 if labels_of[0].dtype.kind == "f" else np.int64 if is_classes else np.uint8
        train, test = (torch.from_numpy(labels.astype(kind)) for labels in labels_of)
        count = len(names) if names is not None else int(train.max()) + 1 if is_classes else train[0].numel()
        if not is_classes and train[0].numel() != count:
            raise ValueError(
                f"'classes' must be {train[0].numel()} names, one for each column of 'train_labels', "
                f"{self.path} has {count}; set data.path"
            )
        for part, labels in zip(PARTS, labels_of, strict=True):
            low, high = labels.min(), labels.max()
            if kind is np.float32 and not np.isfinite([low, high]).all():
                raise ValueError(f"'{part}_labels' must be finite, {self.path} has {low} to {high}; set data.path")
            if is_classes and (low < 0 or high >= count):
                of = "classes" if names is not None else "the labels of 'train'"
                raise ValueError(
                    f"'{part}_labels' must be in [0, {count}), as {of} say, {self.path} has {low} to {high}; "
                    "set data.path"
                )
            if kind is np.uint8 and (low < 0 or high > 1):
                raise ValueError(
                    f"'{part}_labels' {labels.shape} must be 0 or 1, {self.path} has {low} to {high}; set data.path"
                )
        return (train, test), names or tuple(map(str, range(count)))

    def _load(self, *names: str) -> list[np.ndarray]:
        """Arrays by name. Nothing is unpickled, which could run code."""
        with setting_of_path("data.path", self.path), _one_error(self.path):
            if self.path.is_dir():
                return [np.load(self.path / f"{name}.npy", mmap_mode="c") for name in names]
            with np.load(self.path) as archive:
                return [archive[name] for name in names]


def _are_targets(shape: tuple[int, ...], kind: np.dtype[Any]) -> bool:
    return all(shape) and kind.kind in {1: "iuf", 2: "iufb"}.get(len(shape), "")


def _headers(path: Path) -> dict[str, tuple[tuple[int, ...], np.dtype[Any]]]:
    if not path.exists():
        raise FileNotFoundError(f"there is no file or folder {path}; set data.path")
    with _one_error(path):
        if path.is_dir():
            return {file.stem: _header(file.open("rb")) for file in sorted(path.glob("*.npy"))}
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if name.endswith(".npy")]
            return {name.removesuffix(".npy"): _header(archive.open(name)) for name in names}


@contextmanager
def _one_error(path: Path) -> Iterator[None]:
    """Raise ValueError for all that a damaged file leads to."""
    try:
        yield
    except (ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"{path} must be an .npz file, or a folder of .npy files ({error}); set data.path") from error


def _header(file: Any) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and type of a file in the .npy format."""
    with file:
        version = npy.read_magic(file)
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, _, kind = read(file)
        return shape, kind


def _describe(shape: tuple[int, ...], kind: np.dtype[Any]) -> str:
    return f"{'Python objects' if kind.hasobject else kind.name} ({', '.join(map(str, shape))})"
