"""How long the exercise's page is, in words and screens: that of CIFAR-10 in the docs, and the quick version's."""

from pathlib import Path

import pytest

from exercise.registry import BY_DEFAULT, SECTIONS
from trainlab.config.resolvers import PROJECT

pytestmark = [pytest.mark.browser, pytest.mark.slow]

QUICK = PROJECT / "outputs" / "exercise_quick" / "exercise.html"  # `make exercise QUICK=1` writes it, as in CI
DOCS = PROJECT / "docs" / "exercise.html"
DESKTOP = 1400, 900  # pixels
MAX_WORDS, MAX_WORDS_SHOWN, MAX_SCREENS = 6000, 150, 15


@pytest.mark.parametrize(("path", "max_bytes"), [(DOCS, 2_000_000), (QUICK, 1_000_000)], ids=["docs", "quick"])
def test_the_page_is_short(open_page, path: Path, max_bytes: int):
    if not path.exists():
        pytest.skip(f"needs {path}, which `make exercise QUICK=1` writes")
    page = open_page(path, width=DESKTOP[0]).page
    answered = page.locator(".shown").count()
    assert answered >= sum(section.part in BY_DEFAULT for section in SECTIONS)  # all that ran have an answer
    height = page.evaluate("document.documentElement.scrollHeight")
    assert height <= MAX_SCREENS * DESKTOP[1]
    for key, text in page.evaluate(
        "[...document.querySelectorAll('.shown')].map(e => [e.closest('section').id, e.innerText])"
    ):
        assert len(text.split()) <= MAX_WORDS_SHOWN, key
    page.evaluate("document.querySelectorAll('details').forEach(e => e.open = true)")
    assert len(page.locator("main").inner_text().split()) <= MAX_WORDS  # with all evidence, figures and settings, too
    assert path.stat().st_size < max_bytes
