"""States of torchmetrics that a LightningModule of the user's keeps over epochs."""

import torchmetrics
from torch import nn


class KeptMetrics:
    """Finds the metrics of a module that are not reset each epoch, and whose states are not in its checkpoints.

    A resumed run starts them anew. Lightning resets those that are logged as metrics, at the end of each epoch.

    Args:
        module: with metrics as attributes.
    """

    def __init__(self, module: nn.Module) -> None:
        parts = {name: part for name, part in module.named_modules() if isinstance(part, torchmetrics.Metric)}
        self._metrics = {name: part for name, part in parts.items() if part.metric_state.keys() - part.state_dict()}
        self._counts = dict.fromkeys(self._metrics, 0)

    def found(self) -> list[str]:
        """Those that were updated before the previous call and since, without a reset between; once each."""
        before, self._counts = self._counts, {name: part.update_count for name, part in self._metrics.items()}
        kept = [name for name, count in self._counts.items() if 0 < before[name] < count]
        kept = [name for name in kept if name.rpartition(".")[0] not in kept]  # a part of another metric
        for name in kept:
            del self._metrics[name], self._counts[name]
        return kept
