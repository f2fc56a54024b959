"""Files of an exercise that are whole at any moment, and a lock on its folder."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file that is whole or absent at any moment."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, content: Any) -> None:
    """Write ``content`` atomically as JSON, which has no NaN and no infinity."""
    write_atomically(path, (json.dumps(content, indent=1, allow_nan=False) + "\n").encode())


@contextmanager
def locked(path: Path, error: str) -> Iterator[None]:
    """Hold the lock file ``path``; it is released when the process ends, too.

    Raises:
        ValueError: another process holds it; with ``error`` as the message.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(error) from None
        yield
