"""Files beside the runs of a sweep that say what they are for: `study.json` of a search, `decisions.json`."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")


def read_record(path: Path, read: Callable[[Any], T], lacks: str) -> T | None:
    """What ``read`` makes of the content of a JSON file; None if there is no such file.

    Args:
        path: of the file.
        read: raises what a wrong type or a missing key raises.
        lacks: what the report lacks without it, as a clause.

    Raises:
        ValueError: the file is damaged.
    """
    if not path.exists():
        return None
    try:
        return read(json.loads(path.read_text()))
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"{path} is damaged ({error!r}), so {lacks}") from None
