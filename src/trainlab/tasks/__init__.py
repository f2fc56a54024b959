"""Tasks: what is learned, by which loss and metrics."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trainlab.tasks.classification import Classification as Classification
    from trainlab.tasks.logged import LoggedMetrics as LoggedMetrics
    from trainlab.tasks.metrics import Metric as Metric
    from trainlab.tasks.multilabel import MultiLabel as MultiLabel
    from trainlab.tasks.regression import Regression as Regression
    from trainlab.tasks.task import Task as Task

# Imported when they are first used: the report reads `trainlab.tasks.metrics`, and no torch.
_MODULES = {
    "Classification": "trainlab.tasks.classification",
    "LoggedMetrics": "trainlab.tasks.logged",
    "Metric": "trainlab.tasks.metrics",
    "MultiLabel": "trainlab.tasks.multilabel",
    "Regression": "trainlab.tasks.regression",
    "Task": "trainlab.tasks.task",
}
__all__ = sorted(_MODULES)


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'trainlab.tasks' has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
