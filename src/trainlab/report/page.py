"""The report as one HTML file that needs nothing else."""

import base64
import html
import json
import math
from collections.abc import Sequence
from pathlib import Path
from string import Template

from trainlab.report import mc_dropout
from trainlab.report.drawing import shortened
from trainlab.report.figures import Picture
from trainlab.report.findings import MAX_CHOOSABLE, QUESTIONS, Findings
from trainlab.report.origins import repeat_command
from trainlab.report.search import told
from trainlab.report.sections import TEST_NOTE, Table, group_table, pair_table, ranking, unfinished
from trainlab.report.wording import QUESTIONS_NOTE, best_figures, best_in_context, headline, no_best, noise_note, title

MAX_SVG_BYTES = 400_000  # above it the page holds the PNG instead
LABELS = ("group", "more accurate", "less accurate")
MAX_LABEL = 48
_PARTS = Path(__file__).parent


def page(findings: Findings, pictures: Sequence[Picture], root: Path) -> str:
    """The text of `report.html`; folders relative to ``root``."""
    body = [f"<h1>{escape(title(findings))}</h1>", _paragraph(headline(findings), "lead")]
    if findings.warnings:
        body.append(f'<div class="warning" role="note">{"".join(map(_paragraph, findings.warnings))}</div>')
    if findings.search:
        body += [_heading("The search"), _list(told(findings.search))]
    body += _best(findings)
    if sentences := findings.sentences():
        body += [_heading("Which differences are larger than the noise"), _list(sentences)]
        body.append(_paragraph(noise_note(findings), "note"))
    if findings.groups:
        body += [_heading("Groups: runs that differ only in the seed"), _table(group_table(findings.groups), "groups")]
    body += _questions(findings)
    if compared := mc_dropout.compared(findings.runs):
        body += [
            _heading(mc_dropout.TITLE),
            _list(mc_dropout.sentences(compared, root)),
            _table(mc_dropout.table(compared, root), "MC dropout"),
        ]
    if pictures:
        body += [_heading("Figures"), f'<div class="figures">{"".join(map(_figure, pictures))}</div>']
    body += [_heading("Ranking, by validation loss"), _table(ranking(findings, root), "ranking")]
    problems = unfinished(findings, root)
    if problems.rows:
        body += [_heading("Not completed, or damaged"), _table(problems, "not completed, or damaged")]
    if findings.pairs:
        body += [_heading("All pairs"), _table(pair_table(findings), "all pairs")]
    body += [_heading("What ran"), _origins(findings)]
    return Template((_PARTS / "page.html").read_text()).substitute(
        title=escape(title(findings)),
        style=(_PARTS / "page.css").read_text(),
        body="\n".join(body),
        answers=_answers(findings),
        script=(_PARTS / "page.js").read_text(),
    )


def _best(findings: Findings) -> list[str]:
    if findings.best is None:
        return [_paragraph(no_best(findings))]
    return [
        _heading("Best run"),
        _paragraph(best_figures(findings.best)),
        *([_paragraph(context)] if (context := best_in_context(findings, findings.best)) else []),
        f"<pre tabindex=0>{html.escape(repeat_command(findings.best))}</pre>",
        _paragraph(TEST_NOTE, "note"),
    ]


def _questions(findings: Findings) -> list[str]:
    asked = findings.asked()
    if not asked:
        return []
    parts = [_heading("Three questions, for any two groups")]
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
    return [*parts, _paragraph(QUESTIONS_NOTE, "note")]


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


def _figure(picture: Picture) -> str:
    kind, content = ("svg+xml", picture.svg) if len(picture.svg) <= MAX_SVG_BYTES else ("png", picture.png)
    source = f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
    return (
        f'<figure id="{picture.name}"><figcaption><b>{escape(picture.title)}.</b> '
        f"{escape(picture.caption)}</figcaption>"
        f'<div class="scroll" role="region" aria-label="{escape(picture.title)}" tabindex=0>'
        f'<img alt="{escape(picture.title)}" src="{source}"></div></figure>'
    )


def _table(table: Table, name: str) -> str:
    numeric = [all(isinstance(row[i][1], float | int) for row in table.rows) for i in range(len(table.headings))]
    kinds = [
        " ".join(
            ["number"] * is_number
            + ["test"] * ("†" in heading)
            + [heading] * (heading == "reason")
            + ["label"] * (heading in LABELS)
        )
        for is_number, heading in zip(numeric, table.headings, strict=True)
    ]
    head = "".join(
        f'<th scope="col" aria-sort="none" class="{kind}"><button type="button">{escape(heading)}</button></th>'
        for heading, kind in zip(table.headings, kinds, strict=True)
    )
    rows = "".join(
        f"<tr>{''.join(_cell(text, sort, kind) for (text, sort), kind in zip(row, kinds, strict=True))}</tr>\n"
        for row in table.rows
    )
    note = _paragraph(table.note, "note") if table.note else ""
    return (
        f'<div class="scroll table" role="region" aria-label="Table: {name}" tabindex=0>'
        f'<table class="sortable"><thead><tr>{head}</tr></thead>'
        f"<tbody>\n{rows}</tbody></table></div>{note}"
    )


def _cell(text: str, sort: float | str, kind: str) -> str:
    value = "" if isinstance(sort, str) else f' data-value="{"" if math.isnan(sort) else sort}"'
    class_ = f' class="{kind}"' if kind else ""
    if kind == "label" and len(text) > MAX_LABEL:
        return f'<td{class_}{value} title="{html.escape(text)}">{escape(shortened(text, MAX_LABEL))}</td>'
    return f"<td{class_}{value}>{escape(text)}</td>"


def _origins(findings: Findings) -> str:
    parts = []
    for name, values in findings.origins:
        shown = values[:10] + ([f"and {len(values) - 10} more, see runs.csv"] if len(values) > 10 else [])
        parts.append(f"<dt>{escape(name)}</dt>{''.join(f'<dd>{escape(value)}</dd>' for value in shown)}")
    return f'<dl class="origins">{"".join(parts)}</dl>'


def _heading(text: str) -> str:
    return f"<h2>{escape(text)}</h2>"


def _paragraph(text: str, kind: str = "") -> str:
    return f"<p{f' class={kind}' if kind else ''}>{escape(text)}</p>"


def _list(texts: Sequence[str]) -> str:
    return f"<ul>{''.join(f'<li>{escape(text)}</li>' for text in texts)}</ul>"


def escape(text: str) -> str:
    """Text as HTML; a sign stays on the line of its number."""
    return html.escape(text).replace(" %", "&nbsp;%").replace(" ± ", "&nbsp;±&nbsp;")
