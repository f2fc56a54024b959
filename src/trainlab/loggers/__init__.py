"""Loggers of a run: `metrics.csv`, TensorBoard, W&B and MLflow, and how all loggers are started and finished."""

from trainlab.loggers.metrics_csv import MetricsCSV
from trainlab.loggers.mlflow import MLflow
from trainlab.loggers.tensorboard import TensorBoard
from trainlab.loggers.wandb import WandB

__all__ = ["MLflow", "MetricsCSV", "TensorBoard", "WandB"]
