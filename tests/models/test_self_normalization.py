import warnings

import pytest
import torch
from torch import Tensor, nn

from trainlab.models import MLP, ImageNetwork, image_network
from trainlab.models.self_normalization import warn_if_broken, warn_if_not_standardized
from trainlab.randomness import generator

SELU = {"activation": "selu", "initializer": "lecun_normal", "standardize": True}
INTACT = {"activation": "selu", "initializer": "lecun_normal", "batch_norm": False, "alpha_dropout": False}
REASONS = {
    "activation": "the activation is elu",
    "initializer": "the initializer is he_normal, not LeCun's",
    "batch_norm": "batch normalization",
}


def hidden_outputs(network: ImageNetwork, images: Tensor) -> dict[str, Tensor]:
    """What each activation and each dropout layer puts out."""
    outputs, x = {}, network.scaling(images)
    for name, layer in network.module.named_children():
        x = layer(x)
        if name.startswith(("activation", "dropout")):
            outputs[name] = x
    return outputs


@torch.no_grad()
def layer_statistics(seed: int, **settings) -> list[tuple[float, float]]:
    """Mean and deviation over 2000 images and all units, layer by layer, of a network in training mode."""
    images = torch.randint(0, 256, (2000, 3, 16, 16), dtype=torch.uint8, generator=generator(seed, "images"))
    network = image_network(MLP, (3, 16, 16), seed, **settings)
    if network.scaling.standardize:
        network.scaling.set_statistics(images.float().mean(0), images.float().std(0, correction=0))
    return [(x.mean().item(), x.std().item()) for x in hidden_outputs(network.train(), images).values()]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("initializer", ["lecun_normal", "lecun_uniform"])
def test_selu_keeps_mean_0_and_variance_1_through_twenty_layers(seed, initializer):
    statistics = layer_statistics(seed, **{**SELU, "initializer": initializer})
    assert len(statistics) == 20
    # Klambauer et al., 2017, theorem 1: mean and variance contract where the mean is within 0.1 of
    # 0 and the variance in [0.8, 1.5]. The deviation then is in [0.89, 1.22], scattered further by 100 units.
    assert all(abs(mean) < 0.1 and abs(std - 1) < 0.2 for mean, std in statistics)


@pytest.mark.parametrize("seed", range(4))
def test_alpha_dropout_in_every_layer_keeps_them_too(seed):
    statistics = layer_statistics(seed, **SELU, dropout=0.1, dropout_after="every")
    assert len(statistics) == 40
    assert all(abs(mean) < 0.1 and abs(std - 1) < 0.2 for mean, std in statistics)


@pytest.mark.filterwarnings("ignore:SELU will not")
@pytest.mark.parametrize(
    "broken", [{"initializer": "he_normal"}, {"activation": "relu"}, {"activation": "tanh"}], ids=str
)
def test_what_is_warned_of_does_break_it(broken):
    mean, std = layer_statistics(0, **{**SELU, **broken})[-1]
    assert not (abs(mean) < 0.1 and abs(std - 1) < 0.2)


def test_standard_dropout_does_not_keep_them():
    mean, std = layer_statistics(0, **SELU, dropout=0.3, dropout_kind="standard", dropout_after="every")[-1]
    assert not (abs(mean) < 0.1 and abs(std - 1) < 0.2)


@pytest.mark.parametrize("alpha_dropout", [False, True])
@pytest.mark.parametrize("initializer", ["lecun_normal", "lecun_uniform"])
def test_an_intact_network_is_not_warned_of(alpha_dropout, initializer):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_if_broken(**{**INTACT, "alpha_dropout": alpha_dropout, "initializer": initializer})


@pytest.mark.parametrize("activation", ["elu", "relu"])
def test_other_activations_promise_nothing(activation):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_if_broken(activation, "he_normal", batch_norm=True, alpha_dropout=False)
        warn_if_not_standardized(MLP((3, 4, 4), activation=activation, depth=1))


@pytest.mark.parametrize("broken", [{"initializer": "he_normal"}, {"batch_norm": True}], ids=str)
@pytest.mark.parametrize("alpha_dropout", [False, True])
def test_each_breach_is_given_as_the_only_reason(broken, alpha_dropout):
    with pytest.warns(UserWarning) as caught:
        warn_if_broken(**{**INTACT, "alpha_dropout": alpha_dropout, **broken})
    message = str(caught[0].message)
    assert len(caught) == 1
    assert message.startswith("alpha dropout will" if alpha_dropout else "SELU will")
    assert [key for key, reason in REASONS.items() if reason in message] == list(broken)


def test_alpha_dropout_without_selu_is_warned_of():
    with pytest.warns(UserWarning, match=r"alpha dropout will .*activation is elu: alpha dropout preserves"):
        warn_if_broken(**{**INTACT, "activation": "elu", "alpha_dropout": True})


def test_all_breaches_are_given_in_one_warning():
    with pytest.warns(UserWarning) as caught:
        warn_if_broken("elu", "he_normal", batch_norm=True, alpha_dropout=True)
    assert len(caught) == 1
    assert all(reason in str(caught[0].message) for reason in REASONS.values())


def test_inputs_that_are_not_standardized_are_warned_of_once():
    with pytest.warns(UserWarning, match="not standardized") as caught:
        image_network(MLP, (3, 4, 4), **{**SELU, "standardize": False}, dropout=0.1, depth=2)
    assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        image_network(MLP, (3, 4, 4), **SELU, dropout=0.1, depth=2)
        image_network(MLP, (3, 4, 4), activation="elu", dropout=0.1, dropout_kind="standard", depth=2)


def test_selu_maps_the_standard_normal_distribution_to_mean_0_and_variance_1():
    x = torch.randn(200_000, generator=generator(0, "normal"), dtype=torch.float64)
    y = nn.functional.selu(x)
    # Deviations of the mean and of the mean square (kurtosis below 5) of 200,000 numbers of variance 1.
    assert abs(y.mean()) < 5 * 200_000**-0.5
    assert abs(y.square().mean() - 1) < 5 * 2 * 200_000**-0.5
