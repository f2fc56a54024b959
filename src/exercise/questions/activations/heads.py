"""Shallow networks with softmax or logistic outputs, trained on images of one class or on pairs of two.

Axes: N images, K classes.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, one_hot

from trainlab import derive_seed, generator
from trainlab.data import ImageData
from trainlab.models import MLP, ImageNetwork, image_network

HEADS = ("softmax", "logistic")
LR, BATCH, EVAL_BATCH = 5e-4, 128, 1000


@dataclass(frozen=True)
class Examples:
    """Images uint8 (N, C, H, W) and which classes are in each, (N, K) of zeros and ones."""

    images: Tensor
    present: Tensor


def single_images(data: ImageData, chosen: Tensor) -> Examples:
    """The images with the indices ``chosen``, of a class each."""
    images = data.images
    present = one_hot(images.train_labels[chosen], len(images.classes)).float()
    return Examples(images.train[chosen], present)


def image_pairs(single: Examples, seed: int, *place: str | int) -> Examples:
    """Each image with another one of another class to its right, drawn from (seed, place)."""
    draws = generator(seed, "pairs", *place)
    count = len(single.images)
    other = torch.randperm(count, generator=draws)
    while len(same := (single.present * single.present[other]).sum(1).nonzero().flatten()):
        other[same] = torch.randint(count, (len(same),), generator=draws)
    images = torch.cat([single.images, single.images[other]], dim=3)
    return Examples(images, single.present + single.present[other])


def training_batches(single: Examples, paired: bool, seed: int, count: int) -> Iterator[Examples]:
    """Shuffled batches of so many epochs, with new pairs in each."""
    for epoch in range(count):
        order = torch.randperm(len(single.images), generator=generator(seed, "order", epoch))
        whole = image_pairs(single, seed, epoch) if paired else single
        for chosen in order.split(BATCH):
            yield Examples(whole.images[chosen], whole.present[chosen])


def train_network(
    batches: Iterator[Examples], head: str, statistics: tuple[Tensor, Tensor], classes: int, seed: int
) -> ImageNetwork:
    """A network of two hidden layers after one pass over ``batches``; ``statistics`` to standardize the inputs by."""
    mean, std = statistics
    network = image_network(
        MLP,
        (mean.shape[0], mean.shape[1], mean.shape[2]),
        derive_seed(seed, "heads"),
        depth=2,
        num_classes=classes,
        activation="selu",
        initializer="lecun_normal",
        standardize=True,
    )
    network.scaling.set_statistics(mean, std)
    optimizer = torch.optim.NAdam(network.parameters(), lr=LR)
    for batch in batches:
        optimizer.zero_grad()
        loss(network(batch.images), batch.present, head).backward()
        optimizer.step()
    return network.eval()


def loss(logits: Tensor, present: Tensor, head: str) -> Tensor:
    """Mean over the images: cross-entropy to equal shares of the classes present, or the sum of binary ones."""
    if head == "softmax":
        return cross_entropy(logits, present / present.sum(1, keepdim=True))
    return binary_cross_entropy_with_logits(logits, present, reduction="sum") / len(logits)


@torch.no_grad()
def probabilities(network: ImageNetwork, images: Tensor, head: str) -> Tensor:
    """Of each class, (N, K)."""
    logits = torch.cat([network(chunk) for chunk in images.split(EVAL_BATCH)])
    return logits.softmax(1) if head == "softmax" else logits.sigmoid()
