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
from exercise.section import PAGES, Answers, Section
from exercise.store import Evidence
from exercise.trainings import Sweep, sweep_command
from trainlab.report import Run, Table, summarize_provenance
from trainlab.runs import write_atomically

PARTS = {"8": "Question 8", "mistakes": "Mistakes"} | dict.fromkeys(("variants", "cnn", "best"), "More networks")


def write_page(
    sections: Sequence[Section], evidence: Evidence, seconds: Mapping[str, float], answers: Answers | None = None
) -> Path:
    """Write the page of what is there of ``sections``; its path.

    ``seconds`` are what each sweep and measurement took; ``answers`` given before need not be made again.
    """
    known, first, runs, entries = answers or Answers(), dict[str, str](), list[Run](), list[dict[str, Any]]()
    for section in sections:
        own = [sweep for sweep in section.sweeps if sweep.name not in first]
        others = dict.fromkeys(first[sweep.name] for sweep in section.sweeps if sweep.name in first)
        first |= {sweep.name: section.key for sweep in own}
        runs += [run for sweep in own for run in evidence.runs(sweep)]
        names = [*(sweep.name for sweep in own), *(measurement.name for measurement in section.measurements)]
        took = sum(seconds.get(name, 0.0) for name in names) if own else 0.0
        notes = [f"Trained with {', '.join(others)}."] if others else []
        notes += [f"{took:.0f} s." if took < 100 else f"{took / 60:.0f} minutes."] if took else []
        answer, texts, missing = known.of(section, evidence)
        entry = {"section": section, "answer": answer, "texts": texts, "missing": missing}
        entries.append(entry | {"commands": _commands(own, evidence), "shared": " ".join(notes)})
    written = f"{datetime.now().astimezone():%Y-%m-%d %H:%M}"
    # Their commands are shown with each section.
    ran_on = [(name, values) for name, values in summarize_provenance(runs) if name != "command"]
    quick, folder = ["--quick"] * evidence.setting.quick, evidence.folder.name
    name = [] if folder == ("exercise_quick" if quick else "exercise") else ["--name", folder]
    figures: dict[str, Any] = {
        "title": "Twenty layers, measured",
        "margins": {"points": POINTS, "ratio": RATIO, "about": ABOUT},
        "quick": evidence.setting.quick,
        "command": shlex.join([*shown("exercise"), "8", *quick, *name, *evidence.setting.overrides]),
        "parts": [
            (heading, [*of])
            for heading, of in groupby(entries, lambda entry: PARTS.get(entry["section"].part, "Questions 1 to 7"))
        ],
        **{"contrasts_table": contrasts_table, "compact": compact},
        "provenance": [("written", [written]), ("runs", [str(len(runs))]), *ran_on],
    }
    path = evidence.folder / "exercise.html"
    write_atomically(path, PAGES.get_template("exercise.html.j2").render(figures).encode())
    return path


def _commands(sweeps: Sequence[Sweep], evidence: Evidence) -> list[str]:
    """What trains them; nothing in the quick version."""
    setting, name = evidence.setting, evidence.folder.name
    words = [[*shown("train"), *sweep_command(sweep, setting, name)] for sweep in sweeps]
    return [] if setting.quick else [*map(shlex.join, words)]


def compact(table: Table) -> Table:
    """With figures such as "50.1±0.4" and "0.50x (0.36…0.94)", as tables have them."""
    rows = [[(_compact(text), value) for text, value in row] for row in table.rows]
    return replace(table, rows=rows)


def _compact(text: str) -> str:
    return re.sub(r"( \([^ ()]+) to ([^ ()]+\))", r"\1…\2", text.replace(" ± ", "±").replace(" times", "x"))


def contrasts_table(contrasts: Sequence[Contrast]) -> Table:
    """One row per comparison: its interval alone, and the verdict, which all decide together."""
    rows = [
        text_cells(f"{one.a}, {one.b}", one.metric, one.amount.removesuffix(" points"), str(one.seeds), one.verdict)
        for one in contrasts
    ]
    notes = [one.note for one in contrasts if one.note and math.isfinite(one.mean)]
    note = f"{'; '.join(dict.fromkeys(notes))}." if notes else ""
    return compact(Table(["compared", "by", "difference or ratio", "n", "verdict"], rows, note, is_sorted=False))
