"""Numbers as text."""

import math
from typing import Any

from trainlab.runs.numbers import short_number
from trainlab.statistics import ALPHA, Interval, Ratio
from trainlab.tasks.metrics import Metric

# Figures of every run besides its metrics, and how tables show them.
RUN_FIGURES = {"best_epoch": ".0f", "epochs": ".0f", "epoch_s": ".1f", "total_s": ".0f"}
TEST_NOTE = "Best epoch chosen on validation data; † = test set."


def format_value(value: Any, digits: int = 6) -> str:
    """A value of a setting as text, a number to ``digits`` significant digits as it is typed: "1e-4"."""
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    if isinstance(value, list):
        return str(value).replace("'", "")
    return short_number(f"{value:.{digits}g}") if isinstance(value, float) else str(value)


def format_figure(value: float | None, spec: str) -> str:
    """A figure as text, of a percentage "57.80 %"; "-" if there is none."""
    return "-" if value is None or math.isnan(value) else format(value, spec).replace("%", " %")


def format_metric(value: float | None, metric: Metric) -> str:
    """A value of ``metric`` as text; "-" if there is none."""
    return format_figure(value, metric.spec)


def format_mean(of: Interval, digits: int = 1, kind: str = "f") -> str:
    """Mean, and half the width of its interval if there is one; as a percentage if ``kind`` is "%"."""
    return format_interval(of, f".{digits}{kind}")


def format_interval(of: Interval, spec: str) -> str:
    """Mean, and half the width of its interval if there is one."""
    if of.n == 0:
        return "-"
    spread = "" if math.isnan(of.half_width) else f" ± {of.half_width:{spec}}"
    mean = format(of.mean, spec)
    is_zero = not mean.strip("-0.%")
    return f"{mean.lstrip('-') if is_zero else mean}{spread}"


def format_estimate(of: Interval, metric: Metric, digits: int | None = None) -> str:
    """Mean and half the width of its interval, of a percentage as "57.8 % ± 4.1", in points; of equal values the mean.

    Args:
        digits: of a percentage after the point; by default as many as its interval needs.
    """
    if not metric.is_percentage or of.n == 0:
        return format_interval(of, metric.spec) if of.has_spread else format_metric(of.mean, metric)
    if digits is None:
        digits = 2 if of.has_spread and of.half_width < 0.001 else 1
    spread = f" ± {100 * of.half_width:.{digits}f}" if of.has_spread else ""
    return f"{100 * of.mean:.{digits}f} %{spread}"


def format_bounds(of: Ratio) -> str:
    """ "0.36 to 0.94"; a bound of 1000 or more is not written out."""
    return f"{of.low:.2f} to {f'{of.high:.2f}' if of.high < 1000 else 'more than 1000'}"


def format_gap(gap: float, metric: Metric) -> str:
    """A difference of values of ``metric``: "1.2 points", "0.0123 in R2"."""
    return f"{format_amount(gap, metric)}{unit_of_gap(metric)}"


def format_amount(gap: float, metric: Metric) -> str:
    """A difference of values of ``metric`` without its unit, of a percentage in points."""
    return format_points(gap) if metric.is_percentage else metric.format(gap)


def unit_of_gap(metric: Metric) -> str:
    """What follows a difference of values of ``metric``."""
    return " points" if metric.is_percentage else f" in {metric.name}"


def format_points(fraction: float) -> str:
    """A difference of accuracies in percentage points."""
    return f"{100 * fraction:.{1 if abs(fraction) >= 0.001 else 2}f}"


def format_p(p: float) -> str:
    """One or two significant digits, more near ``ALPHA``, over which nothing is rounded; never zero."""
    if math.isnan(p):
        return "-"
    if p < 1e-9:
        return "< 1e-9"
    if f"{p:.3f}" == f"{ALPHA:.3f}":
        if f"{p:.4f}" != f"{ALPHA:.4f}":
            return f"{p:.4f}"
        return f"< {ALPHA:g}" if p < ALPHA else f"{ALPHA:g}"
    return f"{p:.2f}" if p >= 0.1 else f"{p:.3f}" if p >= 0.001 else f"{p:.1g}".replace("e-0", "e-")


def listed(names: list[str], last: str = "and") -> str:
    """ "a, b and c"."""
    return f" {last} ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def count_of(n: int, total: int, one: str, several: str) -> str:
    """ "7 of 19 runs did not complete", "The run did not complete"."""
    return f"The run {one}" if total == 1 else f"{n} of {total} runs {one if n == 1 else several}"


def describe_selection(shown: int, of: int, metric: Metric, has_baseline: bool = False) -> str:
    """The start of a caption that shows some of the groups, the best by ``metric`` and the baseline; "" if all."""
    if shown >= of:
        return ""
    best = f"{shown - 1} best of {of - 1} other" if has_baseline else f"{shown} best of {of}"
    return f"The {'baseline and the ' if has_baseline else ''}{best} groups by {metric.label}. "


def capitalized(text: str) -> str:
    """``text`` with a capital first letter."""
    return text[:1].upper() + text[1:]
