"""The rows of `pairs.csv`: everything that is computed of two groups."""

from collections.abc import Iterator, Sequence
from typing import Any

from trainlab.report.comparisons import Pair
from trainlab.report.effects import effect_of
from trainlab.statistics import holm_intervals, sign_flip
from trainlab.tasks.metrics import Metric

MAX_IN_FULL = 2000  # pairs: of more, effect sizes and sign flips would take most of a report's time and are left out


def pair_rows(pairs: Sequence[Pair]) -> Iterator[dict[str, Any]]:
    """One per pair; figures are of the first group compared with the second."""
    alike: dict[Metric, list[Pair]] = {}
    for pair in pairs:
        alike.setdefault(pair.metric, []).append(pair)
    for metric, of_metric in alike.items():
        bounds = holm_intervals([pair.difference for pair in of_metric], of_metric[0].tests)
        for pair, (low, high) in zip(of_metric, bounds, strict=True):
            row = {
                "first": pair.first.label,
                "second": pair.second.label,
                "n_first": len(pair.first.compared),
                "n_second": len(pair.second.compared),
                f"{metric.key}_difference": pair.difference.mean,
                "half_width_95": pair.difference.half_width,
                "p": pair.difference.p,
                f"p_{pair.correction.lower()}": pair.p,
                "test": pair.difference.method,
                "low_95_holm": low,
                "high_95_holm": high,
            }
            if pair.margin is not None:
                row |= {"margin": pair.margin, "p_equivalent": pair.p_equivalent}
            yield row | (_sizes(pair) if len(pairs) <= MAX_IN_FULL else {})


def _sizes(pair: Pair) -> dict[str, Any]:
    of = effect_of(pair, pair.first, pair.second)
    first, second = pair.first.compared, pair.second.compared
    changes = [first[seed] - second[seed] for seed in pair.difference.seeds]
    flips = sign_flip(changes) if changes else None
    return {
        "hedges_g": of.g,
        "hedges_g_low_95": of.g_low,
        "hedges_g_high_95": of.g_high,
        "probability_better": of.probability,
        "probability_better_low_95": of.probability_low,
        "probability_better_high_95": of.probability_high,
        "p_sign_flip": flips.p if flips else "",
        "smallest_p_sign_flip": flips.smallest if flips else "",
    }
