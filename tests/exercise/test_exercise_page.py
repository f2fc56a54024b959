"""A made-up set of results gives the report that is known to follow from it."""

import html
import re
from dataclasses import replace
from pathlib import Path

from exercise.page import write_page
from exercise.questions.tuning import sections as tuning
from exercise.section import Answer, Section
from exercise.store import Evidence
from exercise.trainings import Setting, Sweep
from exercise_results import Leave, leave_part


def text_of(page: str, key: str) -> str:
    """What a reader sees of a section's answer."""
    (section,) = re.findall(rf'<section id="{key}">(.*?)</section>', page, re.DOTALL)
    (answer,) = re.findall(r'<div class="answer">(.*?)</div>', section, re.DOTALL)
    return html.unescape(re.sub(r"<[^>]+>", " ", answer)).replace("\xa0", " ").strip()


def test_results_give_the_known_report(leave: Leave, tmp_path: Path):
    leave_part(leave, "8b, plain", [0.500, 0.502, 0.501], epochs=12)
    leave_part(leave, "8b", [0.510, 0.513, 0.511], epochs=12)
    leave_part(leave, "8c", [0.530, 0.533, 0.531], epoch_s=3.0)
    seconds = {"question_8": 1234.0}
    evidence = Evidence(tmp_path, Setting(overrides=("data.root=/images",)))
    evidence.keep(tuning.STEPS, {"8b, plain": [2.0, 2.1, 2.0], "8c": [3.0, 3.1, 3.0]})
    text = write_page(tuning.SECTIONS[:-1], evidence, seconds).read_text()
    assert text_of(text, "8b") == (
        "ELU with decay: validation accuracy 51.1 ± 0.4 % (3 seeds), test accuracy † 25.0 ± 0.0 % (3 seeds), at the "
        "epoch with the lowest validation loss. Learning rate 0.0001, given.  The lowest validation loss came at epoch "
        "13 to 15, the highest validation accuracy at epoch 1. An epoch took 2.0 ± 0.0 s.  ELU with decay is trained "
        "in batches of 128 with a weight decay of 3e-3, plain ELU in batches of 32 without. ELU with decay is better "
        "than plain ELU by 1.0 ± 0.1 points (95 %; paired t over seeds 1, 2, 3; p = 0.001)."
    )
    assert text_of(text, "8c").startswith("Batch norm: validation accuracy 53.1 ± 0.4 % (3 seeds)")
    assert "confirmed" in text
    # What is not there says so, in its place and in the contents.
    assert text.count("No answer yet: ") == 4 == text.count('<span class="faint">no answer yet</span>')
    assert text.count('<a href="#8d">') == 1
    # What repeats it, and what it took.
    assert f"trainlab exercise 8 --name {tmp_path.name} data.root=/images" in text
    assert "trainlab train -m experiment=exercise/plain_elu_he,exercise/part_8b_elu_he,exercise/part_8c_bn" in text
    assert "It took 20.6 minutes" in text
    # Offline: nothing is fetched from anywhere.
    assert not re.search(r'(src|href)="(https?:)?//', text)
    assert "quick version" not in text


def test_the_quick_version_warns_of_itself(tmp_path: Path):
    path = write_page([], Evidence(tmp_path, Setting(quick=True)), {})
    assert path == tmp_path / "exercise.html"
    assert "none of its figures mean anything" in path.read_text()


def test_an_answer_against_what_is_usually_said_is_marked(tmp_path: Path):
    def made_up(agrees: bool | None) -> Section:
        answer = Answer(["It is 1 < 2."], agrees)
        return Section(f"q{agrees}", "1", "A title", "A question?", "The book.", lambda _: answer, [Sweep("s", ())])

    text = write_page([made_up(True), made_up(False), made_up(None)], Evidence(tmp_path, Setting()), {}).read_text()
    for verdict in ("confirmed", "contradicted", "undecided"):
        assert text.count(f'<span class="verdict {verdict}">{verdict}</span>') == 1
        assert text.count(f'</a> <span class="faint">{verdict}</span></li>') == 1  # in the contents
    assert "It is 1 &lt; 2." in text


def test_details_stand_below_the_answer_and_not_in_it(tmp_path: Path):
    answer = Answer(["in short."], details=["more of it.", ""])
    section = Section("q", "1", "A title", "A question?", "", lambda _: answer, [Sweep("s", ())])
    text = write_page([section], Evidence(tmp_path, Setting()), {}).read_text()
    assert text_of(text, "q") == "In short."
    assert '<h3>In detail</h3><div class="details"><p>More of it.</p></div>' in text
    short = replace(section, answer=lambda _: Answer(["in short."]))
    assert "In detail" not in write_page([short], Evidence(tmp_path, Setting()), {}).read_text()
