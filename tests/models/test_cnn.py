import warnings

import pytest
import torch
from torch import nn
from torch.nn import functional

from trainlab.models import CNN
from trainlab.randomness import generator

SHAPE = (3, 8, 8)
IMAGES = torch.rand(6, *SHAPE, generator=generator(0, "images"))
SMALL = {"stages": [[4]], "dense": [5], "dropout": [0.0, 0.0]}
SELU = {"activation": "selu", "initializer": "lecun_normal"}


def names(network: CNN) -> list[str]:
    return [name for name, _ in network.named_children()]


def test_the_default_network_has_167562_parameters():
    # 3x3 convolutions 3 to 32 and 32 to 64; 32 -> 30 -> 15 -> 13 -> 6 pixels a side; then 2304 to 64 to 10.
    expected = (27 * 32 + 32) + (9 * 32 * 64 + 64) + (64 * 6 * 6 * 64 + 64) + (64 * 10 + 10)
    assert sum(p.numel() for p in CNN().parameters()) == expected == 167_562


def test_padding_keeps_height_and_width_in_convolutions():
    network = CNN(padding=True, kernel_size=5)
    # 32 -> 16 -> 8 pixels a side.
    assert network.get_submodule("dense_1").in_features == 64 * 8 * 8


def test_logits_are_those_computed_by_hand():
    network = CNN(SHAPE, num_classes=7, **SMALL)
    layers = network
    conv, dense, output = (layers.get_submodule(name) for name in ("conv_1_1", "dense_1", "output"))
    x = functional.relu(functional.conv2d(IMAGES, conv.weight, conv.bias))
    x = functional.max_pool2d(x, 2).flatten(1)
    x = functional.relu(functional.linear(x, dense.weight, dense.bias))
    x = functional.linear(x, output.weight, output.bias)
    torch.testing.assert_close(network(IMAGES), x)
    assert x.shape == (6, 7)


def test_the_order_of_layers():
    network = CNN(stages=[[4, 4], [6]], dense=[5, 5], batch_norm=True, dropout=[0.1, 0, 0.2])
    convs = [[f"conv_{c}", f"norm_conv_{c}", f"activation_conv_{c}"] for c in ("1_1", "1_2", "2_1")]
    dense = [[f"dense_{d}", f"norm_dense_{d}", f"activation_dense_{d}", f"dropout_dense_{d}"] for d in (1, 2)]
    assert names(network) == [
        *convs[0],
        *convs[1],
        "pool_1",
        "dropout_stage_1",
        *convs[2],
        "pool_2",
        "flatten",
        *dense[0],
        *dense[1],
        "output",
    ]
    rates = [m.rate for m in network.modules() if hasattr(m, "rate")]
    assert rates == [0.1, 0.2, 0.2]


def test_no_bias_before_batch_normalization():
    layers = CNN(batch_norm=True, batch_norm_momentum=0.05)
    assert all(layers.get_submodule(name).bias is None for name in ("conv_1_1", "conv_2_1", "dense_1"))
    assert layers.get_submodule("output").bias is not None
    norms = [m for m in layers.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
    assert [norm.momentum for norm in norms] == [0.05] * 3


def test_weights_follow_from_seed_and_layer_alone():
    torch.manual_seed(1)
    small = CNN(SHAPE, 0, **SMALL).state_dict()
    torch.manual_seed(2)
    large = CNN(SHAPE, 0, **{**SMALL, "dense": [5, 5]}, activation="elu").state_dict()
    other = CNN(SHAPE, 1, **SMALL).state_dict()
    for key in small:
        assert torch.equal(small[key], large[key])
        assert key.endswith("bias") or not torch.equal(small[key], other[key])


@pytest.mark.parametrize(
    "settings",
    [{}, {"batch_norm": True}, {"activation": "rrelu"}, {"dropout": [0.1, 0.1]}],
    ids=["cnn", "bn", "rrelu", "dropout"],
)
def test_the_global_generator_is_not_drawn_from(settings):
    state = torch.get_rng_state()
    network = CNN(SHAPE, **{**SMALL, **settings}).train()
    network(IMAGES).sum().backward()
    assert torch.equal(torch.get_rng_state(), state)


def test_the_scale_of_the_initializer_is_that_of_the_hidden_layers():
    plain, scaled = (CNN(SHAPE, **SMALL, **more).state_dict() for more in ({}, {"initializer_scale": 0.5}))
    for key, value in plain.items():
        factor = 0.5 if key.endswith("weight") and "output" not in key else 1.0
        assert torch.equal(scaled[key], value * factor), key


def test_alpha_dropout_is_warned_of_where_it_cannot_work():
    with pytest.warns(UserWarning, match="alpha dropout will not .*activation is relu"):
        CNN(SHAPE, **{**SMALL, "dropout": [0.0, 0.1]}, dropout_kind="alpha", initializer="lecun_normal")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        CNN(SHAPE, **{**SMALL, "dropout": [0.0, 0.1]}, dropout_kind="alpha", **SELU)
        CNN(SHAPE, **SMALL, dropout_kind="alpha")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("kernel_size", 0),
        ("kernel_size", 4),
        ("num_classes", 0),
        ("activation", "swish"),
        ("initializer", "xavier"),
        ("output_initializer", "xavier"),
        ("initializer_scale", 0.0),
        ("batch_norm_momentum", 0.0),
        ("batch_norm_eps", 0.0),
        ("output_scale", 0.0),
        ("whitening", 9),
        ("pool_after", "second"),
        ("global_pool", "min"),
        ("dropout_kind", "beta"),
    ],
)
def test_errors_name_the_value_and_the_key(key, value):
    with pytest.raises(ValueError, match=rf"^{key} must be .* got {value!r}; set model\.{key}$"):
        CNN(SHAPE, **{**SMALL, key: value})


def test_every_rate_of_dropout_is_checked():
    with pytest.raises(ValueError, match=r"got 1\.5; set model\.dropout"):
        CNN(SHAPE, **{**SMALL, "dropout": [0.0, 1.5]})


def test_dropout_needs_one_rate_a_stage_and_one_more():
    with pytest.raises(ValueError, match=r"must have 2 rates.* got 3; set model\.dropout"):
        CNN(SHAPE, **{**SMALL, "dropout": [0.0, 0.0, 0.0]})


@pytest.mark.parametrize("stages", [[[], [], [], []], [[4], [4]], [[4, 4, 4, 4]]])
def test_images_must_be_large_enough_for_the_stages(stages):
    dropout = [0.0] * (len(stages) + 1)
    with pytest.raises(ValueError, match=r"8 x 8 are too small.* set model\.stages or model\.padding=true"):
        CNN(SHAPE, stages=stages, dropout=dropout)


@pytest.mark.parametrize(("key", "value"), [("stages", [[0]]), ("dense", [8, 0])])
def test_layers_have_units(key, value):
    with pytest.raises(ValueError, match=rf"^{key} must be .* got 0; set model\.{key}$"):
        CNN(SHAPE, **{**SMALL, key: value})


def test_stages_that_pool_first_and_a_scaled_output_without_bias():
    settings = {"stages": [[4, 5]], "dense": [], "dropout": [0.0, 0.0], "batch_norm": True, "padding": True}
    network = CNN(SHAPE, **settings, pool_after="first", global_pool="max", output_bias=False, output_scale=0.25)
    of_conv = [[f"conv_1_{c}", f"norm_conv_1_{c}", f"activation_conv_1_{c}"] for c in (1, 2)]
    first, *rest = of_conv[0]
    assert names(network) == [first, "pool_1", *rest, *of_conv[1], "global_pool", "flatten", "output", "scale"]
    x = functional.max_pool2d(network.get_submodule("conv_1_1")(IMAGES), 2)
    x = network.get_submodule("conv_1_2")(functional.relu(network.get_submodule("norm_conv_1_1")(x)))
    x = functional.relu(network.get_submodule("norm_conv_1_2")(x)).amax((2, 3))
    torch.testing.assert_close(network(IMAGES), x @ network.get_submodule("output").weight.T / 4)
    mean = CNN(SHAPE, **settings, global_pool="mean")
    x = nn.Sequential(*list(mean.children())[:-3])(IMAGES)
    torch.testing.assert_close(mean(IMAGES), mean.get_submodule("output")(x.mean((2, 3))))


def test_the_first_filters_are_the_identity():
    settings = {**SMALL, "stages": [[5, 5, 2]], "padding": True, "kernel_size": 3}
    plain, network = CNN(SHAPE, **settings), CNN(SHAPE, **settings, identity_filters=True)
    for name, passed in {"conv_1_1": 3, "conv_1_2": 5, "conv_1_3": 2}.items():
        conv, without = network.get_submodule(name), plain.get_submodule(name)
        x = torch.randn(2, conv.in_channels, 8, 8, generator=generator(1, name))
        assert torch.equal(conv(x)[:, :passed], x[:, :passed])
        assert torch.equal(conv.weight[passed:], without.weight[passed:])
