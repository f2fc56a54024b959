"""A headless Chromium of the system's, driven over its DevTools protocol."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


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
        return [text.strip() for text in self.page.locator(f"{table} thead th").all_inner_texts()]

    def column(self, table: str, index: int) -> list[str]:
        """A column of a table from top to bottom, as it is on the screen."""
        return [
            text.strip() for text in self.page.locator(f"{table} tbody td:nth-child({index + 1})").all_inner_texts()
        ]

    def click_header(self, table: str, index: int) -> None:
        """Click at the top of a column."""
        self.page.locator(f"{table} thead th:nth-child({index + 1})").click()

    def background(self) -> tuple[int, ...]:
        """Color of the page behind everything, red, green, blue; white where it is not set."""
        color = self.page.evaluate(
            "[document.body, document.documentElement].map(e => getComputedStyle(e).backgroundColor)"
            ".find(c => c !== 'rgba(0, 0, 0, 0)') || 'rgb(255, 255, 255)'"
        )
        return tuple(int(part) for part in color.partition("(")[2].rstrip(")").split(",")[:3])


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("there is no Chromium; apt-get install chromium")
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
