"""The page of the quick version that `make exercise QUICK=1` has written: how long it is, how many screens it takes."""

from pathlib import Path

import pytest

from exercise.registry import BY_DEFAULT, SECTIONS
from trainlab.config.resolvers import PROJECT

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PAGE = PROJECT / "outputs" / "exercise_quick" / "exercise.html"
DESKTOP = 1400, 900  # pixels
MAX_WORDS, MAX_WORDS_SHOWN, MAX_SCREENS, MAX_BYTES = 6000, 150, 15, 1_000_000


@pytest.fixture(scope="module")
def quick_page() -> Path:
    if not PAGE.exists():
        pytest.skip("needs the page that `make exercise QUICK=1` writes, as in CI")
    return PAGE


def test_the_page_is_short(open_page, quick_page: Path):
    page = open_page(quick_page, width=DESKTOP[0]).page
    answered = page.locator(".shown").count()
    assert answered >= sum(section.part in BY_DEFAULT for section in SECTIONS)  # all that ran have an answer
    height = page.evaluate("document.documentElement.scrollHeight")
    assert height <= MAX_SCREENS * DESKTOP[1]
    for key, text in page.evaluate(
        "[...document.querySelectorAll('.shown')].map(e => [e.closest('section').id, e.innerText])"
    ):
        assert len(text.split()) <= MAX_WORDS_SHOWN, key
    page.evaluate("document.querySelectorAll('details').forEach(e => e.open = true)")
    words = [word for word in page.locator("main").inner_text().split() if any(map(str.isalpha, word))]
    assert len(words) <= MAX_WORDS  # besides figures, most of them of tables
    assert quick_page.stat().st_size < MAX_BYTES
