"""The first layer that whitens patches, against the patches themselves."""

import numpy as np
import torch

from trainlab.models import CNN
from trainlab.models.whitening import EPSILON, PatchWhitening
from trainlab.randomness import generator

IMAGES = torch.randn(7, 3, 6, 5, generator=generator(0, "images")).cumsum(3)  # neighbours are correlated


def patches() -> np.ndarray:
    found = [
        image[:, row : row + 2, column : column + 2].flatten()
        for image in IMAGES
        for row in range(5)
        for column in range(4)
    ]
    return torch.stack(found).double().numpy()


def test_filters_are_the_scaled_principal_components_of_the_patches():
    layer = PatchWhitening(3, 2)
    assert layer.weight.isnan().all() and not layer.bias.any()
    layer.fit(IMAGES.split(3))
    filters = layer.weight.detach().double().flatten(1).numpy()
    assert filters.shape == (24, 12)
    assert np.array_equal(filters[12:], -filters[:12])
    moments = patches().T @ patches() / len(patches())
    variances = np.diag(filters[:12] @ moments @ filters[:12].T)
    values = np.linalg.eigvalsh(moments)[::-1]
    # In float32; the outputs are uncorrelated, each of variance e / (e + eps), the largest e first.
    np.testing.assert_allclose(variances, values / (values + EPSILON), rtol=1e-5)
    np.testing.assert_allclose(filters[:12] @ moments @ filters[:12].T, np.diag(variances), atol=1e-5)
    np.testing.assert_allclose((filters[:12] ** 2).sum(1), 1 / (values + EPSILON), rtol=1e-4)


def test_it_has_no_padding_and_draws_nothing():
    state = torch.get_rng_state()
    layer = PatchWhitening(3, 2)
    layer.fit([IMAGES])
    assert torch.equal(torch.get_rng_state(), state)
    assert layer(IMAGES).shape == (7, 24, 5, 4)


def test_it_is_the_first_layer_of_a_network():
    network = CNN((3, 8, 8), whitening=3, stages=[[4]], padding=True, dense=[], dropout=[0.0, 0.0])
    names = [name for name, _ in network.named_children()]
    assert names[:3] == ["whitening", "activation_whitening", "conv_1_1"]
    assert network.get_submodule("conv_1_1").in_channels == 54
    assert network.get_submodule("output").in_features == 4 * 3 * 3  # 8 -> 6 -> 3 pixels a side
