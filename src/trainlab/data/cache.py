"""Cache of decoded images on disk, keyed by the content of the image files."""

import hashlib
import json
import os
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trainlab.runs.files import named_in_errors, write_json

_DAMAGED = (
    OSError,
    EOFError,
    ValueError,
    OverflowError,
    MemoryError,
    TypeError,
    SyntaxError,
)  # all caused by damaged headers


@dataclass(frozen=True)
class Decoded:
    """Decoded images of both splits, training first.

    Attributes:
        pixels: uint8 (N, C, H, W).
        labels: int64 (N,).
        counts: int64 (2,), images in each split.
    """

    pixels: np.ndarray
    labels: np.ndarray
    counts: np.ndarray


def load(path: Path, image_shape: tuple[int, int, int]) -> Decoded | None:
    """Load what `save` wrote; None if it does not exist or is damaged."""
    try:
        with path.open("rb") as file:
            pixels, labels, counts, checksum = (np.load(file, allow_pickle=False) for _ in range(4))
        decoded = Decoded(pixels, labels, counts)
        if int(checksum) != _checksum(decoded):
            return None
    except _DAMAGED:
        return None
    # The checksum covers what was read, which a damaged header could have shortened.
    total = int(decoded.counts.sum())
    pixels_whole = decoded.pixels.shape == (total, *image_shape) and decoded.pixels.dtype == np.uint8
    labels_whole = decoded.labels.shape == (total,) and decoded.labels.dtype == np.int64
    return decoded if pixels_whole and labels_whole else None


def save(path: Path, decoded: Decoded) -> None:
    """Write a file atomically, without copying the arrays. The caller holds the lock of the cache.

    The arrays follow each other in NumPy's .npy format, which is read five times as fast as a zip file.
    """
    temporary = path.with_suffix(".tmp")
    try:
        with named_in_errors(path):
            with temporary.open("wb") as file:
                for array in (decoded.pixels, decoded.labels, decoded.counts, np.uint32(_checksum(decoded))):
                    np.save(file, array)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _checksum(decoded: Decoded) -> int:
    """CRC-32 of all arrays."""
    checksum = 0
    for array in (decoded.pixels, decoded.labels, decoded.counts):
        checksum = zlib.crc32(np.ascontiguousarray(array).data, checksum)
    return checksum


class Manifest:
    """Stores the content digest of one folder, which is valid as long as its listing does not change.

    Hashing 60,000 files takes seconds; listing them takes a fraction of a second.

    Args:
        cache_dir: folder of the manifest.
        root: the folder. It is part of the key, as two folders can have equal names, sizes and times.
    """

    def __init__(self, cache_dir: Path, root: Path) -> None:
        name = hashlib.blake2b(os.fsencode(root.absolute()), digest_size=16).hexdigest()
        self.path = cache_dir / f"{name}.json"

    def find(self, listing: str) -> str | None:
        """The content digest for the digest of a listing; None if there is none."""
        try:
            entry = json.loads(self.path.read_bytes())
            return str(entry["content"]) if entry["listing"] == listing else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def store(self, listing: str, content: str) -> None:
        """Replace the stored digest."""
        write_json(self.path, {"listing": listing, "content": content})
