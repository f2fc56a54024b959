"""The folder of a sweep: who may work there, and no trace where nothing was done."""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

from trainlab.cli import MADE, SweepFailed
from trainlab.runs.files import locked

_LOCK = ".sweep.lock"
_PATIENCE_S = 2.0  # the processes of a sweep that was just killed go a moment later


@contextlib.contextmanager
def locked_for(path: Path, what: str) -> Iterator[None]:
    """Hold a lock file, which another ``what`` in its folder would hold.

    Raises:
        SweepFailed: it does.
        OSError: the folder cannot be written.
    """
    patience = time.monotonic() + _PATIENCE_S
    with contextlib.ExitStack() as stack:
        while True:
            try:
                stack.enter_context(locked(path, wait=False))
                break
            except BlockingIOError:
                if time.monotonic() > patience:
                    told = f"another {what} is running in {path.parent}; wait for it, or set another name="
                    raise SweepFailed(told) from None
                time.sleep(0.05)
        yield


@contextlib.contextmanager
def claimed_by_sweep(folder: Path) -> Iterator[None]:
    """Keep other sweeps out. Where the sweep fails before any job is run, the folder is left as it was.

    Raises:
        SweepFailed: another sweep is running there.
        OSError: the folder cannot be written.
    """
    made = [path for path in (folder, *folder.parents) if path in MADE or not path.exists()]
    with locked_for(folder / _LOCK, "sweep"):
        try:
            yield
        finally:
            if not any(path.is_dir() for path in folder.iterdir()):
                (folder / "multirun.yaml").unlink(missing_ok=True)  # of Hydra's own sweepers
                (folder / _LOCK).unlink()
                with contextlib.suppress(OSError):
                    for path in made:
                        path.rmdir()
