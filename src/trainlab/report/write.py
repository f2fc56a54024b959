"""A report on disk: `report.html`, `report.md`, `runs.csv`, `pairs.csv` and `figures/`."""

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from trainlab.report.findings import Findings, analyze
from trainlab.report.formatting import format_value
from trainlab.report.pages import render_html, render_markdown
from trainlab.report.plots.groups import NAMES, plot_groups
from trainlab.report.plots.search import NAMES as SEARCH_NAMES
from trainlab.report.plots.search import plot_search
from trainlab.report.run_table import row_of
from trainlab.report.runs import Run, find_runs
from trainlab.runs.files import write_atomically


def write_report(folders: Sequence[Path], output_dir: Path | None = None, runs: Sequence[Run] | None = None) -> Path:
    """Report on all runs under ``folders``, into the first of them unless ``output_dir`` is given.

    Args:
        runs: those under ``folders``, if they have been read before.

    Returns:
        The path of `report.html`.

    Raises:
        FileNotFoundError: a folder does not exist, or there is no run under any.
        OSError: the report cannot be written.
    """
    to = output_dir or folders[0]
    findings = analyze(folders, find_runs(folders) if runs is None else runs)
    plots = (plot_search(findings.search) if findings.search else []) + plot_groups(findings.groups)
    files = {f"figures/{plot.name}.{kind}": getattr(plot, kind) for plot in plots for kind in ("png", "svg")}
    files["runs.csv"] = _csv(_run_rows(findings, to))
    files["pairs.csv"] = _csv(_pair_rows(findings))
    files["report.md"] = render_markdown(findings, plots, to).encode()
    files["report.html"] = render_html(findings, plots, to).encode()
    for name, content in files.items():
        write_atomically(to / name, content)
    for name in (*NAMES, *SEARCH_NAMES):
        for kind in ("png", "svg"):
            if f"figures/{name}.{kind}" not in files:
                (to / "figures" / f"{name}.{kind}").unlink(missing_ok=True)  # of an earlier report
    return to / "report.html"


def _run_rows(findings: Findings, root: Path) -> Iterable[dict[str, Any]]:
    groups = findings.group_of()
    for run in findings.runs:
        group = groups[run.folder].label if run.folder in groups else None
        yield row_of(run, group, findings.keys, root, _exact)


def _exact(value: Any) -> str:
    return repr(value) if isinstance(value, float) else format_value(value)


def _pair_rows(findings: Findings) -> Iterable[dict[str, Any]]:
    for pair in findings.pairs:
        yield {
            "first": pair.first.label,
            "second": pair.second.label,
            "n_first": len(pair.first.runs),
            "n_second": len(pair.second.runs),
            "val_acc_difference": pair.difference.mean,
            "half_width_95": pair.difference.half_width,
            "p": pair.difference.p,
            "p_holm": pair.p,
            "test": pair.difference.method,
        }


def _csv(rows: Iterable[dict[str, Any]]) -> bytes:
    listed = list(rows)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(dict.fromkeys(key for row in listed for key in row)), lineterminator="\n")
    writer.writeheader()
    writer.writerows(listed)
    return text.getvalue().encode()
