"""The metrics of a task, as the entry `task` of `result.json` names them: displays and comparisons read them there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trainlab.tasks.metrics import METRICS, Metric

_FIELDS = ("mode", "label", "spec")


@dataclass(frozen=True)
class TaskMetrics:
    """The validation metrics of a run.

    Attributes:
        primary: the one that the best checkpoint was chosen by.
        compared_by: the one that runs are compared by.
        every: all of them, first the primary one, then the one that is compared by.
    """

    primary: Metric
    compared_by: Metric
    every: tuple[Metric, ...]

    @classmethod
    def of(cls, primary: Metric, compared_by: Metric, others: Sequence[Metric] = ()) -> "TaskMetrics":
        """With each key once."""
        by_key: dict[str, Metric] = {}
        for metric in (primary, compared_by, *others):
            by_key.setdefault(metric.key, metric)
        return cls(primary, compared_by, tuple(by_key.values()))

    @classmethod
    def read(cls, entry: Mapping[str, Any] | None) -> "TaskMetrics":
        """From the entry of a result; without one, the metrics of the default classification.

        Raises:
            ValueError: the entry is damaged.
        """
        if entry is None:
            return DEFAULT
        try:
            metrics = {
                key: read_metric(key, about) for key, about in entry["metrics"].items() if not key.startswith("test_")
            }
            return cls.of(metrics[entry["primary"]], metrics[entry["compared_by"]], [*metrics.values()])
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise ValueError(f"task describes no metrics: {type(error).__name__} {error}") from None

    @classmethod
    def merged(cls, many: Sequence["TaskMetrics"]) -> "TaskMetrics":
        """All metrics of runs, primary and compared by as of the first; of the default classification without any."""
        if not many:
            return DEFAULT
        return cls.of(many[0].primary, many[0].compared_by, [metric for one in many for metric in one.every])

    @property
    def ranked(self) -> tuple[Metric, ...]:
        """All of them, first the one that runs are compared by."""
        return self.compared_by, *(metric for metric in self.every if metric != self.compared_by)

    @property
    def kind(self) -> tuple[Metric, Metric]:
        """What runs must have in common to be ranked together: the metrics that they are compared and chosen by."""
        return self.compared_by, self.primary

    def __contains__(self, key: str) -> bool:
        return any(metric.key == key for metric in self.every)

    def __getitem__(self, key: str) -> Metric:
        return next(metric for metric in self.every if metric.key == key)

    def entry(self) -> dict[str, Any]:
        """For `result.json`; the inverse of ``read``."""
        metrics = {metric.key: describe_metric(metric) for metric in self.every}
        return {"primary": self.primary.key, "compared_by": self.compared_by.key, "metrics": metrics}


def read_metric(key: str, about: Mapping[str, Any]) -> Metric:
    """The metric with this key in ``metrics`` of a result.

    Raises:
        ValueError, KeyError, TypeError: ``about`` describes none.
    """
    mode, label, spec = (about[field] for field in _FIELDS)
    format(0.5, spec)
    if mode not in ("min", "max", None) or not isinstance(label, str):
        raise ValueError(f"mode must be min, max or null, and label a text, got {mode!r} and {label!r}")
    return Metric(mode, label, key, spec)


def describe_metric(metric: Metric) -> dict[str, Any]:
    """``metric`` for a file, without its key."""
    return {field: getattr(metric, field) for field in _FIELDS}


DEFAULT = TaskMetrics.of(METRICS["val/loss"], METRICS["val/acc"])
