"""What is printed."""

import io
import re
import sys
import threading
import time
from types import SimpleNamespace

from rich.console import Console

from trainlab.console import Bar, StatusLine, output, wrapped


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


def test_what_takes_seconds_is_counted_at_once_by_a_thread_that_ends(monkeypatch):
    screen = io.StringIO()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setattr("trainlab.console.on_terminal", lambda: True)
    monkeypatch.setattr("trainlab.console._COUNT_S", 0.01)
    threads = threading.active_count()
    with StatusLine().counting("loading PyTorch"):
        assert screen.getvalue().endswith("- loading PyTorch")
        time.sleep(0.1)
    assert len(re.findall(r"[-|/\\] loading PyTorch 0 s", screen.getvalue())) > 2
    assert threading.active_count() == threads, "processes are forked later"


def test_a_full_bar_has_a_color_that_every_terminal_has(monkeypatch):
    screen = io.StringIO()
    terminal = Console(file=screen, force_terminal=True, color_system="standard", width=80)
    monkeypatch.setattr("trainlab.console.console", terminal)
    monkeypatch.setattr("trainlab.console.on_terminal", lambda: True)
    with Bar("epoch 1", 3) as bar:
        bar.update(3)
    assert f"\x1b[32m{'━' * 20}\x1b[0m" in screen.getvalue()
