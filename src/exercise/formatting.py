"""Figures as texts and cells of tables: means over seeds with half of their 95 % interval."""

from collections.abc import Sequence
from dataclasses import replace

from trainlab.report import Cell, Group, format_mean
from trainlab.statistics import Interval


def with_label(group: Group, label: str) -> Group:
    """The group under another name."""
    return replace(group, label=label)


def format_list(texts: Sequence[str]) -> str:
    """ "a, b and c"."""
    return " and ".join([", ".join(texts[:-1]), texts[-1]] if len(texts) > 1 else texts)


def format_percent(of: Interval, digits: int = 1) -> str:
    """ "50.1 ± 0.4 %" of a fraction."""
    if not of.n:
        return "no completed run"
    return f"{format_mean(Interval(100 * of.mean, 100 * of.sd, 100 * of.half_width, of.n), digits)} %"


def mean_accuracy(group: Group) -> str:
    """The mean validation accuracy of the completed runs of a group: "50.1 %"."""
    mean = group.summary("metrics", "val_acc").mean
    return f"{100 * mean:.1f} %" if group.runs else "no completed run"


def format_rate(lr: float) -> str:
    """A learning rate: "5.3e-5", "0.019"."""
    return f"{lr:.2g}".replace("e-0", "e-")


def accuracy_cells(group: Group) -> list[Cell]:
    """Of a table: validation accuracy and test accuracy in %: "50.1 ± 0.4"."""
    found = [group.summary("metrics", name) for name in ("val_acc", "test_acc")]
    return [(format_percent(of).removesuffix(" %"), of.mean) for of in found]


def mean_cell(of: Interval, digits: int = 1) -> Cell:
    """Of a table: a mean with its interval."""
    return format_mean(of, digits), of.mean


def number_cell(value: float, digits: int = 1) -> Cell:
    """Of a table: a number."""
    return f"{value:z,.{digits}f}", value


def text_cells(*texts: str) -> list[Cell]:
    """Of a table: texts, which are sorted as they stand."""
    return [(text, text) for text in texts]
