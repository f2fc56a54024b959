"""What a run prints: log lines, a progress bar below them on a terminal, plain lines elsewhere."""

import io
import logging
import os
import sys
import textwrap
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, Self

from rich.console import Console
from rich.markup import escape

from trainlab.passwords import without_passwords

# What moves is on standard error: results on standard output can be read by other programs.
console = Console(stderr=True)
_REFRESH_S, _COUNT_S = 0.1, 0.2
_SPINNER = "-\\|/"
_RESUMABLE = "You're resuming from a checkpoint that ended before"  # an epoch: `Batches.start` is where


def output() -> Console:
    """For tables on standard output: as wide as the terminal; characters that it does not have are replaced."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    return Console(width=None if sys.stdout.isatty() else 10_000)


def on_terminal() -> bool:
    """Whether what moves can be shown."""
    return sys.stderr.isatty() and not console.is_dumb_terminal


def say(text: str, wraps: bool = True) -> None:
    """Print lines, above a progress bar if there is one; where nobody reads them, as behind `head`, work continues.

    ``wraps``: as `wrapped`, which would break a command that is to be copied.
    """
    status_line.clear()
    text = wrapped(text, sys.stdout) if wraps else text
    if Bar.is_open and sys.stdout.isatty():
        console.out(text, highlight=False)
        return
    try:
        print(text, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def say_error(text: str) -> None:
    """Print lines on standard error."""
    status_line.clear()
    print(wrapped(text, sys.stderr), file=sys.stderr, flush=True)


def wrapped(text: str, stream: IO[str]) -> str:
    """``text`` as ``stream`` is to show it: a terminal breaks lines at blanks, and words, as paths, stay whole."""
    if not stream.isatty():
        return text
    lines: list[str] = []
    for line in text.splitlines():
        indent = line[: len(line) - len(line.lstrip())]
        lines += textwrap.wrap(
            line,
            console.width,
            subsequent_indent=indent,
            expand_tabs=False,
            replace_whitespace=False,
            break_long_words=False,
            break_on_hyphens=False,
        ) or [""]
    return "\n".join(lines)


class StatusLine:
    """One line on a terminal that names what is being done, until it is cleared; nothing elsewhere."""

    def __init__(self) -> None:
        self._is_shown = False

    def show(self, text: str) -> None:
        """Have ``text`` as the line."""
        if on_terminal():
            sys.stderr.write(f"\r\x1b[K{text[: console.width - 1]}")
            sys.stderr.flush()
            self._is_shown = True

    @contextmanager
    def counting(self, text: str) -> Iterator[None]:
        """Have ``text`` and the seconds so far as the line, which a thread keeps moving. Fork no process meanwhile."""
        done, begun = threading.Event(), time.monotonic()

        def count() -> None:
            while not done.wait(_COUNT_S):
                passed = time.monotonic() - begun
                self.show(f"{_SPINNER[int(passed / _COUNT_S) % len(_SPINNER)]} {text} {passed:.0f} s")

        self.show(f"{_SPINNER[0]} {text}")
        thread = threading.Thread(target=count, daemon=True)
        if on_terminal():
            thread.start()
        try:
            yield
        finally:
            done.set()
            if thread.is_alive():
                thread.join()

    def clear(self) -> None:
        """Take the line away, and a progress bar until it is drawn again below what is printed now."""
        if self._is_shown or Bar.is_open:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
            self._is_shown = False


status_line = StatusLine()


class Bar:
    """A progress bar where there is a terminal; it is gone when it is closed.

    Args:
        description: of what is done.
        total: steps.
        shows_detail: whether a text of `update` stands behind it, in the place of the time left of the bar.

    Attributes:
        is_open: whether one is shown.
        steps: done so far.
    """

    is_open = False

    def __init__(self, description: str, total: int, shows_detail: bool = False) -> None:
        self.steps, self._total, self._due, self._progress = 0, total, 0.0, None
        if on_terminal():
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            last = TextColumn("{task.fields[detail]}") if shows_detail else TimeRemainingColumn()
            columns = (
                TextColumn("{task.description}"),
                BarColumn(20, complete_style="cyan", finished_style="green"),
                MofNCompleteColumn(),
                last,
            )
            # No thread of its own, which would take time from the steps and leave locks to processes that are forked.
            self._progress = Progress(
                *columns,
                console=console,
                auto_refresh=False,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._task = self._progress.add_task(escape(description), total=total, detail="")
            self._progress.start()
            Bar.is_open = True

    def update(self, steps: int, detail: Callable[[], str] = str) -> None:
        """Count more steps; ``detail`` returns the text behind the bar, where it is refreshed."""
        self.steps += steps
        if self._progress and (time.monotonic() > self._due or self.steps == self._total):
            self._progress.update(self._task, completed=self.steps, detail=escape(detail()), refresh=True)
            self._due = time.monotonic() + _REFRESH_S

    def close(self) -> None:
        """Take it away."""
        if self._progress:
            self._progress.stop()
            self._progress, Bar.is_open = None, False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class LogFormatter(logging.Formatter):
    """Leaves the passwords of URLs out of log records, and of the tracebacks in them."""

    def format(self, record: logging.LogRecord) -> str:
        """The text of ``record``."""
        return without_passwords(super().format(record))


class ConsoleHandler(logging.Handler):
    """Prints each log record."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print ``record``."""
        say(self.format(record))


def quiet() -> None:
    """Keep from the console what Lightning says of itself."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    noise = ("LeafSpec", "smaller than the logging interval", "requested to overfit", "sync_dist=True", _RESUMABLE)
    for message in noise:
        warnings.filterwarnings("ignore", message=f".*{message}.*")
