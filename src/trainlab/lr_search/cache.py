"""Cache of search results, one JSON file each; of processes that need the same search, one runs it."""

import json
import logging
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from trainlab.lr_search.base import SearchFailed, SearchResult
from trainlab.runs.files import locked, write_json
from trainlab.runs.result import is_search

log = logging.getLogger(__name__)
_WAITING = "waiting for another process that is running the same learning-rate search"


def cached(folder: Path, key: str, search: Callable[[], SearchResult]) -> dict[str, Any]:
    """Result of ``search`` as plain values with its duration `search_s`, from the cache if it has this ``key``.

    Raises:
        SearchFailed: the search failed, now or when it was cached.
        ValueError: the cache file is damaged.
        OSError: the folder cannot be written.
    """
    path = folder / f"{key}.json"
    if path.exists():
        log.info("using the cached learning-rate search %s", path)
    else:
        with locked(folder / f"{key}.lock", on_wait=lambda: log.info(_WAITING)):
            if not path.exists():
                write_json(path, _run(search))
    return _read(path)


def _run(search: Callable[[], SearchResult]) -> dict[str, Any]:
    start = time.perf_counter()
    try:
        found = asdict(search())
    except SearchFailed as error:  # the search is deterministic: it would fail again
        return {"nothing_found": str(error)}
    return found | {"search_s": round(time.perf_counter() - start, 2)}


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text())
    except ValueError:
        found = None
    if isinstance(found, dict) and "nothing_found" in found:
        raise SearchFailed(str(found["nothing_found"]))
    if not is_search(found):
        raise ValueError(f"{path} is damaged; remove it to search again")
    return dict(found)
