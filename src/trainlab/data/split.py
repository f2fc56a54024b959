"""Split of validation images off a training set."""

import torch
from torch import Tensor

from trainlab.randomness import generator

SPLITS = ("stratified", "first")


def split(labels: Tensor, val_size: int, kind: str, seed: int) -> tuple[Tensor, Tensor]:
    """Indices of the training and the validation images, both in ascending order.

    Args:
        labels: int64 (N,).
        val_size: number of validation images, in [1, N).
        kind: "stratified" draws from each class in proportion to its size; "first" takes the first ``val_size``.
        seed: seed of the stratified draw.
    """
    val = torch.arange(val_size) if kind == "first" else _stratified(labels, val_size, seed)
    is_val = torch.zeros(len(labels), dtype=torch.bool)
    is_val[val] = True
    return (~is_val).nonzero().flatten(), is_val.nonzero().flatten()


def _stratified(labels: Tensor, val_size: int, seed: int) -> Tensor:
    classes, counts = labels.unique(return_counts=True)
    exact = counts.double() * val_size / len(labels)
    sizes = exact.floor().long()
    # Images left over by rounding go to the largest remainders.
    left = val_size - int(sizes.sum())
    sizes[(exact - sizes).argsort(descending=True, stable=True)[:left]] += 1
    draws = generator(seed, "split")
    parts = []
    for label, size in zip(classes, sizes, strict=True):
        members = (labels == label).nonzero().flatten()
        parts.append(members[torch.randperm(len(members), generator=draws)[:size]])
    return torch.cat(parts)
