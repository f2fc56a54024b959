"""The page of the quick version, which has all sections: how long it is, and how many screens it takes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from exercise.registry import SECTIONS
from trainlab.config.resolvers import PROJECT

RUN = "import sys; sys.argv[0] = 'trainlab'; from exercise.command_line import main; main()"

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(1800)]

DESKTOP = 1400, 900  # pixels
MAX_WORDS, MAX_WORDS_SHOWN, MAX_SCREENS, MAX_BYTES = 6000, 150, 15, 1_000_000


@pytest.fixture(scope="module")
def quick_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trained in about three minutes, in a folder of its own as by an installed `trainlab`."""
    folder, parts = tmp_path_factory.mktemp("quick"), dict.fromkeys(section.part for section in SECTIONS)
    command = [sys.executable, "-c", RUN, *parts, "--quick"]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT / "src")}
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return folder / "outputs" / "exercise_quick" / "exercise.html"


def test_the_page_is_short(open_page, quick_page: Path):
    page = open_page(quick_page, width=DESKTOP[0]).page
    assert page.locator(".shown").count() == len(SECTIONS)  # all have an answer
    height = page.evaluate("document.documentElement.scrollHeight")
    assert height <= MAX_SCREENS * DESKTOP[1]
    for key, text in page.evaluate(
        "[...document.querySelectorAll('section')].map(e => [e.id, e.querySelector('.shown').innerText])"
    ):
        assert len(text.split()) <= MAX_WORDS_SHOWN, key
    page.evaluate("document.querySelectorAll('details').forEach(e => e.open = true)")
    words = [word for word in page.locator("main").inner_text().split() if any(map(str.isalpha, word))]
    assert len(words) <= MAX_WORDS  # besides figures, most of them of tables
    assert quick_page.stat().st_size < MAX_BYTES
