"""Files that are never half-written, locks between processes, and paths that hold in every folder."""

import fcntl
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that at any moment it is whole or absent: temporary file, fsync, rename.

    Raises:
        OSError: the disk is full or the folder cannot be written; nothing is left behind.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o666 & ~_umask())
        Path(temporary).replace(path)
    except BaseException as error:
        Path(temporary).unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno and error.filename is None:
            error.filename = str(path)  # a full disk does not say which it is
        raise


def write_json(path: Path, content: Any, indent: int | None = None) -> None:
    """Write ``content`` atomically as JSON, which has no NaN and no infinity.

    Raises:
        ValueError: a number in it is not finite.
        OSError: as by ``write_atomically``.
    """
    write_atomically(path, (json.dumps(content, indent=indent, allow_nan=False) + "\n").encode())


@contextmanager
def locked(path: Path, wait: bool = True) -> Iterator[None]:
    """Hold the lock file ``path``, made if need be; it goes with the process, however that ends.

    Raises:
        BlockingIOError: another process holds it and ``wait`` is false.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield


def absolute(path: str, start: str | Path) -> str:
    """``path`` as seen from the folder ``start``; `~` is the home folder."""
    whole = Path(start, os.path.expanduser(path))  # noqa: PTH111 (pathlib's raises where there is no such user)
    return str(whole.resolve() if ".." in whole.parts else whole)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
