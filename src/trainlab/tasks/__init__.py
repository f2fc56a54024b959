"""Tasks: what is learned, by which loss and metrics."""

from typing import TYPE_CHECKING

from trainlab import lazy_exports

if TYPE_CHECKING:
    from trainlab.tasks.classification import Classification as Classification
    from trainlab.tasks.logged import LoggedMetrics as LoggedMetrics
    from trainlab.tasks.metrics import Metric as Metric
    from trainlab.tasks.multilabel import MultiLabel as MultiLabel
    from trainlab.tasks.regression import Regression as Regression
    from trainlab.tasks.task import Task as Task

# Imported when they are first used: the report reads `trainlab.tasks.metrics`, and no torch.
__all__, __getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "Classification": "trainlab.tasks.classification",
        "LoggedMetrics": "trainlab.tasks.logged",
        "Metric": "trainlab.tasks.metrics",
        "MultiLabel": "trainlab.tasks.multilabel",
        "Regression": "trainlab.tasks.regression",
        "Task": "trainlab.tasks.task",
    },
)
