import math

import pytest
import torch
from torch.nn import functional

from trainlab.models.activations import ACTIVATIONS, RReLU, build_activation, check_activation
from trainlab.randomness import CounterDraws

FUNCTIONS = {
    "elu": functional.elu,
    "selu": functional.selu,
    "relu": functional.relu,
    "leaky_relu": functional.leaky_relu,
    "prelu": lambda x: functional.prelu(x, torch.tensor([0.25])),
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "gelu": functional.gelu,
    "silu": functional.silu,
    "mish": functional.mish,
}
X = torch.linspace(-5, 5, 101).reshape(1, 101)


def rrelu(seed: int = 0, place: str = "activation_1") -> RReLU:
    layer = build_activation("rrelu", seed, place)
    assert isinstance(layer, RReLU)
    return layer


def test_every_name_is_known():
    assert set(ACTIVATIONS) == {*FUNCTIONS, "rrelu"}
    for name in ACTIVATIONS:
        check_activation(name)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_an_activation_equals_torchs_function(name):
    layer = build_activation(name, seed=0, place="activation_1")
    for training in (True, False):
        assert torch.equal(layer.train(training)(X), FUNCTIONS[name](X))


def test_rrelu_draws_slopes_evenly_between_its_bounds():
    x = torch.full((200, 100), -1.0, dtype=torch.float64)
    slopes = -rrelu()(x)
    assert slopes.min() >= 1 / 8
    assert slopes.max() <= 1 / 3
    # A uniform number on a range w has the deviation w / sqrt(12).
    width = 1 / 3 - 1 / 8
    assert abs(slopes.mean() - (1 / 8 + 1 / 3) / 2) < 5 * width / math.sqrt(12 * x.numel())
    assert slopes.max() - slopes.min() > 0.999 * width
    assert len(slopes.unique()) > 0.99 * x.numel()


def test_rrelu_passes_what_is_positive():
    assert torch.equal(rrelu()(X.abs()), X.abs())


def test_rrelu_takes_the_mean_slope_in_evaluation():
    torch.testing.assert_close(rrelu().eval()(X), functional.rrelu(X, 1 / 8, 1 / 3, training=False))


def test_rrelu_differentiates_by_its_slopes():
    x = X.clone().requires_grad_()
    layer = rrelu()
    y = layer(x)
    y.sum().backward()
    torch.testing.assert_close(x.grad * X, y.detach())


def test_rrelu_draws_follow_from_seed_place_and_step():
    state = torch.get_rng_state()
    x = torch.full((4, 50), -1.0)
    first, later = rrelu(), rrelu()
    later.draws.step.fill_(1)
    assert torch.equal(first(x), rrelu()(x))
    for other in (later, rrelu(seed=1), rrelu(place="activation_2")):
        assert not torch.isclose(first(x), other(x)).all(1).any()
    assert torch.equal(torch.get_rng_state(), state)


def test_rrelu_has_bounds_of_its_own():
    slopes = -RReLU(CounterDraws(0, "here"), lower=0.5, upper=0.6)(torch.full((10, 10), -1.0))
    assert slopes.min() >= 0.5
    assert slopes.max() <= 0.6


def test_an_unknown_name_is_an_error():
    with pytest.raises(ValueError, match=r"one of elu, .*rrelu, got 'swish'; set model\.activation"):
        check_activation("swish")
