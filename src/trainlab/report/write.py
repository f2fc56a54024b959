"""A report on disk: `report.html`, `report.md`, `runs.csv`, `pairs.csv` and `figures/`."""

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from trainlab.report.figures import NAMES, draw_all
from trainlab.report.findings import Findings, find
from trainlab.report.markdown import markdown
from trainlab.report.origins import repeat_command
from trainlab.report.page import page
from trainlab.report.runs import Run, find_runs
from trainlab.report.search_figures import NAMES as OF_A_SEARCH
from trainlab.report.search_figures import draw_search
from trainlab.report.sections import relative
from trainlab.report.settings import shown, value_of
from trainlab.runs.files import write_atomically


def write_report(folders: Sequence[Path], output_dir: Path | None = None) -> Path:
    """Report on all runs under ``folders``, into the first of them unless ``output_dir`` is given.

    Returns:
        The path of `report.html`.

    Raises:
        FileNotFoundError: a folder does not exist, or there is no run under any.
        OSError: the report cannot be written.
    """
    return write_report_on(find_runs(folders), folders, output_dir)


def write_report_on(runs: Sequence[Run], folders: Sequence[Path], output_dir: Path | None = None) -> Path:
    """The same of runs that are read already."""
    to = output_dir or folders[0]
    findings = find(folders, runs)
    pictures = (draw_search(findings.search) if findings.search else []) + draw_all(findings.groups)
    files = {
        f"figures/{p.name}.{kind}": content for p in pictures for kind, content in (("png", p.png), ("svg", p.svg))
    }
    files["runs.csv"] = _csv(_run_rows(findings, to))
    files["pairs.csv"] = _csv(_pair_rows(findings))
    files["report.md"] = markdown(findings, pictures, to).encode()
    files["report.html"] = page(findings, pictures, to).encode()
    for name, content in files.items():
        write_atomically(to / name, content)
    for name in (*NAMES, *OF_A_SEARCH):
        for kind in ("png", "svg"):
            if f"figures/{name}.{kind}" not in files:
                (to / "figures" / f"{name}.{kind}").unlink(missing_ok=True)  # of an earlier report
    return to / "report.html"


def _run_rows(findings: Findings, root: Path) -> Iterable[dict[str, Any]]:
    groups = findings.group_of()
    for run in findings.runs:
        metrics, time, origin = {}, {}, {}
        if run.result:
            metrics, time, origin = run.result.metrics, run.result.time, run.result.provenance
        best_epoch = metrics.get("best_epoch")
        yield {
            "folder": relative(run.folder, root),
            "group": groups[run.folder].label if run.folder in groups else None,
            "status": run.status,
            "reason": run.reason,
            "seed": run.settings.get("seed", origin.get("seed")),
            **{key: _exact(value_of(run, key)) if run.result else None for key in findings.keys if key != "seed"},
            **{key: metrics.get(key) for key in ("val_loss", "val_acc", "test_loss", "test_acc")},
            "best_epoch": None if best_epoch is None else best_epoch + 1,  # epochs count from one
            **{key: metrics.get(key) for key in ("epochs", "stop_reason")},
            **{key: time.get(key) for key in ("epoch_s", "total_s", "images_per_s", "device")},
            "fingerprint": run.result.fingerprint if run.result else None,
            **{key: origin.get(key) for key in ("git_commit", "git_dirty", "data_digest", "host")},
            "command": repeat_command(run) if run.result and not run.continued else None,
        }


def _exact(value: Any) -> str:
    return repr(value) if isinstance(value, float) else shown(value)


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
