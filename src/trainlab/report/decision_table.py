"""The table of a sweep's decisions: a row for each pair of groups."""

import math

from trainlab.report.decision import Decision, format_bound
from trainlab.report.decisions import Decisions
from trainlab.report.tables import Cell, Table
from trainlab.runs.numbers import format_duration

LOST, MORE = "lost seeds", "more seeds"
# Of a terminal, where each heading is at most seven characters wide or as wide as its column.
SHORT_HEADINGS = {
    **{"compared with": "other", "decision": "verdict", "difference": "by", "difference (points)": "by"},
    **{"decided after": "after", LOST: "lost", "training": "time", MORE: "more"},
}

_NOTE = (
    "Difference: how far the group is ahead of the one it is compared with{sign}, over the seeds that both completed. "
    "Interval: 95 %{pairs}, however often one looks; it is what the intervals after each number of seeds have in "
    "common, so the difference itself may lie outside. Equivalent: the interval is within ± {margin}. Runs "
    "and training time: of both, up to the decision."
)
_NOTES = {
    LOST: " Lost seeds of each diverged or failed.",
    MORE: " More seeds: of each, to decide, if mean and spread stay as they are.",
}


def decision_table(decisions: Decisions) -> Table:
    """One row per pair: what was decided, after how many seeds, at what cost, and how many more it would need.

    Seeds that were lost, and more of them, have a column if there are any.
    """
    unit = " (points)" if decisions.rules.metric.is_percentage else ""
    headings = ["group", "compared with", "decision", f"difference{unit}", "95 % interval", "decided after"]
    headings += [LOST, "runs", "training", MORE]
    pairs = f" for all {len(decisions.pairs)} pairs together" if len(decisions.pairs) > 1 else ""
    sign = " (below 0: behind)" if decisions.rules.baseline else ""
    note = _NOTE.format(pairs=pairs, sign=sign, margin=decisions.rules.describe_margin())
    rows = [_row(pair, decisions.rules.baseline) for pair in decisions.pairs]
    any_of = {LOST: any(sum(pair.lost) for pair in decisions.pairs), MORE: any(p.foreseen for p in decisions.pairs)}
    note += "".join(text for heading, text in _NOTES.items() if any_of[heading])
    kept = [i for i, heading in enumerate(headings) if any_of.get(heading, True)]
    return Table([headings[i] for i in kept], [[row[i] for i in kept] for row in rows], note)


def _row(of: Decision, baseline: str | None) -> list[Cell]:
    """The group that is ahead compared with the other one; with a baseline, any group compared with that."""
    metric, (runs, seconds), after = of.rules.metric, of.cost, of.decided_after
    names, lost, found, word = [of.first.name, of.second.name], [*of.lost], of.found, of.word_against(baseline)
    mean, low, high = found.mean, found.low, found.high
    if names[0] == baseline:
        names, lost = names[::-1], lost[::-1]
        mean, low, high = -mean, -high, -low
    known = math.isfinite(low)
    bounds = f"{format_bound(low, metric)} to {format_bound(high, metric)}" if known else "-"
    more = of.foreseen
    return [
        *((name, name) for name in names),
        (word, word),
        (format_bound(mean, metric) if found.n else "-", mean),
        (bounds, high - low if known else math.nan),
        (f"{after} of {len(of.ended)} seeds" if after else f"- of {len(of.ended)} seeds", after or math.nan),
        (" and ".join(map(str, lost)), sum(lost)),
        (str(runs), runs),
        (format_duration(seconds), seconds),
        (f"about {more}" if more else "-", more or math.nan),
    ]
