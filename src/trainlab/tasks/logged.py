"""The metrics that a LightningModule of the user's logs, and the one by which its runs are chosen and compared."""

from collections.abc import Collection

from trainlab.tasks.metrics import Metric, key_of, metric_of, mode_of
from trainlab.tasks.reported import TaskMetrics

_SPEC = ".4g"


class LoggedMetrics:
    """In the place of a task: the metric that checkpoints, early stopping and searches choose by.

    All metrics that the module logs in validation and test are recorded, too, but no run is chosen by them.

    Args:
        primary: a metric that is logged in validation.
        mode: the direction in which it improves, "min" or "max"; None for "min", if it is a loss by its name.

    Raises:
        ValueError: the direction is not known.
    """

    def __init__(self, *, primary: str = "val/loss", mode: str | None = None) -> None:
        if mode is None and primary.endswith("loss"):
            mode = "min"
        self.primary = self.compared_by = primary
        self.known = {primary: _metric(primary, mode_of(primary, mode, "task", {}))}

    def metric(self, name: str, key: str) -> Metric:
        """The primary metric, if that is the ``name`` which is the value of the setting ``key``.

        Raises:
            ValueError: it is another.
        """
        return metric_of(name, key, self.known)

    def reported(self, logged: Collection[str]) -> TaskMetrics:
        """The metrics as a result names them, with the other ones that were ``logged`` in validation."""
        primary = self.known[self.primary]
        return TaskMetrics.of(
            primary, primary, [m for m in (_metric(name, None) for name in logged) if m.key != primary.key]
        )


def _metric(name: str, mode: str | None) -> Metric:
    key = key_of(name)
    return Metric(mode, f"validation {key.removeprefix('val_').replace('_', ' ')}", key, _SPEC)
