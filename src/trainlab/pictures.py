"""Pictures of what goes into a network and of what comes out."""

from collections.abc import Sequence

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from trainlab.data import Images
from trainlab.evaluation.network import Evaluation
from trainlab.tensorboard import CONFUSION_MATRIX, TEST_IMAGES


def write_test(writer: SummaryWriter, evaluation: Evaluation, images: Images, step: int) -> None:
    """The test's pictures, to TensorBoard."""
    shown = torch.linspace(0, len(images.test) - 1, 32).long()
    truth, guess = images.test_labels.cpu()[shown].tolist(), evaluation.predictions[shown].tolist()
    captions = [
        images.classes[t] if t == g else f"{images.classes[g]}\nnot {images.classes[t]}"
        for t, g in zip(truth, guess, strict=True)
    ]
    right = [t == g for t, g in zip(truth, guess, strict=True)]
    grid = image_grid(images.test[shown.to(images.test.device)], captions, right)
    writer.add_figure(TEST_IMAGES, grid, step)
    writer.add_figure(CONFUSION_MATRIX, confusion_matrix(evaluation.confusion, images.classes), step)
    writer.flush()


def image_grid(images: Tensor, captions: Sequence[str], right: Sequence[bool] | None = None) -> Figure:
    """Images (N, C, H, W), uint8, in rows of eight with captions below, red where ``right`` is false."""
    count, _, height, width = images.shape
    columns = min(8, count)
    rows = -(-count // columns)
    gap_x, gap_y = max(2, width // 8), max(8, height // 3)
    canvas = np.full((rows * (height + gap_y), columns * (width + gap_x), 3), 255, dtype=np.uint8)
    pixels = images.permute(0, 2, 3, 1).cpu().numpy()
    figure = Figure(figsize=(columns * 1.1, rows * 1.25), dpi=110, layout="tight")
    axes = figure.subplots()
    for i, (picture, caption) in enumerate(zip(pixels, captions, strict=True)):
        top, left = i // columns * (height + gap_y), i % columns * (width + gap_x)
        canvas[top : top + height, left : left + width] = picture
        color = "black" if right is None or right[i] else "crimson"
        axes.text(left + width / 2, top + height + 1, caption, ha="center", va="top", fontsize=7, color=color)
    axes.imshow(canvas, interpolation="nearest")
    axes.set_axis_off()
    return figure


def confusion_matrix(confusion: Tensor, classes: Sequence[str]) -> Figure:
    """A confusion matrix (C, C), rows the true classes, in percent of each."""
    shares = (confusion / confusion.sum(1, keepdim=True).clamp(min=1) * 100).numpy()
    side = 1.8 + 0.32 * len(classes)  # inches; small, for TensorBoard shows pictures at a third of a page's width
    figure = Figure(figsize=(side, side), dpi=110, layout="tight")
    axes = figure.subplots()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=100)
    for i, j in np.ndindex(shares.shape):
        color = "white" if shares[i, j] > 55 else "black"
        axes.text(j, i, f"{shares[i, j]:.0f}", ha="center", va="center", fontsize=9, color=color)
    axes.set_xticks(range(len(classes)), classes, rotation=45, ha="right")
    axes.set_yticks(range(len(classes)), classes)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    axes.set_title("test images, percent of each true class", fontsize=10)
    return figure
