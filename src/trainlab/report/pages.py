"""The report as a page that needs nothing else, and as Markdown: ``templates/`` filled with findings."""

import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from trainlab.report.findings import MAX_CHOOSABLE, QUESTIONS, QUESTIONS_NOTE, Findings
from trainlab.report.plots.canvas import Plot, shorten
from trainlab.report.provenance import repeat_command
from trainlab.report.search import describe_search
from trainlab.report.tables import (
    MC_DROPOUT_TITLE,
    TEST_NOTE,
    Table,
    group_table,
    mc_dropout_table,
    pair_table,
    ranking_table,
    unfinished_table,
)

_TEMPLATES = Path(__file__).parent / "templates"
_MAX_LABEL = 48
_LABELS = ("group", "more accurate", "less accurate")
_PROSE = ("reason", "usually said", "measured", "what", "p")  # columns whose text, if it is text, may wrap


def page_environment(*folders: Path) -> Environment:
    """Jinja's environment for pages that extend `page.html.j2` and import from `macros.html.j2`.

    Args:
        folders: with further templates.
    """
    environment = Environment(
        loader=FileSystemLoader([*folders, _TEMPLATES]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=_keep_signs_with_numbers,
    )
    environment.globals.update(column_classes=column_classes, shorten=partial(shorten, length=_MAX_LABEL))
    return environment


def render_html(findings: Findings, plots: Sequence[Plot], root: Path) -> str:
    """The text of `report.html`; folders relative to ``root``."""
    return page_environment().get_template("report.html.j2").render(_content(findings, plots, root))


def render_markdown(findings: Findings, plots: Sequence[Plot], root: Path) -> str:
    """The text of `report.md`, which shows the figures under `figures/`; folders relative to ``root``."""
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["markdown"] = escape_markdown
    return environment.get_template("report.md.j2").render(_content(findings, plots, root))


def escape_markdown(text: str) -> str:
    """``text`` on one line, without any meaning to Markdown."""
    return re.sub(r"([\\`*_\[\]<>|#~])", r"\\\1", " ".join(text.split()))


def column_classes(table: Table) -> list[str]:
    """CSS classes of each column: how it is aligned, and whether its text may wrap."""
    classes = []
    for i, heading in enumerate(table.headings):
        is_number = all(isinstance(row[i][1], float | int) for row in table.rows)
        named = {
            "number": is_number,
            "test": "†" in heading,
            "prose": heading in _PROSE and not is_number,
            "label": heading in _LABELS,
        }
        classes.append(" ".join(name for name, holds in named.items() if holds))
    return classes


def _content(findings: Findings, plots: Sequence[Plot], root: Path) -> dict[str, Any]:
    choosable = findings.compared[:MAX_CHOOSABLE]
    asked = findings.asked()
    return {
        "title": findings.describe_title(),
        "findings": findings,
        "differences": findings.describe_differences(),
        "mc_dropout": findings.describe_mc_dropout(root),
        "mc_dropout_title": MC_DROPOUT_TITLE,
        "tables": {
            "groups": group_table(findings.groups),
            "mc_dropout": mc_dropout_table(findings.evaluated_with_mc_dropout, root),
            "ranking": ranking_table(findings, root),
            "unfinished": unfinished_table(findings, root),
            "pairs": pair_table(findings),
        },
        "plots": plots,
        "asked": [(a, b, list(zip(QUESTIONS, findings.answers(a, b), strict=True))) for a, b in asked],
        "choosable": choosable,
        "choices": _choices(findings) if asked else {"questions": QUESTIONS, "answers": {}, "start": []},
        "questions_note": QUESTIONS_NOTE,
        "test_note": TEST_NOTE,
        "describe_search": describe_search,
        "repeat_command": repeat_command,
    }


def _choices(findings: Findings) -> dict[str, Any]:
    """The answers for all pairs that a reader can choose, by the numbers of the groups."""
    numbers = {group.label: i for i, group in enumerate(findings.compared)}
    answers = {
        f"{numbers[first.label]},{numbers[second.label]}": findings.answers(first, second)
        for first, second in findings.choosable()
    }
    return {"questions": QUESTIONS, "answers": answers, "start": [numbers[group.label] for group in findings.start()]}


def _keep_signs_with_numbers(value: Any) -> Any:
    """Text in which no line breaks before a percent sign, or around a ±."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return value.replace(" %", "\N{NO-BREAK SPACE}%").replace(" ± ", "\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}")
    return value
