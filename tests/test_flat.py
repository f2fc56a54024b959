import copy

import pytest
import torch
from torch import nn

from trainlab.flat import FlatParameters
from trainlab.randomness import generator

OPTIMIZERS = {
    "nadam": (torch.optim.NAdam, {"weight_decay": 1e-2}),
    "adam": (torch.optim.Adam, {}),
    "adamw": (torch.optim.AdamW, {"weight_decay": 1e-1}),
    "sgd": (torch.optim.SGD, {"momentum": 0.9, "nesterov": True}),
    "rmsprop": (torch.optim.RMSprop, {"momentum": 0.5}),
}


def build_network() -> nn.Sequential:
    network = nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 3)).double()
    draws = generator(0, "network")
    for p in network.parameters():
        p.data.copy_(torch.randn(p.shape, generator=draws, dtype=torch.float64) / 2)
    return network


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_twenty_steps_equal_those_of_separate_parameters(name):
    kind, settings = OPTIMIZERS[name]
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


def test_a_parameter_without_gradient_counts_as_zero():
    network = build_network()
    flat = FlatParameters(network)
    size = sum(p.numel() for p in network[0].parameters())
    x = torch.ones(2, 5, dtype=torch.float64)
    network(x).sum().backward()
    flat.gather_gradients()
    assert flat.parameter.grad[:size].any()

    flat.zero_grad()
    assert all(p.grad is None for p in network.parameters())
    network[2](torch.ones(2, 7, dtype=torch.float64)).sum().backward()
    flat.gather_gradients()
    assert not flat.parameter.grad[:size].any()
    assert torch.equal(flat.parameter.grad[size:], torch.full((24,), 2.0, dtype=torch.float64))


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
