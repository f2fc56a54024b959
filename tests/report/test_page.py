import html
import json
import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

from trainlab.report.write import write_report
from trainlab.runs.result import Result

VOID = {"meta", "link", "img", "input", "br"}
FIGURES = {"loss_by_epoch", "loss_by_second", "accuracy_by_epoch", "accuracy_by_second", "accuracy_intervals"}


class Page(HTMLParser):
    """Elements, their texts, and whether what is opened is closed."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.open: list[str] = []
        self.attributes: list[tuple[str, dict[str, str | None]]] = []
        self.rows: list[list[str]] = []
        self.text = ""
        self.feed(path.read_text())
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.attributes.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not {"script", "style"} & set(self.open):
            self.text += data
        if {"td", "th"} & set(self.open):
            self.rows[-1][-1] += data

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.attributes if name == tag]


@pytest.fixture
def page(study: Path, no_figures: None) -> Page:
    return Page(write_report([study]))


def test_the_page_needs_nothing_from_outside(page: Page, study: Path):
    for tag, attributes in page.attributes:
        for name in ("src", "href", "action", "srcset", "data", "poster"):
            if name in attributes and tag != "a":
                assert attributes[name].startswith("data:"), (tag, attributes[name][:80])
    style = (study / "report.html").read_text().split("<style>")[1].split("</style>")[0]
    assert not re.search(r"url\(|@import", style)
    script = (study / "report.html").read_text().rpartition("<script>")[2]
    assert not re.search(r"fetch|XMLHttp|import\(|https?:", script)


def test_every_figure_is_in_the_page_with_a_text_in_its_place(study: Path):
    page = Page(write_report([study]))
    assert {figure["id"] for figure in page.of("figure")} == FIGURES
    for image in page.of("img"):
        assert image["alt"]
        kind, content = image["src"].split(",", 1)
        assert kind == "data:image/svg+xml"
        assert ET.fromstring(unquote(content)).tag.endswith("svg")


def test_the_tables_hold_the_figures(page: Page):
    # accuracies 0.49, 0.48, 0.47: mean 48 %, sd 1 %, half width 4.3027 * 1 / sqrt(3) = 2.48 %
    elu = next(row for row in page.rows if row[0] == "elu")
    # of selu it is behind by 5.0, 5.1 and 5.0: p is that of t with 2 degrees of freedom
    shown = [cell.replace("\N{NO-BREAK SPACE}", " ") for cell in elu[1:7]]
    assert shown == ["48.0 %", "45.5 % to 50.5 %", "3", "5.0 ± 0.1*", "4e-5", "1.0"]
    headings = next(row for row in page.rows if row[0] == "#")
    assert headings[:3] == ["#", "run", "val acc"]
    assert [h for h in headings if "test" in h] == ["test acc †", "test loss †"]
    first = page.rows[page.rows.index(headings) + 1]
    first = [cell.replace("\N{NO-BREAK SPACE}", " ") for cell in first]
    assert dict(zip(headings, first, strict=True)) == {
        **{"#": "1", "model": "selu", "seed": "1", "val loss": "0.9100", "val acc": "54.00 %"},
        **{"test loss †": "1.4100", "test acc †": "25.00 %", "best epoch": "3", "epochs": "4"},
        **{"s/epoch (median)": "4.0", "total s": "17", "status": "completed", "run": "selu seed=1"},
    }
    links = [link["href"] for link in page.of("a")]
    assert links == [f"{model},{seed}" for model in ("selu", "elu") for seed in (1, 2, 3)]


def test_time_of_members_of_a_population_is_a_share(study: Path, no_figures: None):
    result = Result.read(study / "elu,1")
    result.time["population"] = {"members": 3, "wall_s": 27.0}
    result.write(study / "elu,1")
    (headings,) = [row for row in Page(write_report([study])).rows if row[0] == "#"]
    assert headings[-1] == "share of joint time (s)"


def test_the_test_column_is_marked_as_what_it_is(page: Page):
    assert "Best epoch chosen on validation data; † = test set." in page.text


def test_every_heading_sorts_and_numbers_have_values_to_sort_by(page: Page):
    sorts = [heading.get("aria-sort") for heading in page.of("th")]
    assert len(page.of("button")) == sorts.count("none") > 10
    assert (
        len(sorts) - sorts.count("none") == 3 + 3
    )  # of the pairs and of the settings, which have an order of their own
    cells = page.of("td")
    values = [cell["data-value"] for cell in cells if "data-value" in cell]
    assert len(values) > 40 and all(value == "" or float(value) is not None for value in values)
    assert sum(cell.get("class") == "n" for cell in cells) > 20  # those whose text is the value


def test_settings_that_differ_have_a_column_for_each_group(page: Page):
    rows = [row for row in page.rows if row[0] in ("setting", "model")]
    assert rows == [["setting", "selu", "elu"], ["model", "selu", "elu"]]


def test_any_two_groups_can_be_chosen_in_either_order(page: Page, study: Path):
    text = (study / "report.html").read_text()
    found = json.loads(re.search(r'id="answers">(.*?)</script>', text, re.S)[1])
    assert set(found["answers"]) == {"0,1", "1,0"}
    assert found["start"] == [1, 0]
    faster, better, cost = found["answers"]["1,0"]  # selu beside elu
    assert faster.startswith("selu reached elu's best validation loss (1.0200) after 2 epochs, 8.0 s; ")
    assert better.startswith("selu is better than elu by 5.0 ± 0.1 points")
    assert cost.startswith("An epoch of selu takes 2.00 times as long")
    assert found["questions"] == ["Is it converging faster?", "Is the model better?", "What does an epoch cost?"]


def test_what_a_person_typed_is_shown_and_not_executed(leave, tmp_path: Path, no_figures: None):
    nasty = "</script><script>alert(1)</script><b>$body"
    for seed in (1, 2):
        leave(f"a{seed}", [1.0], [0.5], seed, "elu", overrides=(f"experiment={nasty}", f"seed={seed}"))
        leave(f"b{seed}", [1.0], [0.6], seed, "selu", overrides=("experiment=b", f"seed={seed}"))
    leave("c", [1.0], [0.6], 3, "selu", status="failed", error={"message": f"<img src=x onerror=alert(1)>{nasty}"})
    page = Page(write_report([tmp_path]))
    assert len(page.of("script")) == 2
    assert page.of("img") == []
    assert nasty in page.text
    assert html.escape(nasty) in (tmp_path / "report.html").read_text()


def test_one_run_is_its_settings_and_what_it_reached(leave, tmp_path: Path, no_figures: None):
    leave("a", [1.1, 1.0], [0.4, 0.5], seed=3)
    page = Page(write_report([tmp_path]))
    text = page.text.replace("\N{NO-BREAK SPACE}", " ")
    best = "Validation accuracy 50.00 % of 5000 images at epoch 2"
    assert f"{best} of 2, the lowest validation loss. Validation loss 1.0000; " in text
    assert " Settings: elu lr=1e-4, seed 3." in text
    assert ["optim.lr", "1e-4"] in page.rows
    assert "python src/train.py model=elu optim.lr=1e-4 seed=3" in page.text
    for word in ("Three questions", "group", "interval", "defaults:", "Best:"):
        assert word not in page.text, word


def test_one_run_says_that_it_stopped_early_and_what_its_accuracies_are_of(leave, tmp_path: Path, no_figures: None):
    folder = leave("a", [1.1, 1.0, 1.2], [0.4, 0.5, 0.5])
    for name, old, new in (
        ("result.json", '"max_epochs"', '"early stopping"'),
        ("config.yaml", "accelerator: auto", "accelerator: auto\n  max_epochs: 100"),
    ):
        (folder / name).write_text((folder / name).read_text().replace(old, new))
    matrix = {"epoch": 1, "classes": ["a", "b"], "confusion": [[70, 30], [60, 40]]}
    (folder / "confusion.json").write_text(json.dumps(matrix))
    write_report([tmp_path])
    text = (tmp_path / "report.md").read_text()
    assert text.splitlines()[2].startswith(
        "**Validation accuracy 50.00 % of 5000 images at epoch 2, the lowest validation loss; stopped early after 3 of "
        "100 epochs.** Validation loss 1.0000; test accuracy † 25.00 % of 200 images. Settings: elu "
    )


def test_the_table_of_many_runs_in_groups_is_folded(page: Page, study: Path, leave, no_figures: None):
    assert "runs" not in [details.get("id") for details in page.of("details")]
    for seed in range(4, 11):
        leave(f"elu{seed}", [1.0], [0.5], seed)
    folded = Page(write_report([study]))
    (runs,) = [details for details in folded.of("details") if details.get("id") == "runs"]
    assert "open" not in runs and "All 13 runs" in folded.text
