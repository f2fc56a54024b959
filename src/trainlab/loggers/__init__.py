"""Loggers of a run: `metrics.csv`, TensorBoard, and how loggers of other packages are started and finished."""

from trainlab.loggers.metrics_csv import MetricsCSV
from trainlab.loggers.tensorboard import TensorBoard

__all__ = ["MetricsCSV", "TensorBoard"]
