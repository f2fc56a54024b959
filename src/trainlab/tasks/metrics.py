"""The validation metrics of a run, and the direction in which each of them improves."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Metric:
    """A validation metric.

    Attributes:
        mode: the direction in which it improves, "min" or "max".
        label: for people.
        key: in ``metrics`` of `result.json`.
        spec: how a value is formatted.
    """

    mode: str
    label: str
    key: str
    spec: str

    def format(self, value: float) -> str:
        """``value`` for people."""
        return format(value, self.spec)


# What checkpoints, early stopping, schedules and searches can watch.
METRICS = {
    "val/loss": Metric("min", "validation loss", "val_loss", ".4f"),
    "val/acc": Metric("max", "validation accuracy", "val_acc", ".2%"),
}


def is_better(mode: str, value: float, other: float) -> bool:
    """Whether ``value`` improves on ``other`` in the direction ``mode``."""
    return value < other if mode == "min" else value > other


def metric_of(name: str, key: str) -> Metric:
    """The metric ``name``, the value of the setting ``key``.

    Raises:
        ValueError: there is no such metric.
    """
    if name not in METRICS:
        raise ValueError(f"{key.rpartition('.')[2]} must be one of {', '.join(METRICS)}, got {name!r}; set {key}")
    return METRICS[name]


def mode_of(monitor: str, mode: str | None, section: str) -> str:
    """The direction in which ``monitor`` improves.

    Args:
        monitor: a metric, of ``METRICS`` or another.
        mode: as it is set; None to follow from the metric.
        section: of the settings ``monitor`` and ``mode``.

    Raises:
        ValueError: ``mode`` contradicts the metric, or is not given and the metric's direction is not known.
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
