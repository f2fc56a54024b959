"""A report on disk: `report.html`, `report.md`, `runs.csv`, `pairs.csv` and `figures/`; ``templates/`` filled."""

import math
import re
from collections.abc import Sequence
from functools import partial
from itertools import permutations
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from trainlab.report.decision_table import decision_table
from trainlab.report.findings import MAX_CHOOSABLE, QUESTIONS, Findings, analyze
from trainlab.report.formatting import TEST_NOTE, format_value
from trainlab.report.mc_dropout import MC_DROPOUT_TITLE, mc_dropout_table
from trainlab.report.pair_rows import pair_rows
from trainlab.report.plots.canvas import MAX_CURVES, Plot, shorten
from trainlab.report.plots.confusion import plot_confusion
from trainlab.report.plots.curves import curves_note
from trainlab.report.plots.groups import RANKED, plot_groups
from trainlab.report.plots.search import SEARCH, plot_search
from trainlab.report.provenance import repeat_commands
from trainlab.report.run_table import names_of, rows_of
from trainlab.report.runs import find_runs
from trainlab.report.search import describe_search
from trainlab.report.tables import (
    Table,
    all_settings_table,
    group_tables,
    pair_matrices,
    ranking_table,
    results_table,
    settings_table,
    training_table,
    unfinished_table,
)
from trainlab.runs.files import format_rows, write_atomically

_TEMPLATES = Path(__file__).parent / "templates"
_MAX_LABEL = 48
_LABELS = ("group", "")
_PROSE = ("reason", "runs", "usually said", "measured", "what", "p")  # columns whose text, if it is text, may wrap
_LONG_HEADING = 16  # characters; longer ones would be on four lines over short numbers
_MAX_UNFOLDED = 12  # rows of the table of runs, if there are groups
_AGAINST_BEST, _AGAINST_BASELINE = "The best against each other group", "Each group against the baseline"


def write_report(folders: Sequence[Path], output_dir: Path | None = None, findings: Findings | None = None) -> Path:
    """Report on all runs under ``folders``, into the first of them unless ``output_dir`` is given.

    Args:
        findings: what the runs under ``folders`` show, if they have been analyzed before.

    Returns:
        The path of `report.html`.

    Raises:
        FileNotFoundError: a folder does not exist, or there is no run under any.
        OSError: the report cannot be written.
    """
    to = output_dir or folders[0]
    findings = findings or analyze(folders, find_runs(folders))
    plots = (plot_search(findings.search) if findings.search else []) + plot_groups(findings.groups, findings.verdicts)
    if findings.only_run:
        plots += plot_confusion(findings.only_run)
    files = {f"figures/{plot.name}.{kind}": getattr(plot, kind) for plot in plots for kind in ("png", "svg")}
    files["runs.csv"] = format_rows(rows_of(findings.runs, findings.groups, findings.keys, to, _exact))
    files["pairs.csv"] = format_rows(pair_rows(findings.pairs))
    pages, content = page_environment(), _content(findings, plots, to)
    markdown = pages.overlay(autoescape=False, finalize=None, keep_trailing_newline=False)
    files["report.md"] = markdown.get_template("report.md.j2").render(content).encode()
    files["report.html"] = pages.get_template("report.html.j2").render(content).encode()
    earlier = _figures_of(to / "report.md")
    for name, data in files.items():
        write_atomically(to / name, data)
    for name in earlier - files.keys():
        (to / name).unlink(missing_ok=True)
    return to / "report.html"


def _figures_of(page: Path) -> set[str]:
    """Files of the figures of an earlier report."""
    names = re.findall(r"\]\(figures/(\w+)\.png\)", page.read_text()) if page.exists() else []
    return {f"figures/{name}.{kind}" for name in names for kind in ("png", "svg")}


def _exact(value: Any) -> str:
    return repr(value) if isinstance(value, float) else format_value(value)


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
    environment.filters["markdown"] = escape_markdown
    environment.globals.update(
        column_classes=column_classes,
        shorten=partial(shorten, length=_MAX_LABEL),
        sort_value=sort_value,
        address=partial(quote, safe="/=,+"),
    )
    return environment


def escape_markdown(text: str) -> str:
    """``text`` on one line, without any meaning to Markdown."""
    return re.sub(r"([\\`*_\[\]<>|#~])", r"\\\1", " ".join(text.split()))


def sort_value(value: float | str) -> str | None:
    """The number that a cell is sorted by, as a page has it: "" for NaN; None for a text."""
    if isinstance(value, str):
        return None
    return "" if math.isnan(value) else format(value, "d" if isinstance(value, int) else ".8g")


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
            "wide": len(heading) > _LONG_HEADING,
            "interval": heading == "95 % interval",
        }
        classes.append(" ".join(name for name, holds in named.items() if holds))
    return classes


def _content(findings: Findings, plots: Sequence[Plot], root: Path) -> dict[str, Any]:
    sections: dict[str, list[Plot]] = {}
    for plot in plots:
        sections.setdefault(plot.section, []).append(plot)
    ranked, curves = sections.pop(RANKED, []), sections.pop("", [])
    if findings.search:  # whose plots are by what it searches for
        ranked, curves = [], [*ranked, *curves]
    choosable, asked = findings.compared[:MAX_CHOOSABLE], findings.asked()
    numbers = {group.label: i for i, group in enumerate(findings.compared)}
    answers = {
        f"{numbers[first.label]},{numbers[second.label]}": findings.answers(first, second)
        for first, second in permutations(choosable if asked else [], 2)
    }
    start = [numbers[group.label] for group in findings.start()] if asked else []
    return {
        "title": findings.describe_title(),
        "findings": findings,
        "mc_dropout": findings.describe_mc_dropout(root),
        "mc_dropout_title": MC_DROPOUT_TITLE,
        "tables": {
            "decisions": decision_table(findings.decisions) if findings.decisions else None,
            "groups": group_tables(findings) if findings.groups and not findings.only_run else [],
            "mc_dropout": mc_dropout_table(findings.evaluated_with_mc_dropout, names_of(findings.runs, root), root),
            "ranking": ranking_table(findings, root),
            "unfinished": unfinished_table(findings, root),
            "pairs": pair_matrices(findings),
            "settings": settings_table(findings),
            "results": results_table(findings.only_run) if findings.only_run else None,
            "training": training_table(findings.only_run) if findings.only_run else None,
            "all_settings": all_settings_table(findings.only_run) if findings.only_run else None,
        },
        "ranked": ranked,
        "curves": curves,
        "search_plots": sections.pop(SEARCH, []),
        "curves_note": curves_note(findings.compared[:MAX_CURVES], findings.baseline),
        "more_plots": sections,
        "asked": [(a, b, list(zip(QUESTIONS, findings.answers(a, b), strict=True))) for a, b in asked],
        "asked_title": _title_of_asked(findings, len(asked)),
        "choosable": choosable,
        "folds_runs": len(findings.groups) > 1 and len(findings.runs) > _MAX_UNFOLDED,
        "choices": {"questions": QUESTIONS, "answers": answers, "start": start},
        "test_note": TEST_NOTE,
        "describe_search": describe_search,
        "repeat": repeat_commands(findings.best_group) if findings.best_group else [],
        "repeated": _name_repeated(findings),
    }


def _title_of_asked(findings: Findings, asked: int) -> str:
    if findings.baseline:
        return _AGAINST_BASELINE
    return "All pairs as text" if asked == len(findings.pairs) > 1 else _AGAINST_BEST


def _name_repeated(findings: Findings) -> str:
    if len(findings.groups) == 1:
        return f"the run{'' if findings.only_run else 's'}"
    return findings.best_group.label if findings.best_group else ""


def _keep_signs_with_numbers(value: Any) -> Any:
    """Text in which no line breaks before a percent sign, or around a ±."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return value.replace(" %", "\N{NO-BREAK SPACE}%").replace(" ± ", "\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}")
    return value
