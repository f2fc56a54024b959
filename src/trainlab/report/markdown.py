"""The report as Markdown."""

import re
from collections.abc import Sequence
from pathlib import Path

from trainlab.report import mc_dropout
from trainlab.report.figures import Picture
from trainlab.report.findings import QUESTIONS, Findings
from trainlab.report.origins import repeat_command
from trainlab.report.search import told
from trainlab.report.sections import TEST_NOTE, Table, group_table, pair_table, ranking, unfinished
from trainlab.report.wording import QUESTIONS_NOTE, best_figures, best_in_context, headline, no_best, noise_note, title


def markdown(findings: Findings, pictures: Sequence[Picture], root: Path) -> str:
    """The text of `report.md`, which shows the figures under `figures/`; folders relative to ``root``."""
    parts = [f"# {escaped(title(findings))}", escaped(headline(findings))]
    parts += [f"> **Warning:** {escaped(warning)}" for warning in findings.warnings]
    if findings.search:
        parts += ["## The search", _list(told(findings.search))]
    if findings.best:
        parts += ["## Best run", escaped(best_figures(findings.best))]
        parts += [text for text in (escaped(best_in_context(findings, findings.best)), TEST_NOTE) if text]
        parts += [f"```\n{repeat_command(findings.best)}\n```"]
    else:
        parts += [no_best(findings)]
    if sentences := findings.sentences():
        parts += ["## Which differences are larger than the noise", _list(sentences), escaped(noise_note(findings))]
    if findings.groups:
        parts += ["## Groups: runs that differ only in the seed", _table(group_table(findings.groups))]
    if asked := findings.asked():
        parts += ["## Three questions", QUESTIONS_NOTE]
        for first, second in asked:
            answers = findings.answers(first, second)
            parts += [f"### {escaped(second.label)} beside {escaped(first.label)}"]
            parts += [_list([f"{q} {a}" for q, a in zip(QUESTIONS, answers, strict=True)])]
    if compared := mc_dropout.compared(findings.runs):
        parts += [
            f"## {mc_dropout.TITLE}",
            _list(mc_dropout.sentences(compared, root)),
            _table(mc_dropout.table(compared, root)),
        ]
    if pictures:
        parts += ["## Figures"]
    for picture in pictures:
        parts += [f"![{picture.title}](figures/{picture.name}.png)", f"{picture.title}. {picture.caption}"]
    parts += ["## Ranking, by validation loss", _table(ranking(findings, root))]
    problems = unfinished(findings, root)
    if problems.rows:
        parts += ["## Not completed, or damaged", _table(problems)]
    if findings.pairs:
        parts += ["## All pairs", _table(pair_table(findings))]
    parts += ["## What ran", _list([f"{name}: {'; '.join(values)}" for name, values in findings.origins])]
    return "\n\n".join(parts) + "\n"


def escaped(text: str) -> str:
    """A text of one line that Markdown takes for nothing else."""
    return re.sub(r"([\\`*_\[\]<>|#~])", r"\\\1", " ".join(text.split()))


def _list(sentences: Sequence[str]) -> str:
    return "\n".join(f"- {escaped(sentence)}" for sentence in sentences)


def _table(table: Table) -> str:
    lines = [table.headings, ["---"] * len(table.headings)]
    rows = [f"| {' | '.join(map(escaped, line))} |" for line in [lines[0], *([t for t, _ in r] for r in table.rows)]]
    rows.insert(1, f"| {' | '.join(lines[1])} |")
    return "\n".join(rows) + (f"\n\n{escaped(table.note)}" if table.note else "")
