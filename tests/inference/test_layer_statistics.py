import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from trainlab.inference.layer_statistics import (
    Layer,
    activations,
    gradients,
    histogram,
    layers_of,
    norm,
    statistics,
    weights_of,
)
from trainlab.models import CNN, MLP, image_network
from trainlab.randomness import CounterDraws, generator
from trainlab.tasks import Classification

DROPOUT = {"dropout": 0.5, "dropout_kind": "standard"}


def images(count, shape=(3, 8, 8)):
    return torch.randint(0, 256, (count, *shape), dtype=torch.uint8, generator=generator(0, "images"))


def test_mean_deviation_and_dead_units_by_hand():
    found = statistics(torch.tensor([[1.0, 3.0], [1.0, 5.0]]))
    # 1 + 3 + 1 + 5 = 10; squares 1 + 9 + 1 + 25 = 36, so the variance is 36 / 4 - 2.5**2.
    assert (found.mean, found.std, found.dead) == (2.5, pytest.approx(math.sqrt(2.75)), 0.5)
    assert (found.histogram["min"], found.histogram["max"]) == (1, 5)
    assert (found.histogram["sum"], found.histogram["sum_squares"]) == (10, 36)
    bins = {i: count for i, count in enumerate(found.histogram["bucket_counts"]) if count}
    assert bins == {0: 2, 32: 1, 63: 1}  # of 64: 1 is at the start, 3 in the middle, 5 at the end


@pytest.mark.parametrize("value", [0.0, -1.0, 7.25])
def test_a_unit_with_one_value_for_all_images_is_dead(value):
    values = torch.randn(50, 4, generator=generator(0, "values"))
    values[:, 2] = value
    assert statistics(values).dead == 0.25


@pytest.mark.parametrize(("apart", "dead"), [(1e-7, 1.0), (1e-5, 0.0)])
def test_rounding_does_not_bring_a_unit_to_life(apart, dead):
    assert statistics(torch.tensor([[5.0], [5.0 * (1 + apart)]], dtype=torch.float64)).dead == dead
    assert statistics(torch.tensor([[-5.0], [-5.0 * (1 + apart)]], dtype=torch.float64)).dead == dead


def test_a_channel_is_dead_if_each_of_its_pixels_is_the_same_for_all_images():
    values = torch.randn(6, 3, 4, 4, generator=generator(0, "values"))
    values[:, 0] = torch.arange(16.0).view(4, 4)  # an edge that padding makes, say
    values[:, 1] = 2.0
    values[3, 1, 0, 0] = 2.1
    assert statistics(values).dead == pytest.approx(1 / 3)


@pytest.mark.parametrize("wrong", [math.nan, math.inf])
def test_values_that_are_not_finite_are_reported_and_in_no_histogram(wrong):
    found = statistics(torch.tensor([[wrong, 1.0], [wrong, 2.0]]))
    assert not math.isfinite(found.mean)
    assert not math.isfinite(found.std)
    assert sum(found.histogram["bucket_counts"]) == 2
    assert statistics(torch.full((2, 2), wrong)).histogram is None


def test_half_precision_is_summed_in_float32():
    values = torch.full((3000, 1), 1.0, dtype=torch.bfloat16)
    values[0] = 2
    assert statistics(values).mean == pytest.approx(3001 / 3000, rel=1e-6)


def names(network):
    return [(layer.name, type(layer.parts[-1]).__name__) for layer in layers_of(network)]


def test_a_layer_ends_with_its_activation():
    network = image_network(MLP, (3, 8, 8), depth=2, width=4, batch_norm=True, batch_norm_input=True, **DROPOUT)
    assert names(network) == [("norm_0", "BatchNorm1d"), ("linear_1", "ELU"), ("linear_2", "ELU"), ("output", "Linear")]
    cnn = image_network(
        CNN, (3, 8, 8), stages=[[4, 4]], dense=[5], padding=True, dropout=[0.5, 0.5], activation="prelu"
    )
    expected = ["conv_1_1", "conv_1_2", "dense_1"]
    assert names(cnn) == [*((name, "PReLU") for name in expected), ("output", "Linear")]
    for net in (network, cnn):
        own = [p for layer in layers_of(net) for part in layer.parts for p in part.parameters()]
        assert [id(p) for p in own] == [id(p) for p in net.parameters()]  # each once


def by_hand():
    """Pixels (0, 1) and (1, 0) through two ReLU units to two logits."""
    network = image_network(MLP, (1, 1, 2), depth=1, width=2, num_classes=2, activation="relu")
    hidden, output = network.module.linear_1, network.module.output
    with torch.no_grad():
        hidden.weight.copy_(torch.tensor([[2.0, -1.0], [-1.0, -1.0]]))
        output.weight.copy_(torch.tensor([[1.0, 5.0], [0.0, 0.0]]))
        hidden.bias.zero_()
        output.bias.zero_()
    return network, torch.tensor([[0, 255], [255, 0]], dtype=torch.uint8).view(2, 1, 1, 2)


def test_activations_by_hand():
    network, pixels = by_hand()
    # Before ReLU (-1, -1) and (2, -1), so after it (0, 0) and (2, 0); logits (0, 0) and (2, 0).
    hidden, logits = activations(network, layers_of(network), pixels)
    for found in (hidden, logits):
        assert (found.mean, found.std) == (pytest.approx(0.5), pytest.approx(math.sqrt(0.75)))
        assert found.dead == 0.5


def of_weights(rows, dtype=torch.float32):
    rows = torch.tensor(rows, dtype=dtype)
    layer = nn.Linear(rows.shape[1], rows.shape[0], dtype=dtype)
    with torch.no_grad():
        layer.weight.copy_(rows)
    return tuple(weights_of(Layer("one", [layer])).values())


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([[1.0, 1.0], [1.0, 1.0]], (1, 1)),  # one value for all
        ([[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]], (1, 3)),  # units that are multiples of one
        ([[1.0, 2.0], [2.0, 1.0], [1.0, 2.0]], (2, 2)),
        ([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [1.0, 1.0, 0.0]], (2, 3)),
        ([[0.0, 0.0], [0.0, 0.0]], (0, 1)),
    ],
)
def test_rank_and_distinct_units_by_hand(rows, expected):
    assert of_weights(rows) == expected


@pytest.mark.parametrize(("apart", "expected"), [(1e-7, (1, 1)), (1e-4, (2, 2))])
def test_rounding_tells_no_units_apart(apart, expected):
    assert of_weights([[1.0, 1.0], [1.0, 1.0 + apart]], torch.float32) == expected


def test_units_that_are_alike_are_found_wherever_they_are():
    rows = torch.randn(40, 7, generator=generator(0, "rows"))
    rows = rows[torch.randint(0, 40, (300,), generator=generator(0, "places"))]
    assert of_weights(rows.tolist()) == (7, len(rows.unique(dim=0)))


def test_kernels_are_rows_and_what_has_no_matrix_has_no_figures():
    conv = nn.Conv2d(2, 3, 3)
    with torch.no_grad():
        conv.weight.fill_(0.5)
        conv.weight[0, 0, 0, 0] = 1.0
    assert weights_of(Layer("conv", [conv])) == {"rank": 2, "distinct_units": 2}
    linear = nn.Linear(2, 2)
    linear.weight.data[0, 0] = math.nan
    for part in (nn.BatchNorm1d(4), linear):
        found = weights_of(Layer("none", [part]))
        assert [*map(math.isnan, found.values())] == [True, True]


def gradient_norms(*arguments):
    return [*map(norm, gradients(*arguments))]


def test_gradient_norms_by_hand():
    network, pixels = by_hand()
    # Labels 0 and 1. The loss's gradient by the logits is half of p - label: (-1/4, 1/4) and (s/2, -s/2) with
    # s = 1 / (1 + exp(-2)). Of the output layer: by the weights of unit 1, which is 2 for the second image, s and -s;
    # by the biases s/2 - 1/4 and its negative. Unit 1 gets s/2 for the second image, whose pixels are (1, 0).
    s = 1 / (1 + math.exp(-2))
    expected = [math.hypot(s / 2, s / 2), math.sqrt(2 * s**2 + 2 * (s / 2 - 0.25) ** 2)]
    norms = gradient_norms(network, layers_of(network), pixels, torch.tensor([0, 1]))
    assert norms == pytest.approx(expected, rel=1e-6)  # float32


def test_a_histogram_is_of_the_finite_values_of_all_tensors():
    found = histogram([torch.tensor([[0.0, 1.0]]), torch.tensor([64.0, math.inf])])
    assert (found["min"], found["max"], found["num"], found["sum"], found["sum_squares"]) == (0, 64, 3, 65, 4097)
    assert found["bucket_counts"] == [1, 1, *[0] * 61, 1]
    assert found["bucket_limits"] == [*range(1, 65)]
    assert histogram([]) is None


def test_the_gradient_is_that_of_the_smoothed_loss_in_training_mode():
    network = image_network(MLP, (3, 8, 8), 1, depth=2, width=6, batch_norm=True, **DROPOUT)
    layers, labels = layers_of(network), torch.arange(8) % 10
    norms = gradient_norms(network, layers, images(8), labels, Classification(label_smoothing=0.3).loss)
    network.train()
    functional.cross_entropy(network(images(8)), labels, label_smoothing=0.3).backward()
    for layer, found in zip(layers, norms, strict=True):
        own = torch.cat([p.grad.flatten() for part in layer.parts for p in part.parameters()])
        assert found == pytest.approx(float(own.norm()), rel=1e-5)


def test_the_network_is_left_as_it_was():
    network = image_network(MLP, (3, 8, 8), 1, depth=2, width=6, batch_norm=True, **DROPOUT)
    for module in network.modules():
        if isinstance(module, CounterDraws):
            module.step.fill_(17)
    network.module.norm_1.eval()  # some frozen part
    before = {name: value.clone() for name, value in [*network.named_parameters(), *network.named_buffers()]}
    places = {name: value.data_ptr() for name, value in network.named_buffers()}
    modes = {name: module.training for name, module in network.named_modules()}
    activations(network, layers_of(network), images(8))
    gradient_norms(network, layers_of(network), images(8), torch.arange(8))
    for name, value in [*network.named_parameters(), *network.named_buffers()]:
        assert torch.equal(value, before[name]), name
    assert {name: value.data_ptr() for name, value in network.named_buffers()} == places
    assert {name: module.training for name, module in network.named_modules()} == modes
    assert all(p.grad is None for p in network.parameters())
    assert not any(module._forward_hooks for module in network.modules())


def test_an_error_leaves_no_hook_behind():
    network = image_network(MLP, (3, 8, 8), depth=1, width=2)
    with pytest.raises(RuntimeError):
        activations(network, layers_of(network), images(2, (3, 9, 9)))
    assert not any(module._forward_hooks for module in network.modules())
    assert network.training


def test_dropout_is_off_in_activations_and_on_in_gradients():
    network = image_network(MLP, (3, 8, 8), 1, depth=1, width=50, dropout=0.9, dropout_kind="standard")
    without = image_network(MLP, (3, 8, 8), 1, depth=1, width=50)
    assert isinstance(network.module.dropout_1, nn.Module)
    ours, theirs = (activations(net, layers_of(net), images(4)) for net in (network, without))
    assert [(s.mean, s.std) for s in ours] == [(s.mean, s.std) for s in theirs]
    ours, theirs = (gradient_norms(net, layers_of(net), images(4), torch.arange(4)) for net in (network, without))
    assert ours != theirs
