"""Sentences on the size of a difference: effect size, equivalence, and what so many seeds detect."""

import math

from trainlab.report.comparisons import Pair
from trainlab.report.formatting import format_gap, format_p
from trainlab.report.groups import Group, overlaps_of
from trainlab.statistics import POWER, EffectSize, detectable_difference, effect_size, seeds_needed


def effect_of(pair: Pair, first: Group, second: Group) -> EffectSize:
    """That of one group of a pair compared with the other, above zero where it is better; NaN where there is none."""
    if not pair.is_tested:
        return EffectSize(*[math.nan] * 6)
    own, other = (
        {seed: -group.metrics.compared_by.rank(value) for seed, value in group.compared.items()}
        for group in (first, second)
    )
    return effect_size(own, other, pair.difference.method == "paired", overlaps_of(first, second))


def describe_effect(pair: Pair) -> str:
    """Hedges' g, and with what probability a run of the better group beats one of the other; "" if there is none."""
    good, bad, _ = pair.ordered()
    of = effect_of(pair, good, bad)
    if math.isnan(of.g):
        return ""
    same = f" of the same {good.unit}" if pair.difference.method == "paired" else ""
    return (
        f"Effect size (Hedges' g): {of.g:.1f} (95 %: {of.g_low:.1f} to {of.g_high:.1f}); probability that a run of "
        f"{good.label} beats one of {bad.label}{same}: {100 * of.probability:.0f} % ({100 * of.probability_low:.0f} to "
        f"{100 * of.probability_high:.0f} %)."
    )


def describe_equivalence(pair: Pair) -> str:
    """Whether two groups differ by less than the margin; "" without one or a test, or where one is better by more."""
    if pair.margin is None or math.isnan(pair.p_equivalent):
        return ""
    if pair.is_clear and abs(pair.difference.mean) >= pair.margin:
        return ""
    text = format_p(pair.p_equivalent)
    p = f"p {text}" if text.startswith("<") else f"p = {text}"
    within = f"less than {format_gap(pair.margin, pair.metric)} apart ({p}{', corrected' if pair.tests > 1 else ''})"
    return f"Equivalent: {within}." if pair.is_equivalent else f"Not shown to be equivalent, {within}."


def describe_detectable(pair: Pair) -> str:
    """The difference that so many seeds detect, and the seeds that the margin, or the one found, takes; "" if untested.

    Holm's correction for the number of pairs is that of its first step. "" of folds and varied splits, too, which share
    images: more of them add less than more seeds.
    """
    of = pair.difference
    if not pair.is_tested or any(overlaps_of(pair.first, pair.second)):
        return ""
    counts, is_paired = (len(pair.first.compared), len(pair.second.compared)), of.method == "paired"
    sd = of.error * math.sqrt(counts[0] if is_paired else 1 / sum(1 / count for count in counts))
    detected = format_gap(detectable_difference(sd, counts, pair.tests, is_paired), pair.metric)
    seeds = " and ".join(dict.fromkeys(map(str, counts)))
    said = f"{seeds} seeds detect a difference of {detected} ({100 * POWER:.0f} % power)"
    gap = abs(of.mean) if pair.margin is None else pair.margin
    if not gap:
        return f"{said}."
    needed = seeds_needed(gap, sd, pair.tests, is_paired)
    return f"{said}; {format_gap(gap, pair.metric)} would take {needed or 'more than 10,000'}."
