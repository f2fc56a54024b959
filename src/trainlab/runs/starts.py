"""How often a run was started without getting any further."""

import os
from pathlib import Path

from trainlab.runs.files import read_listed
from trainlab.runs.folder import LAST

_STARTS = ".starts"  # a line for each start, which names the checkpoint that the run continued from


def note_start(folder: Path) -> int:
    """Note a start of the run in ``folder``. Returns how often it was started since its last checkpoint."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / _STARTS).open("a") as file:
        file.write(f"{_checkpoint(folder)}\n")
    return starts_in_a_row(folder)


def starts_in_a_row(folder: Path) -> int:
    """How often the run in ``folder`` was started since its last checkpoint."""
    content, checkpoint = read_listed(folder / _STARTS), _checkpoint(folder)
    lines = (content or b"").decode().splitlines()
    return next((n for n, line in enumerate(reversed(lines)) if line != checkpoint), len(lines))


def _checkpoint(folder: Path) -> str:
    """Its time of change; `stat` of its path may be answered from a cache of NFS, unlike that of an open file."""
    last = folder / LAST
    try:
        if last in last.parent.iterdir():
            with last.open("rb") as file:
                return str(os.fstat(file.fileno()).st_mtime_ns)
    except (FileNotFoundError, NotADirectoryError):
        pass
    return "none"
