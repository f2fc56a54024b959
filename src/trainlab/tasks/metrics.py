"""The validation metrics of a run, and the direction in which each of them improves."""

from dataclasses import dataclass, replace
from typing import TypeVar

Ordered = TypeVar("Ordered")  # a float, or an array of them


@dataclass(frozen=True)
class Metric:
    """A validation metric.

    Attributes:
        mode: the direction in which it improves, "min" or "max".
        label: name for display.
        key: key in ``metrics`` of `result.json`.
        spec: format specification of a value.
    """

    mode: str
    label: str
    key: str
    spec: str

    def format(self, value: float) -> str:
        """``value`` for display."""
        return format(value, self.spec)

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

    def rank(self, value: Ordered) -> Ordered:
        """``value``, negated where higher values are better: lower is better. Its own inverse."""
        return value if self.mode == "min" else -value  # type: ignore[operator]  # of a float or an array


# Metrics that checkpoints, early stopping, schedules and searches can monitor.
METRICS = {
    "val/loss": Metric("min", "validation loss", "val_loss", ".4f"),
    "val/acc": Metric("max", "validation accuracy", "val_acc", ".2%"),
}


def is_better(mode: str, value: float, other: float) -> bool:
    """Whether ``value`` improves on ``other`` in the direction ``mode``."""
    return value < other if mode == "min" else value > other


def metric_of(name: str, key: str) -> Metric:
    """The metric ``name``, which is the value of the setting ``key``.

    Raises:
        ValueError: the metric does not exist.
    """
    if name not in METRICS:
        raise ValueError(f"{key.rpartition('.')[2]} must be one of {', '.join(METRICS)}, got {name!r}; set {key}")
    return METRICS[name]


def mode_of(monitor: str, mode: str | None, section: str) -> str:
    """The direction in which ``monitor`` improves.

    Args:
        monitor: a metric of ``METRICS`` or of a foreign callback.
        mode: as configured; None to follow from the metric.
        section: config section of ``monitor`` and ``mode``.

    Raises:
        ValueError: ``mode`` contradicts the metric, or is None for a metric that is not in ``METRICS``.
    """
    if mode not in (None, "min", "max"):
        raise ValueError(f"mode must be min, max or null, got {mode!r}; set {section}.mode")
    known = METRICS.get(monitor)
    if known and mode not in (None, known.mode):
        raise ValueError(
            f"mode must be {known.mode} for monitor={monitor}, got {mode!r}; set {section}.mode=null or another "
            f"{section}.monitor"
        )
    found = known.mode if known else mode
    if found is None:
        raise ValueError(f"mode must be given for monitor={monitor!r}, min or max, got null; set {section}.mode")
    return found
