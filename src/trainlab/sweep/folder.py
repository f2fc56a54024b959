"""The folder of a sweep: only one process uses it at a time, and it is removed if no job was run."""

import contextlib
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from trainlab.console import say
from trainlab.runs.errors import LeaseLost
from trainlab.runs.files import missing_folders, remove_empty
from trainlab.runs.lease import Lease, check_lease, discard, held

_LEASE, _POSITIONS = ".sweep.lease", ".positions"
_WAIT_S = 2.0  # processes of a sweep that was just killed end a moment later


def folder_lock(folder: Path, place: str, what: str) -> AbstractContextManager[Lease]:
    """Hold a folder against another ``what``, also one of another host, see `trainlab.runs.lease`.

    ``place`` is the name of the folder of its leases.

    Raises:
        Held: another one holds it.
        OSError: the folder cannot be written.
    """
    return held(folder, f"{what} is running", place, _WAIT_S, say)


@contextlib.contextmanager
def sweep_folder_lock(folder: Path) -> Iterator[Lease]:
    """Lock the folder of a sweep. If the sweep fails before any job is run, the folder is left as it was.

    Raises:
        Held: another sweep is running there.
        OSError: the folder cannot be written.
    """
    made = missing_folders(folder)
    with folder_lock(folder, _LEASE, "sweep") as lease:
        try:
            yield lease
        finally:
            if not lease.lost and not any(path.is_dir() and path.suffix != ".lease" for path in folder.iterdir()):
                (folder / "multirun.yaml").unlink(missing_ok=True)  # of Hydra's own sweepers
                discard(folder, _LEASE)
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
        with contextlib.suppress(LeaseLost):  # then they are of whom has taken over
            check_lease(positions)
            shutil.rmtree(positions, ignore_errors=True)
