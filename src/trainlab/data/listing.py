"""Which image files there are, and what is in them: looked up without decoding."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trainlab.data.decode import in_threads, readable_extensions

SPLITS = ("train", "test")


@dataclass(frozen=True)
class Listing:
    """The image files of both splits, training first; in the order of classes, then of names.

    Attributes:
        classes: names, by label.
        paths: relative to the root.
        labels: int64 (N,).
        counts: files in each split.
        digest: hexadecimal hash of all paths, sizes and times of change.
    """

    classes: tuple[str, ...]
    paths: tuple[str, ...]
    labels: np.ndarray
    counts: tuple[int, int]
    digest: str


def list_images(root: Path) -> Listing:
    """List the image files under a root without reading one.

    Raises:
        FileNotFoundError: the folder of a split is missing.
        ValueError: a class has no image, or the splits have different classes.
    """
    classes = {split: _class_folders(root, split) for split in SPLITS}
    if differing := sorted(set(classes["train"]) ^ set(classes["test"])):
        raise ValueError(
            f"train and test must have the same class folders, {root} has in only one of them: "
            f"{', '.join(differing)}; set data.root"
        )
    extensions = readable_extensions()
    digest = hashlib.blake2b(digest_size=16)
    paths: list[str] = []
    labels: list[int] = []
    counts: list[int] = []
    for split in SPLITS:
        start = len(paths)
        for label, name in enumerate(classes[split]):
            files = _image_files(root, f"{split}/{name}", extensions)
            digest.update(repr(files).encode())
            paths.extend(path for path, *_ in files)
            labels.extend([label] * len(files))
        counts.append(len(paths) - start)
    return Listing(tuple(classes["train"]), tuple(paths), np.array(labels), (counts[0], counts[1]), digest.hexdigest())


def content_digest(root: Path, paths: tuple[str, ...]) -> str:
    """Hexadecimal hash of the files' paths and bytes."""
    digests = [b""] * len(paths)

    def hash_one(i: int) -> None:
        digests[i] = hashlib.blake2b(Path(f"{root}/{paths[i]}").read_bytes(), digest_size=16).digest()

    in_threads(hash_one, len(paths), f"hashing {root}")
    total = hashlib.blake2b(digest_size=16)
    for path, digest in zip(paths, digests, strict=True):
        total.update(os.fsencode(path) + b"\0" + digest)
    return total.hexdigest()


def _class_folders(root: Path, split: str) -> list[str]:
    folder = root / split
    if not folder.is_dir():
        raise FileNotFoundError(
            f"there is no folder {folder}: images are expected in {root}/train/<class>/ and "
            f"{root}/test/<class>/; set data.root"
        )
    names = sorted(entry.name for entry in os.scandir(folder) if entry.is_dir() and entry.name[0] != ".")
    if not names:
        raise ValueError(f"{folder} must have a folder for each class, it has none; set data.root")
    return names


def _image_files(root: Path, folder: str, extensions: frozenset[str]) -> list[tuple[str, int, int, int]]:
    files = []
    for entry in os.scandir(root / folder):
        stem, _, extension = entry.name.rpartition(".")
        if stem and stem[0] != "." and extension.lower() in extensions and not entry.is_dir():
            stat = entry.stat()
            # The time of the last status change too: unlike that of modification it cannot be set back.
            files.append((f"{folder}/{entry.name}", stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns))
    if not files:
        raise ValueError(f"a class folder must have an image, {root / folder} has none; set data.root")
    return sorted(files)
