"""MC dropout over a set of images, and its cost."""

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
    """Results of S samples on N images. Tensors are on the CPU.

    Attributes:
        probabilities: float64 (N, K), the mean over the samples.
        expected_entropy: float64 (N,), the mean of the entropies of the samples, in nats.
        correct: int64 (S,), images classified correctly by the mean of the first s samples.
    """

    probabilities: Tensor
    expected_entropy: Tensor
    correct: Tensor


@torch.inference_mode()
def sample(network: nn.Module, batches: Iterable[tuple[Tensor, Tensor]], num_samples: int, seed: int) -> Sampled:
    """Draw ``num_samples`` samples of MC dropout for (images, labels) batches on the network's device.

    Raises:
        ValueError: the network has no dropout, or all samples are equal.
    """
    means, entropies, seen, differ = [], [], 0, num_samples == 1
    correct = torch.zeros(num_samples, dtype=torch.int64)
    for images, labels in batches:
        p = mc_probabilities(network, images, num_samples, seed, first_image=seen)
        differ = differ or not torch.equal(p[0], p[1])
        sums = p.cumsum(0)
        correct += (sums.argmax(2) == labels).sum(1).cpu()
        means.append(sums[-1].cpu().double() / num_samples)
        entropies.append(entropy(p).mean(0).cpu().double())
        seen += len(images)
    if not differ:
        raise ValueError(
            "samples of MC dropout must differ, got two that are equal for all images: the units before the dropout "
            "layers are dead, or model.dropout is close to 0; set another ckpt_path, or leave out mc_samples"
        )
    return Sampled(torch.cat(means), torch.cat(entropies), correct)


@torch.inference_mode()
def measure_cost(network: nn.Module, images: Tensor, num_samples: int, seed: int) -> dict[str, Any]:
    """Milliseconds per 1,000 images of a deterministic pass and of 1, 2, 5, ... samples.

    Each is the fastest of five, which other processes disturb least.

    Args:
        images: a batch, of which the first 250 images are used.
    """
    images = images[:_TIMED_IMAGES]
    steps = [n * 10**k for k in range(len(str(num_samples))) for n in (1, 2, 5)]
    numbers = [n for n in steps if n < num_samples] + [num_samples]

    def ms(samples: int) -> float:
        taken = []
        for _ in range(_TIMES):
            start = time.perf_counter()
            p = mc_probabilities(network, images, samples, seed).mean(0) if samples else network(images).softmax(1)
            p.cpu()  # waits for the GPU
            taken.append(time.perf_counter() - start)
        return 1e6 * min(taken) / len(images)

    return {"deterministic_ms": ms(0), "samples": numbers, "ms": [ms(n) for n in numbers]}
