"""Each stacked layer against torch's own, or this project's, for every member: values and gradients."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional

from trainlab.models.activations import ACTIVATIONS, build_activation
from trainlab.models.dropout import build_dropout
from trainlab.population.layers import Tensors, constants, stacked_layers
from trainlab.randomness import CounterDraws
from trainlab.tasks.classification import Classification, mean_losses

MEMBERS, IMAGES, UNITS = 3, 7, 5
STEPS = (0, 4, 1000)  # that the members are at
DOUBLE = {"rtol": 0, "atol": 1e-12}  # sums of at most seven numbers near 1, each rounded to 1e-16

LAYERS = {
    "linear": lambda seed: nn.Linear(UNITS, 4),
    "linear without bias": lambda seed: nn.Linear(UNITS, 4, bias=False),
    "batch norm": lambda seed: nn.BatchNorm1d(UNITS, momentum=0.3),
    "dropout": lambda seed: build_dropout(0.1 * seed, "standard", seed, "here"),
    "alpha dropout": lambda seed: build_dropout(0.1 * seed, "alpha", seed, "here"),
    **{name: lambda seed, name=name: build_activation(name, seed, "here") for name in ACTIVATIONS},
}


@pytest.fixture(autouse=True)
def in_float64():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def networks(build):
    """One of a single layer for each member, with parameters and statistics of its own."""
    made = [nn.Sequential(build(seed)) for seed in range(1, MEMBERS + 1)]
    for network in made:
        for tensor in [*network.parameters(), *network.buffers()]:
            if tensor.is_floating_point():
                tensor.data = torch.rand(tensor.shape) + 0.5
    return made


def stacked(made):
    """Their tensors, (M, ...) by name."""
    found = [dict(network.named_parameters()) | dict(network.named_buffers()) for network in made]
    together = {f"layers.{name}": torch.stack([own[name].detach() for own in found]) for name in found[0]}
    return together | {f"layers.{name}": values for name, values in constants(made, torch.float64).items()}


@pytest.mark.parametrize("collected", ["in place", "by autograd"])
@pytest.mark.parametrize("kind", LAYERS)
def test_values_and_gradients_are_those_of_each_members_own_layer(kind, collected):
    torch.manual_seed(0)
    made = networks(LAYERS[kind])
    values = stacked(copy.deepcopy(made))
    names = [f"layers.{name}" for name, _ in made[0].named_parameters()]
    x = torch.randn(MEMBERS, IMAGES, UNITS)
    x[:, 0, 0] = 0.0  # where slopes have a corner
    x.requires_grad_()
    gradients, root = None, None
    if collected == "in place":
        gradients, root = {name: torch.full_like(values[name], torch.nan) for name in names}, torch.zeros(())
        root.requires_grad_()
    else:
        values |= {name: values[name].requires_grad_() for name in names}
    (layer,) = stacked_layers(made[0], "layers")
    y = layer(x.transpose(1, 2), Tensors(values, torch.tensor(STEPS), gradients, root)).transpose(1, 2)
    pull = torch.randn(y.shape)
    (y * pull).sum().backward()
    if gradients is None:
        gradients = {name: values[name].grad for name in names}

    for member, network in enumerate(made):
        for draws in (m for m in network.modules() if isinstance(m, CounterDraws)):
            draws.step.fill_(STEPS[member])
        own = x.detach()[member].requires_grad_()
        expected = network(own)
        (expected * pull[member]).sum().backward()
        torch.testing.assert_close(y[member], expected, **DOUBLE)
        torch.testing.assert_close(x.grad[member], own.grad, **DOUBLE)
        for name, parameter in network.named_parameters():
            torch.testing.assert_close(gradients[f"layers.{name}"][member], parameter.grad, **DOUBLE)
        for name, statistic in network.named_buffers():
            if name.startswith("0.running") or name.endswith("tracked"):
                torch.testing.assert_close(values[f"layers.{name}"][member], statistic, **DOUBLE)


def test_losses_are_those_of_cross_entropy_with_each_members_smoothing():
    torch.manual_seed(0)
    smoothing = [0.0, 0.1, 0.9]
    logits = torch.randn(MEMBERS, IMAGES, 10).mul_(5).requires_grad_()
    labels = torch.randint(0, 10, (MEMBERS, IMAGES))
    tasks = [Classification(label_smoothing=share) for share in smoothing]
    losses, right = tasks[0].loss_of_members(tasks, logits)(logits, labels)
    losses.sum().backward()
    for member, share in enumerate(smoothing):
        own = logits.detach()[member].requires_grad_()
        expected = functional.cross_entropy(own, labels[member], label_smoothing=share)
        expected.backward()
        torch.testing.assert_close(losses[member], expected, **DOUBLE)
        torch.testing.assert_close(logits.grad[member], own.grad, **DOUBLE)
        assert right[member] == sum(own[i].argmax() == labels[member, i] for i in range(IMAGES))


def test_a_loss_that_is_finite_alone_is_finite_together():
    # Their logarithms of probabilities are -2e38 each: a mean of them, not wanted without smoothing, overflows.
    logits = torch.tensor([2e38] + [0.0] * 9, dtype=torch.float32).repeat(1, 2, 1).requires_grad_()
    losses = mean_losses(logits, torch.zeros(1, 2, dtype=torch.int64), torch.zeros(1, 1, dtype=torch.float32))
    losses.sum().backward()
    assert losses.tolist() == [0.0]
    assert logits.grad.abs().max() == 0


def test_a_layer_that_cannot_be_stacked_is_refused_by_its_name():
    with pytest.raises(ValueError, match=r"a population has no layer Conv2d; set sweep\.population=off"):
        stacked_layers(nn.Sequential(nn.Linear(2, 2), nn.Conv2d(3, 3, 3)), "layers")
