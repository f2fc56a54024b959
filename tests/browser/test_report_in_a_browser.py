"""What a person sees of a sweep's report."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from trainlab.cli import PROJECT

pytestmark = pytest.mark.browser

PHONE = 390  # pixels
NUMBER = re.compile(r"[-+\N{MINUS SIGN}]?\d[\d,]*\.?\d*(e[-+]?\d+)?")


@pytest.fixture(scope="module")
def report(runs, tmp_path_factory) -> Path:
    """`report.html` of a sweep that is through."""
    sweep, folder = next(iter(runs.values()))[0].parent, tmp_path_factory.mktemp("report")
    command = [sys.executable, str(PROJECT / "src" / "report.py"), str(sweep), "--output-dir", str(folder)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return folder / "report.html"


def read(cells: list[str]) -> list[float] | list[str]:
    """The cells that are not empty, as numbers if all of them start with one."""
    filled = [cell for cell in cells if re.search(r"\w", cell)]
    found = [NUMBER.match(cell) for cell in filled]
    if not all(found):
        return filled
    return [float(match[0].replace(",", "").replace("\N{MINUS SIGN}", "-")) for match in found]


def test_it_is_one_file_that_opens_offline_without_errors(open_page, report, tmp_path):
    alone = tmp_path / "alone.html"
    alone.write_bytes(report.read_bytes())
    opened = open_page(alone)
    assert opened.errors == []
    assert [address for address in opened.requests if not address.startswith(("data:", "blob:"))] == [alone.as_uri()]


def test_the_best_run_and_its_figures_are_on_the_page(open_page, report, runs):
    text = open_page(report).page.locator("body").inner_text()
    best = min((result for _, result in runs.values()), key=lambda result: result["metrics"]["val_loss"])
    assert f"{best['metrics']['val_loss']:.4f}" in text
    assert f"{100 * best['metrics']['val_acc']:.2f}" in text
    for result in (result for _, result in runs.values()):
        assert f"{result['metrics']['val_loss']:.4f}" in text


def test_its_figures_are_drawn(open_page, report):
    page = open_page(report).page
    pictures = page.locator("img")
    assert pictures.count() + page.locator("figure svg").count() >= 3
    pictures.evaluate_all("all => Promise.all(all.map(e => e.decode()))")
    assert pictures.evaluate_all("all => all.every(e => e.naturalWidth > 200)")


def test_a_click_on_a_heading_sorts_and_another_turns_the_order(open_page, report):
    opened = open_page(report)
    opened.page.evaluate("document.querySelectorAll('details').forEach(e => e.open = true)")
    tables = opened.page.locator("table:has(thead)").count()
    sorted_by = 0
    for table in (f"table:has(thead) >> nth={i}" for i in range(tables)):
        for index in range(len(opened.headers(table))):
            orders = []
            for _ in range(2):
                opened.click_header(table, index)
                orders.append(read(opened.column(table, index)))
            assert orders[0] == orders[1][::-1], opened.headers(table)[index]
            if len(set(orders[0])) > 1 and isinstance(orders[0][0], float):
                assert orders[0] in (sorted(orders[0]), sorted(orders[0], reverse=True)), opened.headers(table)[index]
                sorted_by += 1
    assert sorted_by >= 3
    assert opened.errors == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [PHONE, 1280])
def test_it_reads_well_on_a_phone_and_in_the_dark(open_page, report, width, scheme):
    opened = open_page(report, width=width, scheme=scheme)
    assert opened.overflow_px() <= 0
    assert (opened.luminance() < 0.1) is (scheme == "dark")
    assert opened.faint() == []
    sizes = opened.page.locator("p, td, li").evaluate_all(
        "all => all.map(e => parseFloat(getComputedStyle(e).fontSize))"
    )
    assert min(sizes) >= 12
