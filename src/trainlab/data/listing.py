"""Listing of image files and digests of their contents, without decoding."""

import hashlib
import os
import stat
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trainlab.data.decode import in_threads, readable_extensions

SPLITS = ("train", "test")
STRAY, FOLDER, NO_IMAGE = (
    "files outside class folders",
    "folders inside class folders",
    "files without the extension of an image format",
)


@dataclass(frozen=True)
class Listing:
    """The image files of both splits, training first, sorted by class and name.

    Attributes:
        classes: names, by label.
        paths: paths relative to the root.
        labels: int64 (N,).
        counts: number of files in each split.
        digest: hexadecimal hash of all paths, sizes and times of change.
        unreadable: reasons by index, for broken links, pipes and the like.
        skipped: other entries that are not hidden, relative to the root, by their kind.
    """

    classes: tuple[str, ...]
    paths: tuple[str, ...]
    labels: np.ndarray
    counts: tuple[int, int]
    digest: str
    unreadable: Mapping[int, str]
    skipped: Mapping[str, Sequence[str]]


def list_images(root: Path) -> Listing:
    """List the image files under ``root`` without reading them.

    Raises:
        FileNotFoundError: the folder of a split is missing.
        ValueError: a class has no image, or the splits have different classes.
    """
    skipped: dict[str, list[str]] = {STRAY: [], FOLDER: [], NO_IMAGE: []}
    classes = {split: _class_folders(root, split, skipped) for split in SPLITS}
    if differing := sorted(set(classes["train"]) ^ set(classes["test"])):
        raise ValueError(
            f"train and test must have the same class folders, {root} has only in one of them: "
            f"{', '.join(differing)}; set data.root"
        )
    extensions = readable_extensions()
    digest = hashlib.blake2b(digest_size=16)
    paths: list[str] = []
    labels: list[int] = []
    unreadable: dict[int, str] = {}
    counts: list[int] = []
    for split in SPLITS:
        start = len(paths)
        for label, name in enumerate(classes[split]):
            files = _image_files(root, f"{split}/{name}", extensions, skipped)
            digest.update(repr(files).encode())
            unreadable |= {i: reason for i, (*_, reason) in enumerate(files, len(paths)) if reason}
            paths.extend(path for path, *_ in files)
            labels.extend([label] * len(files))
        counts.append(len(paths) - start)
    sizes = counts[0], counts[1]
    found = digest.hexdigest()
    return Listing(tuple(classes["train"]), tuple(paths), np.array(labels), sizes, found, unreadable, skipped)


def describe_skipped(listing: Listing) -> str:
    """Number of skipped files and folders with an example of each kind; "" if there are none."""
    return "; ".join(f"{what}: {len(paths)}, such as {min(paths)}" for what, paths in listing.skipped.items() if paths)


def content_digest(root: Path, listing: Listing) -> str:
    """Hexadecimal hash of the paths and contents of the files; files that cannot be read count with their path only."""
    paths = listing.paths
    digests = [b""] * len(paths)

    def hash_one(i: int) -> None:
        with suppress(PermissionError):
            if i not in listing.unreadable:
                digests[i] = hashlib.blake2b(Path(f"{root}/{paths[i]}").read_bytes(), digest_size=16).digest()

    in_threads(hash_one, len(paths), f"hashing {root}")
    total = hashlib.blake2b(digest_size=16)
    for path, digest in zip(paths, digests, strict=True):
        total.update(os.fsencode(path) + b"\0" + digest)
    return total.hexdigest()


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that points to itself
        return False


def _class_folders(root: Path, split: str, skipped: Mapping[str, list[str]]) -> list[str]:
    folder = root / split
    if not folder.is_dir():
        raise FileNotFoundError(
            f"there is no folder {folder}: images are expected in {root}/train/<class>/ and "
            f"{root}/test/<class>/; set data.root"
        )
    entries = [entry for entry in os.scandir(folder) if entry.name[0] != "."]
    names = sorted(entry.name for entry in entries if _is_folder(entry))
    skipped[STRAY].extend(f"{split}/{entry.name}" for entry in entries if not _is_folder(entry))
    if not names:
        raise ValueError(f"{folder} must have one folder per class, got none; set data.root")
    return names


def _image_files(
    root: Path, folder: str, extensions: frozenset[str], skipped: Mapping[str, list[str]]
) -> list[tuple[str, int, int, int, str]]:
    """Path, size, times of change, and the reason if it cannot be read, of each file with an image extension."""
    files = []
    for entry in os.scandir(root / folder):
        if entry.name[0] == ".":
            continue
        path = f"{folder}/{entry.name}"
        if _is_folder(entry):
            skipped[FOLDER].append(path)
            continue
        stem, _, extension = entry.name.rpartition(".")
        if not stem or extension.lower() not in extensions:
            skipped[NO_IMAGE].append(path)
            continue
        try:
            found = entry.stat()
        except OSError as error:
            is_gone = isinstance(error, FileNotFoundError)
            files.append((path, 0, 0, 0, "is a broken link" if is_gone else f"cannot be read: {error.strerror}"))
            continue
        reason = "" if stat.S_ISREG(found.st_mode) else "is a pipe, a socket or a device, not an image"
        # The change time, too: unlike the modification time it cannot be set by programs.
        files.append((path, found.st_size, found.st_mtime_ns, found.st_ctime_ns, reason))
    if not files:
        raise ValueError(f"every class folder must have an image, {root / folder} has none; set data.root")
    return sorted(files)
