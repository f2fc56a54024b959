"""Split of validation images off a training set, once or as one of several folds."""

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
    return _without(labels, torch.arange(val_size) if kind == "first" else _stratified(labels, val_size, seed))


def split_fold(labels: Tensor, fold: int, num_folds: int, seed: int) -> tuple[Tensor, Tensor]:
    """Indices of the training and the validation images, both in ascending order, where a fold is held out.

    The folds are a partition: each image is in one of them. Their sizes differ by at most one, and so do the numbers of
    images that they have of a class.

    Args:
        labels: int64 (N,).
        fold: the one that is held out, in [0, num_folds).
        num_folds: number of folds.
        seed: seed of the partition.
    """
    draws = generator(seed, "folds")
    by_class = [(labels == label).nonzero().flatten() for label in labels.unique()]
    dealt = torch.cat([members[torch.randperm(len(members), generator=draws)] for members in by_class])
    return _without(labels, dealt[fold::num_folds])


def count_fold(total: int, fold: int, num_folds: int) -> int:
    """Number of images that `split_fold` holds out of ``total``."""
    return len(range(fold, total, num_folds))


def _without(labels: Tensor, val: Tensor) -> tuple[Tensor, Tensor]:
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
