"""Small arrays whose targets are no classes, and tasks of a user's."""

from pathlib import Path

import numpy as np
import torch

from trainlab.tasks import Task

NUM_VAL, NUM_TRAIN, NUM_TEST = 40, 160, 30


def save(folder: Path, kind: str) -> list[str]:
    """Write arrays for a task and return the overrides that train it."""
    draws = np.random.default_rng(0)
    images = draws.integers(0, 256, (NUM_TRAIN + NUM_VAL + NUM_TEST, 6, 6, 3), dtype=np.uint8)
    channels = images.mean((1, 2))  # (N, 3)
    targets = {
        "multilabel": (channels > 127).astype(np.uint8),
        "regression": (channels[:, 0] / 50).astype(np.float64),
        "two values": (channels[:, :2] / 50).astype(np.float32),
        "classes": channels.argmax(1),
    }[kind]
    names = {"multilabel": ["red", "green", "blue"], "regression": ["redness"]}.get(kind)
    cut = NUM_TRAIN + NUM_VAL
    parts = {"train": images[:cut], "train_labels": targets[:cut], "test": images[cut:], "test_labels": targets[cut:]}
    path = folder / f"{kind.replace(' ', '_')}.npz"
    np.savez(path, **parts, **({"classes": np.array(names)} if names else {}))
    outputs = 3 if kind in ("multilabel", "classes") else targets[:1].size
    task = {"classes": "classification", "two values": "regression"}.get(kind, kind)
    return [
        *(f"task={task}", "data=arrays", f"data.path={path}", f"data.val_size={NUM_VAL}"),
        *(f"model.num_classes={outputs}", "optim.lr=1e-2"),
    ]


F1 = "+task.metrics.f1._target_=torchmetrics.classification.MultilabelF1Score"
R2 = "+task.metrics.r2._target_=torchmetrics.regression.R2Score"


class Quantile(Task):
    """Pinball loss: twice as many targets are to be below the output as above it."""

    score, score_mode, score_label = "below", "max", "share below"

    def __init__(self, *, quantile: float = 2 / 3, primary: str = "val/loss") -> None:
        super().__init__(primary=primary)
        self.quantile = quantile

    def evaluation_loss(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        over = targets - outputs[:, 0]
        return torch.maximum(self.quantile * over, (self.quantile - 1) * over)

    def score_images(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return targets < outputs[:, 0]


class Branching(Quantile):
    """Has control flow that depends on data."""

    def loss(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        mean = super().loss(outputs, targets)
        return mean * 2 if mean > 1 else mean
