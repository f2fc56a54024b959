from collections.abc import Callable
from pathlib import Path

import pytest
from jinja2 import UndefinedError

from exercise.registry import SECTIONS
from exercise.section import TEMPLATES, Answer, Answered, Answers, Measurement, Section, render_texts
from exercise.store import Evidence
from exercise.trainings import Setting, Sweep
from exercise_texts import made_up_texts  # noqa: F401 (a fixture)

SWEEP = Sweep("rates", ("seed=1,2",))


@pytest.mark.usefixtures("made_up_texts")
def test_an_answer_is_made_again_when_a_run_ends_or_a_figure_is_measured(leave: Callable[..., Path], tmp_path: Path):
    made = []

    def answer(evidence: Evidence) -> Answer:
        made.append(len(evidence.ended_groups(SWEEP)))
        return Answer({"text": str(evidence.measured("size"))})

    section = Section("q", "1", answer, [SWEEP], [Measurement("size", lambda evidence: {})])
    answers = Answers()

    def now() -> Answered:
        return answers.of(section, Evidence(tmp_path, Setting()))

    assert now() == now() == (None, {}, "rates has not begun")
    leave("rates/1", [1.0], [0.5], seed=1)
    assert now()[2] == "rates is not through"
    leave("rates/2", [1.0], [0.5], seed=2)
    assert now() == now() == (None, {}, "size is not measured")
    Evidence(tmp_path, Setting()).keep("size", {"kB": 1})
    assert now() is now()
    assert now()[1]["answer"] == "{&#39;kB&#39;: 1}"
    assert made == [1, 1]


def test_every_section_has_a_template_and_every_template_a_section():
    found = {path.name.removesuffix(".html.j2") for path in (TEMPLATES / "questions").iterdir()}
    assert found == {section.key for section in SECTIONS}


def test_every_section_has_a_title_and_a_question():
    assert len({section.title for section in SECTIONS}) == len(SECTIONS)
    assert all(section.question.endswith((".", "?")) for section in SECTIONS)


def test_a_figure_that_a_template_lacks_is_an_error():
    with pytest.raises(UndefinedError, match="is undefined"):
        render_texts("8b", Answer({}))
