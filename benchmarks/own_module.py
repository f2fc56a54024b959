"""Times a LightningModule of the user's: an epoch under trainlab, and under a plain `lightning.Trainer`.

    .venv/bin/python benchmarks/own_module.py [--images 20000] [--epochs 6] [--rounds 5] [--workers 0]

Both train the same module on the same `LightningDataModule`, with a best and a last checkpoint, early stopping,
TensorBoard and a CSV file. They run right after each other in one process, in ``--rounds`` pairs; the first epoch of a
run warms up and is left out. An epoch has its validation, logs and checkpoints in it. Prints the median seconds of an
epoch of each, and the median over the rounds of the ratio. Run it on an otherwise idle machine.
"""

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

import lightning
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from trainlab import compose, train
from trainlab.console import quiet


class Net(lightning.LightningModule):
    """A small convolutional network that logs its loss in every step."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.net = nn.Sequential(
            *(nn.Conv2d(3, width, 3, 2), nn.BatchNorm2d(width), nn.ReLU()),
            *(nn.Conv2d(width, 2 * width, 3, 2), nn.BatchNorm2d(2 * width), nn.ReLU()),
            *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.1), nn.Linear(2 * width, 10)),
        )

    def training_step(self, batch: list[torch.Tensor], batch_idx: int) -> torch.Tensor:
        """Cross-entropy."""
        loss = functional.cross_entropy(self.net(batch[0]), batch[1])
        self.log("train/loss", loss, on_step=True, on_epoch=True)
        return loss

    def validation_step(self, batch: list[torch.Tensor], batch_idx: int) -> None:
        """Log loss and accuracy."""
        logits = self.net(batch[0])
        self.log("val/loss", functional.cross_entropy(logits, batch[1]))
        self.log("val/acc", (logits.argmax(1) == batch[1]).float().mean())

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam."""
        return torch.optim.Adam(self.parameters())


class Data(lightning.LightningDataModule):
    """Random images of CIFAR-10's size in memory."""

    def __init__(self, images: int, workers: int = 0, batch_size: int = 64) -> None:
        super().__init__()
        self.images, self.workers, self.batch_size = images, workers, batch_size

    def setup(self, stage: str) -> None:
        """Draw them."""
        draws = torch.Generator().manual_seed(0)
        self.parts = [
            TensorDataset(torch.rand(n, 3, 32, 32, generator=draws), torch.randint(10, (n,), generator=draws))
            for n in (self.images, self.images // 10)
        ]

    def train_dataloader(self) -> DataLoader:
        """Shuffled."""
        return DataLoader(self.parts[0], self.batch_size, shuffle=True, num_workers=self.workers)

    def val_dataloader(self) -> DataLoader:
        """In their order."""
        return DataLoader(self.parts[1], 500, num_workers=self.workers)


class EpochTimes(Callback):
    """Notes when epochs start and when the training ends."""

    starts: list[float] = []  # noqa: RUF012 (of the latest training, in whichever process part it is made)

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Forget the training before."""
        EpochTimes.starts.clear()

    def on_train_epoch_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Note the time."""
        EpochTimes.starts.append(time.perf_counter())

    def on_train_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Note the time."""
        EpochTimes.starts.append(time.perf_counter())

    @classmethod
    def seconds(cls) -> list[float]:
        """Of the epochs but the first."""
        return [end - start for start, end in zip(cls.starts[1:], cls.starts[2:], strict=False)]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=20_000, help="training images of an epoch")
    parser.add_argument("--epochs", type=int, default=6, help="of a run, with the first")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each")
    parser.add_argument("--workers", type=int, default=0, help="of the data loaders")
    args = parser.parse_args()
    sys.modules["own_module"] = sys.modules["__main__"]  # the classes that the configuration names
    quiet()
    plain: list[float] = []
    ours: list[float] = []
    ratios = []
    for number in range(args.rounds):
        pair = {}
        for name, run in (("plain", run_plain), ("ours", run_trainlab))[:: 1 if number % 2 else -1]:
            with tempfile.TemporaryDirectory() as folder:
                run(Path(folder), args)
            pair[name] = EpochTimes.seconds()
        plain += pair["plain"]
        ours += pair["ours"]
        ratios.append(statistics.median(pair["ours"]) / statistics.median(pair["plain"]))
        print(f"round {number + 1}: ratio {ratios[-1]:.3f}", file=sys.stderr, flush=True)
    print(f"an epoch of {args.images} images: plain Lightning {statistics.median(plain):.3f} s, ", end="")
    print(f"trainlab {statistics.median(ours):.3f} s, ratio {statistics.median(ratios):.3f}", end=" ")
    print(f"(rounds {min(ratios):.3f} to {max(ratios):.3f}, {len(ours)} epochs each)")


def run_plain(folder: Path, args: argparse.Namespace) -> None:
    """Train with Lightning's own Trainer."""
    torch.manual_seed(1)
    checkpoint = ModelCheckpoint(folder, "best", "val/loss", save_last=True)
    trainer = lightning.Trainer(
        accelerator="cpu",
        devices=1,
        max_epochs=args.epochs,
        callbacks=[EpochTimes(), checkpoint, EarlyStopping("val/loss", patience=100)],
        logger=[TensorBoardLogger(folder), CSVLogger(folder)],
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    trainer.fit(Net(), datamodule=Data(args.images, args.workers))


def run_trainlab(folder: Path, args: argparse.Namespace) -> None:
    """Train with trainlab."""
    names = (
        "module._target_=own_module.Net",
        "+callbacks.times._target_=own_module.EpochTimes",
        "data._target_=own_module.Data",
    )
    settings = (
        "trainer=cpu",
        f"trainer.max_epochs={args.epochs}",
        "callbacks.early_stopping.patience=100",
        "test=false",
    )
    sizes = (f"++data.images={args.images}", f"++data.workers={args.workers}")
    train(compose([*names, *sizes, *settings, "name=run", f"output_dir={folder}"]))


if __name__ == "__main__":
    main()
