"""Record a command in a terminal of this machine, and draw its screen."""

import codecs
import fcntl
import io
import os
import pty
import re
import struct
import subprocess
import termios
import time
from collections.abc import Iterator, Sequence

from playwright.sync_api import Page
from rich.console import Console
from rich.text import Text

_PARTS = re.compile(r"(\x1b\[[?\d;]*[A-Za-z]|\x1b\].*?(?:\x07|\x1b\\)|\x1b.|[\r\n\b])", re.DOTALL)


class Screen:
    """What a terminal of a number of columns shows, as far as progress displays use one."""

    def __init__(self, columns: int):
        self.columns = columns
        self.lines: list[list[tuple[str, str]]] = [[]]  # characters with the control sequences of their style
        self.row, self.column, self.style = 0, 0, ""

    def write(self, output: str) -> None:
        """Show ``output``, which ends with no part of a control sequence."""
        for part in _PARTS.split(output):
            if part == "\n":
                self._down()
            elif part == "\r":
                self.column = 0
            elif part == "\b":
                self.column = max(0, self.column - 1)
            elif part.startswith("\x1b["):
                self._control(part[-1], part[2:-1])
            elif not part.startswith("\x1b"):
                for character in part:
                    self._put(character)

    def _put(self, character: str) -> None:
        if self.column == self.columns:
            self.column = 0
            self._down()
        line = self.lines[self.row]
        line += [(" ", "")] * (self.column + 1 - len(line))
        line[self.column] = (character, self.style)
        self.column += 1

    def _down(self) -> None:
        self.row += 1
        if self.row == len(self.lines):
            self.lines.append([])

    def _control(self, name: str, arguments: str) -> None:
        number = int(arguments) if arguments.isdigit() else 0
        if name == "m":
            self.style = "" if arguments in ("", "0") else self.style + f"\x1b[{arguments}m"
        elif name == "A":
            self.row = max(0, self.row - max(1, number))
        elif name == "B":
            for _ in range(max(1, number)):
                self._down()
        elif name == "C":
            self.column = min(self.columns - 1, self.column + max(1, number))
        elif name == "D":
            self.column = max(0, self.column - max(1, number))
        elif name == "G":
            self.column = max(1, number) - 1
        elif name == "K":
            self.lines[self.row] = [] if number == 2 else self.lines[self.row][: self.column]
        elif name == "J":
            self.lines[self.row] = self.lines[self.row][: self.column]
            del self.lines[self.row + 1 :]

    def text(self) -> str:
        """The lines with the control sequences of their styles."""
        lines = (
            "".join(f"{style}{character}\x1b[0m" if style else character for character, style in line)
            for line in self.lines
        )
        return "\n".join(lines).rstrip()


def record(command: Sequence[str], columns: int, rows: int = 40) -> Iterator[tuple[float, str]]:
    """Run a command in a terminal: seconds since its start, and what the screen shows then, whenever that changes.

    Raises:
        subprocess.CalledProcessError: it fails.
    """
    main_end, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    environment = os.environ | {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
    started, screen, decoder = time.monotonic(), Screen(columns), codecs.getincrementaldecoder("utf-8")("replace")
    process = subprocess.Popen(
        command, stdin=terminal, stdout=terminal, stderr=terminal, env=environment, start_new_session=True
    )
    os.close(terminal)
    rest = ""
    while True:
        try:
            rest += decoder.decode(os.read(main_end, 65536))
        except OSError:  # the other end is closed
            break
        cut = re.search(r"\x1b(\[[?\d;]*)?$", rest)  # within a control sequence
        whole = rest[: cut.start()] if cut else rest
        rest = rest[len(whole) :]
        screen.write(whole)
        yield time.monotonic() - started, screen.text()
    os.close(main_end)
    if process.wait():
        raise subprocess.CalledProcessError(process.returncode, command, screen.text())


def draw(page: Page, screen: str, columns: int, title: str) -> bytes:
    """A screen as a picture."""
    console = Console(record=True, width=columns, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    console.print(Text.from_ansi(screen))
    page.set_content(console.export_svg(title=title))
    return page.locator("svg").first.screenshot()
