"""Searches that were made before, a JSON file each; processes that need the same one make it once."""

import json
import logging
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from trainlab.lr_search.base import Found, NothingFound
from trainlab.runs.files import locked, write_json
from trainlab.runs.result import is_search

log = logging.getLogger(__name__)
_WAITING = "another process searches this learning rate; waiting for it"


def cached(folder: Path, key: str, search: Callable[[], Found]) -> dict[str, Any]:
    """What ``search`` finds, as plain values and with the seconds it took, or what it found before with this ``key``.

    Raises:
        NothingFound: now or then.
        ValueError: the file is damaged.
        OSError: the folder cannot be written.
    """
    path = folder / f"{key}.json"
    if path.exists():
        log.info("the learning rate was searched before: %s", path)
    else:
        with locked(folder / f"{key}.lock", on_wait=lambda: log.info(_WAITING)):
            if not path.exists():
                write_json(path, _made(search))
    return _read(path)


def _made(search: Callable[[], Found]) -> dict[str, Any]:
    start = time.perf_counter()
    try:
        found = asdict(search())
    except NothingFound as error:  # nor would the next seed find anything
        return {"nothing_found": str(error)}
    return found | {"search_s": round(time.perf_counter() - start, 2)}


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text())
    except ValueError:
        found = None
    if isinstance(found, dict) and "nothing_found" in found:
        raise NothingFound(str(found["nothing_found"]))
    if not is_search(found):
        raise ValueError(f"{path} is damaged; remove it, and the learning rate is searched anew")
    return dict(found)
