"""MixUp and CutMix: torchvision's arithmetic on batches on the device, and draws that follow from seed and place."""

import math

import pytest
import torch
from torchvision.transforms import v2

from trainlab.data.mixing import Mix, Mixing
from trainlab.data.shapes import Shapes
from trainlab.randomness import generator

IMAGES = torch.randint(0, 256, (6, 3, 10, 7), dtype=torch.uint8, generator=generator(0, "images"))
LABELS = torch.tensor([0, 2, 1, 3, 2, 0])


def test_mixup_is_that_of_torchvision_on_pixels_and_targets():
    mixed, targets = Mixing(0.2, 0.0, 0, 4)(IMAGES, LABELS, [Mix(0.3)])
    reference = v2.MixUp(num_classes=4)
    params = {"labels": LABELS, "lam": 0.3, "batch_size": 6}
    expected = reference.transform(IMAGES.float(), params).round().to(torch.uint8)
    assert mixed.dtype == torch.uint8 and mixed.equal(expected)
    torch.testing.assert_close(targets, reference.transform(LABELS, params))


def test_cutmix_is_that_of_torchvision_on_pixels_and_targets():
    mixing = Mixing(0.0, 1.0, 0, 4)
    for batch in range(20):
        mix = mixing.draw(0, batch, (10, 7))
        assert mix.box is not None
        top, bottom, left, right = mix.box
        assert mix.own == pytest.approx(1 - (bottom - top) * (right - left) / 70)
        mixed, targets = mixing(IMAGES, LABELS, [mix])
        params = {"labels": LABELS, "box": (left, top, right, bottom), "lam_adjusted": mix.own, "batch_size": 6}
        assert mixed.equal(v2.CutMix(num_classes=4).transform(IMAGES, params))
        torch.testing.assert_close(targets, v2.CutMix(num_classes=4).transform(LABELS, params))


def test_weights_have_the_beta_distribution_and_both_are_drawn_as_often():
    weights = torch.tensor([Mixing(0.2, 0.0, 1, 4).draw(0, i, (8, 8)).own for i in range(4000)]).double()
    # Mean 1/2 and variance 1 / (4 (2 alpha + 1)); five deviations of the mean of 4,000.
    variance = 1 / (4 * 1.4)
    assert abs(weights.mean() - 0.5) < 5 * math.sqrt(variance / 4000)
    assert abs(weights.var() - variance) < 0.01
    cut = sum(Mixing(0.2, 1.0, 1, 4).draw(0, i, (8, 8)).box is not None for i in range(4000))
    assert abs(cut - 2000) < 5 * math.sqrt(4000 / 4)


def test_batches_mixed_together_are_those_mixed_one_by_one():
    mixing = Mixing(0.2, 1.0, 0, 4)
    mixes = [Mix(0.3), Mix(0.8, (1, 5, 2, 7))]
    images, targets = mixing(torch.cat([IMAGES, IMAGES.flip(0)]), torch.cat([LABELS, LABELS.flip(0)]), mixes)
    alone = [mixing(IMAGES, LABELS, mixes[:1]), mixing(IMAGES.flip(0), LABELS.flip(0), mixes[1:])]
    assert images.equal(torch.cat([one[0] for one in alone]))
    assert targets.equal(torch.cat([one[1] for one in alone]))


def test_targets_of_several_labels_are_mixed_as_they_are():
    labels = torch.tensor([[1, 0], [0, 1], [1, 1]], dtype=torch.uint8)
    _, targets = Mixing(1.0, 0.0, 0, 2)(IMAGES[:3], labels, [Mix(0.75)])
    torch.testing.assert_close(targets, torch.tensor([[1.0, 0.25], [0.25, 0.75], [0.75, 1.0]]))


def test_draws_follow_from_seed_epoch_and_batch():
    draws = [Mixing(0.4, 0.0, seed, 4).draw(*place, (8, 8)) for seed in (0, 1) for place in ((0, 0), (0, 1), (1, 0))]
    assert len({draw.own for draw in draws}) == 6
    assert Mixing(0.4, 0.0, 0, 4).draw(0, 1, (8, 8)) == draws[1]


def test_an_epoch_continues_with_the_batch_that_it_would_have_had():
    data = Shapes(num_train=60, num_test=10, val_size=10, batch_size=16, mixup=0.3, cutmix=1.0, flip=True)
    whole, rest = list(data.train_dataloader()), data.train_dataloader()
    rest.start = 2
    for (images, targets), (own_images, own_targets) in zip(whole[2:], rest, strict=True):
        assert images.equal(own_images) and targets.equal(own_targets) and targets.shape[1:] == (10,)


@pytest.mark.parametrize("key", ["mixup", "cutmix", "memory", "num_workers"])
def test_negative_settings_are_errors(key):
    with pytest.raises(ValueError, match=rf"{key} must be at least 0, got -1; set data\.{key}"):
        Shapes(**{key: -1})
