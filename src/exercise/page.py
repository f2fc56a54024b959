"""`exercise.html`: every question with its answer, picture, evidence and commands, as far as they are there."""

import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Any

from exercise.contrast import ABOUT, POINTS, RATIO, Contrast
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
    known, commands = answers or Answers(), _Commands(evidence, seconds)
    runs = [run for sweep in sweeps_of(sections) for run in evidence.runs(sweep)]
    written = f"{datetime.now().astimezone():%Y-%m-%d %H:%M}"
    # Their commands are shown with each section.
    ran_on = [(name, values) for name, values in summarize_provenance(runs) if name != "command"]
    entries = [_entry(section, known, evidence) | commands.of(section) for section in sections]
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
    """With figures such as "50.1±0.4", as tables have them."""
    rows = [[(text.replace(" ± ", "±"), value) for text, value in row] for row in table.rows]
    return replace(table, rows=rows)


def contrasts_table(contrasts: Sequence[Contrast]) -> Table:
    """One row per comparison: what is claimed, its interval alone, and the verdict, which all decide together."""
    rows = []
    for one in contrasts:
        texts = (f"{one.a}, {one.b}", one.metric, one.direction, one.amount, f"{one.count}")
        more = f", {one.more} more" if one.more else ""
        rows.append([*((text, text) for text in texts), (f"{one.verdict}{more}", one.verdict)])
    notes = [one.note for one in contrasts if one.note and math.isfinite(one.mean)]
    return Table(
        ["compared", "by", "claimed", "difference or ratio (95 %)", "over", "verdict"],
        rows,
        f"{'; '.join(dict.fromkeys(notes))}." if notes else "",
        is_sorted=False,
    )


class _Commands:
    """What repeats each section: its part, and those of its sweeps that no section before has."""

    def __init__(self, evidence: Evidence, seconds: Mapping[str, float]) -> None:
        self._evidence, self._seconds = evidence, seconds
        self._parts, self._shown = set[str](), dict[str, str]()

    def of(self, section: Section) -> dict[str, Any]:
        """Its commands, and in which sections the others are."""
        evidence, setting = self._evidence, self._evidence.setting
        quick = ["--quick"] if setting.quick else []
        usual = evidence.folder.name == ("exercise_quick" if quick else "exercise")
        name = [] if usual else ["--name", evidence.folder.name]
        commands = []
        if section.part not in self._parts:
            commands.append([*shown("exercise"), section.part, *quick, *name, *setting.overrides])
        for sweep in section.sweeps:
            if sweep.name not in self._shown:
                commands.append([*shown("train"), *sweep_command(sweep, setting, evidence.folder.name)])
        others = dict.fromkeys(self._shown[s.name] for s in section.sweeps if s.name in self._shown)
        self._parts.add(section.part)
        self._shown |= {sweep.name: section.key for sweep in section.sweeps if sweep.name not in self._shown}
        names = [sweep.name for sweep in section.sweeps] + [of.name for of in section.measurements]
        took = sum(self._seconds.get(one, 0.0) for one in names)
        parts = [f"Trained with {', '.join(others)}."] if others else []
        parts += [f"{took:.0f} s." if took < 100 else f"{took / 60:.0f} minutes."] if took and not others else []
        return {"commands": [shlex.join(words) for words in commands], "shared": " ".join(parts)}
