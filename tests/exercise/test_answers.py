from collections.abc import Callable
from pathlib import Path

from exercise.section import Answer, Answers, Measurement, Section
from exercise.store import Evidence
from exercise.trainings import Setting, Sweep

SWEEP = Sweep("rates", ("seed=1,2",))


def test_an_answer_is_made_again_when_a_run_ends_or_a_figure_is_measured(leave: Callable[..., Path], tmp_path: Path):
    made = []

    def answer(evidence: Evidence) -> Answer:
        made.append(len(evidence.ended_groups(SWEEP)))
        return Answer([str(evidence.measured("size"))])

    section = Section("q", "1", "A", "B", "", answer, [SWEEP], [Measurement("size", lambda evidence: {})])
    answers = Answers()

    def now() -> Answer | str:
        return answers.of(section, Evidence(tmp_path, Setting()))

    assert [now(), now()] == ["rates has not begun"] * 2
    leave("rates/1", [1.0], [0.5], seed=1)
    assert "1 of 2 seeds have ended" in str(now())
    leave("rates/2", [1.0], [0.5], seed=2)
    assert [now(), now()] == ["size is not measured"] * 2
    Evidence(tmp_path, Setting()).keep("size", {"kB": 1})
    assert now() is now()
    assert isinstance(last := now(), Answer) and last.sentences == ["{'kB': 1}"]
    assert made == [1, 1]
