"""Which image files there are, and what is in them: looked up without decoding."""

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
    "files beside the class folders",
    "folders in a class folder",
    "files without an image format's extension",
)


@dataclass(frozen=True)
class Listing:
    """The image files of both splits, training first; in the order of classes, then of names.

    Attributes:
        classes: names, by label.
        paths: relative to the root.
        labels: int64 (N,).
        counts: files in each split.
        digest: hexadecimal hash of all paths, sizes and times of change.
        unreadable: by index, why one is no file to be read: a link to nothing, a pipe.
        left_out: what is there besides and not hidden, relative to the root, by what it is.
    """

    classes: tuple[str, ...]
    paths: tuple[str, ...]
    labels: np.ndarray
    counts: tuple[int, int]
    digest: str
    unreadable: Mapping[int, str]
    left_out: Mapping[str, Sequence[str]]


def list_images(root: Path) -> Listing:
    """List the image files under a root without reading one.

    Raises:
        FileNotFoundError: the folder of a split is missing.
        ValueError: a class has no image, or the splits have different classes.
    """
    left_out: dict[str, list[str]] = {STRAY: [], FOLDER: [], NO_IMAGE: []}
    classes = {split: _class_folders(root, split, left_out) for split in SPLITS}
    if differing := sorted(set(classes["train"]) ^ set(classes["test"])):
        raise ValueError(
            f"train and test must have the same class folders, {root} has in only one of them: "
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
            files = _image_files(root, f"{split}/{name}", extensions, left_out)
            digest.update(repr(files).encode())
            unreadable |= {i: reason for i, (*_, reason) in enumerate(files, len(paths)) if reason}
            paths.extend(path for path, *_ in files)
            labels.extend([label] * len(files))
        counts.append(len(paths) - start)
    sizes = counts[0], counts[1]
    found = digest.hexdigest()
    return Listing(tuple(classes["train"]), tuple(paths), np.array(labels), sizes, found, unreadable, left_out)


def describe_left_out(listing: Listing) -> str:
    """How many files and folders are left out, with an example of each kind; "" where none is."""
    return "; ".join(f"{what}: {len(paths)}, such as {min(paths)}" for what, paths in listing.left_out.items() if paths)


def content_digest(root: Path, listing: Listing) -> str:
    """Hexadecimal hash of the files' paths and bytes; of those that cannot be read, none."""
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
    except OSError:  # a link to itself
        return False


def _class_folders(root: Path, split: str, left_out: Mapping[str, list[str]]) -> list[str]:
    folder = root / split
    if not folder.is_dir():
        raise FileNotFoundError(
            f"there is no folder {folder}: images are expected in {root}/train/<class>/ and "
            f"{root}/test/<class>/; set data.root"
        )
    entries = [entry for entry in os.scandir(folder) if entry.name[0] != "."]
    names = sorted(entry.name for entry in entries if _is_folder(entry))
    left_out[STRAY].extend(f"{split}/{entry.name}" for entry in entries if not _is_folder(entry))
    if not names:
        raise ValueError(f"{folder} must have a folder for each class, it has none; set data.root")
    return names


def _image_files(
    root: Path, folder: str, extensions: frozenset[str], left_out: Mapping[str, list[str]]
) -> list[tuple[str, int, int, int, str]]:
    """Path, size, times of change, and why it cannot be read, if so, of each file with the name of an image."""
    files = []
    for entry in os.scandir(root / folder):
        if entry.name[0] == ".":
            continue
        path = f"{folder}/{entry.name}"
        if _is_folder(entry):
            left_out[FOLDER].append(path)
            continue
        stem, _, extension = entry.name.rpartition(".")
        if not stem or extension.lower() not in extensions:
            left_out[NO_IMAGE].append(path)
            continue
        try:
            found = entry.stat()
        except OSError as error:
            is_gone = isinstance(error, FileNotFoundError)
            files.append((path, 0, 0, 0, "is a link to nothing" if is_gone else f"cannot be read: {error.strerror}"))
            continue
        reason = "" if stat.S_ISREG(found.st_mode) else "is a pipe, a socket or a device, and no image"
        # The time of the last status change too: unlike that of modification it cannot be set back.
        files.append((path, found.st_size, found.st_mtime_ns, found.st_ctime_ns, reason))
    if not files:
        raise ValueError(f"a class folder must have an image, {root / folder} has none; set data.root")
    return sorted(files)
