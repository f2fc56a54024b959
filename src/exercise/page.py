"""`exercise.html`: every question with its answer, figures and commands, as far as they are there."""

import shlex
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from exercise.claims import VERDICTS
from exercise.programs import shown
from exercise.section import Answer, Answers, Section, sweeps_of
from exercise.store import Evidence
from exercise.trainings import sweep_command
from trainlab.report import page_environment, summarize_provenance
from trainlab.runs import write_atomically

TITLE = "Twenty layers, measured"
_INTRODUCTION = (
    "Questions 1 to 8 of the exercises of chapter 11 of Aurélien Géron's Hands-On Machine Learning, run with a dense "
    "network of 20 hidden layers of 100 units on CIFAR-10. Every sentence of an answer is made from the figures by "
    "fixed rules. ± is half the width of a 95 % interval over the seeds (Student's t); where it is over something "
    "else, that is stated, and it is never corrected for the number of comparisons. A difference counts as shown where "
    "p is below 0.05. Where an answer says “by Holm”, p is corrected for the comparisons that it names; elsewhere it "
    "is of one comparison alone. Where runs diverged, they are counted. Choices are made on images held out for "
    "validation; figures marked † are of the test set, which takes no part in any choice. What is “usually said” is "
    "the textbook's answer, or that of other published solutions. Seeds that are trained together share a processor, "
    "so the spread of their seconds says nothing of noise: where it matters what a step costs, steps are timed "
    "alternately."
)
_QUICK = (
    "This is the quick version: two seeds, two short epochs of a small embedded data set. It shows what comes out, and "
    "none of its figures mean anything."
)


def write_page(
    sections: Sequence[Section], evidence: Evidence, seconds: Mapping[str, float], answers: Answers | None = None
) -> Path:
    """Write the page of what is there of ``sections``; its path.

    Args:
        sections: in their order.
        evidence: what is there.
        seconds: that each sweep and measurement took.
        answers: given before, so that they need not be made again.
    """
    known = answers or Answers()
    runs = [run for sweep in sweeps_of(sections) for run in evidence.runs(sweep)]
    written = f"{datetime.now().astimezone():%Y-%m-%d %H:%M}"
    # Their commands are shown with each section.
    ran_on = [(name, values) for name, values in summarize_provenance(runs) if name != "command"]
    template = page_environment(Path(__file__).parent / "templates").get_template("exercise.html.j2")
    text = template.render(
        title=TITLE,
        introduction=_INTRODUCTION,
        quick=_QUICK if evidence.setting.quick else "",
        entries=[_entry(section, known.of(section, evidence), evidence, seconds) for section in sections],
        provenance=[("written", [written]), ("runs", [str(len(runs))]), *ran_on],
    )
    path = evidence.folder / "exercise.html"
    write_atomically(path, text.encode())
    return path


def _entry(section: Section, answer: Answer | str, evidence: Evidence, seconds: Mapping[str, float]) -> dict[str, Any]:
    """What the template shows of a section."""
    verdict = VERDICTS[answer.agrees] if isinstance(answer, Answer) and section.textbook else ""
    names = [sweep.name for sweep in section.sweeps] + [measurement.name for measurement in section.measurements]
    took = sum(seconds.get(name, 0.0) for name in names)
    minutes = f"{took:.0f} s" if took < 100 else f"{took / 60:.1f} minutes"
    return {
        "section": section,
        "answer": answer,
        "state": "no answer yet" if isinstance(answer, str) else verdict,
        "commands": _commands(section, evidence),
        "time": f" It took {minutes}, with what other sections share." if took else "",
    }


def _commands(section: Section, evidence: Evidence) -> list[str]:
    """What repeats a section: all of it, then each of its sweeps."""
    quick = ["--quick"] if evidence.setting.quick else []
    usual = evidence.folder.name == ("exercise_quick" if quick else "exercise")
    name = [] if usual else ["--name", evidence.folder.name]
    return [
        shlex.join([*shown("exercise"), section.part, *quick, *name, *evidence.setting.overrides]),
        *(
            shlex.join([*shown("train"), *sweep_command(sweep, evidence.setting, evidence.folder.name)])
            for sweep in section.sweeps
        ),
    ]
