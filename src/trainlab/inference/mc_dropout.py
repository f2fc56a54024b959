"""MC dropout: the answers of a trained network with its dropout left on, many times for each image.

Gal and Ghahramani, "Dropout as a Bayesian Approximation" (2016).
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from trainlab.models.dropout import SELU_MINIMUM, AlphaDropout, Dropout
from trainlab.randomness import counter_draws, derive_seed, scramble_words

# Elements of an activation that a processor has at once; fastest of 2**17 to 2**22 where its cache holds 1 MB a core.
_IN_CACHE = 2**19


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
    many at a time as fit a processor's cache or, on other devices, need no more memory than the images as floats.

    Args:
        network: `scaling`, then the sequence `layers`, like ``models.MLP`` and ``models.CNN``, in float32.
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
    layers = list(network.get_submodule("layers").named_children())
    first = next(i for i, (_, layer) in enumerate(layers) if isinstance(layer, Dropout))
    rows = torch.arange(len(images), device=images.device) + first_image
    masks = {name: _Masks(layer, seed, name, rows) for name, layer in layers if isinstance(layer, Dropout)}
    with _evaluating(network):
        x = network.get_submodule("scaling")(images)
        for _, layer in layers[:first]:
            x = layer(x)
        samples = torch.arange(num_samples, device=images.device).split(_at_once(images, x))
        return torch.cat([_sample(layers[first:], masks, x, some) for some in samples])


def _at_once(images: Tensor, x: Tensor) -> int:
    """How many samples of ``x``, what goes into the first dropout, to compute together."""
    elements = _IN_CACHE if x.is_cpu else max(images.numel(), _IN_CACHE)
    return max(1, elements // x.numel())


def _sample(layers: list[tuple[str, nn.Module]], masks: dict[str, "_Masks"], x: Tensor, samples: Tensor) -> Tensor:
    """Probabilities (s, B, K) of the samples with the numbers ``samples`` (s,); ``x`` (B, ...) is the same for all."""
    shape = len(samples), len(x)
    for name, layer in layers:
        if isinstance(layer, Dropout):
            x = masks[name].drop(x.unflatten(0, (-1, shape[1])), samples).flatten(0, 1)
        else:
            x = layer(x)
    # Over rows as short as these, torch's softmax takes ten times as long as over columns.
    return x.T.contiguous().softmax(0).T.unflatten(0, shape)


class _Masks:
    """Masks of one dropout layer for the images with the indices ``rows`` (B,): a draw for each (sample, image, unit).

    A word of (sample, unit) and a word of (image, unit), each from a key of its own, are joined by exclusive or and
    scrambled once more, on int32: ``counter_draws`` for every draw would take several times as long.
    """

    def __init__(self, layer: Dropout, seed: int, place: str, rows: Tensor) -> None:
        self.layer, self.rows = layer, rows
        self.keys = [derive_seed(seed, "mc_dropout", place, of) for of in ("sample", "image")]
        self.image_words: Tensor | None = None

    def drop(self, x: Tensor, samples: Tensor) -> Tensor:
        """What the layer makes of ``x`` (1 or s, B, ...): (s, B, ...)."""
        floor, gain, shift = 0.0, 1 / (1 - self.layer.rate), 0.0
        if isinstance(self.layer, AlphaDropout):
            floor, gain = SELU_MINIMUM, self.layer.gain
            shift = floor * gain + self.layer.bias
        # A dropped unit gets the value `floor`; then all are scaled and shifted.
        above = (x - floor).mul_(gain)
        kept = self.keep(samples, x.shape[2:]).bitwise_and_(above.view(torch.int32))
        return kept.view(torch.float32).add_(shift)

    def keep(self, samples: Tensor, shape: torch.Size) -> Tensor:
        """The mask (s, B, *shape), int32: all bits are set where a unit is kept, none where it is dropped."""
        if self.image_words is None:
            self.image_words = _words(self.keys[1], self.rows, shape.numel())
        words = _words(self.keys[0], samples, shape.numel())[:, None] ^ self.image_words
        scramble_words(words, torch.empty_like(words))
        # Of 31 bits, so that the difference to the threshold has its sign: a comparison and a product take longer.
        words.bitwise_right_shift_(1).sub_(self.layer.threshold // 2 - 2**30)
        return words.bitwise_right_shift_(31).bitwise_not_().unflatten(2, shape)


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
