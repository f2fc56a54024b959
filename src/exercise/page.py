"""`exercise.html`: every question with its answer, picture, evidence and commands, as far as they are there."""

import math
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Any

from exercise.contrast import ABOUT, POINTS, RATIO, Contrast
from exercise.formatting import text_cells
from exercise.programs import shown
from exercise.section import Answers, Section, sweeps_of
from exercise.store import Evidence
from exercise.texts import pages
from exercise.trainings import sweep_command
from trainlab.report import Table, summarize_provenance
from trainlab.runs import write_atomically

TITLE = "Twenty layers, measured"
_LEAD = (
    "The exercises of chapter 11 of Aurélien Géron's Hands-On Machine Learning, answered by training: a dense network "
    "of 20 hidden layers of 100 units on CIFAR-10, with several seeds wherever chance has a part. At the right: "
    "whether what is usually claimed is confirmed, all of it."
)
_READING = (
    "± is half of a 95 % interval over the seeds. A claim is confirmed or contradicted only if the intervals of all "
    f"comparisons of its question together allow it; what matters was fixed beforehand: {POINTS:g} point of accuracy, "
    f"{100 * (RATIO - 1):.0f} % of a time or number of epochs; “about N times” means within a factor of {ABOUT:g} "
    "of N. Choices are made on validation images; figures marked † are of the test set, which takes no part "
    "in any. A learning curve is the mean over the seeds, in a band from the lowest to the highest; dotted: training."
)
_QUICK = (
    "This is the quick version: two seeds, two short epochs of a small embedded data set. It shows what comes out, and "
    "none of its figures mean anything."
)
PARTS = {"8": "Question 8", "mistakes": "Mistakes", "variants": "More networks", "cnn": "More networks"}
PARTS |= {"best": "More networks"}


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
    known, commands = answers or Answers(), commands_of(sections, evidence, seconds)
    runs = [run for sweep in sweeps_of(sections) for run in evidence.runs(sweep)]
    written = f"{datetime.now().astimezone():%Y-%m-%d %H:%M}"
    # Their commands are shown with each section.
    ran_on = [(name, values) for name, values in summarize_provenance(runs) if name != "command"]
    entries = [_entry(section, known, evidence) | of for section, of in zip(sections, commands, strict=True)]
    text = (
        pages()
        .get_template("exercise.html.j2")
        .render(
            title=TITLE,
            lead=_LEAD,
            reading=_READING,
            quick=_QUICK if evidence.setting.quick else "",
            parts=[(heading, [*of]) for heading, of in groupby(entries, lambda entry: entry["part"])],
            provenance=[("written", [written]), ("runs", [str(len(runs))]), *ran_on],
        )
    )
    path = evidence.folder / "exercise.html"
    write_atomically(path, text.encode())
    return path


def _entry(section: Section, known: Answers, evidence: Evidence) -> dict[str, Any]:
    """What the template shows of a section."""
    found = known.of(section, evidence)
    answer, texts = (None, None) if isinstance(found, str) else found
    contrasts = answer.contrasts if answer else []
    return {
        "section": section,
        "part": PARTS.get(section.part, "Questions 1 to 7"),
        "answer": answer,
        "texts": texts,
        "missing": found if isinstance(found, str) else "",
        "contrasts": contrasts_table(contrasts) if contrasts else None,
        "tables": [(name, compact(table)) for name, table in answer.tables] if answer else [],
    }


def compact(table: Table) -> Table:
    """With figures such as "50.1±0.4" and "0.50 (0.36…0.94)", as tables have them."""
    rows = [[(_compact(text), value) for text, value in row] for row in table.rows]
    return replace(table, rows=rows)


def _compact(text: str) -> str:
    return re.sub(r"( times)?( \([^ ()]+) to ([^ ()]+\))", r"\2…\3", text.replace(" ± ", "±"))


def contrasts_table(contrasts: Sequence[Contrast]) -> Table:
    """One row per comparison: its interval alone, and the verdict, which all decide together."""
    rows = [
        text_cells(f"{one.a}, {one.b}", one.metric, one.amount.removesuffix(" points"), str(one.seeds), one.verdict)
        for one in contrasts
    ]
    notes = [one.note for one in contrasts if one.note and math.isfinite(one.mean)]
    note = f"{'; '.join(dict.fromkeys(notes))}." if notes else ""
    return compact(Table(["compared", "by", "95 % interval", "n", "verdict"], rows, note, is_sorted=False))


def commands_of(sections: Sequence[Section], evidence: Evidence, seconds: Mapping[str, float]) -> list[dict[str, Any]]:
    """What repeats each section: its part, and those of its sweeps that no section before has; and what it took."""
    setting, folder = evidence.setting, evidence.folder.name
    quick = ["--quick"] if setting.quick else []
    name = [] if folder == ("exercise_quick" if quick else "exercise") else ["--name", folder]
    parts, first, found = set[str](), dict[str, str](), []
    for section in sections:
        commands = [[*shown("exercise"), section.part, *quick, *name, *setting.overrides]] * (section.part not in parts)
        own = [sweep for sweep in section.sweeps if sweep.name not in first]
        if not setting.quick:
            commands += [[*shown("train"), *sweep_command(sweep, setting, folder)] for sweep in own]
        others = dict.fromkeys(first[sweep.name] for sweep in section.sweeps if sweep.name in first)
        parts.add(section.part)
        first |= {sweep.name: section.key for sweep in own}
        names = [sweep.name for sweep in own] + [measurement.name for measurement in section.measurements]
        took = sum(seconds.get(of, 0.0) for of in names)
        notes = [f"Trained with {', '.join(others)}."] if others else []
        notes += [f"{took:.0f} s." if took < 100 else f"{took / 60:.0f} minutes."] if own and took else []
        found.append({"commands": [shlex.join(words) for words in commands], "shared": " ".join(notes)})
    return found
