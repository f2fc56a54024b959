"""The page in a real browser, where there is one."""

import json
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from trainlab.report.write import write_report

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), ""
)
pytestmark = pytest.mark.skipif(not CHROMIUM, reason="Chromium is not installed")
PROBE = """
<script>
const found = {};
const tables = [...document.querySelectorAll("table.sortable")];
const ranking = tables.find((table) => table.tHead.textContent.startsWith("#"));
const headings = [...ranking.tHead.rows[0].cells];
const press = (name) => {
  const heading = headings.find((cell) => cell.textContent === name);
  heading.querySelector("button").click();
  const column = headings.indexOf(heading);
  const cells = [...ranking.tBodies[0].rows].map((row) => row.cells[column].textContent);
  return [heading.getAttribute("aria-sort"), cells];
};
found.up = press("total s");
found.down = press("total s");
found.text = press("folder");
found.sorted = headings.filter((cell) => cell.getAttribute("aria-sort") !== "none").length;
found.focusable = headings.every((cell) => cell.querySelector("button").tabIndex === 0);
found.answer = document.getElementById("answer").textContent;
const first = document.getElementById("first");
const second = document.getElementById("second");
[first.value, second.value] = ["0", "1"];
first.dispatchEvent(new Event("change"));
found.other = document.getElementById("answer").textContent;
second.value = "0";
second.dispatchEvent(new Event("change"));
found.same = document.getElementById("answer").textContent;
found.images = [...document.images].map((image) => image.complete && image.naturalWidth > 0);
found.width = [document.documentElement.scrollWidth, document.documentElement.clientWidth];
found.ground = getComputedStyle(document.body).backgroundColor;
const result = document.createElement("pre");
result.id = "found";
result.textContent = JSON.stringify(found);
document.body.append(result);
</script>
"""


def shown(path: Path, *flags: str) -> dict[str, Any]:
    """What the probe finds in the page, loaded by the browser."""
    page = path.with_name("probed.html")
    page.write_text(path.read_text().replace("</body>", f"{PROBE}</body>"))
    command = [
        *(CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--enable-logging=stderr"),
        *("--virtual-time-budget=10000", f"--user-data-dir={path.parent / 'profile'}", *flags),
        *("--dump-dom", page.as_uri()),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert "CONSOLE" not in done.stderr, done.stderr
    found = re.search(r'<pre id="found">(.*?)</pre>', done.stdout, re.S)
    assert found, done.stderr
    return json.loads(unescape(found[1]))


def test_tables_sort_pictures_load_and_groups_can_be_chosen(study: Path):
    (study / "elu,3" / "result.json").write_text("{")
    found = shown(write_report([study]))
    assert found["up"] == ["ascending", ["9", "9", "17", "17", "17", "-"]]
    assert found["down"] == ["descending", ["17", "17", "17", "9", "9", "-"]]
    assert found["text"] == ["ascending", ["elu,1", "elu,2", "elu,3", "selu,1", "selu,2", "selu,3"]]
    assert found["sorted"] == 1
    assert found["focusable"]
    assert found["images"] == [True] * 5
    assert "selu reached elu's best validation loss" in found["answer"]
    assert "elu never reached selu's best validation loss" in found["other"]
    assert found["ground"] == "rgb(255, 255, 255)"
    assert found["same"] == "Choose two different groups."


def test_at_the_width_of_a_phone_nothing_but_tables_and_figures_scrolls_sideways(study: Path, leave, no_figures: None):
    leave("x" * 100, [1.0], [0.5], lr=1e-3, overrides=(f"experiment={'long_name_' * 8}",))
    report = write_report([study])
    frame = report.with_name("frame.html")
    inner = report.read_text().replace("</body>", f"{PROBE}</body>")
    (report.with_name("inner.html")).write_text(inner)
    frame.write_text(
        '<iframe src="inner.html" style="width:390px;height:800px;border:0"></iframe><script>'
        "document.querySelector('iframe').onload = (event) => document.body.append("
        "event.target.contentDocument.getElementById('found').cloneNode(true))</script>"
    )
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--virtual-time-budget=10000"]
    command += ["--allow-file-access-from-files", f"--user-data-dir={study / 'profile'}", "--dump-dom", frame.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    found = re.search(r'<pre id="found">(.*?)</pre>', done.stdout, re.S)
    assert found, done.stderr
    scroll, client = json.loads(unescape(found[1]))["width"]
    assert client in range(360, 391)
    assert scroll == client


def test_dark_where_the_reader_asks_for_it(study: Path, no_figures: None):
    report = write_report([study])
    assert shown(report, "--blink-settings=preferredColorScheme=0")["ground"] == "rgb(20, 24, 28)"
