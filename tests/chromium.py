"""A headless Chromium of the system's, driven over its DevTools protocol."""

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
NO_CHROMIUM = "there is no Chromium; apt-get install chromium"
SWEEP = ("-m", "model=bn,selu", "optim.lr=1e-3,5e-4", "name=lr_study")
TINY = (
    *("data=shapes", "data.num_train=400", "data.num_test=100", "data.val_size=100", "trainer=cpu"),
    *("model.depth=3", "model.width=16", "trainer.max_epochs=2"),
)


@dataclass
class Opened:
    """A page in the browser.

    Attributes:
        page: playwright's.
        errors: what the console has shown in red, and exceptions of scripts.
        requests: addresses of all that the page has asked for over the network.
    """

    page: Any
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def overflow_px(self) -> int:
        """By how much the page is wider than its window."""
        return self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")

    def headers(self, table: str) -> list[str]:
        """What stands at the top of the columns of a table, given by its selector."""
        return [text.strip() for text in self.page.locator(table).locator("thead th").all_inner_texts()]

    def column(self, table: str, index: int) -> list[str]:
        """A column of a table from top to bottom, as it is on the screen."""
        cells = self.page.locator(table).locator(f"tbody td:nth-child({index + 1})")
        return [text.strip() for text in cells.all_inner_texts()]

    def click_header(self, table: str, index: int) -> None:
        """Click at the top of a column."""
        self.page.locator(table).locator(f"thead th:nth-child({index + 1})").click()

    def luminance(self) -> float:
        """Of the page's background, from 0, black, to 1, white."""
        return self.page.evaluate(f"{_COLORS} luminance(background(document.body))")

    def faint(self) -> list[str]:
        """Texts that stand out from what is behind them by less than 4.5 to 1, which WCAG 2.2 asks for."""
        return self.page.evaluate(f"{_COLORS} faint(4.5)")


_COLORS = """
    const parts = color => color.match(/[\\d.]+/g).map(Number);
    const background = element => {
        for (; element; element = element.parentElement) {
            const [r, g, b, alpha = 1] = parts(getComputedStyle(element).backgroundColor);
            if (alpha > 0.99) return [r, g, b];
        }
        return [255, 255, 255];
    };
    const luminance = color => {
        const [r, g, b] = color.slice(0, 3).map(c => c / 255)
            .map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const contrast = (a, b) => {
        const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y);
        return (high + 0.05) / (low + 0.05);
    };
    const faint = least => [...document.querySelectorAll("body *")]
        .filter(e => e.checkVisibility() && [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()))
        .filter(e => contrast(parts(getComputedStyle(e).color), background(e)) < least)
        .map(e => e.textContent.trim().slice(0, 60));
"""


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, dict[str, Any]]]:
    """Folder and result of each run of a sweep that is through, by the name that TensorBoard has for it."""
    if CHROMIUM is None:
        pytest.skip(NO_CHROMIUM)
    from sweeping import Script  # which imports torch

    outputs = tmp_path_factory.mktemp("outputs")
    done = Script("train.py", [*SWEEP, *TINY, f"output_dir={outputs}"], outputs, {"FIGURES": "on"}).finish()
    assert done.returncode == 0, done.stderr
    folders = [path.parent for path in outputs.rglob("result.json")]
    assert len(folders) == 4
    return {str(f.relative_to(outputs)): (f, json.loads((f / "result.json").read_text())) for f in folders}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip(NO_CHROMIUM)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM)
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser: Any) -> Iterator[Callable[..., Opened]]:
    """Opens an address or a local file in a window of its own, of a width and in a color scheme."""
    contexts = []

    def opened(address: str | Path, width: int = 1280, height: int = 900, scheme: str = "light") -> Opened:
        context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
        contexts.append(context)
        result = Opened(context.new_page())
        result.page.on("console", lambda line: result.errors.append(line.text) if line.type == "error" else None)
        result.page.on("pageerror", lambda error: result.errors.append(str(error)))
        result.page.on("request", lambda request: result.requests.append(request.url))
        result.page.goto(address.resolve().as_uri() if isinstance(address, Path) else address)
        return result

    yield opened
    for context in contexts:
        context.close()
