"""Folders of runs, and of other programs, which are ignored."""

import difflib
import logging
import os
import re
from collections.abc import Sequence
from pathlib import Path

log = logging.getLogger(__name__)

MAX_IGNORED = 5  # folders that are named
_FILES = {"result.json", "config.yaml", "metrics.csv"}
_WITHOUT_RUNS = {"checkpoints", "wandb", "mlruns"}
_OF_EVERY_RESULT = (b'"fingerprint"', b'"overrides"')
_OF_EVERY_CONFIG = {b"name", b"output_dir", b"seed", b"trainer"}


def run_folders(folders: Sequence[Path]) -> list[Path]:
    """Those of all runs at or below ``folders``, each once. Such of other programs are logged and left out.

    Raises:
        FileNotFoundError: a folder does not exist, or there is no run under any.
    """
    found: dict[Path, Path] = {}
    for top in folders:
        if not top.is_dir():
            raise FileNotFoundError(f"there is no folder {top}; {_suggest(top)}")
        for folder, subfolders, files in os.walk(top):
            subfolders[:] = sorted(name for name in set(subfolders) - _WITHOUT_RUNS if not name.startswith("."))
            if not _FILES.isdisjoint(files):
                found.setdefault(Path(folder).resolve(), Path(folder))
    by_kind: dict[bool, list[Path]] = {True: [], False: []}
    for path in found.values():
        by_kind[is_run(path)].append(path)
    if ignored := [*map(str, by_kind[False])]:
        what = "not a trainlab run" if len(ignored) == 1 else "not trainlab runs"
        more = f" and {len(ignored) - MAX_IGNORED} more" if len(ignored) > MAX_IGNORED else ""
        log.warning(f"{what}, ignored: {', '.join(ignored[:MAX_IGNORED])}{more}")
    if not by_kind[True]:
        where = ", ".join(map(str, folders))
        raise FileNotFoundError(f"there is no trainlab run under {where}; give a folder under outputs/")
    return by_kind[True]


def _suggest(top: Path) -> str:
    beside = [path.name for path in top.parent.iterdir() if path.is_dir()] if top.parent.is_dir() else []
    close = difflib.get_close_matches(top.name, beside, n=1)
    return f"did you mean {top.with_name(close[0])}?" if close else "give one under outputs/"


def is_run(folder: Path) -> bool:
    """Whether the result or the settings in ``folder`` are of trainlab, even if they are damaged."""
    result = _content(folder / "result.json")
    if all(key in result for key in _OF_EVERY_RESULT):
        return True
    return {*re.findall(rb"^(\w+):", _content(folder / "config.yaml"), re.MULTILINE)} >= _OF_EVERY_CONFIG


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
