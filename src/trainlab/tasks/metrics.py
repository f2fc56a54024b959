"""The metrics of a run, what they are called, and the direction in which each of them improves."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Metric:
    """A metric.

    Attributes:
        mode: the direction in which it improves, "min" or "max"; None if it has none.
        label: name for display.
        key: key in ``metrics`` of `result.json`.
        spec: format specification of a value.
    """

    mode: str | None
    label: str
    key: str
    spec: str = field(compare=False)

    def format(self, value: float) -> str:
        """``value`` for display, of a percentage "57.80 %"."""
        return format(value, self.spec).replace("%", " %")

    @property
    def tag(self) -> str:
        """Name in loggers, which divide names by slashes: "val/acc"."""
        return self.key.replace("_", "/", 1)

    @property
    def train_tag(self) -> str:
        """That of the training: "train/acc"."""
        return f"train/{self.tag.partition('/')[2]}"

    @property
    def name(self) -> str:
        """The label without the split: "accuracy"."""
        return self.label.removeprefix("validation ").removeprefix("test ")

    @property
    def heading(self) -> str:
        """Name for the head of a column: "val acc"."""
        return self.key.replace("_", " ")

    @property
    def is_percentage(self) -> bool:
        """Whether values are displayed in percent, and differences in percentage points."""
        return self.spec.endswith("%")

    @property
    def test(self) -> "Metric":
        """The same metric of the test set."""
        return replace(self, key=f"test_{self.key.removeprefix('val_')}", label=f"test {self.name}")

    @property
    def values(self) -> str:
        """What several values are called: "losses"."""
        return "losses" if self.name == "loss" else f"values of {self.name}"

    def by_mode(self, low: T, high: T) -> T:
        """``low`` where lower values are better, ``high`` where higher ones are."""
        return high if self.mode == "max" else low

    def rank(self, value: T) -> T:
        """``value``, negated where higher values are better: lower is better. Its own inverse."""
        return -value if self.mode == "max" else value  # type: ignore[operator]  # of a float or an array


# The validation metrics of a classification without more of them.
METRICS = {
    "val/loss": Metric("min", "validation loss", "val_loss", ".4f"),
    "val/acc": Metric("max", "validation accuracy", "val_acc", ".2%"),
}


@cache
def key_of(name: str, split: str = "val") -> str:
    """Key in ``metrics`` of `result.json` of what is logged in a split: "val_f1" of "val/f1", "val_f1" and "f1"."""
    key = re.sub(r"\W", "_", name)
    return key if key.startswith(f"{split}_") else f"{split}_{key}"


def is_better(mode: str, value: float, other: float) -> bool:
    """Whether ``value`` improves on ``other`` in the direction ``mode``."""
    return value < other if mode == "min" else value > other


def metric_of(name: str, key: str, known: Mapping[str, Metric] = METRICS) -> Metric:
    """The metric ``name``, which is the value of the setting ``key``, among the ``known`` ones.

    Raises:
        ValueError: the metric does not exist.
    """
    if name not in known:
        raise ValueError(f"{key.rpartition('.')[2]} must be one of {', '.join(known)}, got {name!r}; set {key}")
    return known[name]


def mode_of(monitor: str, mode: str | None, section: str, known: Mapping[str, Metric] = METRICS) -> str:
    """The direction in which ``monitor`` improves.

    Args:
        monitor: a metric that is ``known``, or one of a foreign callback.
        mode: as configured; None to follow from the metric.
        section: config section of ``monitor`` and ``mode``.
        known: metrics by name.

    Raises:
        ValueError: ``mode`` contradicts the metric, or is None for a metric whose direction is not known.
    """
    if mode not in (None, "min", "max"):
        raise ValueError(f"mode must be min, max or null, got {mode!r}; set {section}.mode")
    of_metric = known[monitor].mode if monitor in known else None
    if of_metric and mode not in (None, of_metric):
        raise ValueError(
            f"mode must be {of_metric} for monitor={monitor}, got {mode!r}; set {section}.mode=null or another "
            f"{section}.monitor"
        )
    found = of_metric or mode
    if found is None:
        raise ValueError(f"mode must be given for monitor={monitor!r}, min or max, got null; set {section}.mode")
    return found
