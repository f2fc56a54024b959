import itertools
import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from trainlab.inference.mc_dropout import _Masks, has_dropout, mc_probabilities
from trainlab.models import CNN, MLP, image_network
from trainlab.models.dropout import Dropout, build_dropout
from trainlab.randomness import generator

SHAPE = (1, 2, 2)
SELU_LIMIT = functional.selu(torch.tensor(-100.0, dtype=torch.float64)).item()


def network(**settings) -> MLP:
    """Two layers of four units, so that all masks can be summed over."""
    small = {"depth": 2, "width": 4, "num_classes": 3, "activation": "tanh", "dropout_kind": "standard"}
    return image_network(MLP, SHAPE, **small | settings)


def pictures(count: int, shape=SHAPE, name="pictures") -> torch.Tensor:
    return torch.randint(256, (count, *shape), dtype=torch.uint8, generator=generator(0, name))


def dropped(x: torch.Tensor, kept: torch.Tensor, rate: float, kind: str) -> torch.Tensor:
    """What dropout makes of ``x``, in the words of its papers."""
    if kind == "standard":
        return x * kept / (1 - rate)
    q = 1 - rate  # Klambauer et al., 2017: a = (q + m^2 q (1 - q))^(-1/2), b = -a (1 - q) m
    a = (q + SELU_LIMIT**2 * q * (1 - q)) ** -0.5
    return a * torch.where(kept.bool(), x, SELU_LIMIT) - a * (1 - q) * SELU_LIMIT


@torch.no_grad()
def exact(net: MLP, images: torch.Tensor, rate: float, kind: str, after: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and variance of the probabilities (B, K), summed over all masks of a network of two layers of four units."""
    layers = net.double().module
    masks = [torch.tensor(bits, dtype=torch.float64) for bits in itertools.product((0, 1), repeat=4)]
    first_masks = masks if after == "every" else [None]
    mean = torch.zeros(len(images), 3, dtype=torch.float64)
    square = mean.clone()
    for first, last in itertools.product(first_masks, masks):
        x = layers.activation_1(layers.linear_1((images.double() / 255).flatten(1)))
        chance = rate ** (4 - last.sum()) * (1 - rate) ** last.sum()
        if first is not None:
            x = dropped(x, first, rate, kind)
            chance *= rate ** (4 - first.sum()) * (1 - rate) ** first.sum()
        x = dropped(layers.activation_2(layers.linear_2(x)), last, rate, kind)
        p = layers.output(x).softmax(1)
        mean += chance * p
        square += chance * p.square()
    return mean, square - mean.square()


@pytest.mark.filterwarnings("ignore:alpha dropout will not keep")
@pytest.mark.parametrize("after", ["last", "every"])
@pytest.mark.parametrize(("kind", "rate"), [("standard", 0.3), ("alpha", 0.2)])
def test_the_mean_of_many_samples_is_the_sum_over_all_masks(kind: str, rate: float, after: str):
    settings = {"dropout": rate, "dropout_kind": kind, "dropout_after": after, "initializer_scale": 2.0}
    images, samples = pictures(3), 20_000
    mean, variance = exact(network(**settings), images, rate, kind, after)
    p = mc_probabilities(network(**settings), images, samples).double()
    assert p.shape == (samples, 3, 3)
    assert variance.min() > 1e-4  # so that the masks matter
    # Five deviations of the mean of that many independent samples; and 1e-6 for float32.
    assert ((p.mean(0) - mean).abs() < 5 * (variance / samples).sqrt() + 1e-6).all()
    # The mean square's own deviation is at most that of numbers in [0, 1] whose variance is below `variance`'s root.
    assert ((p.var(0) - variance).abs() < 5 * (variance / samples).sqrt() + 1e-6).all()


@pytest.mark.parametrize("model", [MLP, CNN])
def test_neither_the_size_of_a_batch_nor_the_number_of_samples_changes_a_sample(model: type[nn.Module]):
    net = (
        image_network(CNN, stages=[[4], [4]], dense=[8], dropout=[0.2, 0.2, 0.5])
        if model is CNN
        else image_network(MLP, depth=3, width=16, dropout=0.3, dropout_after="every", dropout_kind="standard")
    )
    images = pictures(50, (3, 32, 32))
    whole = mc_probabilities(net, images, 7)
    for size in (1, 13):
        parts = [mc_probabilities(net, part, 7, first_image=i * size) for i, part in enumerate(images.split(size))]
        # Products of other shapes round differently in float32; another mask would change digits in front.
        torch.testing.assert_close(torch.cat(parts, 1), whole, rtol=0, atol=1e-5)
    torch.testing.assert_close(mc_probabilities(net, images, 3), whole[:3], rtol=0, atol=1e-5)
    assert not torch.allclose(mc_probabilities(net, images, 7, first_image=1), whole, rtol=0, atol=1e-2)


def test_samples_images_and_seeds_have_masks_of_their_own():
    net, image = network(dropout=0.5, depth=3, width=50), pictures(1)
    p = mc_probabilities(net, image.expand(20, -1, -1, -1), 30)
    assert len(p.flatten(0, 1).unique(dim=0)) == 20 * 30
    assert not torch.equal(mc_probabilities(net, image, 30, seed=1), p[:, :1])
    assert torch.equal(mc_probabilities(net, image, 30), mc_probabilities(net, image, 30))


def test_the_network_is_left_as_it_was():
    net = network(dropout=0.3, dropout_after="every", batch_norm=True).train()
    net.module.norm_1.eval()
    buffers = {name: buffer.clone() for name, buffer in net.named_buffers()}
    state = {name: value.clone() for name, value in net.state_dict().items()}
    mc_probabilities(net, pictures(20), 5)
    assert [name for name, module in net.named_modules() if not module.training] == ["module.norm_1"]
    assert all(torch.equal(value, buffers[name]) for name, value in net.named_buffers())
    assert all(torch.equal(value, state[name]) for name, value in net.state_dict().items())
    with pytest.raises(RuntimeError):
        mc_probabilities(net, pictures(2, (1, 3, 3)), 5)
    assert net.training


def test_batch_normalization_stays_in_evaluation():
    net = network(dropout=0.3, dropout_after="every", batch_norm=True)
    images = pictures(40)
    for layer in net.module.train():  # statistics other than those of any batch below
        if isinstance(layer, nn.BatchNorm1d):
            layer.running_mean.fill_(0.3)
            layer.running_var.fill_(2.0)
    whole = mc_probabilities(net, images, 5)
    alone = mc_probabilities(net, images[:1], 5)  # one image has no statistics to normalize by
    torch.testing.assert_close(alone, whole[:, :1], rtol=0, atol=1e-6)


def test_what_comes_before_the_first_dropout_is_computed_once_and_the_rest_together(monkeypatch):
    net = image_network(MLP, depth=3, width=16, dropout=0.3, dropout_kind="standard").eval()
    rows: dict[str, list[int]] = {"linear_1": [], "linear_3": [], "output": []}
    for name, seen in rows.items():
        net.module.get_submodule(name).register_forward_hook(lambda _, x, y, seen=seen: seen.append(len(y)))
    images = pictures(10, (3, 32, 32))
    mc_probabilities(net, images, 500)
    assert rows["output"] == [500 * 10]
    monkeypatch.setattr(
        "trainlab.inference.mc_dropout._IN_CACHE", 192 * 10 * 16
    )  # of 192 samples of 10 images with 16 units
    for seen in rows.values():
        seen.clear()
    mc_probabilities(net, images, 500)
    assert rows["linear_1"] == rows["linear_3"] == [10]
    assert rows["output"] == [1920, 1920, 1160]


@pytest.mark.filterwarnings("ignore:alpha dropout will not keep")
@pytest.mark.parametrize("kind", ["standard", "alpha"])
def test_the_arithmetic_is_that_of_the_layer(kind: str, monkeypatch: pytest.MonkeyPatch):
    layer, x = build_dropout(0.3, kind, 0, "dropout_1"), torch.randn(1, 50, 20, generator=generator(0, "x"))
    masks = _Masks(layer, 0, "dropout_1", torch.arange(50))
    keep = masks.keep(torch.arange(4), torch.Size([20]))
    monkeypatch.setattr(layer, "keep", lambda shape: keep.bool())
    torch.testing.assert_close(masks.drop(x, torch.arange(4)), layer.train()(x.expand(4, -1, -1)))


def masks_of(rate=0.5, seed=0, place="dropout_1", samples=40, images=50, units=100) -> torch.Tensor:
    """True where a unit is dropped: (samples, images, units)."""
    layer = build_dropout(rate, "standard", 0, "any")
    keep = _Masks(layer, seed, place, torch.arange(images)).keep(torch.arange(samples), torch.Size([units]))
    assert set(keep.unique().tolist()) == {-1, 0}
    return keep == 0


@pytest.mark.parametrize("rate", [0.05, 0.1, 0.5, 0.9])
def test_the_share_of_dropped_units_is_the_rate_along_every_axis(rate: float):
    mask = masks_of(rate)
    for axes in ((0, 1, 2), (1, 2), (0, 2), (0, 1)):
        counts = mask.sum(axes).double()
        number = mask.numel() / counts.numel()
        # Five deviations of a binomial count; of 100 counts the largest is beyond with a chance below 1e-4.
        assert (counts - rate * number).abs().max() < 5 * math.sqrt(number * rate * (1 - rate))


@pytest.mark.parametrize("other", [{"seed": 1}, {"place": "dropout_2"}], ids=lambda o: next(iter(o)))
def test_masks_of_layers_and_seeds_are_independent(other: dict):
    first, second = masks_of(), masks_of(**other)
    assert abs((first == second).double().mean() - 0.5) < 5 * 0.5 / math.sqrt(first.numel())


def test_masks_of_samples_and_images_are_independent_by_twos_and_by_fours():
    mask = masks_of()
    half = mask.double() - 0.5
    for pairs in (half[:-1] * half[1:], half[:, :-1] * half[:, 1:], half[:, :, :-1] * half[:, :, 1:]):
        assert abs(pairs.mean()) < 5 * 0.25 / math.sqrt(pairs.numel())
    # Words joined by exclusive or alone would make the fourth of two samples by two images follow from three.
    odd = mask[:-1, :-1] ^ mask[1:, :-1] ^ mask[:-1, 1:] ^ mask[1:, 1:]
    assert abs(odd.double().mean() - 0.5) < 5 * 0.5 / math.sqrt(odd.numel())


def test_a_network_without_dropout_has_nothing_to_sample():
    assert not has_dropout(network(dropout=0.0))
    assert has_dropout(network(dropout=0.1))
    with pytest.raises(ValueError, match="needs a network with dropout, got one without; leave out mc_samples"):
        mc_probabilities(network(dropout=0.0), pictures(2), 5)


def test_no_sample_is_an_error():
    with pytest.raises(ValueError, match=r"^mc_samples must be at least 1, got 0; set mc_samples$"):
        mc_probabilities(network(dropout=0.1), pictures(2), 0)


def test_dropout_layers_are_where_the_sampler_looks_for_them():
    for net in (network(dropout=0.1, dropout_after="every"), image_network(CNN, dropout=[0.1, 0.1, 0.1])):
        inside = [module for module in net.modules() if isinstance(module, Dropout)]
        assert inside == [layer for layer in net.module.children() if isinstance(layer, Dropout)]
