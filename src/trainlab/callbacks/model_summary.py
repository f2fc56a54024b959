"""A table of a network's layers and parameters."""

import logging

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities.model_summary import summarize

from trainlab.validation import check_at_least

log = logging.getLogger(__name__)


class ModelSummary(Callback):
    """Logs Lightning's summary of the network before training: layers, their parameters, and the size in all.

    Args:
        max_depth: levels of nested layers that are listed; 0: no summary.
    """

    def __init__(self, max_depth: int = 0) -> None:
        check_at_least(0, "callbacks.model_summary", max_depth=max_depth)
        self.max_depth = max_depth

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log it."""
        if self.max_depth and trainer.is_global_zero:
            log.info("%s", summarize(pl_module, max_depth=self.max_depth))
