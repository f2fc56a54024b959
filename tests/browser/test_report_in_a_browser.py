"""What a person sees of a sweep's report."""

import re
from pathlib import Path

import pytest

from trainlab.report.write import write_report

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PHONE = 390  # pixels
NUMBER = re.compile(r"[-+\N{MINUS SIGN}]?\d[\d,]*\.?\d*(e[-+]?\d+)?")


@pytest.fixture
def report(runs) -> Path:
    """`report.html` of a sweep that is through."""
    return next(iter(runs.values()))[0].parent / "report.html"


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
    opened.page.evaluate("document.querySelectorAll('details:not(.columns)').forEach(e => e.open = true)")
    for switch in opened.page.get_by_label("Also show hidden columns").all():
        switch.check()
    tables = opened.page.locator("table.sortable").count()
    sorted_by = 0
    for table in (f"table.sortable >> nth={i}" for i in range(tables)):
        for index in (i for i, name in enumerate(opened.headers(table)) if name):
            orders = []
            for _ in range(2):
                opened.click_header(table, index)
                column = opened.page.locator(table).locator(f"tbody td:nth-child({index + 1}):not([data-value=''])")
                orders.append(read(column.all_inner_texts()))
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


def test_the_name_of_a_run_stays_in_sight_on_a_phone(open_page, study, no_figures):
    page = open_page(write_report([study]), width=PHONE).page
    table = page.locator("[aria-label='Table: runs']")
    assert table.evaluate("e => { e.scrollTo(9999, 0); return e.scrollLeft; }") > 100
    assert 0 <= table.locator("td a").first.bounding_box()["x"] < 50


def test_what_has_no_value_stays_last_in_either_order(open_page, study, no_figures):
    (study / "elu,3" / "result.json").write_text("{")
    opened = open_page(write_report([study]))
    table = "[aria-label='Table: runs'] table"
    headings = opened.headers(table)
    expected = {
        "total s": [["9", "9", "17", "17", "17", "-"], ["17", "17", "17", "9", "9", "-"]],
        "run": [["elu seed=1", "elu seed=2", "elu,3", *(f"selu seed={seed}" for seed in (1, 2, 3))]],
    }
    for name, orders in expected.items():
        for order in orders:
            opened.click_header(table, headings.index(name))
            assert opened.column(table, headings.index(name)) == order
    sorts = opened.page.locator(table).locator("th").evaluate_all("all => all.map(e => e.getAttribute('aria-sort'))")
    assert {name: sort for name, sort in zip(headings, sorts, strict=True) if sort != "none"} == {"run": "ascending"}
    assert opened.errors == []


def test_a_heading_can_be_sorted_by_without_a_mouse(open_page, study, no_figures):
    opened = open_page(write_report([study]))
    heading = opened.page.locator("[aria-label='Table: runs'] th", has_text="run")
    heading.locator("button").focus()
    opened.page.keyboard.press("Enter")
    assert heading.get_attribute("aria-sort") == "ascending"


def test_a_mark_shows_that_a_heading_sorts_and_takes_no_room_when_it_turns(open_page, study, no_figures):
    page = open_page(write_report([study])).page
    heading = page.locator("th").first
    mark = "e => getComputedStyle(e.querySelector('button'), '::after').content"
    width = "e => e.querySelector('button').getBoundingClientRect().width"
    before = (heading.evaluate(mark), heading.evaluate(width))
    heading.click()
    assert before[0] not in ("none", "normal", heading.evaluate(mark))
    assert before[1] == heading.evaluate(width)


def test_two_groups_can_be_chosen(open_page, study, no_figures):
    opened = open_page(write_report([study]))
    opened.page.locator("#questions > summary").click()
    answer = opened.page.locator("#answer")
    assert "selu reached elu's best validation loss" in answer.inner_text()
    opened.page.locator("#second").select_option(label="elu")
    assert answer.inner_text() == "Choose two different groups."
    opened.page.locator("#first").select_option(label="selu")
    assert "elu never reached selu's best validation loss" in answer.inner_text()
    assert opened.errors == []


def test_what_scrolls_has_a_name_and_can_be_reached_by_keys(open_page, study):
    regions = open_page(write_report([study])).page.locator(".scroll")
    named = "all => all.map(e => [e.getAttribute('role'), e.getAttribute('aria-label') !== '', e.tabIndex])"
    assert regions.count() >= 2  # tables
    assert regions.evaluate_all(named) == [["region", True, 0]] * regions.count()


def test_long_names_do_not_widen_a_phone_and_the_first_column_stays(open_page, study, leave, no_figures):
    leave("x" * 100, [1.0], [0.5], lr=1e-3, overrides=(f"experiment={'long_name_' * 8}",))
    opened = open_page(write_report([study]), width=PHONE)
    assert opened.overflow_px() <= 0
    table = opened.page.locator("[aria-label='Table: groups']")
    cell = table.locator("td[title]")
    assert cell.get_attribute("title").startswith("long_name_" * 8)
    left = cell.bounding_box()["x"]
    table.evaluate("e => e.scrollLeft = 200")
    assert cell.bounding_box()["x"] == pytest.approx(left, abs=2)
    assert cell.bounding_box()["width"] < PHONE / 2 + 30
