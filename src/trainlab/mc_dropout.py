"""MC dropout: the answers of a trained network with its dropout left on, many times for each image.

Gal and Ghahramani, "Dropout as a Bayesian Approximation" (2016).
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from trainlab.models.dropout import SELU_MINIMUM, AlphaDropout, Dropout
from trainlab.randomness import counter_draws, derive_seed, scramble_words


def has_dropout(network: nn.Module) -> bool:
    """Whether MC dropout has anything to do in ``network``."""
    return any(isinstance(module, Dropout) and module.rate > 0 for module in network.modules())


@torch.inference_mode()
def mc_probabilities(
    network: nn.Module, images: Tensor, num_samples: int, seed: int = 0, first_image: int = 0
) -> Tensor:
    """Class probabilities (S, B, K), float32, of ``num_samples`` networks that each drop other units for each image.

    Only dropout is on; batch normalization stays in evaluation, and the network is left as it was. A mask follows from
    (seed, layer, number of the sample, index of the image, unit) alone, so neither the size of a batch nor the number
    of samples changes one. What comes before the first dropout is computed once, the samples behind it together, as
    many at a time as need no more memory than the images as floats.

    Args:
        network: `scaling`, then the sequence `layers`, like ``models.MLP`` and ``models.CNN``.
        images: uint8 (B, C, H, W), on the network's device.
        num_samples: S, at least 1.
        seed: another one draws other masks; it need not be that of the training.
        first_image: index of ``images[0]`` in the set of images that it is part of.

    Raises:
        ValueError: there is no sample to draw, or no dropout in the network.
    """
    if num_samples < 1:
        raise ValueError(f"mc_samples must be at least 1, got {num_samples}; set mc_samples")
    if not has_dropout(network):
        raise ValueError("MC dropout has nothing to do in a network without dropout; leave out mc_samples")
    layers = list(network.layers.named_children())  # type: ignore[union-attr,operator]
    first = next(i for i, (_, layer) in enumerate(layers) if isinstance(layer, Dropout))
    rows = torch.arange(len(images), device=images.device) + first_image
    masks = {name: _Masks(seed, name, rows) for name, layer in layers if isinstance(layer, Dropout)}
    with _evaluating(network):
        x = network.scaling(images)  # type: ignore[operator]
        for _, layer in layers[:first]:
            x = layer(x)
        at_once = max(1, images.numel() // x.numel())
        samples = torch.arange(num_samples, device=images.device).split(at_once)
        return torch.cat([_sample(layers[first:], masks, x, some) for some in samples])


def _sample(layers: list[tuple[str, nn.Module]], masks: dict[str, "_Masks"], x: Tensor, samples: Tensor) -> Tensor:
    """Probabilities (s, B, K) of the samples with the numbers ``samples`` (s,); ``x`` (B, ...) is the same for all."""
    shape = len(samples), len(x)
    for name, layer in layers:
        if isinstance(layer, Dropout):
            keep = masks[name].keep(layer, samples, x.shape[1:])
            x = _drop(layer, x.unflatten(0, (-1, shape[1])), keep.to(x.dtype)).flatten(0, 1)
        else:
            x = layer(x)
    return x.float().softmax(-1).view(*shape, -1)


def _drop(layer: Dropout, x: Tensor, keep: Tensor) -> Tensor:
    """What ``layer`` makes of ``x`` (1 or s, B, ...) with the mask ``keep`` (s, B, ...) of zeros and ones, overwritten.

    A dropped unit gets the value ``floor`` (0, or SELU's minimum), then all are scaled and shifted.
    """
    if isinstance(layer, AlphaDropout):
        floor, gain, shift = SELU_MINIMUM, layer.gain, SELU_MINIMUM * layer.gain + layer.bias
    else:
        floor, gain, shift = 0.0, 1 / (1 - layer.rate), 0.0
    return keep.mul_((x - floor).mul_(gain)).add_(shift)


class _Masks:
    """Masks of one dropout layer: a draw for each (sample, image, unit).

    A word of (sample, unit) and a word of (image, unit), each from a key of its own, are joined by exclusive or and
    scrambled once more: a third of the work of ``counter_draws`` for every draw.
    """

    def __init__(self, seed: int, place: str, rows: Tensor) -> None:
        self.keys = [derive_seed(seed, "mc_dropout", place, of) for of in ("sample", "image")]
        self.rows = rows
        self.image_words: Tensor | None = None

    def keep(self, layer: Dropout, samples: Tensor, shape: torch.Size) -> Tensor:
        """The mask (s, B, *shape): 1.0 where a unit is kept, 0.0 where it is dropped."""
        if self.image_words is None:
            self.image_words = _words(self.keys[1], self.rows, shape.numel())
        words = _words(self.keys[0], samples, shape.numel())[:, None] ^ self.image_words
        mask = torch.empty_like(words)
        scramble_words(words, mask)
        mask = torch.ge(words, layer.threshold - 2**31, out=mask.view(torch.float32))
        return mask.unflatten(2, shape)


def _words(key: int, steps: Tensor, columns: int) -> Tensor:
    """32 random bits as int32 (n, columns), a function of (key, step, column); ``steps`` is (n,)."""
    halves = torch.tensor([key & 0xFFFFFFFF, key >> 32], device=steps.device)
    elements = torch.arange(columns, device=steps.device)
    return counter_draws(halves, steps, elements[None])[:, 0].to(torch.int32)


@contextmanager
def _evaluating(network: nn.Module) -> Iterator[None]:
    """Evaluation mode, and afterwards for each module the mode that it had."""
    modes = {module: module.training for module in network.modules()}
    network.eval()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode
