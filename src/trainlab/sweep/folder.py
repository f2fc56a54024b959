"""The folder of a sweep: only one process uses it at a time, and it is removed if no job was run."""

import contextlib
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from trainlab.runs.files import locked, missing_folders, remove_empty

_LOCK, _POSITIONS = ".sweep.lock", ".positions"
_WAIT_S = 2.0  # processes of a sweep that was just killed end a moment later


def folder_lock(path: Path, what: str) -> AbstractContextManager[None]:
    """Hold a lock file against another ``what`` in the same folder.

    Raises:
        ValueError: another one holds it.
        OSError: the folder cannot be written.
    """
    message = f"another {what} is running in {path.parent}; wait for it, or set another name="
    return locked(path, message, _WAIT_S)


@contextlib.contextmanager
def sweep_folder_lock(folder: Path) -> Iterator[None]:
    """Lock the folder of a sweep. If the sweep fails before any job is run, the folder is left as it was.

    Raises:
        ValueError: another sweep is running there.
        OSError: the folder cannot be written.
    """
    made = missing_folders(folder)
    with folder_lock(folder / _LOCK, "sweep"):
        try:
            yield
        finally:
            if not any(path.is_dir() for path in folder.iterdir()):
                (folder / "multirun.yaml").unlink(missing_ok=True)  # of Hydra's own sweepers
                (folder / _LOCK).unlink()
                remove_empty(made)


@contextlib.contextmanager
def positions_folder(folder: Path) -> Iterator[Path]:
    """An empty folder in that of a sweep, which running jobs write their positions and notices to.

    What a sweep that was killed has left there is removed.

    Raises:
        OSError: it cannot be written.
    """
    positions = folder / _POSITIONS
    shutil.rmtree(positions, ignore_errors=True)
    positions.mkdir()
    try:
        yield positions
    finally:
        shutil.rmtree(positions, ignore_errors=True)
