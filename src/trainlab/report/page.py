"""The report as one HTML file that needs nothing else."""

import html
import json
from collections.abc import Sequence
from pathlib import Path

from trainlab.report import mc_dropout
from trainlab.report.elements import bullets, definitions, document, escape, figure, heading, paragraph, table
from trainlab.report.figures import Picture
from trainlab.report.findings import MAX_CHOOSABLE, QUESTIONS, Findings
from trainlab.report.origins import repeat_command
from trainlab.report.search import told
from trainlab.report.sections import TEST_NOTE, group_table, pair_table, ranking, unfinished
from trainlab.report.wording import QUESTIONS_NOTE, best_figures, best_in_context, headline, no_best, noise_note, title

_PARTS = Path(__file__).parent


def page(findings: Findings, pictures: Sequence[Picture], root: Path) -> str:
    """The text of `report.html`; folders relative to ``root``."""
    body = [f"<h1>{escape(title(findings))}</h1>", paragraph(headline(findings), "lead")]
    if findings.warnings:
        body.append(f'<div class="warning" role="note">{"".join(map(paragraph, findings.warnings))}</div>')
    if findings.search:
        body += [heading("The search"), bullets(told(findings.search))]
    body += _best(findings)
    if sentences := findings.sentences():
        body += [heading("Which differences are larger than the noise"), bullets(sentences)]
        body.append(paragraph(noise_note(findings), "note"))
    if findings.groups:
        body += [heading("Groups: runs that differ only in the seed"), table(group_table(findings.groups), "groups")]
    body += _questions(findings)
    if compared := mc_dropout.compared(findings.runs):
        body += [
            heading(mc_dropout.TITLE),
            bullets(mc_dropout.sentences(compared, root)),
            table(mc_dropout.table(compared, root), "MC dropout"),
        ]
    if pictures:
        body += [heading("Figures"), f'<div class="figures">{"".join(map(figure, pictures))}</div>']
    body += [heading("Ranking, by validation loss"), table(ranking(findings, root), "ranking")]
    problems = unfinished(findings, root)
    if problems.rows:
        body += [heading("Not completed, or damaged"), table(problems, "not completed, or damaged")]
    if findings.pairs:
        body += [heading("All pairs"), table(pair_table(findings), "all pairs")]
    body += [heading("What ran"), definitions(findings.origins, 10, ", see runs.csv")]
    body.append(f'<script type="application/json" id="answers">{_answers(findings)}</script>')
    return document(title(findings), body, (_PARTS / "questions.js").read_text())


def _best(findings: Findings) -> list[str]:
    if findings.best is None:
        return [paragraph(no_best(findings))]
    return [
        heading("Best run"),
        paragraph(best_figures(findings.best)),
        *([paragraph(context)] if (context := best_in_context(findings, findings.best)) else []),
        f"<pre tabindex=0>{html.escape(repeat_command(findings.best))}</pre>",
        paragraph(TEST_NOTE, "note"),
    ]


def _questions(findings: Findings) -> list[str]:
    asked = findings.asked()
    if not asked:
        return []
    parts = [heading("Three questions, for any two groups")]
    groups = findings.compared[:MAX_CHOOSABLE]
    options = "".join(f"<option value={i}>{escape(group.label)}</option>" for i, group in enumerate(groups))
    cut = f" The {MAX_CHOOSABLE} best groups by validation loss." if len(findings.compared) > MAX_CHOOSABLE else ""
    parts.append(
        f'<form id="choice" hidden><fieldset><legend>Two groups to compare</legend>'
        f'<label>Compare <select id="second">{options}</select></label> '
        f'<label>with <select id="first">{options}</select></label>{cut}</fieldset></form>'
        '<div id="answer" aria-live="polite"></div>'
    )
    printed = "".join(
        f"<h3>{escape(second.label)} beside {escape(first.label)}</h3>{_answer(findings.answers(first, second))}"
        for first, second in asked
    )
    parts.append(f"<details><summary>{_pairs_as_text(len(asked))}</summary>{printed}</details>")
    return [*parts, paragraph(QUESTIONS_NOTE, "note")]


def _pairs_as_text(n: int) -> str:
    return f"All {n} pairs as text" if n > 1 else "The one pair as text"


def _answers(findings: Findings) -> str:
    """The answers for all pairs that can be chosen, as JSON that can stand in a script element."""
    places = {group.label: i for i, group in enumerate(findings.compared[:MAX_CHOOSABLE])}
    answers = {
        f"{places[first.label]},{places[second.label]}": findings.answers(first, second)
        for first, second in findings.choosable()
    }
    start = [places[group.label] for group in findings.start()] if answers else []
    return json.dumps({"questions": QUESTIONS, "answers": answers, "start": start}).replace("<", "\\u003c")


def _answer(answers: Sequence[str]) -> str:
    pairs = zip(QUESTIONS, answers, strict=True)
    return f"<dl>{''.join(f'<dt>{escape(q)}</dt><dd>{escape(a)}</dd>' for q, a in pairs)}</dl>"
