"""MC dropout: several stochastic forward passes per image through a trained network with dropout active.

Gal and Ghahramani, "Dropout as a Bayesian Approximation" (2016).
"""

import time
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd

from trainlab.inference.metrics import entropy
from trainlab.inference.network import in_mode
from trainlab.models.dropout import SELU_MINIMUM, AlphaDropout, Dropout
from trainlab.models.image_network import is_own
from trainlab.randomness import (
    counter_draws,
    derive_seed,
    global_generators_restored,
    scramble_words,
    seed_global_generators,
)

# Activation elements computed at a time on a CPU; the fastest of 2**17 to 2**22 with 1 MB of cache per core.
_IN_CACHE = 2**19
_TIMED_IMAGES = 250
_TIMES = 5


def has_dropout(network: nn.Module) -> bool:
    """Whether ``network`` has a dropout layer, of trainlab or of torch, with a rate above 0."""
    return bool(_dropout_layers(network))


def _dropout_layers(network: nn.Module) -> list[nn.Module]:
    rates: dict[nn.Module, float] = {module: module.rate for module in network.modules() if isinstance(module, Dropout)}
    rates |= {module: module.p for module in network.modules() if isinstance(module, _DropoutNd)}
    return [module for module, rate in rates.items() if rate > 0]


@torch.inference_mode()
def mc_probabilities(
    network: nn.Module, images: Tensor, num_samples: int, seed: int = 0, first_image: int = 0
) -> Tensor:
    """Class probabilities (S, B, K), float32, of ``num_samples`` forward passes with different dropout masks.

    Only dropout is active; batch normalization stays in evaluation mode, and the network is unchanged afterwards. A
    mask is a function of (seed, layer, sample, image, unit), so it does not depend on the batch size or on the number
    of samples. Layers before the first dropout are computed once; samples after it are batched, as many as fit in the
    cache of a CPU, or on other devices as need no more memory than the images as floats.

    Of other networks than ``models.MLP`` and ``models.CNN`` each sample is a whole pass with torch's dropout layers in
    training mode, whose masks are a function of (seed, sample, index of the first image of the batch).

    Args:
        network: an `ImageNetwork`, in float32.
        images: uint8 (B, C, H, W), on the network's device.
        num_samples: S, at least 1.
        seed: seed of the masks, independent of the training's.
        first_image: index of ``images[0]`` in the whole set of images.

    Raises:
        ValueError: ``num_samples`` is below 1, or the network has no dropout.
    """
    if num_samples < 1:
        raise ValueError(f"mc_samples must be at least 1, got {num_samples}; set mc_samples")
    if not has_dropout(network):
        raise ValueError("MC dropout needs a network with dropout, got one without; leave out mc_samples")
    if not is_own(network.get_submodule("module")):
        return _whole_passes(network, images, num_samples, seed, first_image)
    layers = list(network.get_submodule("module").named_children())
    first = next(i for i, (_, layer) in enumerate(layers) if isinstance(layer, Dropout))
    rows = torch.arange(len(images), device=images.device) + first_image
    masks = {name: _Masks(layer, seed, name, rows) for name, layer in layers if isinstance(layer, Dropout)}
    with in_mode(network, training=False):
        x = network.get_submodule("scaling")(images)
        for _, layer in layers[:first]:
            x = layer(x)
        samples = torch.arange(num_samples, device=images.device).split(_samples_per_chunk(images, x))
        return torch.cat([_sample(layers[first:], masks, x, some) for some in samples])


def _whole_passes(network: nn.Module, images: Tensor, num_samples: int, seed: int, first_image: int) -> Tensor:
    """`mc_probabilities` of a network that draws its masks from global generators."""
    samples = []
    with in_mode(network, training=False), global_generators_restored(images.device):
        for layer in _dropout_layers(network):
            layer.training = True
        for sample in range(num_samples):
            seed_global_generators(derive_seed(seed, "mc_dropout", sample, first_image), images.device)
            samples.append(network(images).softmax(1))
    return torch.stack(samples)


@torch.inference_mode()
def sample(
    network: nn.Module, batches: Iterable[tuple[Tensor, Tensor]], num_samples: int, seed: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Draw ``num_samples`` samples S of MC dropout for (images, labels) batches of N images on the network's device.

    Returns:
        On the CPU: the mean probabilities over the samples, float64 (N, K); the mean of the entropies of the samples,
        in nats, float64 (N,); the images classified correctly by the mean of the first s samples, int64 (S,).

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
    return torch.cat(means), torch.cat(entropies), correct


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


def _samples_per_chunk(images: Tensor, x: Tensor) -> int:
    """Number of samples to compute together, for ``x``, the input of the first dropout."""
    elements = _IN_CACHE if x.is_cpu else max(images.numel(), _IN_CACHE)
    return max(1, elements // x.numel())


def _sample(layers: list[tuple[str, nn.Module]], masks: dict[str, "_Masks"], x: Tensor, samples: Tensor) -> Tensor:
    """Probabilities (s, B, K) of the samples with indices ``samples`` (s,), from their common input ``x`` (B, ...)."""
    shape = len(samples), len(x)
    for name, layer in layers:
        if isinstance(layer, Dropout):
            x = masks[name].drop(x.unflatten(0, (-1, shape[1])), samples).flatten(0, 1)
        else:
            x = layer(x)
    # torch's softmax over short rows takes ten times as long as over columns.
    return x.T.contiguous().softmax(0).T.unflatten(0, shape)


class _Masks:
    """Masks of one dropout layer for the images with indices ``rows`` (B,): one draw per (sample, image, unit).

    A word for (sample, unit) and a word for (image, unit), with different keys, are combined by exclusive or and
    scrambled once more, in int32. ``counter_draws`` for every draw would take several times as long.
    """

    def __init__(self, layer: Dropout, seed: int, place: str, rows: Tensor) -> None:
        self.layer, self.rows = layer, rows
        self.keys = [derive_seed(seed, "mc_dropout", place, of) for of in ("sample", "image")]
        self.image_words: Tensor | None = None

    def drop(self, x: Tensor, samples: Tensor) -> Tensor:
        """Apply the layer to ``x`` (1 or s, B, ...); returns (s, B, ...)."""
        floor, gain, shift = 0.0, 1 / (1 - self.layer.rate), 0.0
        if isinstance(self.layer, AlphaDropout):
            floor, gain = SELU_MINIMUM, self.layer.gain
            shift = floor * gain + self.layer.bias
        # Dropped units are set to `floor`; then all are scaled and shifted.
        above = (x - floor).mul_(gain)
        kept = self.keep(samples, x.shape[2:]).bitwise_and_(above.view(torch.int32))
        return kept.view(torch.float32).add_(shift)

    def keep(self, samples: Tensor, shape: torch.Size) -> Tensor:
        """Mask (s, B, *shape), int32: all bits set for units that are kept, none for units that are dropped."""
        if self.image_words is None:
            self.image_words = _words(self.keys[1], self.rows, shape.numel())
        words = _words(self.keys[0], samples, shape.numel())[:, None] ^ self.image_words
        scramble_words(words, torch.empty_like(words))
        # 31 bits: the sign of the difference to the threshold is the mask, which is faster than a comparison.
        words.bitwise_right_shift_(1).sub_(self.layer.threshold // 2 - 2**30)
        return words.bitwise_right_shift_(31).bitwise_not_().unflatten(2, shape)


def _words(key: int, steps: Tensor, columns: int) -> Tensor:
    """32 random bits as int32 (n, columns), a function of (key, step, column); ``steps`` is (n,)."""
    halves = torch.tensor([key & 0xFFFFFFFF, key >> 32], device=steps.device)
    elements = torch.arange(columns, device=steps.device)
    return counter_draws(halves, steps, elements[None])[:, 0].to(torch.int32)
