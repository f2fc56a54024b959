"""The tables of a report: the same cells on the page and in Markdown."""

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from trainlab.report.comparisons import Pair, count_pairs
from trainlab.report.decision import format_bound
from trainlab.report.descriptions import format_epoch_seconds
from trainlab.report.findings import Findings
from trainlab.report.formatting import (
    RUN_FIGURES,
    TEST_NOTE,
    format_amount,
    format_estimate,
    format_figure,
    format_gap,
    format_p,
    format_value,
    listed,
)
from trainlab.report.groups import Group
from trainlab.report.labels import NOT_GIVEN, deciding_keys, differing_leaves, overrides_by_key, value_of
from trainlab.report.run_table import figures_of, names_of, naming_keys, reasons_of
from trainlab.report.runs import Run, relative_path
from trainlab.statistics import Interval
from trainlab.tasks.metrics import Metric
from trainlab.tasks.reported import TaskMetrics

MAX_IN_MATRIX = 12  # groups
S_PER_EPOCH = "s/epoch (median)"
MAX_NAMED = 6  # runs with the same reason
MARK, EQUIVALENT_MARK = "*", "≈"  # of a significant difference, and of one that is less than the margin
Cell = tuple[str, float | str]  # the text, and what to sort it by


@dataclass(frozen=True)
class Table:
    """Headings and rows; a heading with † is of the test set.

    Attributes:
        link: heading of the column whose texts are of runs, and instead of what to sort by has their paths relative to
            the page.
        hidden: headings of columns that the page hides at first.
        is_sorted: whether a click on a heading sorts the rows.
    """

    headings: list[str]
    rows: list[list[Cell]]
    note: str = ""
    link: str = ""
    hidden: Collection[str] = ()
    is_sorted: bool = True


def ranking_table(findings: Findings, root: Path) -> Table:
    """All runs, the completed first, the best by the primary metric first; links to folders relative to ``root``."""
    metrics = findings.metrics.ranked
    specs = {metric.key: metric.spec for metric in [*metrics, *(metric.test for metric in metrics)]} | RUN_FIGURES
    headings = [*(metric.heading for metric in metrics), *(f"{metric.test.heading} †" for metric in metrics)]
    headings = ["#", "run", *headings, "status", *findings.keys, "best epoch", "epochs", S_PER_EPOCH]
    headings.append(_total(findings.runs))
    tagged = any(run.tags for run in findings.runs)
    names = names_of(findings.runs, root)
    rows = []
    for place, run in enumerate(findings.runs, 1):
        figures = figures_of(run, metrics)
        rows.append(
            [
                _figure(place if run.is_completed else None, "d"),
                (names[run.folder], relative_path(run.folder, root)),
                *(_figure(figures[key], spec) for key, spec in specs.items() if key not in RUN_FIGURES),
                *_texts(run.status),
                *(_setting(run, key) for key in findings.keys),
                *(_figure(figures[key], spec) for key, spec in RUN_FIGURES.items()),
                *_texts(*([", ".join(run.tags)] if tagged else [])),
            ]
        )
    headings += ["tags"] if tagged else []
    return Table(headings, rows, TEST_NOTE, link="run", hidden=naming_keys(findings.runs))


def _total(runs: Sequence[Run]) -> str:
    """Heading of `total_s`: of a member of a population its share of the joint time, of a solo run all of its time."""
    return "share of joint time (s)" if any("population" in run.result.time for run in runs) else "total s"


def unfinished_table(findings: Findings, root: Path) -> Table:
    """Runs that are not completed, or lack something, with the reason; those with the same one share a row."""
    rows = [
        [*_texts(_named(names)), (str(len(names)), len(names)), *_texts(status, reason)]
        for (status, reason), names in reasons_of(findings.runs, names_of(findings.runs, root)).items()
    ]
    return Table(["runs", "n", "status", "reason"], rows)


def _named(names: list[str]) -> str:
    return listed([*names[:MAX_NAMED], *([f"{len(names) - MAX_NAMED} more"] if len(names) > MAX_NAMED else [])])


def group_tables(findings: Findings) -> list[Table]:
    """One table for each metric that groups are compared by, which comes first in it and orders it."""
    metrics = dict.fromkeys(group.metrics.compared_by for group in findings.groups)
    return [_group_table(findings, metric) for metric in metrics]


def _group_table(findings: Findings, compared: Metric) -> Table:
    """One row per group: mean, interval, number of runs, by how much it is behind the best, other metrics.

    Of a sweep with decisions, their table says how far apart groups are.
    """
    groups = [group for group in findings.groups if group.metrics.compared_by == compared]
    others = [*TaskMetrics.merged([group.metrics for group in groups]).ranked[1:], compared.test]
    behind = {
        other.label: pair
        for standing in findings.standings
        if standing.best.metrics.compared_by == compared and not findings.decisions
        for other, pair in zip(standing.groups[1:], standing.pairs, strict=True)
    }
    tested = any(behind[group.label].is_tested for group in groups if group.label in behind)
    points = " (points)" if compared.is_percentage else ""
    rows: list[list[Cell]] = []
    for group in groups:
        found, pair = group.comparison, behind.get(group.label)
        best = group.summary("metrics", "best_epoch")
        rows.append(
            [
                *_texts(group.label),
                _mean(group, compared),
                _interval(found, compared),
                (_count(group), group.num_compared),
                *([_behind(pair, group)] if behind else []),
                *([_p(pair)] if tested else []),
                (_amount(found.sd, compared), found.sd),
                *_means(group, others),
                _figure(best.mean + 1, ".1f"),
                (format_epoch_seconds(group), group.summary("time", "epoch_s").mean),
            ]
        )
    headings = ["group", compared.heading, "95 % interval", "n", *([f"behind{points}"] if behind else [])]
    sd = f"sd{points}"
    correction = next((pair.correction for pair in behind.values()), "")
    by = "Holm" if correction == "Holm" else "Bonf."
    headings += [*([f"p ({by})"] if tested else []), sd, *(metric.heading for metric in others)]
    headings[-1] += " †"
    note = "Behind: how far from the best" if behind else ""
    if tested:
        note += f"; {MARK} significantly, ± half of a 95 % interval: p below 0.05 by {correction}'s method over "
        note += _pairs(behind.values())
        if margin := next((pair.margin for pair in behind.values() if pair.is_equivalent), None):
            note += f"; {EQUIVALENT_MARK} equivalent: less than {format_gap(margin, compared)} apart"
    note += f"{'. ' if note else ''}{TEST_NOTE}"
    return Table([*headings, "best epoch", S_PER_EPOCH], rows, note, hidden=[sd])


def _mean(group: Group, metric: Metric) -> Cell:
    """The mean of a group; if none of its runs is completed, how they ended."""
    if not group.runs and group.others:
        return (listed([*dict.fromkeys(run.status for run in group.others)]), math.nan)
    text = format_estimate(group.comparison, metric).partition(" ± ")[0]
    return (text, group.comparison.mean)


def _count(group: Group) -> str:
    """How many of the runs of a group are in its mean."""
    n, all_runs = group.num_compared, len(group.runs) + len(group.others)
    return str(n) if n == all_runs else f"{n} of {all_runs}"


def _pairs(pairs: Collection[Pair]) -> str:
    """ "15 pairs"."""
    tests = max(pair.tests for pair in pairs)
    return f"{tests} pair{'s' if tests > 1 else ''}"


def _behind(pair: Pair | None, group: Group) -> Cell:
    """By how much a group is behind the best; nothing of the best itself."""
    if pair is None:
        return ("-", math.nan)
    by = pair.ahead if pair.second is group else -pair.ahead
    text = f"{_gap(by, pair)}{MARK}" if pair.is_clear else "-" if math.isnan(by) else format_bound(by, pair.metric)
    return (f"{text} {EQUIVALENT_MARK}" if pair.is_equivalent else text, by)


def _gap(by: float, pair: Pair) -> str:
    """A difference with half the width of its interval, in points of a percentage."""
    half = pair.difference.half_width
    spread = "" if math.isnan(half) else f" ± {_amount(half, pair.metric)}"
    return f"{_amount(by, pair.metric)}{spread}"


def _amount(of: float, metric: Metric) -> str:
    return "-" if math.isnan(of) else format_amount(of, metric)


def _p(pair: Pair | None) -> Cell:
    return (format_p(pair.p), pair.p) if pair else ("-", math.nan)


def _means(group: Group, metrics: Sequence[Metric]) -> Iterator[Cell]:
    for metric in metrics:
        mean = group.summary("metrics", metric.key)
        yield format_estimate(mean, metric), mean.mean


def pair_matrices(findings: Findings) -> list[Table]:
    """One table for each metric that groups are compared by: each of the best groups with each other one."""
    if findings.decisions:  # whose table has each pair that is compared
        return []
    return [_pair_matrix(findings, standing.groups) for standing in findings.standings if standing.pairs]


def _pair_matrix(findings: Findings, groups: Sequence[Group]) -> Table:
    """Above the diagonal how much the row is ahead of the column, below it the p of that."""
    shown, metric = groups[:MAX_IN_MATRIX], groups[0].metrics.compared_by
    rows: list[list[Cell]] = []
    for i, group in enumerate(shown):
        cells = _texts(f"{i + 1} {group.label}")
        for j, other in enumerate(shown):
            if i == j:
                cells.append(("", math.nan))
                continue
            pair = findings.pair(group, other)
            by = pair.ahead if pair.first is group else -pair.ahead
            mark = f"{MARK if pair.is_clear else ''}{f' {EQUIVALENT_MARK}' if pair.is_equivalent else ''}"
            if j < i:
                cells.append(_p(pair))
            else:
                cells.append((f"{'-' if by < 0 else ''}{_gap(abs(by), pair)}{mark}", by))
        rows.append(cells)
    unit = "points of " if metric.is_percentage else ""
    correction = next(pair.correction for pair in findings.pairs)
    reasons = dict.fromkeys(pair.difference.reason for pair in findings.pairs if not pair.is_tested)
    untested = f", - where there is no test ({'; '.join(reasons)})" if reasons else ""
    which = "all pairs" if len(findings.pairs) == count_pairs(len(findings.compared)) else "more pairs"
    left = f" The first {len(shown)} of {len(groups)} groups; {which} are in pairs.csv." if shown != groups else ""
    note = (
        f"Above the diagonal: how much the row is ahead of the column, in {unit}{metric.label}, ± half of the 95 % "
        f"interval of that pair alone; {MARK} where it is significant. Below: p, corrected by {correction} over all "
        f"pairs{untested}.{left}"
    )
    return Table(["", *map(str, range(1, len(shown) + 1))], rows, note, is_sorted=False)


def settings_table(findings: Findings) -> Table:
    """Settings that differ, with their value in each of the best groups; of a run alone, those not the defaults."""
    if findings.only_run:
        run = findings.only_run
        rows = [_texts(key, format_value(value_of(run, key))) for key in deciding_keys([run])]
        return Table(["setting", "value"], rows, is_sorted=False)
    many = [group.settings for group in findings.groups]
    chosen = {key: [group.values.get(key, NOT_GIVEN) for group in findings.groups] for key in findings.keys}
    options = {key: values for key, values in chosen.items() if not any(key in settings for settings in many)}
    leaves = {key: [settings.get(key, NOT_GIVEN) for settings in many] for key in differing_leaves(many)}
    rows = []
    labels = [group.label for group in findings.groups[:MAX_IN_MATRIX]]
    for key, values in (options | leaves).items():
        texts = [*map(format_value, values)]
        if len({*texts}) > 1:
            rows.append(_texts(key, *texts[: len(labels)]))
    left = f"The first {len(labels)} of {len(many)} groups." if len(labels) < len(many) else ""
    return Table(["setting", *labels], rows, left, is_sorted=False)


def results_table(run: Run) -> Table:
    """What a run alone reached: one row per metric."""
    rows: list[list[Cell]] = [
        [(of.name, of.name), *(_figure(run.result.metrics.get(each.key), each.spec) for each in (of, of.test))]
        for of in run.metrics.ranked
    ]
    return Table(["metric", "validation", "test †"], rows, TEST_NOTE, is_sorted=False)


def training_table(run: Run) -> Table:
    """Epochs and times of a run alone."""
    names = {"best_epoch": "best epoch", "epochs": "epochs", "epoch_s": S_PER_EPOCH, "total_s": _total([run])}
    values = figures_of(run, [])
    rows = [[*_texts(name), _figure(values[key], RUN_FIGURES[key])] for key, name in names.items()]
    return Table(["training", ""], rows, is_sorted=False)


def all_settings_table(run: Run) -> Table:
    """Every setting of a run that decides its result."""
    return Table(
        ["setting", "value"], [_texts(key, format_value(value)) for key, value in run.settings.items()], is_sorted=False
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


def _interval(of: Interval, metric: Metric) -> Cell:
    if not of.has_spread:
        return ("no spread" if of.n > 1 else "-", math.nan)
    ends = (replace(of, mean=of.mean + side * of.half_width) for side in (-1, 1))
    low, high = (format_estimate(end, metric).partition(" ± ")[0] for end in ends)
    return (f"{low} to {high}", of.half_width)
