"""Batches of an epoch for several members. Members with the same seed, epoch and split get the same ones."""

from collections.abc import Hashable, Sequence

import torch
from torch import Tensor

from trainlab.data.batches import Batches


class BatchStreams:
    """The batches of M members, from S streams of one data set.

    Args:
        batches: of each member (M), on one device; they differ only in seed, epoch and the images of the split.
        separate: whether members get copies, even of a single stream.

    Attributes:
        firsts: the first member of each stream.
        has_one_split: whether all streams are of the same images.
    """

    def __init__(self, batches: Sequence[Batches], separate: bool = False) -> None:
        self._batches, self._separate = batches[0], separate
        first: dict[Hashable, int] = {}
        for member, one in enumerate(batches):
            first.setdefault(one.stream, member)
        numbers = {stream: number for number, stream in enumerate(first)}
        self.count, self.firsts = len(first), [*first.values()]
        device = self._batches.labels.device
        self.of_member = torch.tensor([numbers[one.stream] for one in batches], device=device)
        self._streams = [batches[member] for member in self.firsts]
        self.has_one_split = len({id(one.indices) for one in self._streams}) == 1
        self._orders = torch.stack([one.order() for one in self._streams]).to(device)  # (S, N)
        draws = [one.draws() for one in self._streams]
        self._draws = [d for d in draws if d is not None]

    def __len__(self) -> int:
        return len(self._batches)

    def batch(self, number: int) -> tuple[Tensor, Tensor]:
        """Uint8 images (S * B, C, H, W) of all streams and targets (S, B, ...)."""
        size = self._batches.batch_size
        chosen = self._orders[:, number * size : (number + 1) * size]
        draws = None
        if self._draws:
            draws = torch.cat([own[indices] for own, indices in zip(self._draws, chosen, strict=True)])
        images, targets = self._batches.gather(chosen.flatten(), draws)
        images, targets = self._batches.mix(images, targets, [own.draw_mix(number) for own in self._streams])
        return images, targets.view(*chosen.shape, *targets.shape[1:])

    def to_members(self, streams: Tensor) -> Tensor:
        """(M, ...) of what streams have (S, ...); without a copy where all have one, or each its own."""
        members = len(self.of_member)
        if self.count == members:
            return streams
        if self.count == 1 and not self._separate:
            return streams.expand(members, *streams.shape[1:])
        return streams.index_select(0, self.of_member)
