"""What pages are made of: headings, paragraphs, tables and figures as HTML."""

import base64
import html
import math
from collections.abc import Sequence
from pathlib import Path
from string import Template

from trainlab.report.drawing import shortened
from trainlab.report.figures import Picture
from trainlab.report.sections import Table
from trainlab.report.svg import address

_PARTS = Path(__file__).parent
MAX_SVG_BYTES = 200_000  # above it the page holds the PNG instead
PROSE = ("reason", "usually said", "measured", "what", "p")  # columns whose text, if it is text, may wrap
LABELS = ("group", "more accurate", "less accurate")
MAX_LABEL = 48


def document(title: str, body: Sequence[str], script: str = "", style: str = "") -> str:
    """A page that needs nothing else, with tables that sort; ``script`` and ``style`` are added to what all have."""
    return Template((_PARTS / "page.html").read_text()).substitute(
        title=escape(title),
        style=(_PARTS / "page.css").read_text() + style,
        body="\n".join(body),
        script="\n".join([(_PARTS / "tables.js").read_text(), script]),
    )


def figure(picture: Picture) -> str:
    """A figure that is in the text itself, with its title and caption."""
    if len(picture.svg) <= MAX_SVG_BYTES:
        source = address(picture.svg.decode())
    else:
        source = f"data:image/png;base64,{base64.b64encode(picture.png).decode()}"
    return (
        f'<figure id="{picture.name}"><figcaption><b>{escape(picture.title)}.</b> '
        f"{escape(picture.caption)}</figcaption>"
        f'<div class="scroll" role="region" aria-label="{escape(picture.title)}" tabindex=0>'
        f'<img alt="{escape(picture.title)}" src="{source}"></div></figure>'
    )


def table(of: Table, name: str) -> str:
    """A table that sorts by a click; ``name`` is for those who hear it."""
    numeric = [all(isinstance(row[i][1], float | int) for row in of.rows) for i in range(len(of.headings))]
    kinds = [
        " ".join(
            ["number"] * is_number
            + ["test"] * ("†" in heading)
            + ["prose"] * (heading in PROSE and not is_number)
            + ["label"] * (heading in LABELS)
        )
        for is_number, heading in zip(numeric, of.headings, strict=True)
    ]
    head = "".join(
        f'<th scope="col" aria-sort="none" class="{kind}"><button type="button">{escape(heading)}</button></th>'
        for heading, kind in zip(of.headings, kinds, strict=True)
    )
    rows = "".join(
        f"<tr>{''.join(_cell(text, sort, kind) for (text, sort), kind in zip(row, kinds, strict=True))}</tr>\n"
        for row in of.rows
    )
    note = paragraph(of.note, "note") if of.note else ""
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


def heading(text: str) -> str:
    """Of a section."""
    return f"<h2>{escape(text)}</h2>"


def paragraph(text: str, kind: str = "") -> str:
    """A paragraph of a ``kind`` that the style knows."""
    return f"<p{f' class={kind}' if kind else ''}>{escape(text)}</p>"


def bullets(texts: Sequence[str]) -> str:
    """A list."""
    return f"<ul>{''.join(f'<li>{escape(text)}</li>' for text in texts)}</ul>"


def definitions(of: Sequence[tuple[str, Sequence[str]]], most: int, rest: str = "") -> str:
    """Names with their values, of many the first ones; ``rest`` says where the others are."""
    parts = []
    for name, values in of:
        shown = [*values[:most], *([f"and {len(values) - most} more{rest}"] if len(values) > most else [])]
        parts.append(f"<dt>{escape(name)}</dt>{''.join(f'<dd>{escape(value)}</dd>' for value in shown)}")
    return f'<dl class="origins">{"".join(parts)}</dl>'


def escape(text: str) -> str:
    """Text as HTML; a sign stays on the line of its number."""
    return html.escape(text).replace(" %", "&nbsp;%").replace(" ± ", "&nbsp;±&nbsp;")
