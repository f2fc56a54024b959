"""The tables of a report: the same cells on the page and in Markdown."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainlab.report.comparisons import MAX_DESCRIBED
from trainlab.report.descriptions import format_epoch_seconds
from trainlab.report.evaluations import SIDES, Estimate
from trainlab.report.findings import MAX_MC_DROPOUT_RUNS, Findings
from trainlab.report.formatting import (
    RUN_FIGURES,
    capitalized,
    format_figure,
    format_interval,
    format_p,
    format_value,
)
from trainlab.report.groups import Group, overrides_by_key, value_of
from trainlab.report.run_table import figures_of
from trainlab.report.runs import Run, relative_path
from trainlab.statistics import Interval
from trainlab.tasks.metrics import Metric
from trainlab.tasks.reported import TaskMetrics

MAX_PAIRS = 300
TEST_NOTE = "† The test set is read once, after the choice on validation data. It is reported, never chosen by."
_BEYOND = "An interval that reaches beyond 0 % or 100 % is of too few runs to say where the mean is. "
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
    """All runs, the completed first, the best by the primary metric first; folders relative to ``root``."""
    metrics = findings.metrics.every
    specs = {metric.key: metric.spec for metric in [*metrics, *(metric.test for metric in metrics)]} | RUN_FIGURES
    headings = [*(metric.heading for metric in metrics), *(f"{metric.test.heading} †" for metric in metrics)]
    headings += ["best epoch", "epochs", S_PER_EPOCH, "total s"]
    tagged = any(run.tags for run in findings.runs)
    rows = []
    for place, run in enumerate(findings.runs, 1):
        figures = figures_of(run, metrics)
        rows.append(
            [
                _figure(place if run.is_completed else None, "d"),
                *(_setting(run, key) for key in findings.keys),
                *(_figure(figures[key], spec) for key, spec in specs.items()),
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


def group_tables(groups: Sequence[Group]) -> list[Table]:
    """One table for each metric that groups are compared by."""
    metrics = dict.fromkeys(group.metrics.compared_by for group in groups)
    return [_group_table([group for group in groups if group.metrics.compared_by == metric]) for metric in metrics]


def _group_table(groups: Sequence[Group]) -> Table:
    """One row per group: mean, standard deviation, n, interval."""
    metrics = TaskMetrics.merged([group.metrics for group in groups])
    compared = metrics.compared_by
    others = [*(metric for metric in metrics.every if metric != compared), compared.test]
    headings = ["group", "n", compared.heading, "95 % interval", "sd", *(metric.heading for metric in others)]
    headings[-1] += " †"
    rows: list[list[Cell]] = []
    for group in groups:
        n, cut_short = len(group.runs), len(group.others)
        found, best = group.comparison, group.summary("metrics", "best_epoch")
        rows.append(
            [
                *_texts(group.label),
                (f"{n} of {n + cut_short}" if cut_short else str(n), n),
                _figure(found.mean, compared.spec),
                _interval(found, compared),
                _figure(found.sd, compared.spec),
                *_means(group, others),
                _figure(best.mean + 1, ".1f"),
                (format_epoch_seconds(group), group.summary("time", "epoch_s").mean),
            ]
        )
    has_beyond = compared.is_percentage and any(map(_is_beyond, groups))
    note = (
        "n is the number of completed runs. Mean over the seeds; ± and the interval are 95 % of Student's t, sd is the "
        "standard deviation; seconds of runs that were trained together share a clock and have no interval. "
        f"{_OF_FOLDS if any(group.num_folds for group in groups) else ''}"
        f"{_BEYOND if has_beyond else ''}{_disagreement(groups)}{TEST_NOTE}"
    )
    return Table([*headings, "best epoch", S_PER_EPOCH], rows, note)


def _is_beyond(group: Group) -> bool:
    """Whether the interval of a percentage reaches beyond those that there are."""
    of = group.comparison
    return of.mean - of.half_width < 0 or of.mean + of.half_width > 1


def _means(group: Group, metrics: Sequence[Metric]) -> Iterator[Cell]:
    for metric in metrics:
        mean = group.summary("metrics", metric.key)
        yield format_interval(mean, metric.spec), mean.mean


def _disagreement(groups: Sequence[Group]) -> str:
    """A sentence if another group is first by the metric to compare by than by the primary one."""
    compared = [group for group in groups if group.compared]
    if not compared or compared[0].metrics.primary == (metric := compared[0].metrics.compared_by):
        return ""
    best = min(compared, key=lambda group: metric.rank(group.comparison.mean))
    if best is compared[0]:
        return ""
    return (
        f"In the order of {best.metrics.primary.label}, by which {compared[0].label} is ahead; by {metric.label} "
        f"{best.label} is. "
    )


def pair_tables(findings: Findings) -> list[Table]:
    """One table for each metric that pairs of groups are compared by."""
    metrics = dict.fromkeys(pair.metric for pair in findings.pairs)
    return [_pair_table(findings, metric) for metric in metrics]


def _pair_table(findings: Findings, metric: Metric) -> Table:
    """Pairs of groups, the smallest p first."""
    pairs = [pair for pair in findings.pairs if pair.metric == metric]
    pairs.sort(key=lambda pair: (math.isnan(pair.p), pair.p))
    scale, spec = (100, ".2f") if metric.is_percentage else (1, metric.spec)
    rows: list[list[Cell]] = []
    for pair in pairs[:MAX_PAIRS]:
        good, bad, by = pair.ordered()
        half = pair.difference.half_width
        verdict = "better" if pair.is_clear else pair.difference.reason or "no significant difference"
        rows.append(
            [
                *_texts(good.label, bad.label),
                (f"{scale * by:{spec}}", by),
                (format_figure(scale * half, spec), half),
                (format_p(pair.difference.p), pair.difference.p),
                (format_p(pair.p), pair.p),
                *_texts(pair.difference.method, verdict),
            ]
        )
    sides = ["more accurate", "less accurate"] if metric.name == "accuracy" else ["better", "worse"]
    amount = "points" if metric.is_percentage else "difference"
    headings = [*sides, amount, "± (95 %)", "p", "p, Holm", "test", "verdict"]
    left = f" The first {MAX_PAIRS} of {len(pairs)}; all are in pairs.csv." if len(pairs) > MAX_PAIRS else ""
    family = _family([group for group in findings.compared if group.metrics.compared_by == metric])
    return Table(
        headings, rows, f"{capitalized(metric.label)}. ± and p are of the pair alone, p of Holm over {family}.{left}"
    )


def _family(compared: Sequence[Group]) -> str:
    if len(compared) <= MAX_DESCRIBED:
        return "all pairs"
    return f"the pairs with {compared[0].label}, which have a sentence above, and over all pairs for the others"


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


def _interval(of: Interval, metric: Metric) -> Cell:
    if math.isnan(of.half_width):
        return ("-", math.nan)
    low, high = map(metric.format, (of.mean - of.half_width, of.mean + of.half_width))
    return (f"{low} to {high}", of.half_width)


MC_DROPOUT_TITLE = "MC dropout: predictions with dropout off, and left on †"
_MC_DROPOUT_NOTE = (
    "Of the test images, by `trainlab eval mc_samples=`; in brackets 95 % intervals by bootstrap over the images, for "
    "the difference a paired one. They describe each network alone, not other seeds, and are not corrected for the "
    "number of runs and metrics."
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
