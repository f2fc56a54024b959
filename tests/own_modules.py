"""LightningModules and data modules as users write them: they know nothing of trainlab."""

import random

import numpy as np
import torch
import torchmetrics
from lightning import LightningDataModule, LightningModule
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset, IterableDataset, random_split


class Lit(LightningModule):
    """A classifier of images with dropout, noise, and a metric with a name of its own."""

    def __init__(
        self, image_shape: tuple[int, int, int] = (3, 32, 32), num_classes: int = 10, lr: float = 1e-2, width: int = 8
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        pixels = image_shape[0] * image_shape[1] * image_shape[2]
        self.net = nn.Sequential(
            nn.Flatten(), nn.Linear(pixels, width), nn.ReLU(), nn.Dropout(0.1), nn.Linear(width, num_classes)
        )

    def forward(self, images):
        return self.net(images)

    def training_step(self, batch, batch_idx):
        images, labels = batch
        noise = np.random.normal() * random.random() / 100
        loss = functional.cross_entropy(self(images + noise), labels)
        self.log("train_loss", loss, on_step=True, on_epoch=True)
        return loss

    def _log(self, split, batch):
        images, labels = batch
        logits = self(images)
        self.log(f"{split}/loss", functional.cross_entropy(logits, labels))
        self.log(f"{split}/hits", (logits.argmax(1) == labels).float().mean())

    def validation_step(self, batch, batch_idx):
        self._log("val", batch)

    def test_step(self, batch, batch_idx):
        self._log("test", batch)

    def on_train_epoch_end(self):
        self.log("late", float(self.current_epoch))

    def configure_optimizers(self):
        optimizer = torch.optim.Adam(self.parameters(), lr=self.hparams.lr)
        watch = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=0, threshold=0.5)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": watch, "monitor": "val/loss"}}


class Stepwise(Lit):
    """With a schedule of its own over steps, and one over epochs."""

    def configure_optimizers(self):
        optimizer = torch.optim.SGD(self.parameters(), lr=self.hparams.lr, momentum=0.5)
        steps = torch.optim.lr_scheduler.StepLR(optimizer, 3, 0.9)
        epochs = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.7)
        return [optimizer], [{"scheduler": steps, "interval": "step"}, {"scheduler": epochs, "interval": "epoch"}]


class Best(Lit):
    """Keeps the best of its metric, and a mean that it resets when the next validation starts."""

    def __init__(self, persistent: bool = False) -> None:
        super().__init__()
        self.best, self.mean = torchmetrics.MaxMetric(), torchmetrics.MeanMetric()
        self.best.persistent(persistent)

    def on_validation_epoch_start(self):
        self.mean.reset()

    def validation_step(self, batch, batch_idx):
        super().validation_step(batch, batch_idx)
        self.mean.update((self(batch[0]).argmax(1) == batch[1]).float())

    def on_validation_epoch_end(self):
        self.best.update(self.mean.compute() * (self.current_epoch == 0))
        self.log("val/best", self.best.compute())


class Two(LightningModule):
    """Two networks with an optimizer each, by manual optimization; its one metric is better where it is higher."""

    def __init__(self, lr: float = 1e-3) -> None:
        super().__init__()
        self.automatic_optimization, self.lr = False, lr
        self.one, self.other = nn.Linear(4, 4), nn.Linear(4, 1)

    def training_step(self, batch, batch_idx):
        x, y = batch
        for optimizer, sign in zip(self.optimizers(), (1, -1), strict=True):
            optimizer.zero_grad()
            self.manual_backward(sign * (self.other(self.one(x + torch.randn_like(x)))[:, 0] - y).square().mean())
            optimizer.step()

    def validation_step(self, batch, batch_idx):
        self.log("score", -(self.other(self.one(batch[0]))[:, 0] - batch[1]).square().mean())

    test_step = validation_step

    def configure_optimizers(self):
        return [torch.optim.Adam(part.parameters(), lr=self.lr) for part in (self.one, self.other)]


class Holding(Lit):
    """Saves what cannot be loaded safely."""

    def on_save_checkpoint(self, checkpoint):
        checkpoint["held"] = {"draws": random.Random(0)}


class HoldingNetwork(Lit):
    """Has a network among its hyperparameters."""

    def __init__(self, lr: float = 1e-2) -> None:
        super().__init__(lr=lr)
        self.save_hyperparameters({"part": nn.Linear(1, 1)})


class Diverging(Lit):
    """Its loss is not finite from the second epoch on."""

    def training_step(self, batch, batch_idx):
        loss = super().training_step(batch, batch_idx)
        return loss * float("nan") if self.current_epoch == 1 and batch_idx == 2 else loss


class Noisy(Dataset):
    """Points with noise that is drawn from all global generators when they are read."""

    def __len__(self):
        return 48

    def __getitem__(self, i):
        noise = torch.randn(4) + np.random.normal() + random.random()
        return torch.full((4,), float(i % 2)) + noise / 10, torch.tensor(float(i % 2))


class NoisyData(LightningDataModule):
    """Shuffled, split at random in `setup`, read by workers."""

    def __init__(self, batch_size: int = 8, num_workers: int = 0, persistent_workers: bool = False) -> None:
        super().__init__()
        self.save_hyperparameters()

    def setup(self, stage):
        self.parts = random_split(Noisy(), [24, 12, 12])

    def _loader(self, part, shuffle=False):
        given = self.hparams
        return DataLoader(
            self.parts[part],
            batch_size=given.batch_size,
            shuffle=shuffle,
            num_workers=given.num_workers,
            persistent_workers=given.persistent_workers,
        )

    def train_dataloader(self):
        return self._loader(0, shuffle=True)

    def val_dataloader(self):
        return self._loader(1)

    def test_dataloader(self):
        return self._loader(2)


class Stream(IterableDataset):
    """Points of which nobody knows how many there are."""

    def __iter__(self):
        for _ in range(20):
            yield {"x": torch.randn(4)}


class StreamData(LightningDataModule):
    def train_dataloader(self):
        return DataLoader(Stream(), 8)


class Bare(LightningModule):
    """No validation, no test, nothing logged."""

    def __init__(self):
        super().__init__()
        self.net = nn.Linear(4, 1)

    def training_step(self, batch, batch_idx):
        return self.net(batch["x"]).square().mean()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)
