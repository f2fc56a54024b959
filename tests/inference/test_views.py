"""Outputs averaged over views of an image, against the average written out."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from trainlab.inference import evaluate_checkpoint
from trainlab.inference.views import with_views
from trainlab.models import CNN, image_network
from trainlab.randomness import generator
from trainlab.runs.result import Result

IMAGES = torch.randint(0, 256, (5, 3, 8, 8), generator=generator(0, "images"), dtype=torch.uint8)


def network_of_pixels() -> nn.Module:
    return image_network(CNN, (3, 8, 8), stages=[[4]], dense=[], dropout=[0.0, 0.0]).eval()


@torch.no_grad()
def test_six_views_are_an_image_and_two_translations_of_it_and_their_mirror_images():
    network, padded = network_of_pixels(), functional.pad(IMAGES.float(), (1, 1, 1, 1), mode="reflect")
    corners = [padded[:, :, row : row + 8, row : row + 8].to(torch.uint8) for row in (1, 0, 2)]
    assert torch.equal(corners[0], IMAGES)
    mean = [(network(images) + network(images.flip(3))) / 2 for images in corners]
    torch.testing.assert_close(with_views(network, "mirror")(IMAGES), mean[0])
    expected = mean[0] / 2 + (mean[1] + mean[2]) / 4
    torch.testing.assert_close(with_views(network, "mirror_translate")(IMAGES), expected)
    assert not torch.allclose(mean[0], expected)
    assert with_views(network, "none") is network


def test_the_test_of_a_run_and_an_evaluation_average_over_views(train, tmp_path):
    _, folder = train("trainer.max_epochs=1", "test_views=mirror_translate")
    path, of_run = folder / "checkpoints" / "best.ckpt", Result.read(folder).metrics
    found = {
        views: evaluate_checkpoint(path, device="cpu", test_views=views, out=tmp_path / f"{views}.json")
        for views in (None, "none", "mirror", "mirror_translate")
    }
    losses = {views: figures["test_loss"] for views, figures in found.items()}
    assert losses[None] == losses["mirror_translate"] == of_run["test_loss"]
    assert len({losses["none"], losses["mirror"], losses["mirror_translate"]}) == 3
    assert found[None]["test_views"] == "mirror_translate" and "test_views" not in found["none"]
    with pytest.raises(ValueError, match=r"single views, got mirror_translate; set test_views=none"):
        evaluate_checkpoint(path, device="cpu", mc_samples=2, out=tmp_path / "mc.json")
    with pytest.raises(ValueError, match=r"^test_views must be one of none, mirror, .*got 'six'; set test_views$"):
        train("test_views=six", name="six")
