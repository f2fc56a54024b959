import math

import pytest
import torch
from torch import nn

from trainlab.models import MLP
from trainlab.randomness import generator

SHAPE = (3, 4, 4)
IMAGES = torch.rand(6, *SHAPE, generator=generator(0, "images"))
SELU = {"activation": "selu", "initializer": "lecun_normal"}


def names(network: MLP) -> list[str]:
    return [name for name, _ in network.named_children()]


def test_the_network_of_the_exercise_has_500210_parameters():
    # 3072 * 100 + 100, 19 times 100 * 100 + 100, 100 * 10 + 10.
    network = MLP()
    assert sum(p.numel() for p in network.parameters()) == 500_210
    assert sum(isinstance(layer, nn.ELU) for layer in network.modules()) == 20


def test_batch_normalization_replaces_biases_by_shifts_and_adds_gains():
    # 20 * 100 biases go, 20 * 2 * 100 gains and shifts come; on the input, 2 * 3072 more.
    assert sum(p.numel() for p in MLP(batch_norm=True).parameters()) == 500_210 - 2000 + 4000
    network = MLP(batch_norm=True, batch_norm_input=True)
    assert sum(p.numel() for p in network.parameters()) == 500_210 - 2000 + 4000 + 6144


def test_logits_are_those_computed_by_hand():
    network = MLP(SHAPE, depth=2, width=5, num_classes=7)
    state = network.state_dict()
    x = IMAGES.flatten(1)
    for layer in ("linear_1", "linear_2"):
        x = nn.functional.elu(x @ state[f"{layer}.weight"].T + state[f"{layer}.bias"])
    x = x @ state["output.weight"].T + state["output.bias"]
    torch.testing.assert_close(network(IMAGES), x)
    assert x.shape == (6, 7)


def test_the_order_within_a_layer():
    network = MLP(SHAPE, depth=1, batch_norm=True, batch_norm_input=True, dropout=0.1, dropout_kind="standard")
    assert names(network) == [
        "flatten",
        "norm_0",
        "linear_1",
        "norm_1",
        "activation_1",
        "dropout_1",
        "output",
    ]


def test_no_bias_before_batch_normalization():
    layers = MLP(SHAPE, depth=3, batch_norm=True)
    assert all(layers.get_submodule(f"linear_{i}").bias is None for i in (1, 2, 3))
    assert layers.get_submodule("output").bias is not None


def test_batch_normalization_takes_its_momentum():
    network = MLP(SHAPE, depth=2, batch_norm=True, batch_norm_input=True, batch_norm_momentum=0.01)
    assert [m.momentum for m in network.modules() if isinstance(m, nn.BatchNorm1d)] == [0.01] * 3


@pytest.mark.parametrize(("after", "places"), [("last", [3]), ("every", [1, 2, 3])])
def test_dropout_comes_after_the_last_or_every_layer(after, places):
    network = MLP(SHAPE, depth=3, dropout=0.1, dropout_after=after, **SELU)
    assert [name for name in names(network) if "dropout" in name] == [f"dropout_{i}" for i in places]


def test_without_a_rate_there_is_no_dropout():
    assert not [name for name in names(MLP(SHAPE, depth=3, dropout_after="every")) if "dropout" in name]


def test_initializers_go_where_they_belong():
    network = MLP((3, 16, 16), width=300, depth=1, num_classes=500, output_initializer="glorot_uniform")
    hidden, output = (network.get_submodule(name).weight for name in ("linear_1", "output"))
    # A sample variance of n normal numbers has the relative deviation sqrt(2 / n), of uniform ones less.
    assert hidden.var().item() == pytest.approx(2 / 768, rel=5 * math.sqrt(2 / hidden.numel()))
    assert output.var().item() == pytest.approx(2 / 800, rel=5 * math.sqrt(2 / output.numel()))
    assert output.abs().max() <= math.sqrt(6 / 800) * (1 + 1e-6)


def test_the_scale_of_the_initializer_is_that_of_the_hidden_layers():
    plain, scaled = (MLP(SHAPE, depth=3, **more).state_dict() for more in ({}, {"initializer_scale": 0.5}))
    for key, value in plain.items():
        factor = 0.5 if key.endswith("weight") and "output" not in key else 1.0
        assert torch.equal(scaled[key], value * factor), key


@pytest.mark.parametrize("batch_norm", [False, True])
def test_initial_biases_of_all_linear_layers(batch_norm):
    plain, given = (
        MLP(SHAPE, depth=3, batch_norm=batch_norm, **more).state_dict()
        for more in ({}, {"bias_initializer": "constant", "bias_scale": 0.5})
    )
    for key, value in plain.items():
        is_bias = key.endswith("bias") and "norm" not in key  # which shifts by 0 at first
        assert (given[key] == 0.5).all() if is_bias else torch.equal(given[key], value), key
    draws = MLP(SHAPE, depth=3, bias_initializer="normal")
    assert not torch.equal(draws.linear_1.bias, draws.linear_2.bias)


def test_weights_follow_from_seed_and_layer_alone():
    torch.manual_seed(1)
    small = MLP(SHAPE, 0, depth=3).state_dict()
    torch.manual_seed(2)
    large = MLP(SHAPE, 0, depth=5, activation="relu").state_dict()
    other = MLP(SHAPE, 1, depth=3).state_dict()
    for key in small:
        assert torch.equal(small[key], large[key])
    for layer in ("linear_1", "linear_2", "output"):
        assert not torch.equal(small[f"{layer}.weight"], other[f"{layer}.weight"])
    assert not torch.equal(small["linear_2.weight"], small["linear_3.weight"])


@pytest.mark.parametrize(
    "settings",
    [{}, {"batch_norm": True}, {"activation": "rrelu"}, {"dropout": 0.1, **SELU}],
    ids=["elu_he", "bn", "rrelu", "alpha_dropout"],
)
def test_the_global_generator_is_not_drawn_from(settings):
    state = torch.get_rng_state()
    network = MLP(SHAPE, depth=3, **settings).train()
    network(IMAGES).sum().backward()
    assert torch.equal(torch.get_rng_state(), state)


def test_dropout_layers_draw_masks_of_their_own():
    network = MLP(SHAPE, depth=3, dropout=0.5, dropout_after="every", **SELU)
    masks = [network.get_submodule(f"dropout_{i}").keep(torch.Size((10, 100))) for i in (1, 2, 3)]
    # Independent fair masks of 1000 elements agree in 500 +- 5 * 16.
    assert all(abs((masks[i] == masks[i - 1]).sum() - 500) < 80 for i in range(3))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("depth", 0),
        ("width", 0),
        ("num_classes", 0),
        ("activation", "swish"),
        ("initializer", "xavier"),
        ("output_initializer", "xavier"),
        ("initializer_scale", 0.0),
        ("bias_initializer", "ones"),
        ("bias_scale", 0.0),
        ("batch_norm_momentum", 0.0),
        ("batch_norm_momentum", 1.1),
        ("dropout", 1.0),
        ("dropout_kind", "beta"),
        ("dropout_after", "first"),
    ],
)
def test_errors_name_the_value_and_the_key(key, value):
    with pytest.raises(ValueError, match=rf"^{key} must be .* got {value!r}; set model\.{key}$"):
        MLP(SHAPE, **{key: value})
