"""A made-up set of results gives the page that is known to follow from it."""

import html
import re
from pathlib import Path

import pytest

from exercise.contrast import Claim, contrast_ratio, contrast_values, judge
from exercise.page import contrasts_table, write_page
from exercise.questions import tuning
from exercise.section import Answer, Section
from exercise.store import Evidence
from exercise.trainings import Setting, Sweep
from exercise_results import THREE_SEEDS, Leave, leave_part
from exercise_texts import made_up_texts  # noqa: F401 (a fixture)

SWEEP = Sweep("s", ("seed=1,2",))


def text_of(page: str, key: str) -> str:
    """What a reader sees of a section."""
    (section,) = re.findall(rf'<section id="{key}">(.*?)</section>', page, re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", section)).split())


def test_results_give_the_known_page(leave: Leave, tmp_path: Path):
    leave_part(leave, "8b", [0.500, 0.502, 0.501], epochs=12)
    leave_part(leave, "8b, decay", [0.510, 0.513, 0.511], epochs=12)
    for key in ("8c", "8d", "8d, decay", "8e", "8f"):
        leave_part(leave, key, [0.530, 0.533, 0.531], epoch_s=3.0)
    setting = Setting(overrides=(*THREE_SEEDS.overrides, "data.root=/images"))
    evidence = Evidence(tmp_path, setting)
    evidence.keep(tuning.STEPS, {"8b": [2.0, 2.1, 2.0], "8c": [3.0, 3.1, 3.0]})
    text = write_page(tuning.SECTIONS, evidence, {"question_8b": 1234.0}).read_text()
    assert "ELU reaches 50.1 % at a rate of 0.0001" in html.unescape(text).replace("\xa0", " ")
    first, second, of_all = text_of(text, "8b"), text_of(text, "8c"), text_of(text, "8")
    assert "confirmed Weight decay and larger batches make it better" in first and "Evidence: 8" in first
    assert second.count("confirmed") == 3
    assert "ELU, decay ELU +1.0(0.9…1.2)" in of_all
    # What is not there says so, in its place and at the top.
    assert text.count("No answer yet: ") == 1 == text.count('<span class="faint">no answer yet</span>')
    # What repeats it, the settings of each sweep once, and what it took.
    assert f"trainlab exercise 8 --name {tmp_path.name} seed=1,2,3 data.root=/images" in text
    assert "trainlab train -m seed=1,2,3 data.root=/images" in text
    assert (
        text.count("experiment=exercise/plain_elu_he,exercise/part_8c_bn,exercise/plain_selu lr_search=grid</code>")
        == 1
    )
    assert "21 minutes" in of_all and "minutes" not in first
    # Offline: nothing is fetched from anywhere.
    assert not re.search(r'(src|href)="(https?:)?//', text)
    assert "quick version" not in text


def test_the_quick_version_warns_of_itself(tmp_path: Path):
    path = write_page([], Evidence(tmp_path, Setting(quick=True)), {})
    assert path == tmp_path / "exercise.html"
    assert "none of its figures mean anything" in path.read_text()


@pytest.mark.usefixtures("made_up_texts")
def test_every_claim_has_its_verdict_and_the_section_that_of_all(tmp_path: Path):
    claims = [Claim("<b>One</b> holds", holds=True), Claim("The other")]

    def made_up(key: str, claims: list[Claim]) -> Section:
        return Section(key, "1", lambda _: Answer({"text": "1 < 2."}, claims), [SWEEP])

    text = write_page([made_up("a", claims), made_up("b", claims[:1])], Evidence(tmp_path, Setting()), {}).read_text()
    assert "1 &lt; 2." in text and "&lt;b&gt;One&lt;/b&gt; holds" in text
    assert text_of(text, "a").count("undecided") == 1 and text_of(text, "b").count("confirmed") == 1
    (top,) = re.findall("<nav.*?</nav>", text, re.DOTALL)
    assert re.findall(r'<span class="verdict (\w+)">', top) == ["confirmed", "undecided", "confirmed"]


def test_the_table_of_comparisons_has_what_each_claims_and_what_is_in_the_way():
    known = contrast_values(("a", [5.0, 5.1, 5.3]), ("b", [4.0, 4.0, 4.1]), "higher", "accuracy", 1.0)
    alike = contrast_values(("a", [5.0, 5.1]), ("b", [4.0, 4.1]), "higher", "loss", 1.0)
    timed = contrast_ratio(("a", [2.0, 2.1]), ("b", [1.0, 1.0]), "higher", "time", counted="round")
    table = contrasts_table(judge([known, alike, timed]))  # times are in tables of their own
    assert len(table.rows) == 2
    assert [cell[0] for cell in table.rows[0]] == ["a; b", "+1.1(0.9…1.3)", "3"]
    assert [cell[0] for cell in table.rows[1]] == ["loss: a; b", "+1.0", "2"]
    assert table.note == "no spread to measure the noise with."
