"""`exercise.html`: every question with its answer, figures and commands, as far as they are there."""

import html
import shlex
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from exercise.answers import Answers
from exercise.section import Answer, Section, sweeps_of
from exercise.store import Evidence
from exercise.trainings import command
from trainlab.report.elements import definitions, document, escape, figure, heading, paragraph, table
from trainlab.report.origins import origins
from trainlab.runs.files import write_atomically

TITLE = "Twenty layers, measured"
_INTRODUCTION = (
    "Questions 1 to 8 of the exercises of chapter 11 of Aurélien Géron's Hands-On Machine Learning, carried out with a "
    "dense network of 20 hidden layers of 100 units on CIFAR-10. Every sentence of an answer is made from the figures "
    "by fixed rules. ± is half the width of a 95 % interval over the seeds (Student's t); where it is over something "
    "else, that is said, and it is never corrected for the number of comparisons. A difference counts as shown where p "
    "is below 0.05. Where an answer says “by Holm”, p is corrected for the comparisons that it names; elsewhere it is "
    "of one comparison alone. Where runs diverged, they are counted. Choices are made on images held out for "
    "validation; figures marked † are of the test set, which takes no part in any choice. What is “usually said” is "
    "the textbook's answer, or that of other published solutions. Seeds that are trained together share a processor, "
    "so the spread of their seconds says nothing of noise: where it matters what a step costs, steps are timed in turn."
)
_QUICK = (
    "This is the quick version: two seeds, two short epochs of a small embedded data set. It shows what comes out, and "
    "none of its figures mean anything."
)
_AGREES = {
    True: ("agrees", "so it is here"),
    False: ("contradicts", "contradicted here"),
    None: ("open", "open"),
}


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
    body += [heading("What ran"), _origins(sections, evidence)]
    return document(TITLE, body, style=(Path(__file__).parent / "page.css").read_text())


def _contents(sections: Sequence[Section], answers: Sequence[Answer | str]) -> str:
    items = []
    for section, answer in zip(sections, answers, strict=True):
        book = _AGREES[answer.agrees][1] if isinstance(answer, Answer) and section.textbook else ""
        state = "no answer yet" if isinstance(answer, str) else book
        faint = f' <span class="faint">{state}</span>' if state else ""
        items.append(f'<li><a href="#{section.key}">{escape(section.title)}</a>{faint}</li>')
    return f'<nav id="contents" aria-label="Contents"><ul class="contents">{"".join(items)}</ul></nav>'


def _sections(
    sections: Sequence[Section], answers: Sequence[Answer | str], evidence: Evidence, seconds: Mapping[str, float]
) -> list[str]:
    return [
        f'<section id="{section.key}"><h2>{escape(section.title)}</h2>'
        f"{paragraph(section.question, 'question')}"
        f"{_shown(section, answer)}{_how(section, evidence, seconds)}"
        '<p class="note"><a href="#contents">↑ Contents</a></p></section>'
        for section, answer in zip(sections, answers, strict=True)
    ]


def _shown(section: Section, answer: Answer | str) -> str:
    if isinstance(answer, str):
        return paragraph(f"No answer yet: {answer}.", "note")
    book = ""
    if section.textbook:
        kind, words = _AGREES[answer.agrees]
        verdict = f'<span class="verdict {kind}">{words}</span>'
        book = f'<p class="note"><b>Usually said:</b> {escape(section.textbook)} {verdict}</p>'
    parts = [f'<div class="answer">{_paragraphs(answer.sentences)}</div>', book]
    parts += [f"<h3>{escape(name)}</h3>{table(of, name)}" for name, of in answer.tables]
    if answer.figures:
        parts.append(f'<div class="figures">{"".join(map(figure, answer.figures))}</div>')
    if answer.details:
        parts.append(f'<h3>In detail</h3><div class="details">{_paragraphs(answer.details)}</div>')
    return "".join(parts)


def _paragraphs(sentences: Sequence[str]) -> str:
    return "".join(paragraph(sentence[:1].upper() + sentence[1:]) for sentence in sentences if sentence)


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
    notes, lines = "".join(paragraph(note, "note") for note in section.notes), "\n".join(commands)
    return (
        f"<details><summary>How to repeat this</summary>{notes}"
        f"{paragraph('The first command does all of it, and goes on where it was cut short.' + time, 'note')}"
        f"<pre tabindex=0>{html.escape(lines)}</pre></details>"
    )


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.1f} minutes"


def _origins(sections: Sequence[Section], evidence: Evidence) -> str:
    runs = [run for sweep in sweeps_of(sections) for run in evidence.runs(sweep)]
    known = [(name, values) for name, values in origins(runs) if name != "command"]  # which stand with each section
    written = f"{datetime.now().astimezone():%Y-%m-%d %H:%M}"
    return definitions([("written", [written]), ("runs", [str(len(runs))]), *known], 5)
