"""How often a run was started without getting any further."""

from pathlib import Path

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
    path, checkpoint = folder / _STARTS, _checkpoint(folder)
    lines = path.read_text().splitlines() if path.exists() else []
    return next((n for n, line in enumerate(reversed(lines)) if line != checkpoint), len(lines))


def _checkpoint(folder: Path) -> str:
    last = folder / LAST
    return str(last.stat().st_mtime_ns) if last.exists() else "none"
