"""Figures for loggers: training images, test images with their predictions, and the confusion matrix."""

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from numpy.typing import NDArray
from torch import Tensor

from trainlab.data import ImageData, Images, as_rgb
from trainlab.inference.network import Evaluation
from trainlab.loggers.run_loggers import WITH_FIGURES
from trainlab.loggers.tensorboard import CONFUSION_MATRIX, TEST_IMAGES, TRAINING_IMAGES
from trainlab.training.module import Batch, TaskModule
from trainlab.validation import check_at_least

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST_NUMBERED = 40  # classes
# TensorBoard shows pictures in a third of the width of the page: sizes are those that can be read there.
_TEST_IMAGES = 12
_COLUMNS = 4
_SIDES = ("left", "right", "bottom", "top")
_known_margins: dict[tuple[str, ...], dict[str, float]] = {}  # of a confusion matrix, by its classes


class FigureLogger(Callback):
    """Logs a grid of training images, augmented as the network gets them, with their labels, to the loggers.

    Args:
        num_images: images in the grid; at most one batch is shown.
    """

    def __init__(self, num_images: int = 12) -> None:
        check_at_least(1, "callbacks.figures", num_images=num_images)
        self.num_images = num_images
        self._batch: list[torch.Tensor] | None = None

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Batch, batch_idx: int) -> None:
        """Keep the first batch of the training of a network; that of another LightningModule may be anything."""
        if batch_idx == 0 and trainer.current_epoch == 0 and isinstance(pl_module, TaskModule):
            self._batch = [part[: self.num_images].clone() for part in batch]

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw the grid after the first epoch."""
        if self._batch is None or trainer.current_epoch > 0 or not trainer.is_global_zero:
            return
        data = trainer.datamodule  # type: ignore[attr-defined]  # Lightning sets it dynamically
        images, labels = self._batch
        if not isinstance(data, ImageData) or images.dtype != torch.uint8:
            return
        for logger in trainer.loggers:
            if isinstance(logger, WITH_FIGURES):
                assert isinstance(pl_module, TaskModule)
                captions = [pl_module.task.caption(label, data.classes) for label in labels.cpu()]
                figure = image_grid(images, captions)
                logger.log_figure(TRAINING_IMAGES, figure, 0)


def log_test(
    log_figure: Callable[[str, Callable[[], "Figure"], int], None],
    evaluation: Evaluation,
    classes: Sequence[str],
    images: Images | None,
    step: int,
) -> None:
    """Log the confusion matrix of a classification, and test images with their predictions.

    Args:
        log_figure: gets the name, a function that draws it, and the step.
        evaluation: of a classification.
        classes: their names.
        images: of the data; None if they are not known.
        step: of the optimizer.
    """
    confusion = evaluation.confusion
    assert confusion is not None
    log_figure(CONFUSION_MATRIX, lambda: confusion_matrix(confusion, classes), step)
    if images is not None:
        log_figure(TEST_IMAGES, lambda: _test_images(evaluation, images), step)


def _test_images(evaluation: Evaluation, images: Images) -> "Figure":
    chosen = torch.linspace(0, len(images.test) - 1, _TEST_IMAGES).long()
    truth, guess = images.test_labels.cpu()[chosen].tolist(), evaluation.predictions[chosen].tolist()
    captions = [
        images.classes[t] if t == g else f"{images.classes[g]}\nnot {images.classes[t]}"
        for t, g in zip(truth, guess, strict=True)
    ]
    correct = [t == g for t, g in zip(truth, guess, strict=True)]
    return image_grid(images.test[chosen.to(images.test.device)], captions, correct)


def image_grid(images: Tensor, captions: Sequence[str], correct: Sequence[bool] | None = None) -> "Figure":
    """Images (N, C, H, W), uint8, in rows of four with captions below, red where ``correct`` is false."""
    from matplotlib.figure import Figure  # takes a while to import

    count, _, height, width = images.shape
    columns = min(_COLUMNS, count)
    rows = -(-count // columns)
    gap_x, gap_y = max(2, width // 6), max(8, height * 9 // 20)
    canvas = np.full((rows * (height + gap_y), columns * (width + gap_x), 3), 255, dtype=np.uint8)
    pixels = as_rgb(images).permute(0, 2, 3, 1).cpu().numpy()
    inches = columns * 0.95
    figure = Figure(figsize=(inches, inches * canvas.shape[0] / canvas.shape[1]), dpi=110)
    axes = figure.add_axes((0, 0, 1, 1))
    for i, (image, caption) in enumerate(zip(pixels, captions, strict=True)):
        top, left = i // columns * (height + gap_y), i % columns * (width + gap_x) + gap_x // 2
        canvas[top : top + height, left : left + width] = image
        color = "black" if correct is None or correct[i] else "crimson"
        axes.text(left + width / 2, top + height + 1, caption, ha="center", va="top", fontsize=8, color=color)
    axes.imshow(canvas, interpolation="nearest")
    axes.set_axis_off()
    return figure


def confusion_matrix(confusion: Tensor, classes: Sequence[str]) -> "Figure":
    """A confusion matrix (C, C), one row per true class, in percent of each row; without numbers of many classes."""
    from matplotlib.figure import Figure

    shares = (confusion / confusion.sum(1, keepdim=True).clamp(min=1) * 100).numpy()
    many = len(classes) > _MOST_NUMBERED  # 10,000 numbers take 20 s
    side = 1.8 + (0.1 if many else 0.32) * len(classes)  # inches
    figure = Figure(figsize=(side, side), dpi=110)
    axes = figure.subplots()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=100)
    size = 5 if many else None
    axes.set_xticks(
        range(len(classes)), classes, rotation=90 if many else 45, ha="center" if many else "right", size=size
    )
    axes.set_yticks(range(len(classes)), classes, size=size)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    axes.set_title("test images, percent of each true class", fontsize=10)
    figure.subplots_adjust(**_margins(figure, tuple(classes)))
    if not many:
        _write_numbers(figure, axes, shares)
    return figure


def _write_numbers(figure: "Figure", axes: "Axes", shares: NDArray[np.floating[Any]]) -> None:
    """Write a number in each cell, as outlines: text is laid out and hinted anew each time, which takes far longer."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    width, height = axes.get_position().size * figure.get_size_inches()
    cells_per_point = len(shares) / 72 / min(width, height)
    for color, chosen in {"white": shares > 55, "black": shares <= 55}.items():
        numbers = [(_outline(f"{shares[i, j]:.0f}"), (j, i)) for i, j in np.argwhere(chosen)]
        if numbers:
            vertices = [points * (cells_per_point, -cells_per_point) + cell for (points, _), cell in numbers]
            codes = [codes for (_, codes), _ in numbers]
            path = Path(np.concatenate(vertices), np.concatenate(codes))
            axes.add_artist(PathPatch(path, facecolor=color, linewidth=0))


@functools.cache
def _outline(number: str) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
    """Points (N, 2) of a number of 9 points, centered, and what is drawn from each to the next (N,)."""
    from matplotlib.textpath import TextPath

    path = TextPath((0, 0), number, size=9)
    assert path.codes is not None
    return path.vertices - path.get_extents().get_points().mean(0), path.codes


def _margins(figure: "Figure", classes: tuple[str, ...]) -> dict[str, float]:
    """Those that labels of ``classes`` leave: measured once, which takes a third of the time of the figure."""
    if classes not in _known_margins:
        figure.tight_layout()
        _known_margins[classes] = {side: getattr(figure.subplotpars, side) for side in _SIDES}
    return _known_margins[classes]
