"""Lightning as its tutorials write it: a Dataset that transforms one image at a time, a metric and `self.log` a step.

    python lightning_tutorial.py ARRAYS [--batch-size 32] [--epochs 3]

The network is elu_he. The loader has no workers: on two cores they cost more than they bring. Logger, checkpoints and
progress bar are off, which is in this peer's favour. Prints a JSON line an epoch: `train_s`, seconds of the training
steps, and `epoch_s`, the same with validation.
"""

import argparse
import json
import time
import warnings
from typing import Any

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from PIL import Image
from plain_loop import build_network
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset
from torchmetrics.classification import MulticlassAccuracy
from torchvision.transforms import v2


class ImagesOneByOne(Dataset):
    """Images that become PIL pictures and then tensors when they are asked for, as torchvision's CIFAR10 has it.

    Args:
        images: uint8 (N, 3, 32, 32).
        labels: int64 (N,).
    """

    def __init__(self, images: np.ndarray, labels: np.ndarray) -> None:
        self.images = np.ascontiguousarray(images.transpose(0, 2, 3, 1))
        self.labels = labels.tolist()
        self.transform = v2.Compose([v2.ToImage(), v2.ToDtype(torch.float32, scale=True)])

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(Image.fromarray(self.images[index])), self.labels[index]


class TutorialModule(lightning.LightningModule):
    """elu_he with loss and accuracy logged in both steps."""

    def __init__(self) -> None:
        super().__init__()
        self.network = build_network(batch_norm=False)
        self.train_acc = MulticlassAccuracy(10, average="micro")
        self.val_acc = MulticlassAccuracy(10, average="micro")

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """Mean loss of a batch."""
        images, labels = batch
        logits = self.network(images.flatten(1))
        loss = functional.cross_entropy(logits, labels)
        self.train_acc(logits, labels)
        self.log("train/loss", loss, on_step=False, on_epoch=True)
        self.log("train/acc", self.train_acc, on_step=False, on_epoch=True)
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """Log a batch."""
        images, labels = batch
        logits = self.network(images.flatten(1))
        self.val_acc(logits, labels)
        self.log("val/loss", functional.cross_entropy(logits, labels))
        self.log("val/acc", self.val_acc)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """NAdam."""
        return torch.optim.NAdam(self.parameters(), lr=1e-4)


class Clock(Callback):
    """Prints the times of every epoch."""

    def on_train_epoch_start(self, *_: Any) -> None:
        """Start the clock."""
        self.start = time.perf_counter()

    def on_validation_start(self, *_: Any) -> None:
        """The training steps are over."""
        self.trained = time.perf_counter()

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Print; Lightning has validated by now."""
        times = {"train_s": self.trained - self.start, "epoch_s": time.perf_counter() - self.start}
        print(json.dumps({"epoch": trainer.current_epoch, **times}), flush=True)


def main() -> None:
    """Train and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("arrays")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=3)
    args = parser.parse_args()
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    lightning.seed_everything(1, verbose=False)
    arrays = np.load(args.arrays)
    train = ImagesOneByOne(arrays["train_x"], arrays["train_y"])
    val = ImagesOneByOne(arrays["val_x"], arrays["val_y"])
    trainer = lightning.Trainer(
        accelerator="cpu",
        max_epochs=args.epochs,
        callbacks=[Clock()],
        num_sanity_val_steps=0,
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=False,
    )
    trainer.fit(
        TutorialModule(),
        DataLoader(train, args.batch_size, shuffle=True),
        DataLoader(val, args.batch_size),
    )


if __name__ == "__main__":
    main()
