"""Counts what a Python program asks of the file system below a folder.

    python benchmarks/file_calls.py COUNTS ROOT SCRIPT [ARGUMENT ...]

runs a script and leaves in the folder COUNTS a JSON file for each process that was forked. Of the calls of a process,
those with a path below ROOT count; `bytes_read` are the sizes of the files that were opened to be read, `bytes_written`
all that the process has written, also to pipes.
"""

import atexit
import json
import os
import runpy
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

KINDS = ("opens_to_read", "opens_to_write", "listings", "stats", "renames", "other_changes", "fsyncs")
_CHANGES = ("os.mkdir", "os.rmdir", "os.remove", "os.utime", "os.link")
_EVERY_S = 0.5  # between two records of a process that ends without a word


class FileCalls:
    """Counts calls of this process and, anew, of those forked from it.

    Args:
        root: folder below which calls count.
        folder: that gets the counts of each process; None to keep them here alone.
    """

    def __init__(self, root: Path, folder: Path | None = None) -> None:
        self.counts: Counter[str] = Counter()
        self._root, self._folder, self._due = os.path.abspath(root), folder, 0.0  # noqa: PTH100 (no call of its own)
        self._stat = os.stat
        for module, name, kind in ((os, "stat", "stats"), (os, "lstat", "stats"), (os, "fsync", "fsyncs")):
            setattr(module, name, self._counting(getattr(module, name), kind))
        sys.addaudithook(self._audit)
        if folder:
            folder.mkdir(parents=True, exist_ok=True)
            os.register_at_fork(after_in_child=self.counts.clear)
            atexit.register(self.record)

    def snapshot(self) -> Counter[str]:
        """The counts so far."""
        return Counter(self.counts) + Counter(bytes_written=_written())

    def record(self) -> None:
        """Leave the counts of this process in the folder."""
        if self._folder:
            text, path = json.dumps(self.snapshot()), self._folder / f"{os.getpid()}.json"
            path.write_text(text)

    def _counting(self, call: Callable[..., Any], kind: str) -> Callable[..., Any]:
        def counted(path: Any, *arguments: Any, **settings: Any) -> Any:
            if isinstance(path, int) or self._is_below(path):
                self.counts[kind] += 1
            return call(path, *arguments, **settings)

        return counted

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event not in ("open", "os.listdir", "os.scandir", "os.rename", *_CHANGES):
            return
        path = arguments[0]
        if event == "os.utime" and isinstance(path, int):
            self.counts["other_changes"] += 1
        elif not self._is_below(path):
            return
        elif event == "open":
            self._opened(path, arguments[2])
        else:
            kind = "other_changes" if event in _CHANGES else "renames" if event == "os.rename" else "listings"
            self.counts[kind] += 1
        if self._folder and (event == "os.rename" or time.monotonic() > self._due):
            self._due = time.monotonic() + _EVERY_S
            self.record()

    def _opened(self, path: Any, flags: int) -> None:
        if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            self.counts["opens_to_write"] += 1
            return
        self.counts["opens_to_read"] += 1
        try:
            self.counts["bytes_read"] += self._stat(path).st_size
        except OSError:
            self.counts["opens_that_failed"] += 1

    def _is_below(self, path: Any) -> bool:
        return isinstance(path, str | os.PathLike) and os.path.abspath(path).startswith(self._root)  # noqa: PTH100


def counts_in(folder: Path) -> Counter[str]:
    """The counts of all processes in a folder."""
    found = Counter[str]()
    for path in folder.glob("*.json"):
        found.update(json.loads(path.read_text()))
    return found


def _written() -> int:
    with open("/proc/self/io") as file:  # noqa: PTH123 (which asks for nothing else)
        return next(int(line.split()[1]) for line in file if line.startswith("wchar"))


if __name__ == "__main__":
    to, root, *sys.argv = sys.argv[1:]
    sys.path[0] = str(Path(sys.argv[0]).parent)
    FileCalls(Path(root), Path(to))
    runpy.run_path(sys.argv[0], run_name="__main__")
