"""Callbacks that observe and record a training. None of them changes weights or learning rates."""

from trainlab.callbacks.checkpoint import BestAndLast
from trainlab.callbacks.early_stopping import EarlyStopping
from trainlab.callbacks.epoch_log import EpochLog
from trainlab.callbacks.figures import Pictures
from trainlab.callbacks.interrupt import StopOnInterrupt
from trainlab.callbacks.progress import ProgressBar

__all__ = ["BestAndLast", "EarlyStopping", "EpochLog", "Pictures", "ProgressBar", "StopOnInterrupt"]
