"""The table of groups and the answer, for a terminal."""

from rich.console import Group as Lines
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from trainlab.report.answer import WORSE
from trainlab.report.decision_table import SHORT_HEADINGS, decision_table
from trainlab.report.decisions import Decisions
from trainlab.report.findings import Findings
from trainlab.report.formatting import format_estimate
from trainlab.report.run_table import MAX_ROWS, text_table
from trainlab.report.tables import EQUIVALENT_MARK, MARK, group_tables


def groups_table(findings: Findings) -> Lines:
    """Mean with its 95 % interval, seeds, and how far behind the best, of the best groups; nothing of one alone."""
    if len(findings.groups) < 2:
        return Lines()
    estimates = {
        group.label: format_estimate(group.comparison, group.metrics.compared_by) for group in findings.compared
    }
    lines: list[RenderableType] = []
    for table in group_tables(findings):
        rows = [[text for text, _ in row] for row in table.rows[:MAX_ROWS]]
        shown = [i for i, heading in enumerate(table.headings) if _is_shown(heading)]
        columns = {table.headings[i].removesuffix(" (points)"): [row[i] for row in rows] for i in shown}
        values = [estimates.get(label, text) for label, text, *_ in rows]
        left = f"the best {len(rows)} of {len(table.rows)} groups; " if len(rows) < len(table.rows) else ""
        worse = not findings.decisions and any(findings.verdicts.get(label) == WORSE for label, *_ in rows)
        mark = f"; {MARK} significantly worse than the best (p < 0.05, corrected)" if worse else ""
        within = any(EQUIVALENT_MARK in text for row in rows for text in row)
        mark += f"; {EQUIVALENT_MARK} equivalent: the difference is less than the margin" if within else ""
        note = f"{left}± half of a 95 % interval{mark}"
        of_group, *others = columns.items()
        lines += [text_table(dict([of_group, (table.headings[1], values), *others])), Text(note)]
    return Lines(*lines, *([_decisions(findings.decisions)] if findings.decisions else []))


def _decisions(decisions: Decisions) -> Table:
    """The table of decisions as wide as a terminal."""
    table = decision_table(decisions)
    rows = [[text.removesuffix(" seeds") for text, _ in row] for row in table.rows[:MAX_ROWS]]
    headings = [SHORT_HEADINGS.get(heading, heading) for heading in table.headings]
    columns = {heading: [row[i] for row in rows] for i, heading in enumerate(headings)}
    return text_table({heading: texts for heading, texts in columns.items() if heading != "runs"})


def answer_text(findings: Findings) -> Text:
    """What the report says first, below an empty line: the best in bold, and whether the others are worse."""
    said = findings.answers_first()
    return Text.assemble(*(part for best, others in said for part in ((f"\n{best}", "bold"), f" {others}".rstrip())))


def _is_shown(heading: str) -> bool:
    return heading in ("group", "n") or heading.startswith(("behind", "p ("))
