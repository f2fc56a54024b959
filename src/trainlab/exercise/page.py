"""`exercise.html`: every question with its answer, figures and commands, as far as they are there."""

import html
import os
import shlex
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from string import Template

from trainlab.exercise.answers import Answers
from trainlab.exercise.evidence import Evidence
from trainlab.exercise.section import Answer, Section, sweeps_of
from trainlab.exercise.trainings import command
from trainlab.files import write_atomically
from trainlab.report.elements import escape, figure, paragraph, table
from trainlab.report.origins import origins

TITLE = "Twenty layers, measured"
_PARTS = Path(__file__).parent
_REPORT = _PARTS.parent / "report"
_INTRODUCTION = (
    "Questions 1 to 8 of the exercises of chapter 11 of Aurélien Géron's Hands-On Machine Learning: a dense network of "
    "20 hidden layers of 100 units on CIFAR-10. The sentences of each answer are made from what was measured, by "
    "rules. ± is half the width of a 95 % interval over the seeds (Student's t), unless it is said of what else; a "
    "difference counts where p is below 0.05. Choices are made on images held out for validation; figures marked † "
    "are of the test set and take no part in any. Seconds of runs that were trained together are shares of one clock: "
    "their spread says nothing of the noise of another hour."
)
_QUICK = (
    "This is the quick version: two seeds, two short epochs of a small embedded data set. It shows what comes out, and "
    "none of its figures mean anything."
)
_AGREES = {True: "as the textbook has it", False: "contradicts the textbook", None: "open"}


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
    path = evidence.folder / "exercise.html"
    write_atomically(path, page(sections, evidence, seconds, answers).encode())
    return path


def page(
    sections: Sequence[Section], evidence: Evidence, seconds: Mapping[str, float], given: Answers | None = None
) -> str:
    """The text of the page."""
    known = given or Answers()
    answers = [known.of(section, evidence) for section in sections]
    body = [f"<h1>{escape(TITLE)}</h1>", paragraph(_INTRODUCTION, "lead")]
    if evidence.setting.quick:
        body.append(f'<div class="warning" role="note">{paragraph(_QUICK)}</div>')
    body += [_contents(sections, answers), *_sections(sections, answers, evidence, seconds)]
    body += ["<h2>What ran</h2>", _origins(sections, evidence)]
    return Template((_PARTS / "page.html").read_text()).substitute(
        title=escape(TITLE),
        style=(_REPORT / "page.css").read_text() + (_PARTS / "page.css").read_text(),
        body="\n".join(body),
        script=(_REPORT / "tables.js").read_text(),
    )


def _contents(sections: Sequence[Section], answers: Sequence[Answer | str]) -> str:
    items = []
    for section, answer in zip(sections, answers, strict=True):
        state = "" if isinstance(answer, Answer) else ' <span class="faint">not there yet</span>'
        items.append(f'<li><a href="#{section.key}">{escape(section.title)}</a>{state}</li>')
    return f'<nav aria-label="Contents"><ul class="contents">{"".join(items)}</ul></nav>'


def _sections(
    sections: Sequence[Section], answers: Sequence[Answer | str], evidence: Evidence, seconds: Mapping[str, float]
) -> list[str]:
    return [
        f'<section id="{section.key}"><h2>{escape(section.title)}</h2>'
        f"{paragraph(section.question, 'question')}"
        f"{_shown(section, answer)}{_how(section, evidence, seconds)}</section>"
        for section, answer in zip(sections, answers, strict=True)
    ]


def _shown(section: Section, answer: Answer | str) -> str:
    if isinstance(answer, str):
        return paragraph(f"Not there yet: {answer}.", "note")
    book = ""
    if section.textbook:
        kind = {True: "agrees", False: "contradicts", None: "open"}[answer.agrees]
        verdict = f'<span class="verdict {kind}">{_AGREES[answer.agrees]}</span>'
        book = f'<p class="note"><b>The textbook:</b> {escape(section.textbook)} {verdict}</p>'
    said = "".join(paragraph(sentence) for sentence in answer.sentences)
    parts = [f'<div class="answer">{said}</div>', book]
    parts += [f"<h3>{escape(name)}</h3>{table(of, name)}" for name, of in answer.tables]
    if answer.figures:
        parts.append(f'<div class="figures">{"".join(map(figure, answer.figures))}</div>')
    return "".join(parts)


def _how(section: Section, evidence: Evidence, seconds: Mapping[str, float]) -> str:
    """What repeats it, and what it took."""
    names = [sweep.name for sweep in section.sweeps] + [measurement.name for measurement in section.measurements]
    took = sum(seconds.get(name, 0.0) for name in names)
    quick = ["--quick"] if evidence.setting.quick else []
    usual = evidence.folder.name == ("exercise_quick" if quick else "exercise")
    name = [] if usual else ["--name", evidence.folder.name]
    commands = [shlex.join(["python", "src/exercise.py", section.part, *quick, *name, *evidence.setting.overrides])]
    for sweep in section.sweeps:
        commands.append(shlex.join(["python", "src/train.py", *command(sweep, evidence.setting, evidence.folder.name)]))
    time = f" It took {_minutes(took)}, with what other sections share." if took else ""
    notes = "".join(paragraph(note, "note") for note in section.notes)
    return (
        f"<details><summary>How to repeat this</summary>{notes}"
        f"{paragraph('The first command does all of it, and goes on where it was cut short.' + time, 'note')}"
        f"<pre tabindex=0>{html.escape(os.linesep.join(commands))}</pre></details>"
    )


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.1f} minutes"


def _origins(sections: Sequence[Section], evidence: Evidence) -> str:
    runs = [run for sweep in sweeps_of(sections) for run in evidence.runs(sweep)]
    parts = [
        f"<dt>written</dt><dd>{datetime.now().astimezone():%Y-%m-%d %H:%M}</dd>",
        f"<dt>runs</dt><dd>{len(runs)}</dd>",
    ]
    for name, values in origins(runs):
        if name != "command":  # which stand with each section
            parts.append(f"<dt>{escape(name)}</dt>{''.join(f'<dd>{escape(value)}</dd>' for value in values[:5])}")
    return f'<dl class="origins">{"".join(parts)}</dl>'
