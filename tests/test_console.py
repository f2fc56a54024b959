"""What is printed."""

import io
import sys

from trainlab.console import output


def test_characters_that_the_output_does_not_have_are_replaced(monkeypatch):
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, "ascii"))
    output().print("test acc \u2020")
    print("\u00b1 2", flush=True)
    assert written.getvalue() == b"test acc ?\n? 2\n"
