"""Statistics of the activations, gradients and weights of every layer during training."""

from pathlib import Path
from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from trainlab.data import TrainingData
from trainlab.inference.layer_statistics import activations, gradients, histogram, layers_of, norm, weights_of
from trainlab.loggers.tensorboard import TensorBoard
from trainlab.runs.files import format_rows, read_rows, write_atomically
from trainlab.training.module import TaskModule
from trainlab.training.progress import progress_of
from trainlab.validation import check_at_least

FILE = "layer_statistics.csv"


class LayerStatistics(Callback):
    """Records statistics of every layer before training and after every n epochs, without changing the training.

    Activations are computed on the same validation images every time, in evaluation mode. The norm of the gradient is
    that of the loss on the first training batch, in training mode with the dropout masks of the first step, before
    clipping. The statistics are written to `layer_statistics.csv`, one row per layer, and to TensorBoard. With several
    processes they are those of the first one.

    Args:
        dirpath: folder of `layer_statistics.csv`.
        every_n_epochs: epochs between two records; 0 to record nothing.
        num_images: validation images to compute activations on, at least 2.
        histograms: whether TensorBoard gets histograms of weights and gradients, besides those of activations.

    Raises:
        ValueError: an argument is out of range.
    """

    def __init__(self, dirpath: str, every_n_epochs: int = 0, num_images: int = 256, histograms: bool = False) -> None:
        check_at_least(0, "callbacks.layer_statistics", every_n_epochs=every_n_epochs)
        check_at_least(2, "callbacks.layer_statistics", num_images=num_images)
        self.path, self.every_n_epochs, self.num_images = Path(dirpath) / FILE, every_n_epochs, num_images
        self.histograms = histograms
        self._rows: list[dict[str, Any]] | None = None

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Record the untrained network."""
        if self.every_n_epochs and trainer.global_step == 0:
            self._record(trainer, pl_module, epochs=0)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Record the network after every n epochs."""
        epochs = trainer.current_epoch + 1
        if self.every_n_epochs and progress_of(trainer).epoch_is_whole and epochs % self.every_n_epochs == 0:
            self._record(trainer, pl_module, epochs)

    def _record(self, trainer: Trainer, module: LightningModule, epochs: int) -> None:
        """Write the statistics of the network after ``epochs`` epochs."""
        assert isinstance(module, TaskModule)
        images, batch = self._images(trainer)
        layers, step = layers_of(module.network), trainer.global_step
        with trainer.precision_plugin.forward_context():
            statistics = activations(module.network, layers, images)
            found_gradients = gradients(module.network, layers, *batch, module.task.loss)
        if not trainer.is_global_zero:
            return
        rows = {
            layer.name: {"mean": found.mean, "std": found.std, "dead": found.dead, "gradient_norm": norm(own)}
            | weights_of(layer)
            for layer, found, own in zip(layers, statistics, found_gradients, strict=True)
        }
        if self._rows is None:  # those of an interrupted process for as many epochs or more are replaced
            self._rows = [row for row in read_rows(self.path) if int(row["epochs"]) < epochs]
        self._rows += [{"epochs": epochs, "step": step, "layer": name, **row} for name, row in rows.items()]
        write_atomically(self.path, format_rows(self._rows))
        boards = [logger for logger in trainer.loggers if isinstance(logger, TensorBoard)]
        if not boards:
            return
        names = [layer.name for layer in layers]
        histograms = {"activations": dict(zip(names, (found.histogram for found in statistics), strict=True))}
        if self.histograms:
            histograms["weights"] = {layer.name: histogram([*layer.parts[0].parameters()]) for layer in layers}
            histograms["gradients"] = dict(zip(names, map(histogram, found_gradients), strict=True))
        for board in boards:
            board.log_layers(rows, histograms, step)

    def _images(self, trainer: Trainer) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Validation images (N, C, H, W), spread over all of them, and the first training batch."""
        data = trainer.datamodule  # type: ignore[attr-defined]  # Lightning sets it dynamically
        assert isinstance(data, TrainingData)
        return data.val_images(self.num_images), data.first_batch()
