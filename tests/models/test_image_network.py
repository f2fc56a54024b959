import copy

import pytest
import torch
from torch import nn

from trainlab.models import CNN, MLP, ImageNetwork, image_network
from trainlab.models.image_network import InputScaling
from trainlab.randomness import generator

SHAPE = (3, 4, 5)
IMAGES = torch.randint(0, 256, (200, *SHAPE), dtype=torch.uint8, generator=generator(0, "images"))


def standardizing(images: torch.Tensor = IMAGES) -> InputScaling:
    scaling = InputScaling(SHAPE, standardize=True)
    scaling.set_statistics(images.float().mean(0), images.float().std(0, correction=0))
    return scaling


def test_pixels_are_scaled_to_0_and_1():
    ends = torch.tensor([0, 51, 255], dtype=torch.uint8).reshape(3, 1, 1, 1).expand(3, *SHAPE)
    scaled = InputScaling(SHAPE, standardize=False)(ends)
    assert scaled.dtype == torch.float32
    torch.testing.assert_close(scaled[:, 0, 0, 0], torch.tensor([0, 0.2, 1]))
    torch.testing.assert_close(InputScaling(SHAPE, standardize=False)(IMAGES), IMAGES / 255)


def test_every_feature_is_standardized():
    scaled = standardizing()(IMAGES)
    # Pixels are a few deviations from 0 and float32 knows 1e-7 of each.
    torch.testing.assert_close(scaled.mean(0), torch.zeros(SHAPE), rtol=0, atol=1e-5)
    torch.testing.assert_close(scaled.std(0, correction=0), torch.ones(SHAPE), rtol=0, atol=1e-5)


def test_a_feature_that_never_varies_is_only_centred():
    images = IMAGES.clone()
    images[:, 1, 2, 3] = 77
    scaling = standardizing(images)
    assert scaling(images).isfinite().all()
    assert not scaling(images)[:, 1, 2, 3].any()
    images[0, 1, 2, 3] = 80
    assert scaling(images)[0, 1, 2, 3] == 3


def test_without_statistics_nothing_but_nan_comes_out():
    assert InputScaling(SHAPE, standardize=True)(IMAGES).isnan().all()


def test_statistics_survive_a_checkpoint():
    scaling = standardizing()
    restored = InputScaling(SHAPE, standardize=True)
    restored.load_state_dict(scaling.state_dict())
    assert torch.equal(restored(IMAGES), scaling(IMAGES))
    assert not InputScaling(SHAPE, standardize=False).state_dict()


@pytest.mark.parametrize("standardize", [False, True])
def test_images_are_left_alone(standardize):
    scaling = standardizing() if standardize else InputScaling(SHAPE, standardize=False)
    before = copy.deepcopy(IMAGES)
    scaling(IMAGES)
    assert torch.equal(IMAGES, before)


@pytest.mark.parametrize(
    "make, settings",
    [(MLP, {"depth": 2, "width": 5}), (CNN, {"stages": [[4]], "dense": [5], "dropout": [0, 0], "padding": True})],
)
@pytest.mark.parametrize("standardize", [False, True])
def test_a_network_of_raw_images_is_one_of_floats_behind_the_scaling(make, settings, standardize):
    network = image_network(make, SHAPE, 3, num_classes=7, standardize=standardize, **settings)
    plain = make(SHAPE, 3, num_classes=7, **settings)
    if standardize:
        network.scaling.set_statistics(IMAGES.float().mean(0), IMAGES.float().std(0, correction=0))
    assert network.num_classes == 7
    assert torch.equal(network(IMAGES), plain(network.scaling(IMAGES)))
    assert {k for k in network.state_dict() if not k.startswith("scaling.")} == {
        f"module.{k}" for k in plain.state_dict()
    }


def test_any_network_of_floats_can_be_wrapped():
    module = nn.Sequential(nn.Flatten(), nn.Linear(60, 2))
    network = ImageNetwork(module, SHAPE, 2)
    torch.testing.assert_close(network(IMAGES), module(IMAGES / 255))


def test_selu_in_any_network_is_warned_of_without_standardized_inputs():
    with pytest.warns(UserWarning, match="SELU will not keep .*: the inputs are not standardized"):
        ImageNetwork(nn.Sequential(nn.Flatten(), nn.SELU()), SHAPE, 60)


def test_all_pixels_of_a_channel_can_share_mean_and_deviation():
    scaling = InputScaling(SHAPE, standardize="channel")
    scaling.set_statistics(IMAGES.float().mean(0), IMAGES.float().std(0, correction=0))
    values = IMAGES.double()
    mean, std = values.mean((0, 2, 3), keepdim=True), values.std((0, 2, 3), keepdim=True, correction=0)
    torch.testing.assert_close(scaling(IMAGES).double(), (values - mean) / std, rtol=0, atol=1e-5)
    with pytest.raises(
        ValueError, match=r"^standardize must be true, false or channel, got 'pixel'; set model\.standa"
    ):
        InputScaling(SHAPE, standardize="pixel")
