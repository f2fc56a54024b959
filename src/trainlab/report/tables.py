"""The tables of a report: the same cells on the page and in Markdown."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainlab.report.comparisons import MAX_DESCRIBED
from trainlab.report.descriptions import format_epoch_seconds
from trainlab.report.evaluations import SIDES, Estimate
from trainlab.report.findings import MAX_MC_DROPOUT_RUNS, Findings
from trainlab.report.formatting import RUN_FIGURES, format_figure, format_mean, format_p, format_value
from trainlab.report.groups import Group, overrides_by_key, value_of
from trainlab.report.run_table import figures_of
from trainlab.report.runs import Run, relative_path
from trainlab.statistics import Interval

MAX_PAIRS = 300
TEST_NOTE = "† The test set is read once, after the choice on validation data. It is reported, never chosen by."
_OF_FOLDS = "Of groups with folds, mean over the folds, and intervals allow for the images that folds share. "
S_PER_EPOCH = "s/epoch (median)"
Cell = tuple[str, float | str]  # the text, and what to sort it by


@dataclass(frozen=True)
class Table:
    """Headings and rows; a heading with † is of the test set."""

    headings: list[str]
    rows: list[list[Cell]]
    note: str = ""


def ranking_table(findings: Findings, root: Path) -> Table:
    """All runs, the completed first, the lowest validation loss first; folders relative to ``root``."""
    headings = ["val loss", "val acc", "test loss †", "test acc †", "best epoch", "epochs", S_PER_EPOCH, "total s"]
    tagged = any(run.tags for run in findings.runs)
    rows = []
    for place, run in enumerate(findings.runs, 1):
        figures = figures_of(run)
        rows.append(
            [
                _figure(place if run.is_completed else None, "d"),
                *(_setting(run, key) for key in findings.keys),
                *(_figure(figures[key], spec) for key, spec in RUN_FIGURES.items()),
                *_texts(run.status, *([", ".join(run.tags)] if tagged else []), relative_path(run.folder, root)),
            ]
        )
    headings += ["status", *(["tags"] if tagged else []), "folder"]
    return Table(["#", *findings.keys, *headings], rows, TEST_NOTE)


def unfinished_table(findings: Findings, root: Path) -> Table:
    """Runs that are not completed, or lack something, with the reason."""
    rows: list[list[Cell]] = []
    for run in findings.runs:
        if run.reason or not run.is_completed:
            rows.append([*_texts(relative_path(run.folder, root), run.status), (run.reason or "-", run.reason)])
    return Table(["run", "status", "reason"], rows)


def group_table(groups: Sequence[Group]) -> Table:
    """One row per group: mean, standard deviation, n, interval."""
    headings = ["group", "n", "val acc", "95 % interval", "sd", "val loss", "test acc †", "best epoch", S_PER_EPOCH]
    rows: list[list[Cell]] = []
    for group in groups:
        n, cut_short = len(group.runs), len(group.others)
        names = ("val_acc", "val_loss", "test_acc", "best_epoch")
        accuracy, loss, test, best = (group.summary("metrics", name) for name in names)
        rows.append(
            [
                *_texts(group.label),
                (f"{n} of {n + cut_short}" if cut_short else str(n), n),
                _figure(accuracy.mean, ".2%"),
                _interval(accuracy),
                _figure(accuracy.sd, ".2%"),
                (format_mean(loss, 4), loss.mean),
                (format_mean(test, 2, "%"), test.mean),
                _figure(best.mean + 1, ".1f"),
                (format_epoch_seconds(group), group.summary("time", "epoch_s").mean),
            ]
        )
    note = (
        "n is the number of completed runs. Mean over the seeds; ± and the interval are 95 % of Student's t, sd is the "
        "standard deviation; seconds of runs that were trained together share a clock and have no interval. "
        f"{_OF_FOLDS if any(group.num_folds for group in groups) else ''}{_disagreement(groups)}{TEST_NOTE}"
    )
    return Table(headings, rows, note)


def _disagreement(groups: Sequence[Group]) -> str:
    """A sentence if another group is first by accuracy than by loss."""
    accurate = [group for group in groups if group.of("metrics", "val_acc")]
    if not accurate:
        return ""
    by_accuracy = max(accurate, key=lambda group: group.summary("metrics", "val_acc").mean)
    if by_accuracy is accurate[0]:
        return ""
    return (
        f"In the order of validation loss, by which {accurate[0].label} is ahead; by validation accuracy "
        f"{by_accuracy.label} is. "
    )


def pair_table(findings: Findings) -> Table:
    """Pairs of groups, the smallest p first."""
    pairs = sorted(findings.pairs, key=lambda pair: (math.isnan(pair.p), pair.p))
    rows: list[list[Cell]] = []
    for pair in pairs[:MAX_PAIRS]:
        good, bad, by = pair.ordered()
        half = pair.difference.half_width
        verdict = "better" if pair.is_clear else pair.difference.reason or "no significant difference"
        rows.append(
            [
                *_texts(good.label, bad.label),
                (f"{100 * by:.2f}", by),
                (format_figure(100 * half, ".2f"), half),
                (format_p(pair.difference.p), pair.difference.p),
                (format_p(pair.p), pair.p),
                *_texts(pair.difference.method, verdict),
            ]
        )
    headings = ["more accurate", "less accurate", "points", "± (95 %)", "p", "p, Holm", "test", "verdict"]
    left = f" The first {MAX_PAIRS} of {len(pairs)}; all are in pairs.csv." if len(pairs) > MAX_PAIRS else ""
    return Table(
        headings, rows, f"Validation accuracy. ± and p are of the pair alone, p of Holm over {_family(findings)}.{left}"
    )


def _family(findings: Findings) -> str:
    if len(findings.compared) <= MAX_DESCRIBED:
        return "all pairs"
    return (
        f"the pairs with {findings.compared[0].label}, which have a sentence above, and over all pairs for the others"
    )


def _setting(run: Run, key: str) -> Cell:
    if not run.settings and key not in overrides_by_key(run):
        return ("-", "")
    value: Any = value_of(run, key)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return (format_value(value), float(value) if is_number else format_value(value))


def _texts(*texts: str) -> list[Cell]:
    return [(text, text) for text in texts]


def _figure(value: float | None, spec: str) -> Cell:
    return (format_figure(value, spec), math.nan if value is None else value)


def _interval(of: Interval) -> Cell:
    if math.isnan(of.half_width):
        return ("-", math.nan)
    return (f"{of.mean - of.half_width:.2%} to {of.mean + of.half_width:.2%}", of.half_width)


MC_DROPOUT_TITLE = "MC dropout: predictions with dropout off, and left on †"
_MC_DROPOUT_NOTE = (
    "Of the test images, by `eval.py mc_samples=`; in brackets 95 % intervals by bootstrap over the images, for the "
    "difference a paired one. They describe each network alone, not other seeds, and are not corrected for the number "
    "of runs and metrics."
)


def mc_dropout_table(runs: Sequence[Run], root: Path) -> Table | None:
    """One row for each metric of each of ``runs``, which were evaluated with MC dropout; None without any."""
    if not runs:
        return None
    rows: list[list[Cell]] = []
    for run in runs[:MAX_MC_DROPOUT_RUNS]:
        assert run.mc_dropout
        where = relative_path(run.folder, root)
        samples = run.mc_dropout.samples
        for name, sides in run.mc_dropout.metrics.items():
            values = [_estimate(sides.get(side), "+" if side == SIDES[2] else "") for side in SIDES]
            rows.append([*_texts(where, name), (str(samples), samples), *values])
    left = f" The first {MAX_MC_DROPOUT_RUNS} of {len(runs)} runs." if len(runs) > MAX_MC_DROPOUT_RUNS else ""
    headings = ["run", "metric", "samples", "deterministic †", "MC dropout †", "difference †"]
    return Table(headings, rows, _MC_DROPOUT_NOTE + left)


def _estimate(of: Estimate | None, sign: str) -> Cell:
    if of is None:
        return ("-", math.nan)
    value, low, high = (format(number, f"{sign}.4f") for number in of)
    return (f"{value} ({low} to {high})", of[0])
