"""Figures for loggers: training images, test images with their predictions, and the confusion matrix."""

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from trainlab.data import ImageData, Images, as_rgb
from trainlab.inference.network import Evaluation
from trainlab.loggers.run_loggers import WITH_FIGURES
from trainlab.loggers.tensorboard import CONFUSION_MATRIX, TEST_IMAGES, TRAINING_IMAGES
from trainlab.training.module import Batch, TaskModule
from trainlab.validation import check_at_least

# Pillow draws a picture in a twentieth of matplotlib's time. It is imported where it is used, as are its fonts.
if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFont import FreeTypeFont

_MOST_NUMBERED = 40  # classes
# TensorBoard shows pictures in a third of the width of the page: sizes, in pixels, are those that can be read there.
_TEST_IMAGES = 12
_COLUMNS = 4
_IMAGE, _GAP, _CAPTION = 96, 10, 34  # widths, and the height of two lines
_TEXT, _TITLE = 12, 15
_BLUES = ((247, 251, 255), (107, 174, 214), (8, 48, 107))  # of 0, 50 and 100 percent


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
    log_figure: Callable[[str, Callable[[], "Image"], int], None],
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


def _test_images(evaluation: Evaluation, images: Images) -> "Image":
    chosen = torch.linspace(0, len(images.test) - 1, _TEST_IMAGES).long()
    truth, guess = images.test_labels.cpu()[chosen].tolist(), evaluation.predictions[chosen].tolist()
    captions = [
        images.classes[t] if t == g else f"{images.classes[g]}\nnot {images.classes[t]}"
        for t, g in zip(truth, guess, strict=True)
    ]
    correct = [t == g for t, g in zip(truth, guess, strict=True)]
    return image_grid(images.test[chosen.to(images.test.device)], captions, correct)


def image_grid(images: Tensor, captions: Sequence[str], correct: Sequence[bool] | None = None) -> "Image":
    """Images (N, C, H, W), uint8, in rows of four with captions below, red where ``correct`` is false."""
    from PIL import Image, ImageDraw

    count, _, height, width = images.shape
    scale = max(1, _IMAGE // width) if width <= _IMAGE else _IMAGE / width
    size = (round(scale * width), max(1, round(scale * height)))
    columns = min(_COLUMNS, count)
    step_x, step_y = size[0] + 2 * _GAP, size[1] + _CAPTION
    picture = Image.new("RGB", (columns * step_x, -(-count // columns) * step_y), "white")
    draw = ImageDraw.Draw(picture)
    pixels = as_rgb(images).permute(0, 2, 3, 1).cpu().numpy()
    for i, (image, caption) in enumerate(zip(pixels, captions, strict=True)):
        left, top = i % columns * step_x + _GAP, i // columns * step_y
        picture.paste(Image.fromarray(image).resize(size, Image.Resampling.NEAREST), (left, top))
        color = "black" if correct is None or correct[i] else "crimson"
        below = (left + size[0] / 2, top + size[1] + 2)
        draw.multiline_text(below, caption, color, _font(_TEXT), anchor="ma", align="center", spacing=2)
    return picture


def confusion_matrix(confusion: Tensor, classes: Sequence[str]) -> "Image":
    """A confusion matrix (C, C), one row per true class, in percent of each row; without numbers of many classes."""
    from PIL import Image, ImageDraw

    shares = (confusion / confusion.sum(1, keepdim=True).clamp(min=1) * 100).numpy()
    many = len(classes) > _MOST_NUMBERED
    cell, font = (11, _font(9)) if many else (35, _font(_TEXT))
    names = [_turned(name, font, 90 if many else 45) for name in classes]
    side, left, top = cell * len(classes), 2 * _TITLE + max(int(font.getlength(name)) for name in classes), 2 * _TITLE
    left = max(left, max(name.width for name in names))
    title = "test images, percent of each true class"
    width = max(left + side, round(_font(_TITLE).getlength(title))) + _GAP
    picture = Image.new("RGB", (width, top + side + max(name.height for name in names) + 2 * _TITLE), "white")
    colors = np.stack([np.interp(shares, (0, 50, 100), channel) for channel in zip(*_BLUES, strict=True)], axis=-1)
    cells = Image.fromarray(colors.astype(np.uint8))
    picture.paste(cells.resize((side, side), Image.Resampling.NEAREST), (left, top))
    draw = ImageDraw.Draw(picture)
    draw.text((width / 2, top - 6), title, "black", _font(_TITLE), anchor="ms")
    for i, (name, turned) in enumerate(zip(classes, names, strict=True)):
        middle = round((i + 0.5) * cell)
        draw.text((left - 6, top + middle), name, "black", font, anchor="rm")
        # The end of a name is below the middle of its column.
        x = left + middle - turned.width // 2 if many else left + middle + round(font.size / 2) - turned.width
        picture.paste("black", (x, top + side + 4), turned)
        for j in range(0 if many else len(classes)):
            center = (left + (j + 0.5) * cell, top + middle)
            draw.text(center, f"{shares[i, j]:.0f}", "white" if shares[i, j] > 55 else "black", font, anchor="mm")
    draw.text((left + side / 2, picture.height - 6), "predicted", "black", font, anchor="ms")
    true = _turned("true", font, 90)
    picture.paste("black", (4, top + side // 2 - true.height // 2), true)
    return picture


def _turned(text: str, font: "FreeTypeFont", degrees: int) -> "Image":
    """A text as a mask, turned to the left."""
    from PIL import Image, ImageDraw

    mask = Image.new("L", (max(1, round(font.getlength(text))), sum(font.getmetrics())))
    ImageDraw.Draw(mask).text((0, 0), text, 255, font)
    return mask.rotate(degrees, Image.Resampling.BICUBIC, expand=True)


@functools.cache
def _font(size: int) -> "FreeTypeFont":
    """The font of matplotlib's figures, in pixels."""
    from matplotlib import get_data_path
    from PIL.ImageFont import truetype

    return truetype(str(Path(get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")), size)
