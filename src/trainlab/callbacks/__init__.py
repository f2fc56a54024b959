"""Callbacks that observe and record a training. None of them changes weights or learning rates."""

from trainlab.callbacks.checkpoint import BestAndLast
from trainlab.callbacks.early_stopping import EarlyStopping
from trainlab.callbacks.epoch_log import EpochLog
from trainlab.callbacks.figures import FigureLogger
from trainlab.callbacks.interrupt import StopOnInterrupt
from trainlab.callbacks.layer_statistics import LayerStatistics
from trainlab.callbacks.model_summary import ModelSummary
from trainlab.callbacks.progress import ProgressBar
from trainlab.callbacks.step_losses import StepLosses

__all__ = [
    "BestAndLast",
    "EarlyStopping",
    "EpochLog",
    "FigureLogger",
    "LayerStatistics",
    "ModelSummary",
    "ProgressBar",
    "StepLosses",
    "StopOnInterrupt",
]
