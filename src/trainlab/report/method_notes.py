"""How each figure of a report is computed, and what the noise is made of."""

from collections.abc import Sequence

from trainlab.report.comparisons import MAX_GROUPS_OF_MANY, MAX_PAIRS, Pair, by_metric, count_pairs
from trainlab.report.formatting import format_amount, format_gap, listed
from trainlab.report.groups import Group, differing_hold_out
from trainlab.statistics import over_images
from trainlab.tasks.reported import TaskMetrics

_NOISE_NOTE = (
    "Groups with the same seeds are compared seed by seed (paired t-test), others by Welch's t-test. p is corrected "
    "for the number of pairs ({tests}) by {by}'s method; a difference is significant where it is below 0.05."
)
_MARGIN_NOTE = (
    "Groups are equivalent where two one-sided t-tests show, corrected alike, that they are less than the margin of "
    "{margin} apart."
)
_DETECTABLE_NOTE = (
    "A detectable difference is one that is significant after the correction in 80 % of sweeps with as many seeds, if "
    "the spread over seeds is as it was here."
)
_MANY_NOTE = (
    "There are more than {most:,} pairs of groups: only the best is compared with each other group, and the first "
    "{first} with one another. p is corrected for the number of all pairs, as if the others were the least clear ones."
)
_MEANS_NOTE = (
    "A group is the completed runs that differ only in {seed}; n is their number, sd the standard deviation "
    "over them. Intervals are 95 % of Student's t, without correction."
)
_BEST_NOTE = "The figures of the best are optimistic, since it was chosen by them."
_BEYOND = "An interval that reaches beyond 0 % or 100 % is of too few runs to say where the mean is."
_SHARED_CLOCK = "Seconds of runs that were trained together share a clock and have no interval."
_SAME_HELD_OUT = (
    "The seeds vary the training; the images held out for validation are the same, so nothing is said here of other "
    "images."
)
_OTHER_IMAGES_TOO = (
    " Over other images as well, the interval of {label} would be at most ± {both} instead of ± {seeds} points "
    "({images} images); differences depend on the images less."
)
_SEARCHED_ONCE = (
    "The learning rate of a group was searched once. Intervals and tests hold for the rates that were found, and say "
    "nothing of those that other searches would find."
)
_VARIED_SPLIT = (
    "Each seed holds other images out for validation: intervals and tests are over seeds and splits of these images, "
    "and say nothing of other images."
)
_OTHER_HELD_OUT = (
    "Groups that hold other images out for validation are compared by Welch's t-test, those of other images not at all."
)
_FOLDS = (
    "Of groups with folds, each fold counts once, by the mean over its seeds. A fold is validated on images that no "
    "other is, but any two are trained on mostly the same ones. So the variance of a mean over k folds is taken to be "
    "1 / k + 1 / (k - 1) times that of a fold, instead of 1 / k (Nadeau and Bengio, 2003)."
)


def method_notes(
    groups: Sequence[Group], pairs: Sequence[Pair], kinds: Sequence[TaskMetrics], repetition: str, decisions: list[str]
) -> list[str]:
    """Sentences on how figures are computed.

    Args:
        groups: those that are compared, the best first.
        pairs: of these groups.
        kinds: metrics of the runs.
        repetition: what the runs of a group differ in.
        decisions: notes on those of a sweep that adds seeds.
    """
    digests = {group.digests for group in groups}
    is_same = len(digests) == 1 and len(*digests) == 1 and not differing_hold_out(groups)
    notes = [f"Groups are compared by {'; by '.join(map(_describe_choice, kinds))}."]
    notes.append(_MEANS_NOTE.format(seed=repetition))
    if len(groups) > 1:
        notes.append(_BEST_NOTE)
    if any(is_beyond(group) for group in groups):
        notes.append(_BEYOND)
    if any(group.shares_clock for group in groups):
        notes.append(_SHARED_CLOCK)
    if any(group.search and "search" not in group.varied and group.num_folds is None for group in groups):
        notes.append(_SEARCHED_ONCE)
    notes += decisions
    if any(pair.is_tested for pair in pairs):
        tests = dict.fromkeys(str(pair.tests) for pair in pairs if pair.is_tested)
        margin = pairs[0].margin
        notes.append(_NOISE_NOTE.format(tests=listed([*tests]), by="Holm" if margin is None else "Bonferroni"))
        if margin is not None:
            notes.append(_MARGIN_NOTE.format(margin=format_gap(margin, pairs[0].metric)))
        notes.append(_DETECTABLE_NOTE)
        if len(pairs) < sum(count_pairs(len(alike)) for alike in by_metric(groups)):
            notes.append(_MANY_NOTE.format(most=MAX_PAIRS, first=MAX_GROUPS_OF_MANY))
    if any(group.num_folds for group in groups):
        return [*notes, _OTHER_HELD_OUT, _FOLDS]
    if is_same and all("split" in group.varied for group in groups):
        return [*notes, _VARIED_SPLIT]
    return [*notes, f"{_SAME_HELD_OUT}{_describe_images(groups[0])}" if is_same else _OTHER_HELD_OUT]


def _describe_images(group: Group) -> str:
    """How much wider the interval of a group would be over other images; "" where that is not known, or no wider.

    Of few seeds the interval over seeds alone may be the wider one, as it has fewer degrees of freedom.
    """
    sizes, metric = {run.val_size for run in group.runs.values()}, group.metrics.compared_by
    size = next(iter(sizes))
    if metric.name != "accuracy" or len(sizes) > 1 or size is None or len(group.compared) < 2:
        return ""
    half_width = over_images([*group.compared.values()], size).half_width
    if half_width <= group.comparison.half_width:
        return ""
    both, seeds = (format_amount(width, metric) for width in (half_width, group.comparison.half_width))
    return _OTHER_IMAGES_TOO.format(label=group.label, seeds=seeds, both=both, images=size)


def is_beyond(group: Group) -> bool:
    """Whether the interval of a percentage reaches beyond those that there are."""
    of = group.comparison
    return group.metrics.compared_by.is_percentage and (of.mean - of.half_width < 0 or of.mean + of.half_width > 1)


def _describe_choice(metrics: TaskMetrics) -> str:
    """ "validation accuracy at the epoch with the lowest validation loss"."""
    primary = metrics.primary
    at = "" if primary == metrics.compared_by else f" at the epoch with the {primary.by_mode('lowest', 'highest')}"
    return f"{metrics.compared_by.label}{f'{at} {primary.label}' if at else ' at its best epoch'}"
