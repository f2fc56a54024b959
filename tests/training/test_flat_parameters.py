import copy
from functools import partial

import pytest
import torch
from torch import nn

from trainlab.randomness import generator
from trainlab.training.flat_parameters import FlatParameters, SeparateParameters, build_optimizer
from trainlab.training.optimizers import ELEMENTWISE, clip_norm

OPTIMIZERS = {
    torch.optim.NAdam: {"weight_decay": 1e-2},
    torch.optim.Adam: {},
    torch.optim.AdamW: {"weight_decay": 1e-1},
    torch.optim.SGD: {"momentum": 0.9, "nesterov": True},
    torch.optim.RMSprop: {"momentum": 0.5},
    torch.optim.Adadelta: {},
    torch.optim.Adagrad: {"lr_decay": 1e-2},
    torch.optim.Adamax: {},
    torch.optim.ASGD: {"t0": 3},
    torch.optim.RAdam: {"weight_decay": 1e-2},
    torch.optim.Rprop: {},
}


def build_network() -> nn.Sequential:
    network = nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 3)).double()
    draws = generator(0, "network")
    for p in network.parameters():
        p.data.copy_(torch.randn(p.shape, generator=draws, dtype=torch.float64) / 2)
    return network


@pytest.mark.parametrize("kind", ELEMENTWISE)
def test_twenty_steps_equal_those_of_separate_parameters(kind):
    settings = OPTIMIZERS[kind]
    network = build_network()
    reference = copy.deepcopy(network)
    flat = FlatParameters(network)
    optimizer = kind([flat.parameter], lr=1e-2, **settings)
    reference_optimizer = kind(reference.parameters(), lr=1e-2, **settings)
    draws = generator(0, "data")
    for _ in range(20):
        x, y = (torch.randn(8, n, generator=draws, dtype=torch.float64) for n in (5, 3))
        flat.zero_grad()
        (network(x) - y).square().mean().backward()
        flat.gather_gradients()
        optimizer.step()
        reference_optimizer.zero_grad()
        (reference(x) - y).square().mean().backward()
        reference_optimizer.step()
    # The same arithmetic an element; kernels may group operations differently, 20 steps of a few 1e-16.
    for ours, theirs in zip(network.parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-11, atol=1e-13)
    assert not torch.equal(network[0].weight, build_network()[0].weight)


def test_the_network_computes_with_the_flat_parameter():
    network = build_network()
    before = torch.cat([p.detach().flatten() for p in network.parameters()])
    flat = FlatParameters(network)
    assert torch.equal(flat.parameter, before)
    with torch.no_grad():
        flat.parameter.zero_()
    assert not network(torch.ones(2, 5, dtype=torch.float64)).any()


def test_gradients_are_gathered_if_each_parameter_has_one():
    network = build_network()
    flat = FlatParameters(network)
    network(torch.ones(2, 5, dtype=torch.float64)).sum().backward()
    assert flat.gather_gradients()
    assert torch.equal(flat.parameter.grad, torch.cat([p.grad.flatten() for p in network.parameters()]))

    flat.zero_grad()
    assert all(p.grad is None for p in network.parameters())
    network[2](torch.ones(2, 7, dtype=torch.float64)).sum().backward()
    assert not flat.gather_gradients()


def test_frozen_parameters_are_left_out():
    network = build_network()
    network[0].requires_grad_(False)
    assert FlatParameters(network).parameter.numel() == 7 * 3 + 3


def test_nothing_to_train_is_an_error():
    with pytest.raises(ValueError, match="got none"):
        FlatParameters(nn.Flatten())


def test_parameters_of_two_types_are_an_error():
    with pytest.raises(ValueError, match=r"one type on one device, got .*float"):
        FlatParameters(nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2).double()))


class Temperature(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear, self.temperature = nn.Linear(2, 3), nn.Parameter(torch.tensor(2.0))

    def forward(self, x):
        return self.linear(x) * self.temperature


def test_a_parameter_may_have_no_dimensions():
    network = Temperature()
    flat = FlatParameters(network)
    output = network(torch.ones(1, 2))
    output.sum().backward()
    flat.gather_gradients()
    torch.optim.SGD([flat.parameter], lr=0.5).step()
    assert network.temperature.shape == ()
    expected = 2 - 0.5 * float(output.detach().sum()) / 2  # the gradient is the sum of outputs at a temperature of 1
    assert network.temperature.item() == pytest.approx(expected, rel=1e-6)
    assert flat.by_name(torch.zeros(4, 10))["temperature"].shape == (4,), "of a population of four"


class OfAnotherKind(torch.optim.SGD):
    """A subclass, which may do anything."""


BY_SHAPE = {
    "weights decay": lambda parameters: torch.optim.AdamW(
        [{"params": [p for p in parameters if p.ndim > 1]}, {"params": [p for p in parameters if p.ndim < 2]}]
    )
}


@pytest.mark.parametrize("build", [torch.optim.Adafactor, OfAnotherKind, *BY_SHAPE.values()])
def test_an_optimizer_that_is_not_known_to_be_elementwise_gets_the_parameters_themselves(build):
    network = build_network()
    trained, optimizer = build_optimizer(build, network)
    assert isinstance(trained, SeparateParameters)
    theirs = [p for group in optimizer.param_groups for p in group["params"]]
    assert {id(p) for p in theirs} == {id(p) for p in network.parameters()}


@pytest.mark.parametrize("kind", ELEMENTWISE)
def test_an_elementwise_optimizer_gets_flat_parameters(kind):
    trained, optimizer = build_optimizer(kind, build_network())
    assert isinstance(trained, FlatParameters)
    assert optimizer.param_groups[0]["params"] == [trained.parameter]


def test_separate_parameters_without_gradient_stay_where_they_are_and_the_others_are_clipped_together():
    network = build_network()
    before = copy.deepcopy(network)
    trained = SeparateParameters([*network.parameters()])
    network[2](torch.ones(2, 7, dtype=torch.float64)).sum().backward()
    trained.gather_gradients()
    trained.scale_gradients(0.5)  # 21 weights and 3 biases of 2
    trained.clip_gradients(partial(clip_norm, limit=1.0))
    assert network[0].weight.grad is None
    torch.testing.assert_close(network[2].bias.grad, torch.full((3,), 24**-0.5, dtype=torch.float64), rtol=1e-6, atol=0)
    torch.optim.AdamW(trained.parameters, weight_decay=0.1).step()
    assert torch.equal(network[0].weight, before[0].weight)
    trained.zero_grad()
    assert all(p.grad is None for p in network.parameters())
