"""MC dropout over a set of images, and what it costs."""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from trainlab.inference.mc_dropout import mc_probabilities
from trainlab.inference.metrics import entropy

_TIMED_IMAGES = 250
_TIMES = 5


@dataclass(frozen=True)
class Sampled:
    """What S samples say of N images. Tensors are on the CPU.

    Attributes:
        probabilities: float64 (N, K), the mean of the samples.
        expected_entropy: float64 (N,), the mean of their entropies, in nats.
        right: int64 (S,), images that the mean of the first s samples has right.
    """

    probabilities: Tensor
    expected_entropy: Tensor
    right: Tensor


@torch.inference_mode()
def sample(network: nn.Module, batches: Iterable[tuple[Tensor, Tensor]], num_samples: int, seed: int) -> Sampled:
    """Ask ``network`` ``num_samples`` times of the images of (images, labels) batches on its device.

    Raises:
        ValueError: there is no dropout, or the samples do not differ.
    """
    means, entropies, seen, differ = [], [], 0, num_samples == 1
    right = torch.zeros(num_samples, dtype=torch.int64)
    for images, labels in batches:
        p = mc_probabilities(network, images, num_samples, seed, first_image=seen)
        differ = differ or not torch.equal(p[0], p[1])
        sums = p.cumsum(0)
        right += (sums.argmax(2) == labels).sum(1).cpu()
        means.append(sums[-1].cpu().double() / num_samples)
        entropies.append(entropy(p).mean(0).cpu().double())
        seen += len(images)
    if not differ:
        raise ValueError(
            "samples of MC dropout must differ, and two were the same for all images: the units before its dropout "
            "layers are dead, or model.dropout is next to nothing; set another ckpt_path, or leave out mc_samples"
        )
    return Sampled(torch.cat(means), torch.cat(entropies), right)


@torch.inference_mode()
def measure_cost(network: nn.Module, images: Tensor, num_samples: int, seed: int) -> dict[str, Any]:
    """Milliseconds for 1,000 images: of one deterministic pass, and of 1, 2, 5, ... samples.

    The fastest of five; whatever else the machine does makes the others slower.

    Args:
        images: a batch, of which the first 250 are timed.
    """
    images = images[:_TIMED_IMAGES]
    steps = [n * 10**k for k in range(len(str(num_samples))) for n in (1, 2, 5)]
    numbers = [n for n in steps if n < num_samples] + [num_samples]

    def ms(samples: int) -> float:
        taken = []
        for _ in range(_TIMES):
            start = time.perf_counter()
            p = mc_probabilities(network, images, samples, seed).mean(0) if samples else network(images).softmax(1)
            p.cpu()  # which waits for a GPU
            taken.append(time.perf_counter() - start)
        return 1e6 * min(taken) / len(images)

    return {"deterministic_ms": ms(0), "samples": numbers, "ms": [ms(n) for n in numbers]}
