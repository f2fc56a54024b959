"""The version of the format of `result.json` and of checkpoints."""

from typing import Any

FORMAT = 2
_READERS = {1: "trainlab 0.1"}  # which wrote no number


def check_format(found: Any) -> None:
    """Raise ValueError, with what is wrong, unless ``found`` is the format that this version writes."""
    if not isinstance(found, int):
        raise ValueError(f"has no valid format: it must be an integer, got {found!r}")
    if found != FORMAT:
        reader = _READERS.get(found, "another version of trainlab")
        raise ValueError(f"is of format {found} (read it with {reader}) and this version reads format {FORMAT}")
