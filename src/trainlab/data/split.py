"""Split of validation images off a training set, once or as one of several folds."""

from dataclasses import dataclass

import torch
from torch import Tensor

from trainlab.randomness import generator

SPLITS = ("stratified", "first", "last")


@dataclass(frozen=True)
class Split:
    """Which of the training images are held out for validation.

    Attributes:
        val_size: their number, without folds.
        kind: "stratified", "first" or "last"; see `split`.
        seed: of the stratified draw.
        fold: the one that is held out, of ``num_folds``.
        num_folds: of a partition; None for no folds. See `split_fold`.

    Raises:
        ValueError: an argument is out of range.
    """

    val_size: int
    kind: str
    seed: int
    fold: int | None = None
    num_folds: int | None = None

    def __post_init__(self) -> None:
        if self.val_size < 1:
            raise ValueError(f"val_size must be at least 1, got {self.val_size}; set data.val_size")
        if self.kind not in SPLITS:
            raise ValueError(f"val_split must be one of {', '.join(SPLITS)}, got {self.kind!r}; set data.val_split")
        _check_fold(self.fold, self.num_folds, self.kind)

    def count(self, total: int) -> int:
        """Number of images held out of ``total``."""
        if self.fold is None or self.num_folds is None:
            return self.val_size
        return len(range(self.fold, total, self.num_folds))

    def check(self, total: int) -> None:
        """Raise ValueError if the split is impossible with ``total`` images."""
        if self.num_folds is not None and self.num_folds > total:
            raise ValueError(
                f"num_folds must be at most the {total} training images, got {self.num_folds}; set data.num_folds"
            )
        if self.num_folds is None and self.val_size >= total:
            raise ValueError(
                f"val_size must be below the {total} training images, got {self.val_size}; "
                f"set data.val_size={max(1, total // 6)}"
            )

    def draw(self, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Indices of the training and the validation images, of ``labels`` (N, ...)."""
        if self.fold is None or self.num_folds is None:
            return split(labels, self.val_size, self.kind, self.seed)
        return split_fold(labels, self.fold, self.num_folds, self.seed)


def _check_fold(fold: int | None, num_folds: int | None, val_split: str) -> None:
    if num_folds is None:
        if fold is not None:
            raise ValueError(f"fold needs the number of folds, got {fold} of none; set data.num_folds")
        return
    if num_folds < 2:
        raise ValueError(f"num_folds must be at least 2, got {num_folds}; set data.num_folds")
    if fold is None or not 0 <= fold < num_folds:
        got = "null" if fold is None else fold
        raise ValueError(f"fold must be in 0 to {num_folds - 1}, with num_folds={num_folds}, got {got}; set data.fold")
    if val_split != "stratified":
        raise ValueError(f"folds are stratified, got val_split={val_split}; set data.val_split=stratified")


def split(labels: Tensor, val_size: int, kind: str, seed: int) -> tuple[Tensor, Tensor]:
    """Indices of the training and the validation images, both in ascending order.

    Args:
        labels: int64 (N,); all images with other targets (N, ...) count as one class.
        val_size: number of validation images, in [1, N).
        kind: "stratified" draws from each class in proportion to its size; "first" and "last" take these images.
        seed: seed of the stratified draw.
    """
    labels = _classes(labels)
    if kind == "stratified":
        return _without(labels, _stratified(labels, val_size, seed))
    start = 0 if kind == "first" else len(labels) - val_size
    return _without(labels, torch.arange(start, start + val_size))


def split_fold(labels: Tensor, fold: int, num_folds: int, seed: int) -> tuple[Tensor, Tensor]:
    """Indices of the training and the validation images, both in ascending order, where a fold is held out.

    The folds are a partition: each image is in one of them. Their sizes differ by at most one, and so do the numbers of
    images that they have of a class.

    Args:
        labels: as for `split`.
        fold: the one that is held out, in [0, num_folds).
        num_folds: number of folds.
        seed: seed of the partition.
    """
    labels, draws = _classes(labels), generator(seed, "folds")
    by_class = [(labels == label).nonzero().flatten() for label in labels.unique()]
    dealt = torch.cat([members[torch.randperm(len(members), generator=draws)] for members in by_class])
    return _without(labels, dealt[fold::num_folds])


def _classes(targets: Tensor) -> Tensor:
    """Classes int64 (N,) as they are; all other targets as one class, of which a stratified draw is a random one."""
    is_class = targets.ndim == 1 and not targets.is_floating_point()
    return targets if is_class else torch.zeros(len(targets), dtype=torch.int64)


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
