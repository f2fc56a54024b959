"""Sentences on groups and pairs of groups, and what can be claimed."""

import math
from collections.abc import Sequence

from trainlab.report.comparisons import RATIO_ALPHA, Convergence, Pair, TimeToReach, compare_convergence
from trainlab.report.formatting import (
    format_bounds,
    format_gap,
    format_mean,
    format_metric,
    format_p,
    listed,
    unit_of_gap,
)
from trainlab.report.groups import OTHER_IMAGES, OTHER_METRIC, Group, overlaps_of, why_not_compared
from trainlab.statistics import ALPHA, NO_SPREAD, Ratio, ratio

MAX_NAMED = 10
MAX_LISTED = 3  # numbers


def describe_pair(pair: Pair) -> str:
    """Whether the model is better, by the metric that it is compared by."""
    good, bad, by = pair.ordered()
    if pair.difference.reason == OTHER_IMAGES:
        return describe_not_compared(good, bad)
    if not pair.is_tested:
        apart = (
            f"the means are {format_gap(by, pair.metric)} apart, {good.label} ahead" if by else "the means are the same"
        )
        return f"{good.label} and {bad.label}: nothing can be claimed, {_why_not(pair)} ({apart})."
    how, unit = f"95 %; {_method(pair)}; {_p(pair)}", unit_of_gap(pair.metric)
    if pair.is_clear:
        return f"{good.label} is better than {bad.label} by {_by(pair, by)}{unit} ({how})."
    if pair.difference.p < ALPHA:
        return (
            f"{good.label} is {_by(pair, by)}{unit} ahead of {bad.label}, but that is not significant after the "
            f"correction for the {pair.tests} pairs compared ({how}): add seeds."
        )
    between = f"No significant difference between {good.label} and {bad.label}"
    return f"{between} with {_seeds(pair)} ({_by(pair, by)}{unit}, {how})."


def describe_pairs(pairs: Sequence[Pair]) -> list[str]:
    """One sentence per pair, clear differences first; groups with one seed share one, as do many unclear pairs."""
    clear = [pair for pair in pairs if pair.is_clear]
    unclear = [pair for pair in pairs if pair.is_tested and not pair.is_clear]
    sentences = [describe_pair(pair) for pair in clear[:MAX_NAMED]]
    if len(clear) > MAX_NAMED:
        sentences.append(
            f"{len(clear) - MAX_NAMED} more differences are larger than the noise: see the table of all pairs."
        )
    common = set.intersection(*({pair.first.label, pair.second.label} for pair in unclear)) if unclear else set()
    if len(unclear) > MAX_NAMED and len(common) == 1:
        (one,), metric = common, unclear[0].metric
        amount = "the points" if metric.is_percentage else f"the difference in {metric.name}"
        sentences.append(
            f"No significant difference between {one} and {_some([_lead(pair, one) for pair in unclear])} (in brackets "
            f"{amount} that {one} is ahead, 95 %; {unclear[0].correction} over {unclear[0].tests} pairs): add seeds."
        )
    else:
        sentences += map(describe_pair, unclear)
    sentences += [describe_pair(pair) for pair in pairs if pair.difference.reason == NO_SPREAD][:MAX_NAMED]
    others = [pair for pair in pairs if pair.difference.reason == OTHER_IMAGES]
    sentences += (
        map(describe_pair, others)
        if len(others) <= MAX_NAMED
        else [f"{len(others)} pairs are not compared: other images."]
    )
    single = {g.label: g for pair in pairs for g in (pair.first, pair.second) if _count(g) == 1}
    if single:
        has = _have_one([*single.values()])
        sentences.append(f"{_some([*single])} {has}: nothing can be claimed; set seed=1,2,3 or more.")
    return sentences


def describe_convergence(first: Group, second: Group, ratios: int | None = None) -> str:
    """How soon the second is as good as the first by the primary metric, and what it takes to a value both reach.

    Args:
        first: the one compared with.
        second: the one that is described.
        ratios: in the whole report; one that is not significant after the correction for as many says so.
    """
    if why_not_compared(first, second):
        return describe_not_compared(first, second)
    metric = first.metrics.primary
    if second.metrics.primary != metric:
        return (
            f"{first.label} and {second.label} are not compared: the best epochs are by {metric.label} and by "
            f"{second.metrics.primary.label}."
        )
    found = compare_convergence(first, second)
    if found is None:
        return f"There is no {metric.label} by epoch to compare {first.label} and {second.label} with."
    mark = f"{first.label}'s best {metric.label} ({format_metric(found.target, metric)})"
    own = f"{first.label} itself took {_describe_times(found.first, first)}"
    same_mark = found.common == found.target  # for each seed the first one's own best
    times = _describe_ratios(found, first, second, ratios)
    both = "" if same_mark else f" {_describe_mark(found)} {second.label} takes {times}."
    n, did = found.second.n, found.second.n - found.second.never
    if not did:
        every = "its one run" if n == 1 else f"any of its {n} runs"
        return f"{second.label} never reached {mark} in {every}; {own}.{both}"
    some = f" in {did} of {n} runs," if found.second.never else ""
    after = _describe_times(found.second, second)
    at_mark = f": {times}" if same_mark else ""
    return f"{second.label} reached {mark}{some} after {after}; {own}{at_mark}.{both}"


def describe_epoch_cost(first: Group, second: Group, ratios: int | None = None) -> str:
    """What an epoch costs; arguments as for `describe_convergence`."""
    if why_not_compared(first, second):
        return describe_not_compared(first, second)
    a, b = first.of("time", "epoch_s"), second.of("time", "epoch_s")
    if not a or not b:
        return f"There are no times to compare {first.label} and {second.label} with."
    times = _without_shared_clock(ratio(b, a, overlaps=overlaps_of(second, first)), first, second)
    each = _format_apart(second, first)
    if math.isnan(times.low):
        within, unclear = "", _no_claim(first, second, timed=True)
    else:
        within = f" (95 %: {format_bounds(times)})"
        unclear = _describe_correction(times, ratios) if times.is_clear else "; no difference is shown by these runs"
    return (
        f"An epoch of {second.label} takes {times.value:.2f} times as long as one of {first.label}{within}: "
        f"{each}{unclear}."
    )


def format_epoch_seconds(group: Group, digits: int | None = None) -> str:
    """Mean seconds, with an interval over the seeds unless they were timed together.

    Args:
        digits: after the point; by default as many as the mean needs for two significant ones, at least one.
    """
    found = group.summary("time", "epoch_s")
    if digits is None:
        digits = _digits_of(found.mean)
    return f"{found.mean:.{digits}f}" if group.shares_clock else format_mean(found, digits)


def _digits_of(seconds: float) -> int:
    """After the point, for two significant ones, but at least one."""
    return max(1, 1 - math.floor(math.log10(seconds))) if seconds > 0 else 1


def _format_apart(first: Group, second: Group) -> str:
    """Seconds of an epoch of two groups, to as many digits as their means need to differ."""
    means = [group.summary("time", "epoch_s").mean for group in (first, second)]
    fewest = max(map(_digits_of, means))
    apart = (n for n in range(fewest, fewest + 4) if len({f"{mean:.{n}f}" for mean in means}) > 1)
    digits = next(apart, fewest)
    return f"{format_epoch_seconds(first, digits)} s against {format_epoch_seconds(second, digits)} s"


def describe_not_compared(first: Group, second: Group) -> str:
    """That two groups are not compared, and why."""
    other_metric = why_not_compared(first, second) == OTHER_METRIC
    metrics = f"{first.metrics.compared_by.label} and {second.metrics.compared_by.label} are different metrics"
    reason = metrics if other_metric else "other images (their data digests differ)"
    return f"{first.label} and {second.label} are not compared: {reason}."


def _some(labels: Sequence[str]) -> str:
    more = f" and {len(labels) - MAX_NAMED} more" if len(labels) > MAX_NAMED else ""
    return f"{', '.join(labels[:MAX_NAMED])}{more}"


def _by(pair: Pair, by: float) -> str:
    if not pair.metric.is_percentage:
        return f"{pair.metric.format(by)} ± {pair.metric.format(pair.difference.half_width)}"
    digits = 1 if min(abs(by), pair.difference.half_width) >= 0.001 else 2
    return f"{100 * by:.{digits}f} ± {100 * pair.difference.half_width:.{digits}f}"


def _method(pair: Pair) -> str:
    if pair.difference.method == "Welch":
        return f"Welch's t, {_counts(pair)}"
    return f"paired t over {pair.first.unit}s {_listed(pair.difference.seeds)}"


def _p(pair: Pair) -> str:
    text = format_p(pair.difference.p)
    p = f"p {text}" if text.startswith("<") else f"p = {text}"
    return f"{p} alone, {format_p(pair.p)} by {pair.correction} over {pair.tests} pairs" if pair.tests > 1 else p


def _why_not(pair: Pair) -> str:
    if pair.difference.reason == NO_SPREAD:
        return f"there is {NO_SPREAD}"
    single = [group for group in pair.ordered()[:2] if _count(group) < 2]
    if not single:
        return f"as {pair.difference.reason}"
    return f"{' and '.join(group.label for group in single)} {_have_one(single)}"


def _count(group: Group) -> int:
    """Seeds, or folds, of its completed runs."""
    return len(group.compared)


def _have_one(groups: Sequence[Group]) -> str:
    unit = " or ".join(dict.fromkeys(group.unit for group in groups))
    return f"have one {unit} each" if len(groups) > 1 else f"has one {unit}"


def _lead(pair: Pair, of: str) -> str:
    """The other group of a pair, and how far ahead of it ``of`` is."""
    ahead = pair.ahead if pair.first.label == of else -pair.ahead
    other = pair.second.label if pair.first.label == of else pair.first.label
    return f"{other} ({_by(pair, ahead)})"


def _listed(seeds: tuple[int, ...]) -> str:
    consecutive = len(seeds) > 3 and list(seeds) == list(range(seeds[0], seeds[-1] + 1))
    return f"{seeds[0]} to {seeds[-1]}" if consecutive else ", ".join(map(str, seeds))


def _seeds(pair: Pair) -> str:
    alike = (_count(pair.first), pair.first.unit) == (_count(pair.second), pair.second.unit)
    return f"{_count(pair.first)} {pair.first.unit}s" if alike else _counts(pair)


def _counts(pair: Pair) -> str:
    """ "4 and 3 seeds", "5 folds and 3 seeds": of which there is a value."""
    first, second = pair.first, pair.second
    unit = "" if first.unit == second.unit else f" {first.unit}s"
    return f"{_count(first)}{unit} and {_count(second)} {second.unit}s"


def _without_shared_clock(of: Ratio, first: Group, second: Group) -> Ratio:
    """A ratio of times, without an interval where that would be over shares of one clock."""
    return Ratio(of.value, math.nan, math.nan) if first.shares_clock or second.shares_clock else of


def _describe_times(reached: TimeToReach, group: Group) -> str:
    """Mean, lowest and highest if all of several runs reached it, otherwise of each that did; of many the range."""
    digits = 0 if reached.seconds.n and reached.seconds.mean >= 10 else 1
    if not reached.never and reached.n > 2:
        text = _mean_and_range([epochs for epochs, _ in reached.each], "epochs", 0)
        if not reached.seconds.n:
            return text
        alone = f"{reached.seconds.mean:.{digits}f} s"
        return f"{text}, {alone if group.shares_clock else _mean_and_range([s for _, s in reached.each], 's', digits)}"
    epochs = _and_or_range([f"{epochs:.0f}" for epochs, _ in reached.each])
    of_each = [f"{s:.{digits}f}" for _, s in reached.each if math.isfinite(s)]
    text = f"{epochs} epoch{'' if epochs == '1' else 's'}"
    return f"{text} ({_and_or_range(of_each)} s)" if len(of_each) == len(reached.each) else text


def _mean_and_range(values: Sequence[float], unit: str, digits: int) -> str:
    """ "9.0 epochs (8 to 10)"; of equal values one of them."""
    finite = [value for value in values if math.isfinite(value)]
    low, high = (f"{of(finite):.{digits}f}" for of in (min, max))
    mean = f"{sum(finite) / len(finite):.{max(1, digits)}f}"
    return f"{mean} {unit} ({low} to {high})" if low != high else f"{low} {unit}"


def _and_or_range(numbers: Sequence[str]) -> str:
    """ "3, 4 and 4"; of more than ``MAX_LISTED`` "3 to 9"."""
    if len(numbers) <= MAX_LISTED:
        return listed([*numbers])
    low, high = (pick(numbers, key=float) for pick in (min, max))
    return f"{low} to {high}" if low != high else low


def _describe_mark(found: Convergence) -> str:
    """The value that both reach."""
    metric = found.metric
    better = metric.by_mode("higher", "lower")
    return f"To the {better} of the two best {metric.values} ({format_metric(found.common, metric)})"


def _describe_ratios(found: Convergence, first: Group, second: Group, ratios: int | None) -> str:
    """Epochs and seconds to the value that both reach, each with its interval or why it has none."""
    epochs = _describe_ratio(found.epochs_ratio, "epochs", first, second, ratios)
    return f"{epochs} and {_describe_ratio(found.seconds_ratio, 'seconds', first, second, ratios)}"


def _describe_ratio(of: Ratio, unit: str, first: Group, second: Group, ratios: int | None) -> str:
    if unit == "seconds":
        of = _without_shared_clock(of, first, second)
    if math.isnan(of.value):
        return f"an unknown share of the {unit}"
    if math.isnan(of.low):
        return f"{of.value:.2f} times the {unit}{_no_claim(first, second, unit == 'seconds')}"
    return f"{of.value:.2f} times the {unit} (95 %: {format_bounds(of)}{_describe_correction(of, ratios)})"


def _describe_correction(of: Ratio, ratios: int | None) -> str:
    """That one whose interval excludes 1 is not significant after the correction; "" where it is, or includes 1."""
    is_lost = ratios is not None and of.is_clear and of.p * ratios >= RATIO_ALPHA
    return f"; not significant after Bonferroni's correction for the {ratios} ratios compared" if is_lost else ""


def _no_claim(first: Group, second: Group, timed: bool = False) -> str:
    """Why a ratio of two groups has no interval; ``timed`` where it is one of times."""
    if timed and (first.shares_clock or second.shares_clock):
        return " (runs trained together share a clock: no claim)"
    fewest = min(first, second, key=_count)
    return f" ({f'one {fewest.unit}' if _count(fewest) < 2 else 'no spread'}: no claim)"
