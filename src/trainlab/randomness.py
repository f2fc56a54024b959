"""Random numbers as a function of (seed, place, epoch or step), without hidden state."""

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

_MASK = 0xFFFFFFFF
# Multipliers of the 32-bit mixer "lowbias32" (Chris Wellons, hash-prospector, 2018), the second as its signed
# equivalent, so that a product of a 32-bit value and a multiplier never leaves int64.
_MULTIPLIERS = (0x7FEB352D, 0x846CA68B - 2**32)


def derive_seed(seed: int, *place: str | int) -> int:
    """A 63-bit seed for one place of a training, for example ``derive_seed(seed, "weights", "linear_3")``."""
    digest = hashlib.blake2b(repr((int(seed), *place)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def generator(seed: int, *place: str | int) -> torch.Generator:
    """A CPU generator for one place of a training; see `derive_seed`."""
    return torch.Generator().manual_seed(derive_seed(seed, *place))


def seed_global_generators(seed: int, device: torch.device) -> None:
    """Seed what code that takes no generator draws from: torch on the CPU and ``device``, numpy and Python."""
    seed_torch(seed, device)
    np.random.seed(seed & _MASK)
    random.seed(seed)


def seed_torch(seed: int, device: torch.device) -> None:
    """Seed the global generators of torch on the CPU and ``device``."""
    torch.default_generator.manual_seed(seed)  # torch.manual_seed takes 100 times as long
    if device.type == "cuda":
        torch.cuda.default_generators[device.index or 0].manual_seed(seed)
    elif device.type == "mps":
        torch.mps.manual_seed(seed)


@contextmanager
def global_generators_restored(device: torch.device | None = None) -> Iterator[None]:
    """Afterwards the generators of torch on the CPU and a GPU ``device``, numpy and Python have their states again."""
    states = np.random.get_state(), random.getstate()
    gpu = device is not None and device.type == "cuda"
    with torch.random.fork_rng([device] if gpu else []):
        try:
            yield
        finally:
            np.random.set_state(states[0])
            random.setstate(states[1])


@contextmanager
def seeded_for_data() -> Iterator[None]:
    """Inside, a data module draws the same in all runs; afterwards as `global_generators_restored`.

    So runs with different seeds have the same split.
    """
    with global_generators_restored():
        seed_global_generators(derive_seed(0, "setup"), torch.device("cpu"))
        yield


def scramble(x: Tensor) -> Tensor:
    """A bijection of the 32-bit integers that flips each output bit with probability near 1/2 for any input bit.

    Args:
        x: int64 tensor with values in [0, 2**32); left unchanged.
    """
    x = x ^ (x >> 16)
    x = x.mul_(_MULTIPLIERS[0]).bitwise_and_(_MASK)
    x = x.bitwise_xor_(x >> 15)
    x = x.mul_(_MULTIPLIERS[1]).bitwise_and_(_MASK)
    return x.bitwise_xor_(x >> 16)


def scramble_words(x: Tensor, spare: Tensor) -> Tensor:
    """``scramble`` on the same 32 bits as int32, in place: seven times as fast on a CPU, with half the memory.

    Args:
        x: int32 tensor; overwritten and returned.
        spare: int32 tensor of the same shape; overwritten.
    """
    for shift, multiplier in ((16, _MULTIPLIERS[0]), (15, _MULTIPLIERS[1])):
        x.bitwise_xor_(_shift_words(x, shift, spare)).mul_(multiplier)
    return x.bitwise_xor_(_shift_words(x, 16, spare))


def _shift_words(x: Tensor, by: int, out: Tensor) -> Tensor:
    """``x >> by`` with zeros shifted in: torch's shift of int32 repeats the sign bit."""
    return torch.bitwise_right_shift(x, by, out=out).bitwise_and_(_MASK >> by)


def counter_draws(key: Tensor, step: Tensor, elements: Tensor) -> Tensor:
    """Uniform 32-bit integers as a function of (key, step, element).

    Args:
        key: int64 (..., 2).
        step: int64 (...).
        elements: int64, of two dimensions.

    Returns:
        int64 (..., *elements.shape) in [0, 2**32).
    """
    first, second = scramble(key ^ step[..., None])[..., None, None].unbind(-3)
    draws = scramble(elements ^ first)
    return scramble(draws.add_(second).bitwise_and_(_MASK))


class CounterDraws(nn.Module):
    """Independent uniform 32-bit integers as a function of (seed, place, step, element).

    The element is the index in the global batch: with ``row_stride`` processes, row i of process ``row_offset`` is row
    ``i * row_stride + row_offset``, so that sharding a batch does not change its draws. The step is a tensor, so that
    a compiled or captured graph takes it as an input. Two keys go in at different depths, the first by exclusive or
    and the second by addition between two mixing rounds; so no stream is a shifted copy of another.
    """

    key: Tensor
    step: Tensor

    def __init__(self, seed: int, *place: str | int) -> None:
        super().__init__()
        key = derive_seed(seed, *place, "draws")
        self.register_buffer("key", torch.tensor([key & _MASK, key >> 32]), persistent=False)
        self.register_buffer("step", torch.zeros((), dtype=torch.int64), persistent=False)
        # Not a buffer: before every step, DistributedDataParallel overwrites buffers with those of process 0.
        self.elements = torch.zeros((0, 0), dtype=torch.int64)
        self.row_offset, self.row_stride = 0, 1

    @torch.no_grad()
    def forward(self, shape: torch.Size) -> Tensor:
        """Draws for a batch of ``shape`` (B, ...), int64 in [0, 2**32)."""
        rows, columns = shape[0], shape[1:].numel()
        elements = self.elements
        if elements.shape[0] < rows or elements.shape[1] != columns or elements.device != self.key.device:
            row = torch.arange(rows, device=self.key.device) * self.row_stride + self.row_offset
            elements = row[:, None] * columns + torch.arange(columns, device=self.key.device)
            if not torch.compiler.is_compiling():  # a compiled graph must not keep its tensors
                self.elements = elements
        return counter_draws(self.key, self.step, elements[:rows]).view(shape)
