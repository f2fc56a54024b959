"""Sentences made from figures: one thing compared with another, and whether they differ by more than the noise."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import isnan
from typing import Literal

from trainlab.report import Cell, Group, Pair, compare_all, format_bounds, format_mean, format_p, format_points
from trainlab.statistics import ALPHA, Difference, Interval, Ratio, difference, holm, interval

Verdict = Literal["higher", "lower", "not distinguishable", "unknown"]
SMALL = 0.01  # of accuracy: a loss of up to a point is called none. A choice, made for all questions alike


def with_label(group: Group, label: str) -> Group:
    """The group under another name."""
    return replace(group, label=label)


def compare_pair(first: Group, second: Group) -> Pair:
    """The comparison of two groups by validation accuracy, alone: not corrected for others.

    Raises:
        ValueError: one of them has no completed run.
    """
    pairs = compare_all([first, second])
    if not pairs:
        raise ValueError(f"{first.label} or {second.label} has no completed run")
    return pairs[0]


def compare_pairs(groups: Sequence[tuple[Group, Group]]) -> list[Pair]:
    """The comparisons of these pairs by validation accuracy, Holm's correction over them and no others."""
    pairs = [compare_pair(*two) for two in groups]
    tests = sum(pair.is_tested for pair in pairs)
    ps = holm([pair.difference.p for pair in pairs])
    return [replace(pair, p=p, tests=tests) for pair, p in zip(pairs, ps, strict=True)]


def corrected_verdicts(differences: Sequence[Difference]) -> list[tuple[Verdict, float]]:
    """The verdict on each of several differences, and its p, by Holm's correction over all of them."""
    ps = holm([one.p for one in differences])
    return [(verdict(one, p), p) for one, p in zip(differences, ps, strict=True)]


def format_list(texts: Sequence[str]) -> str:
    """ "a, b and c"."""
    return " and ".join([", ".join(texts[:-1]), texts[-1]] if len(texts) > 1 else texts)


def join_sentences(*sentences: str) -> str:
    """Sentences in a row, each with a capital first."""
    return " ".join(f"{sentence[:1].upper()}{sentence[1:]}" for sentence in sentences if sentence)


def format_margin(pair: Pair) -> str:
    """How far the two are apart: "2.1 ± 0.4"."""
    spread = f" ± {100 * pair.difference.half_width:.1f}" if pair.is_tested else ""
    return f"{format_points(abs(pair.difference.mean))}{spread}"


def format_difference(between: Difference) -> str:
    """A difference of accuracies in points: "+1.2 ± 0.4", without an interval "+1.2"."""
    spread = "" if between.method == "none" else f" ± {100 * between.half_width:.1f}"
    return f"{100 * between.mean:+z.1f}{spread}"  # z: never "-0.0"


def verdict(between: Difference, p: float | None = None) -> Verdict:
    """Of the first compared with the second; "unknown" where there is no test.

    Args:
        between: the first less the second.
        p: of ``between``, where it is one of several tests and corrected.
    """
    if between.method == "none":
        return "unknown"
    if (between.p if p is None else p) >= ALPHA:
        return "not distinguishable"
    return "higher" if between.mean > 0 else "lower"


def describe_test(between: Difference) -> str:
    """ "95 %, paired t, p = 0.01"."""
    p = format_p(between.p)
    return f"95 %, {'paired t' if between.method == 'paired' else 'Welch'}, p {p if p.startswith('<') else f'= {p}'}"


def holds(found: Verdict, wanted: Literal["higher", "lower"]) -> bool | None:
    """Whether a verdict is the one ``wanted``; False where it is the contrary, None where it is open."""
    return found == wanted if found in ("higher", "lower") else None


def loses_nothing(change: Difference, p: float | None = None) -> bool | None:
    """Whether a change of accuracy, a fraction, is no loss; arguments as for `verdict`.

    False where it is one that is larger than the noise. True where it is none, and the two-sided 95 % interval has no
    room for a loss of more than ``SMALL``. None where there is room, or no interval: finding no loss is not enough.
    """
    direction = verdict(change, p)
    if direction in ("unknown", "lower"):
        return None if direction == "unknown" else False
    return True if change.half_width - change.mean <= SMALL else None


def all_hold(*claims: bool | None) -> bool | None:
    """False if one does not; otherwise None if one is open, or there is none."""
    return False if False in claims else None if None in claims or not claims else True


def format_ratio(of: Ratio) -> str:
    """ "1.43 times (95 %: 1.40 to 1.46)"."""
    if isnan(of.value):
        return "an unknown number of times"
    within = "" if isnan(of.low) else f" (95 %: {format_bounds(of)})"
    return f"{of.value:.2f} times{within}"


def format_initializer(setting: str) -> str:
    """ "LeCun normal" for `lecun_normal`."""
    rule, _, shape = setting.partition("_")
    return f"{ {'he': 'He', 'lecun': 'LeCun', 'glorot': 'Glorot', 'torch': 'PyTorch'}[rule] } {shape}"


def format_accuracy(of: Interval) -> str:
    """ "50.1 ± 0.4 %", of a fraction."""
    return format_percent(of) if of.n else "no completed run"


def format_val_acc(group: Group) -> str:
    """The validation accuracy of the completed runs of a group."""
    return format_accuracy(group.summary("metrics", "val_acc"))


def accuracy_cells(group: Group) -> list[Cell]:
    """Of a table: validation accuracy and test accuracy, in %: "50.1 ± 0.4"."""
    found = [group.summary("metrics", name) for name in ("val_acc", "test_acc")]
    return [(format_percent(of).removesuffix(" %"), of.mean) for of in found]


def format_percent(of: Interval, digits: int = 1) -> str:
    """ "50.1 ± 0.4 %" of a fraction."""
    return format_amount(of, "%", digits, 100).partition(" (")[0]


def format_rate(lr: float) -> str:
    """A learning rate: "5.3e-5", "0.019"."""
    return f"{lr:.2g}".replace("e-0", "e-")


def mean_accuracy(group: Group) -> str:
    """Validation accuracy without its interval: "50.1 %"."""
    return f"{100 * group.summary('metrics', 'val_acc').mean:.1f} %"


def mean_cell(of: Interval, digits: int = 1) -> Cell:
    """Of a table: a mean with its interval."""
    return format_mean(of, digits), of.mean


def text_cells(*texts: str) -> list[Cell]:
    """Of a table: texts, which are sorted as they stand."""
    return [(text, text) for text in texts]


def beats(of: Interval, reported: float) -> bool | None:
    """Whether the interval of a mean accuracy lies above a figure in %; False below, None where that is in it."""
    if not of.n or isnan(of.half_width):
        return None
    low, high = 100 * (of.mean - of.half_width), 100 * (of.mean + of.half_width)
    return True if low > reported else False if high < reported else None


def describe_against_reported(what: str, found: Mapping[str, tuple[Interval, float]]) -> str:
    """A sentence on mean accuracies, by name, compared with what others report of one run each, in %."""
    words = {True: "above", False: "below", None: "not clearly apart from"}
    parts = [
        f"{name} {format_accuracy(of)}{f', {words[beats(of, reported)]} the {reported} % reported' if of.n else ''}"
        for name, (of, reported) in found.items()
    ]
    return f"{what}: {'; '.join(parts)}."


def describe_outcome(group: Group) -> str:
    """The results of the runs of a group: "50.1 ± 0.4 % (3 seeds)", "41.0 % (1 seed), 2 runs diverged"."""
    lost = Counter(run.status for run in group.others)
    parts = [format_val_acc(group)] if group.runs or not lost else []
    parts += [f"{count} run{'' if count == 1 else 's'} {status}" for status, count in lost.items()]
    return ", ".join(parts)


def format_amount(of: Interval, unit: str, digits: int = 1, scale: float = 1) -> str:
    """ "3.2 ± 0.1 s (3 seeds)", of figures times ``scale``."""
    if of.n == 0:
        return "no figure"
    spread = "" if of.n == 1 else f" ± {scale * of.half_width:.{digits}f}"
    return f"{scale * of.mean:.{digits}f}{spread}{unit and f' {unit}'} ({format_seeds(of.n)})"


def format_seeds(n: int) -> str:
    """ "3 seeds", "1 seed"."""
    return f"{n} seed{'' if n == 1 else 's'}"


def describe_difference(
    what: str,
    first: tuple[str, Mapping[int, float]],
    second: tuple[str, Mapping[int, float]],
    unit: str = "points",
    digits: int = 1,
) -> str:
    """A sentence on ``what`` of the first compared with the second, from values by seed; accuracies are in points.

    "Validation accuracy of X is 1.2 ± 0.4 points higher than of Y (95 %, paired t, p = 0.01)."
    """
    (name, values), (other, others) = first, second
    between = difference(values, others)
    found = verdict(between)
    means = f"{interval([*values.values()]).mean:.{digits}f} and {interval([*others.values()]).mean:.{digits}f}"
    if found == "unknown":
        why = between.reason or "too few seeds"
        return f"{what} of {name} and {other} ({means} {unit}): nothing can be claimed, {why}."
    by = f"{abs(between.mean):.{digits}f} ± {between.half_width:.{digits}f} {unit}"
    how = describe_test(between)
    if found == "not distinguishable":
        return f"No significant difference in {what[:1].lower()}{what[1:]} between {name} and {other} ({by}, {how})."
    return f"{what} of {name} is {by} {found} than of {other} ({how})."
