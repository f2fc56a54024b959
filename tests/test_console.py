"""What is printed."""

import io
import sys
from types import SimpleNamespace

from trainlab.console import output, wrapped


def test_characters_that_the_output_does_not_have_are_replaced(monkeypatch):
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, "ascii"))
    output().print("test acc \u2020")
    print("\u00b1 2", flush=True)
    assert written.getvalue() == b"test acc ?\n? 2\n"


def test_a_terminal_breaks_lines_at_blanks_and_paths_stay_whole(monkeypatch):
    monkeypatch.setattr("trainlab.console.console", SimpleNamespace(width=20))
    path = "/a/folder-of/a.long/name"
    text = f"completed in 5 s: {path}\n\n  epoch 1   train 2.3   val 2.2"
    screen = io.StringIO()
    screen.isatty = lambda: True
    lines = ["completed in 5 s:", path, "", "  epoch 1   train", "  2.3   val 2.2"]
    assert wrapped(text, screen).splitlines() == lines
    assert wrapped(text, io.StringIO()) == text
