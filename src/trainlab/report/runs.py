"""Runs found under a folder."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from trainlab.results import Result


@dataclass(frozen=True)
class Run:
    """A run's folder and what `result.json` says there; ``problem`` where it cannot be read."""

    folder: Path
    result: Result | None
    problem: str | None = None

    @property
    def val_loss(self) -> float:
        """Of the best checkpoint; infinite where there is none."""
        return self.result.metrics.get("val_loss", float("inf")) if self.result else float("inf")


def find_runs(folders: Sequence[Path]) -> list[Run]:
    """All runs at or below ``folders``, the lowest validation loss first.

    Raises:
        FileNotFoundError: a folder does not exist, or there is no run under any.
    """
    runs = []
    for folder in folders:
        if not folder.is_dir():
            raise FileNotFoundError(f"there is no folder {folder}; give one under outputs/")
        runs += [_read(path.parent) for path in sorted(folder.rglob("result.json"))]
    if not runs:
        raise FileNotFoundError(f"there is no run under {', '.join(map(str, folders))}; give a folder under outputs/")
    return sorted(runs, key=lambda run: run.val_loss)


def _read(folder: Path) -> Run:
    try:
        return Run(folder, Result.read(folder))
    except ValueError as error:
        return Run(folder, None, str(error))
