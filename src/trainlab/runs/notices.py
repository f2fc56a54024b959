"""Warnings of a sweep's runs that its terminal is to show: each once, whichever run comes first."""

import json
import os
from pathlib import Path

VARIABLE = "TRAINLAB_NOTICES"  # of the environment: the file that jobs append to, and their sweep reads


def notify(subject: str, text: str) -> None:
    """Have the sweep that this process trains for print ``text``, unless it has printed one of that subject."""
    if path := os.environ.get(VARIABLE):
        try:
            with Path(path).open("a") as file:
                file.write(f"{json.dumps([subject, text])}\n")
        except OSError:  # the sweep that showed it has ended, or its disk is full; the log of the run has it
            os.environ.pop(VARIABLE, None)


_printed: set[str] = set()  # subjects; a process runs one sweep, a search in several parts


class Notices:
    """Reads what jobs append to the file ``path``."""

    def __init__(self, path: Path) -> None:
        self._path, self._read = path, 0

    def new(self) -> list[str]:
        """The texts since the last call, of subjects that had none in this process."""
        if not self._path.exists() or self._path.stat().st_size == self._read:
            return []
        with self._path.open("rb") as file:
            file.seek(self._read)
            content = file.read()
        whole = content[: content.rfind(b"\n") + 1]
        self._read += len(whole)
        found: dict[str, str] = {}
        for subject, text in map(json.loads, whole.splitlines()):
            if subject not in _printed:
                found.setdefault(subject, text)
        _printed.update(found)
        return [*found.values()]
