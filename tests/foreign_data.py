"""A data module that is not of trainlab: noisy stripes, shuffled and augmented by global generators, with workers."""

import random

import numpy as np
import torch
from lightning import LightningDataModule
from torch.utils.data import DataLoader, Dataset, TensorDataset, random_split

CLASSES = ("down", "across", "plain")


class Augmented(Dataset):
    """Images that are changed by draws of torch, numpy and Python."""

    def __init__(self, part):
        self.part = part

    def __len__(self):
        return len(self.part)

    def __getitem__(self, index):
        image, label = self.part[index]
        shift = random.randrange(3) + np.random.randint(3)
        return torch.roll(image, shift, 2) + 0.1 * torch.rand(()), label


class Stripes(LightningDataModule):
    """Gray images, 12 x 9, as floats around 0, or as uint8."""

    def __init__(self, batch_size: int = 16, floats: bool = True, num_workers: int = 0, persistent: bool = False):
        super().__init__()
        self.batch_size, self.floats = batch_size, floats
        self.workers = {"num_workers": num_workers, "persistent_workers": persistent and num_workers > 0}

    def make(self, count, seed):
        draws = torch.Generator().manual_seed(seed)
        labels = torch.arange(count) % len(CLASSES)
        images = torch.randn(count, 1, 12, 9, generator=draws)
        images[labels == 0, :, :, ::2] += 1
        images[labels == 1, :, ::2] += 1
        if not self.floats:
            images = (images * 40 + 120).clamp(0, 255).to(torch.uint8)
        return TensorDataset(images, labels)

    def setup(self, stage):
        if stage == "fit":
            self.train, self.val = random_split(self.make(150, 0), [110, 40])
        else:
            self.test = self.make(45, 1)

    def train_dataloader(self):
        data = Augmented(self.train) if self.floats else self.train
        return DataLoader(data, self.batch_size, shuffle=True, **self.workers)

    def val_dataloader(self):
        return DataLoader(self.val, 20)

    def test_dataloader(self):
        return DataLoader(self.test, 20)


class NamedStripes(Stripes):
    """With names of its classes, and a generator of its own for the order."""

    classes = CLASSES
    digest = "stripes-1"

    def train_dataloader(self):
        own = torch.Generator().manual_seed(7)
        return DataLoader(self.train, self.batch_size, shuffle=True, generator=own, **self.workers)


class SplitAtOnce(Stripes):
    """Split at random when it is made, the test set, too."""

    def __init__(self, batch_size: int = 16):
        super().__init__(batch_size)
        self.train, self.val, self.test = random_split(self.make(195, 0), [110, 40, 45])

    def setup(self, stage):
        pass


class OneLoader(Stripes):
    """Without validation."""

    val_dataloader = LightningDataModule.val_dataloader


class Dictionaries(Stripes):
    """Batches are dictionaries."""

    def train_dataloader(self):
        return DataLoader([{"x": 1}] * 8)
