"""Images that do not fit in memory: read when they are needed, ahead of the training, by worker processes."""

import signal
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from trainlab.processes import count_cores

_MOST_WORKERS = 8  # by default
Read = Callable[[int], np.ndarray]


class LazyImages:
    """Images (N, C, H, W), each read when it is needed. Indexed by tensors, as one on the CPU would be.

    Args:
        read: number of an image -> uint8 (C, H, W); raises ValueError if it cannot be read. It can be pickled.
        count: N.
        image_shape: (C, H, W).
    """

    device = torch.device("cpu")  # of what indexing returns

    def __init__(self, read: Read, count: int, image_shape: tuple[int, int, int]) -> None:
        self._read, self.shape = read, torch.Size((count, *image_shape))

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, indices: Tensor | int) -> Tensor:
        """The images with ``indices`` (n,), uint8 (n, C, H, W), or a single one (C, H, W)."""
        if isinstance(indices, int):
            return self[torch.tensor([indices])][0]
        found = np.empty((len(indices), *self.shape[1:]), np.uint8)
        for place, index in enumerate(indices.tolist()):
            found[place] = self._read(index)
        return torch.from_numpy(found)

    def to(self, device: torch.device) -> "LazyImages":
        """Themselves: their batches are moved."""
        return self


def load(
    images: LazyImages, batches: Sequence[Tensor], device: torch.device, num_workers: int | None = None
) -> Iterator[Tensor]:
    """The images of ``batches`` of indices (B,), each (B, C, H, W) on ``device``.

    Args:
        images: of which they are a part.
        batches: in this order.
        device: to move them to.
        num_workers: processes that read ahead, 0 to read in this one; None for one per CPU core, at most 8.

    Raises:
        ValueError: an image cannot be read.
    """
    on_gpu = device.type == "cuda"
    loader: DataLoader[Any] = DataLoader(
        _Reader(images),  # type: ignore[arg-type]  # it has `__getitems__`, which is all that is called
        batch_sampler=[batch.tolist() for batch in batches],
        num_workers=min(workers(num_workers), len(batches)),
        collate_fn=_same,
        worker_init_fn=partial(begin_worker, None),
        generator=torch.Generator(),  # not torch's global one, which networks may draw from
        pin_memory=on_gpu,
    )
    for found in loader:
        if isinstance(found, str):
            raise ValueError(found)
        yield found.to(device, non_blocking=on_gpu)


def parts_of(
    images: Tensor | LazyImages, batches: Sequence[Tensor], num_workers: int | None = None
) -> Iterator[Tensor]:
    """The images of ``batches`` of indices, on the device of the images; see `load`."""
    if isinstance(images, LazyImages):
        return load(images, batches, images.device, num_workers)
    return (images[indices.to(images.device)] for indices in batches)


def workers(num_workers: int | None, processes: int = 1) -> int:
    """``num_workers``; if it is None, those of one of so many processes that share the machine."""
    return max(1, min(count_cores() // processes, _MOST_WORKERS)) if num_workers is None else num_workers


class _Reader:
    """Reads whole batches. An error is returned as text: torch would make a traceback of it."""

    def __init__(self, images: LazyImages) -> None:
        self._images = images

    def __getitems__(self, indices: list[int]) -> Tensor | str:
        try:
            return self._images[torch.tensor(indices)]
        except (ValueError, OSError) as error:
            return str(error)


def _same(batch: Any) -> Any:
    return batch


def begin_worker(own: Callable[[int], object] | None, worker: int) -> None:
    """Ignore Ctrl-C, which at a terminal reaches workers, too, while the training finishes its epoch; call ``own``."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if own is not None:
        own(worker)
