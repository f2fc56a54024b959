import math

import pytest
import torch
from torch import nn

from trainlab.models.initializers import (
    INITIALIZERS,
    check_bias_initializer,
    check_initializer,
    check_scale,
    initialize,
    initialize_bias,
    variance,
)

# (fan in, fan out) of each layer; a kernel of 3 x 3 multiplies both by 9.
LAYERS = {
    "linear": (lambda: nn.Linear(400, 300), 400, 300),
    "conv": (lambda: nn.Conv2d(64, 96, 3), 64 * 9, 96 * 9),
}
RULES = {
    "he": lambda fan_in, fan_out: 2 / fan_in,
    "lecun": lambda fan_in, fan_out: 1 / fan_in,
    "glorot": lambda fan_in, fan_out: 2 / (fan_in + fan_out),
    "torch": lambda fan_in, fan_out: 1 / (3 * fan_in),
}


def weights(seed: int = 0, place: str = "here") -> torch.Tensor:
    layer = nn.Linear(30, 20)
    initialize(layer, "he_normal", seed, place)
    return layer.weight


def test_every_rule_comes_in_two_distributions_and_as_one_value():
    assert set(INITIALIZERS) == {f"{rule}_{shape}" for rule in RULES for shape in ("normal", "uniform", "constant")}


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("name", [name for name in INITIALIZERS if not name.endswith("_constant")])
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


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("kind", LAYERS)
def test_one_value_a_layer_is_a_draw_of_the_rule(kind, rule):
    build, fan_in, fan_out = LAYERS[kind]
    layer, drawn = build(), []
    for seed in range(300):
        initialize(layer, f"{rule}_constant", seed, "here")
        assert (layer.weight == layer.weight.flatten()[0]).all()
        drawn.append(layer.weight.flatten()[0].item())
    # The mean square of n normal numbers has the relative deviation sqrt(2 / n).
    mean_square = sum(value**2 for value in drawn) / len(drawn)
    assert mean_square == pytest.approx(RULES[rule](fan_in, fan_out), rel=5 * math.sqrt(2 / len(drawn)))
    assert len(set(drawn)) == len(drawn)


@pytest.mark.parametrize("name", ["zeros", "constant", "normal"])
def test_initial_values_of_biases(name):
    first, again, other = (nn.Linear(5, 4000) for _ in range(3))
    for layer, place in ((first, "here"), (again, "here"), (other, "there")):
        initialize_bias(layer, name, 0, place, 0.25)
    assert torch.equal(first.bias, again.bias)
    if name == "normal":
        # Deviation and mean of n normal numbers are known to sd / sqrt(2 n) and sd / sqrt(n).
        assert first.bias.std().item() == pytest.approx(0.25, rel=5 / math.sqrt(8000))
        assert abs(first.bias.mean().item()) < 5 * 0.25 / math.sqrt(4000)
        assert not torch.equal(first.bias, other.bias)
    else:
        assert (first.bias == {"zeros": 0.0, "constant": 0.25}[name]).all()


def test_a_layer_without_a_bias_stays_without():
    layer = nn.Linear(5, 4, bias=False)
    initialize_bias(layer, "constant", 0, "here", 0.25)
    assert layer.bias is None


@pytest.mark.parametrize(
    ("name", "scale", "message"),
    [
        ("ones", 0.1, r"^bias_initializer must be one of zeros, .* got 'ones'; set model\.bias_initializer$"),
        ("normal", 0.0, r"^bias_scale must be positive and finite, got 0.0; set model\.bias_scale$"),
        ("constant", math.nan, r"^bias_scale must be positive and finite, got nan; set model\.bias_scale$"),
    ],
)
def test_invalid_bias_initializers_are_an_error(name, scale, message):
    with pytest.raises(ValueError, match=message):
        check_bias_initializer(name, scale)


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
