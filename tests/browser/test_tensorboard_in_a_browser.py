"""What a person sees of a finished sweep in TensorBoard."""

import re
import subprocess
import sys
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from trainlab.runs.files import read_rows

pytestmark = [pytest.mark.browser, pytest.mark.slow]

METRICS = ("val_acc", "test_acc", "epochs", "total_s")
PATIENCE_MS = 60_000


@pytest.fixture(scope="module")
def address(runs) -> Iterator[str]:
    """Where TensorBoard serves it."""
    outputs = next(iter(runs.values()))[0].parents[1]
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(outputs), "--host=127.0.0.1", "--port=0"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as server:
        try:
            said = []
            for line in server.stderr:
                said.append(line)
                if found := re.search(r"http://\S+", line):
                    yield found[0].rstrip("/")
                    break
            else:
                pytest.fail("".join(said))
        finally:
            server.terminate()


def rows(cells: list[list]) -> list[list[str]]:
    """Cells (top, left, text) of a table that is laid out by position, as rows from left to right."""
    lines: dict[int, list[tuple[float, str]]] = {}
    for top, left, text in sorted(cells):
        near = next((line for line in lines if abs(line - top) < 15), top)
        lines.setdefault(near, []).append((left, text))
    return [[text for _, text in sorted(line)] for _, line in sorted(lines.items())]


def test_the_hparams_table_has_the_settings_and_figures_of_every_run(open_page, address, runs):
    opened = open_page(f"{address}/#hparams", width=2600)
    page, said = opened.page, []
    page.on("console", lambda line: said.append(line.text))
    page.reload()
    cells = page.locator("tf-hparams-table-view vaadin-grid-cell-content")
    for name in runs:
        cells.filter(has_text=name).first.wait_for(timeout=PATIENCE_MS)
    cells.filter(has_text=re.compile(r"^\s*0\.\d+\s*$")).first.wait_for(timeout=PATIENCE_MS)
    boxes = cells.evaluate_all(
        """all => all.map(e => [e.getBoundingClientRect(), e.innerText.trim()])
                     .filter(([box]) => box.width > 0).map(([box, text]) => [box.top, box.left, text])"""
    )
    header, *table = rows(boxes)
    shown = ["data", "lr", "model", "optimizer", "seed"]  # what was swept, and the usual ones
    assert header == ["Trial ID", "Show Metrics", *shown, *METRICS]
    assert sorted(row[0] for row in table) == sorted(runs)
    for name, _, data, lr, model, optimizer, seed, *figures in table:
        assert name == f"lr_study/model={model},optim.lr={'1e-3' if float(lr) == 1e-3 else '5e-4'}"
        assert (data, optimizer, float(seed)) == ("shapes", "nadam", 1)
        result = runs[name][1]
        known = result["metrics"] | {"total_s": result["time"]["total_s"]}
        expected = [known[metric] for metric in METRICS]
        assert [float(figure) for figure in figures] == pytest.approx(expected, rel=1e-4)  # five digits are shown
    assert not [line for line in said if "domain type" in line]
    page.locator("tf-hparams-query-pane paper-checkbox").filter(has_text=re.compile(r"^\s*bn\s*$")).click()
    cells.filter(has_text="model=bn").first.wait_for(state="detached", timeout=PATIENCE_MS)
    cells.filter(has_text="model=selu").first.wait_for(timeout=PATIENCE_MS)


@pytest.mark.parametrize("tag", ["train/loss", "train/acc", "val/loss", "val/acc"])
def test_the_curves_end_where_metrics_csv_ends(tag, open_page, address, runs):
    page = open_page(f"{address}/?tagFilter={quote(f'^{tag}$')}#timeseries", width=2600).page
    lines = page.locator("scalar-card tb-data-table-content-row")
    lines.nth(len(runs) - 1).wait_for(timeout=PATIENCE_MS)
    assert page.locator("scalar-card").count() == 1
    for name, (folder, _) in runs.items():
        last = read_rows(folder / "metrics.csv")[-1]
        cells = lines.filter(has_text=name).locator("tb-data-table-content-cell").all_inner_texts()
        _, run, _, value, step, _ = (cell.strip() for cell in cells)  # color, run, smoothed, value, step, time
        assert (run, step) == (name, last["step"])
        assert float(value) == pytest.approx(float(last[tag]), abs=1e-4)  # four digits are shown


def test_losses_of_training_and_validation_share_a_chart(open_page, address, runs):
    page = open_page(f"{address}/#custom_scalars").page
    charts = page.locator("tf-custom-scalar-multi-line-chart-card")
    charts.nth(4).wait_for(timeout=PATIENCE_MS)
    assert charts.count() == 5
    for i, (title, series) in enumerate(
        (("loss", 4), ("accuracy", 4), ("loss", 8), ("accuracy", 8), ("learning rate", 4))
    ):
        charts.nth(i).get_by_text(title, exact=True).wait_for(timeout=PATIENCE_MS)
        charts.nth(i).get_by_text(f"Matches ({series})").wait_for(timeout=PATIENCE_MS)


def test_losses_come_first_and_the_config_is_a_text(open_page, address, runs):
    page = open_page(f"{address}/#timeseries", height=3000).page
    groups = page.locator("metrics-card-group-toolbar .group-title")
    groups.nth(4).wait_for(timeout=PATIENCE_MS)
    assert groups.all_inner_texts() == ["train", "val", "view", "while training", "without curves, for HPARAMS"]
    assert page.locator("scalar-card").count() == 4  # accuracy and loss of each; the other sections are closed
    page = open_page(f"{address}/#text").page
    page.locator("tf-text-loader").filter(has_text="_target_: torch.optim.NAdam").first.wait_for(timeout=PATIENCE_MS)


def test_the_pictures_of_every_run_are_there(open_page, address, runs):
    page = open_page(f"{address}/#images", width=2600, height=1400).page
    pictures = page.locator("tf-image-loader img")
    pictures.nth(3 * len(runs) - 1).wait_for(timeout=PATIENCE_MS)
    page.wait_for_function("document.readyState === 'complete'")
    pictures.evaluate_all("all => Promise.all(all.map(e => e.decode()))")
    assert pictures.evaluate_all("all => all.every(e => e.naturalWidth > 200)")
    names = [text.split("\n")[0].strip() for text in page.locator("tf-image-loader").all_inner_texts()]
    assert pictures.count() == 3 * len(runs), names
