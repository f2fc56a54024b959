"""The table of a sweep's decisions: a row for each pair of groups."""

import math

from trainlab.report.decision import Decision, format_bound
from trainlab.report.decisions import Decisions
from trainlab.report.tables import Cell, Table
from trainlab.runs.numbers import format_duration

# Of a terminal, where each heading is at most seven characters wide or as wide as its column.
SHORT_HEADINGS = ("group", "other", "verdict", "by", "95 % interval", "after", "lost", "runs", "time", "more")

_NOTE = (
    "Difference: how far the first group is ahead of the second where both completed, with its interval{pairs}, which "
    "holds after all numbers of seeds at once: earlier ones may exclude the difference. Margin {margin}. Lost seeds, "
    "of the first and of the second, diverged or failed. Runs and training time: of both, up to the decision. "
    "More seeds: of each, if mean and spread stay as they are."
)


def decision_table(decisions: Decisions) -> Table:
    """One row per pair: what was decided, after how many seeds, at what cost, and how many an open one would need."""
    unit = " (points)" if decisions.rules.metric.is_percentage else ""
    headings = [
        "group",
        "compared with",
        "decision",
        f"difference{unit}",
        "95 % interval",
        "decided after",
        "lost seeds",
    ]
    pairs = f" for all {len(decisions.pairs)} pairs together" if len(decisions.pairs) > 1 else ""
    note = _NOTE.format(pairs=pairs, margin=decisions.rules.describe_margin())
    return Table([*headings, "runs", "training", "more seeds"], [*map(_row, decisions.pairs)], note)


def _row(of: Decision) -> list[Cell]:
    metric, (runs, seconds), after = of.rules.metric, of.cost, of.decided_after
    known = math.isfinite(of.found.low)
    bounds = f"{format_bound(of.found.low, metric)} to {format_bound(of.found.high, metric)}" if known else "-"
    more = of.foreseen
    return [
        (of.first.name, of.first.name),
        (of.second.name, of.second.name),
        (of.word, of.word),
        (format_bound(of.found.mean, metric) if of.found.n else "-", of.found.mean),
        (bounds, of.found.high - of.found.low if known else math.nan),
        (f"{after} of {len(of.ended)} seeds" if after else f"- of {len(of.ended)} seeds", after or math.nan),
        (" and ".join(map(str, of.lost)), sum(of.lost)),
        (str(runs), runs),
        (format_duration(seconds), seconds),
        (f"about {more}" if more else "-", more or math.nan),
    ]
