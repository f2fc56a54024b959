import math

import pytest
import torch
from torch import nn

from trainlab.models.initializers import INITIALIZERS, check_initializer, check_scale, initialize, variance

# (fan in, fan out) of each layer; a kernel of 3 x 3 multiplies both by 9.
LAYERS = {
    "linear": (lambda: nn.Linear(400, 300), 400, 300),
    "conv": (lambda: nn.Conv2d(64, 96, 3), 64 * 9, 96 * 9),
}
RULES = {
    "he": lambda fan_in, fan_out: 2 / fan_in,
    "lecun": lambda fan_in, fan_out: 1 / fan_in,
    "glorot": lambda fan_in, fan_out: 2 / (fan_in + fan_out),
}


def weights(seed: int = 0, place: str = "here") -> torch.Tensor:
    layer = nn.Linear(30, 20)
    initialize(layer, "he_normal", seed, place)
    return layer.weight


def test_every_rule_comes_in_two_distributions():
    assert set(INITIALIZERS) == {f"{rule}_{shape}" for rule in RULES for shape in ("normal", "uniform")}


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("name", INITIALIZERS)
def test_weights_have_the_variance_of_the_rule(name, kind):
    build, fan_in, fan_out = LAYERS[kind]
    layer = build()
    initialize(layer, name, 0, "here")
    weight, expected = layer.weight.detach().double(), RULES[name.split("_")[0]](fan_in, fan_out)
    assert variance(name, fan_in, fan_out) == pytest.approx(expected)
    # Of n numbers the mean has the deviation sqrt(var / n), and the mean square sqrt((kurtosis - 1) / n) of
    # itself, where the kurtosis is 3 (normal) or 9/5 (uniform).
    n, kurtosis = weight.numel(), 3 if name.endswith("normal") else 9 / 5
    assert abs(weight.mean()) < 5 * math.sqrt(expected / n)
    assert weight.square().mean().item() == pytest.approx(expected, rel=5 * math.sqrt((kurtosis - 1) / n))
    # The fourth moment tells the distributions apart; its relative deviation is below sqrt(35 / 3 / n).
    ratio = weight.pow(4).mean().item() / expected**2
    assert ratio == pytest.approx(kurtosis, rel=5 * math.sqrt(35 / 3 / n))
    assert layer.bias is not None
    assert not layer.bias.any()


def test_uniform_weights_are_bounded():
    layer = nn.Linear(400, 300)
    initialize(layer, "glorot_uniform", 0, "here")
    bound = math.sqrt(6 / 700)
    assert bound * 0.999 < layer.weight.abs().max() <= bound * (1 + 1e-6)  # float32


def test_weights_follow_from_seed_and_place_alone():
    torch.manual_seed(1)
    first = weights()
    torch.manual_seed(2)
    assert torch.equal(weights(), first)
    assert not torch.equal(weights(seed=1), first)
    assert not torch.equal(weights(place="there"), first)


@pytest.mark.parametrize("name", INITIALIZERS)
def test_a_scale_multiplies_every_weight(name):
    plain, same, quarter = (nn.Linear(30, 20) for _ in range(3))
    initialize(plain, name, 0, "here")
    initialize(same, name, 0, "here", scale=1.0)
    initialize(quarter, name, 0, "here", scale=0.25)  # a power of two, so that nothing is rounded
    assert torch.equal(same.weight, plain.weight)
    assert torch.equal(quarter.weight, plain.weight / 4)


@pytest.mark.parametrize("scale", [0.0, -1.0, math.inf, math.nan])
def test_a_scale_that_is_none_is_an_error(scale):
    message = rf"^initializer_scale must be positive and finite, got {scale}; set model\.initializer_scale$"
    with pytest.raises(ValueError, match=message):
        check_scale(scale)


@pytest.mark.parametrize("key", ["initializer", "output_initializer"])
def test_an_unknown_name_is_an_error(key):
    with pytest.raises(ValueError, match=rf"^{key} must be one of .*lecun_normal.* got 'xavier'; set model\.{key}$"):
        check_initializer("xavier", key)
