"""What a person does on the page of a report: filter, sort, hide, hover, follow links, copy."""

from pathlib import Path

import pytest

from trainlab.report.write import write_report

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PHONE = {"width": 390, "height": 844}
RUNS = "[aria-label='Table: runs'] table"
TOOLS = "[aria-label='Tools of Table: runs']"


@pytest.fixture
def report(study: Path, leave) -> Path:
    """Seven runs: two models of three seeds, and a run of another rate, in a folder whose name has to be escaped."""
    leave("rates & more/selu #4", [1.0, 0.99], [0.3, 0.2], seed=10, activation="selu", lr=1e-5)
    return write_report([study])


def names(opened) -> list[str]:
    cells = opened.page.locator(f"{RUNS} tbody tr:visible td:nth-child(2)")
    return cells.all_inner_texts()


def test_runs_are_filtered_by_words_in_any_order(open_page, report):
    opened = open_page(report)
    assert len(names(opened)) == 7
    field = opened.page.get_by_label("Filter").last
    field.fill("SEED=2 selu")
    assert names(opened) == ["selu lr=1e-4 seed=2"]
    assert opened.page.locator(f"{TOOLS} [role=status]").inner_text() == "1 of 7 rows"
    field.fill("nothing")
    assert names(opened) == []
    field.fill("")
    assert len(names(opened)) == 7
    assert opened.errors == []


def test_names_are_sorted_by_the_numbers_in_them(open_page, report):
    opened = open_page(report)
    opened.click_header(RUNS, opened.headers(RUNS).index("run"))
    expected = [f"elu lr=1e-4 seed={seed}" for seed in (1, 2, 3)]
    expected += ["selu lr=1e-5 seed=10", *(f"selu lr=1e-4 seed={seed}" for seed in (1, 2, 3))]
    assert names(opened) == expected
    texts = ["lr=0.001", "lr=1e-2", "lr=0.0001", "seed=10", "seed=2", "a-1b", "x=-2", "x=1", "9f2", "c4aa4dc1"]
    found = opened.page.evaluate("texts => texts.sort(compareTexts)", texts)
    in_order = [["lr=0.0001", "lr=0.001", "lr=1e-2"], ["seed=2", "seed=10"], ["x=-2", "x=1"]]
    assert all([text for text in found if text in few] == few for few in in_order), found


def test_columns_are_chosen_and_those_of_one_value_are_hidden_behind_a_switch(open_page, report):
    opened = open_page(report, width=1280)
    page = opened.page
    shown = page.locator(f"{RUNS} th:visible")
    assert shown.all_inner_texts()[:4] == ["#", "run", "val acc", "val loss"]
    assert not {"status", "test acc †", "model", "seed", "optim.lr"} & {*shown.all_inner_texts()}  # in the run's name
    same = "test acc † = 25.00 %, status = completed"
    switch = page.locator(TOOLS).get_by_label(f"Also show hidden columns (the same in every row: {same})")
    assert not switch.is_checked()
    switch.focus()
    page.keyboard.press("Space")
    assert shown.count() == len(opened.headers(RUNS))
    page.locator(f"{TOOLS} summary").focus()
    page.keyboard.press("Enter")
    page.locator(f"{TOOLS} .columns").get_by_label("val loss", exact=True).uncheck()
    assert "val loss" not in shown.all_inner_texts() and "val acc" in shown.all_inner_texts()
    page.keyboard.press("Escape")
    assert not page.locator(f"{TOOLS} .columns div").is_visible()
    assert opened.errors == []


def test_status_and_the_link_to_the_folder_are_on_the_screen_of_a_desktop(open_page, report, leave, tmp_path):
    leave("wild", [9.0], [0.1], 1, "wild", status="diverged")
    write_report([tmp_path])
    opened = open_page(report, width=1280)
    first = opened.page.locator(f"{RUNS} tbody tr").first
    for cell in (first.locator("a"), first.get_by_text("completed")):
        box = cell.bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= 1280


def test_the_first_value_of_a_run_stands_beside_a_long_name_on_a_phone(open_page, leave, tmp_path, no_figures):
    for seed in range(120):
        more = ("model=elu_he", "optim.lr=0.0003401", f"model.depth={seed % 9}", f"seed={seed}")
        leave(f"{seed}", [1.0], [0.5 + seed / 1000], seed, "elu_he", lr=3.401e-4, overrides=more, depth=seed % 9)
    page = open_page(write_report([tmp_path]), width=PHONE["width"]).page
    page.evaluate("document.querySelector('#runs').open = true")
    table = page.locator("[aria-label='Table: runs']")
    heading, edge = table.locator("th", has_text="val acc").bounding_box(), table.bounding_box()
    assert heading["x"] + heading["width"] <= edge["x"] + edge["width"] + 1


def test_a_run_links_to_its_folder(open_page, report):
    opened = open_page(report)
    opened.page.get_by_role("link", name="selu lr=1e-5 seed=10").first.click()
    opened.page.wait_for_url("**/rates%20%26%20more/selu%20%234/")
    assert "config.yaml" in opened.page.locator("body").inner_text()


def test_a_cell_shows_its_exact_value(open_page, report):
    cell = open_page(report).page.locator(f"{RUNS} td", has_text="53.10 %")
    cell.hover()
    assert cell.get_attribute("title") == "val acc: 0.531"


@pytest.mark.parametrize("width", [PHONE["width"], 1280])
def test_a_chart_shows_the_value_under_the_pointer(open_page, report, width):
    opened = open_page(report, width=width)
    chart = opened.page.locator("figure#accuracy_by_epoch .chart")
    tip = chart.locator(".tip")
    assert not tip.is_visible()
    places = opened.page.evaluate(
        "pointsOf(JSON.parse(document.querySelector('figure#accuracy_by_epoch script').textContent))"
    )
    point = next(point for point in places if point["text"].endswith(": 3\naccuracy: 53.03 %"))
    assert point["text"].startswith("selu lr=1e-4")
    chart.scroll_into_view_if_needed()
    box = chart.locator("img").bounding_box()
    opened.page.mouse.move(box["x"] + point["x"] * box["width"] + 2, box["y"] + point["y"] * box["height"] - 2)
    assert tip.inner_text() == point["text"]
    inside = tip.bounding_box()
    assert inside["x"] >= box["x"] - 1 and inside["x"] + inside["width"] <= box["x"] + box["width"] + 1
    opened.page.mouse.move(box["x"] + 1, box["y"] + 1)
    assert not tip.is_visible()
    assert opened.errors == []


def test_a_command_is_copied(open_page, report):
    opened = open_page(report)
    opened.page.evaluate("document.querySelectorAll('details').forEach(e => e.open = true)")
    opened.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    button = opened.page.get_by_role("button", name="Copy the command").first
    button.click()
    opened.page.wait_for_function("e => e.textContent === 'Copied'", arg=button.element_handle())
    copied = opened.page.evaluate("navigator.clipboard.readText()")
    assert copied == opened.page.locator("pre").first.inner_text()
    assert copied.startswith("python src/train.py -m model=selu")


@pytest.mark.usefixtures("drawn")
def test_charts_fit_a_phone(open_page, report):
    opened = open_page(report, **PHONE)
    opened.page.evaluate("document.querySelectorAll('details').forEach(e => e.open = true)")
    widths = opened.page.locator("figure img").evaluate_all("all => all.map(e => e.getBoundingClientRect())")
    assert widths and all(box["left"] >= 0 and box["right"] <= PHONE["width"] for box in widths)
    assert all(box["width"] > 300 for box in widths)
    assert opened.overflow_px() <= 0


def test_without_scripts_every_column_and_row_is_there_and_no_control_that_does_nothing(browser, report):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(report.as_uri())
    assert page.locator(f"{RUNS} th:visible").count() == page.locator(f"{RUNS} th").count()
    assert page.locator("input, select, .copy").locator("visible=true").count() == 0
    context.close()
