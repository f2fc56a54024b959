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
from exercise.trainings import Sweep, overrides_of
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
        own = [] if section.evidence_in else [sweep for sweep in section.sweeps if sweep.name not in first]
        others = dict.fromkeys(first[sweep.name] for sweep in section.sweeps if sweep.name in first)
        first |= {sweep.name: f"“{section.title.removeprefix('Mistake: ')}”" for sweep in own}
        runs += [run for sweep in own for run in evidence.runs(sweep)]
        names = [*(sweep.name for sweep in own), *(measurement.name for measurement in section.measurements)]
        took = sum(seconds.get(name, 0.0) for name in names) if own else 0.0
        notes = [f"Trained with {section.evidence_in or ', '.join(others)}."] if section.evidence_in or others else []
        notes += [f"{took:.0f} s." if took < 100 else f"{took / 60:.0f} minutes."] if took else []
        answer, texts, missing = known.of(section, evidence)
        entry = {"section": section, "answer": answer, "texts": texts, "missing": missing, "shared": " ".join(notes)}
        entries.append(entry | {"settings": _settings(own, evidence)})
    written = ("written", [f"{datetime.now().astimezone():%Y-%m-%d %H:%M}"])
    # Their settings are shown with each section.
    ran_on = [(name, values) for name, values in summarize_provenance(runs) if name not in ("command", "data")]
    quick, folder = ["--quick"] * evidence.setting.quick, evidence.folder.name
    name = [] if folder == ("exercise_quick" if quick else "exercise") else ["--name", folder]
    figures: dict[str, Any] = {
        "title": "Twenty layers, measured",
        "margins": {"points": POINTS, "ratio": RATIO, "about": ABOUT},
        "quick": evidence.setting.quick,
        "command": shlex.join([*shown("exercise"), "8", *quick, *name, *evidence.setting.overrides]),
        "train": shlex.join([*shown("train"), "-m", *evidence.setting.overrides]),
        "parts": [
            (heading, [*of])
            for heading, of in groupby(entries, lambda entry: PARTS.get(entry["section"].part, "Questions 1 to 7"))
        ],
        **{"contrasts_table": contrasts_table, "compact": compact},
        "provenance": [written, ("runs", [str(len(runs))]), *ran_on],
    }
    path = evidence.folder / "exercise.html"
    write_atomically(path, PAGES.get_template("exercise.html.j2").render(figures).encode())
    return path


def _settings(sweeps: Sequence[Sweep], evidence: Evidence) -> list[str]:
    """Of each sweep, besides those of all and what is logged; nothing in the quick version."""
    setting = evidence.setting
    left_out = (*setting.overrides, "callbacks.figures=null", "logger.tensorboard=null")
    own = [[word for word in overrides_of(sweep, setting) if word not in left_out] for sweep in sweeps]
    return [] if setting.quick else [*map(shlex.join, own)]


def compact(table: Table) -> Table:
    """With figures such as "50.1±0.4", "13…22" and "0.50x(0.36…0.94)", as tables have them."""

    def short(text: str) -> str:
        text = re.sub(r"(\d) to (-?\d)", r"\1…\2", text.replace(" ± ", "±").replace(" times", "x"))
        return re.sub(r"([\dx]) \((-?\d\S*…)", r"\1(\2", text)

    return replace(table, rows=[[(short(text), value) for text, value in row] for row in table.rows])


def contrasts_table(contrasts: Sequence[Contrast]) -> Table:
    """One row per comparison, with its interval alone; verdicts are decided by those of all together."""
    rows = []
    for one in (one for one in contrasts if one.counted == "seed"):  # tables of times have the others
        by = "" if one.metric == "accuracy" else f"{one.metric}: "
        rows.append(text_cells(f"{by}{one.a}; {one.b}", one.amount.removesuffix(" points"), str(one.seeds)))
    notes = [one.note for one in contrasts if one.note and math.isfinite(one.mean)]
    note = f"{'; '.join(dict.fromkeys(notes))}." if notes else ""
    return compact(Table(["compared", "difference", "n"], rows, note, is_sorted=False))
