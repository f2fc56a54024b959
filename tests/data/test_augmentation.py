import itertools
import math
import random

import numpy as np
import pytest
import torch
from torchvision.transforms import v2

from trainlab.data.augmentation import Augmentation, Transforms, augment
from trainlab.randomness import generator


def images(count: int, height: int = 6, width: int = 5) -> torch.Tensor:
    shape = (count, 3, height, width)
    return torch.randint(1, 256, shape, dtype=torch.uint8, generator=generator(0, "images"))


def augment_one(image: torch.Tensor, flip: int, row: int, column: int, padding: int) -> torch.Tensor:
    channels, height, width = image.shape
    canvas = torch.zeros(channels, height + 2 * padding, width + 2 * padding, dtype=torch.uint8)
    canvas[:, padding : padding + height, padding : padding + width] = image
    crop = canvas[:, row : row + height, column : column + width]
    return crop.flip(2) if flip else crop


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("padding", [0, 1, 4, 7])
def test_a_batch_equals_its_images_one_by_one(flip, padding):
    batch = images(50)
    draws = Augmentation(flip, padding, seed=0).draw(50, epoch=3)
    expected = [augment_one(image, *draw, padding) for image, draw in zip(batch, draws.tolist(), strict=True)]
    assert torch.equal(augment(batch, draws, padding), torch.stack(expected))


def test_nothing_drawn_leaves_images_alone():
    batch = images(4)
    assert torch.equal(augment(batch, torch.tensor([[0, 2, 2]] * 4), crop_padding=2), batch)


def test_half_of_the_images_are_flipped_and_every_crop_is_as_likely():
    draws = Augmentation(flip=True, crop_padding=2, seed=0).draw(10_000, epoch=0)
    # Five deviations of a binomial count of 10,000.
    assert abs(draws[:, 0].sum() - 5000) < 5 * math.sqrt(10_000 / 4)
    assert draws[:, 0].unique().tolist() == [0, 1]
    for corners in draws[:, 1:].unbind(1):
        counts = corners.bincount(minlength=5)
        assert counts.shape == (5,)
        assert (counts - 2000).abs().max() < 5 * math.sqrt(10_000 * 0.2 * 0.8)
    # Row and column are drawn apart: the correlation of 10,000 pairs has a deviation of 0.01.
    assert torch.corrcoef(draws.T.double()).fill_diagonal_(0).abs().max() < 0.05


def test_what_is_off_is_not_drawn():
    assert not Augmentation(flip=False, crop_padding=2, seed=0).draw(100, 0)[:, 0].any()
    assert not Augmentation(flip=True, crop_padding=0, seed=0).draw(100, 0)[:, 1:].any()


def test_draws_follow_from_seed_and_epoch():
    torch.manual_seed(1)
    draws = Augmentation(True, 4, seed=0).draw(100, epoch=1)
    torch.manual_seed(2)
    state = torch.get_rng_state()
    assert torch.equal(Augmentation(True, 4, seed=0).draw(100, epoch=1), draws)
    assert not torch.equal(Augmentation(True, 4, seed=0).draw(100, epoch=2), draws)
    assert not torch.equal(Augmentation(True, 4, seed=1).draw(100, epoch=1), draws)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("padding", [1, 2, 4])
def test_a_reflected_crop_is_one_of_the_image_padded_by_its_own_pixels(padding):
    batch = images(50)
    draws = Augmentation(True, padding, 0, "reflect").draw(50, epoch=3)
    expected = []
    for image, (flip, row, column) in zip(batch, draws.tolist(), strict=True):
        sides = ((0, 0), (padding, padding), (padding, padding))
        crop = np.pad(image.numpy(), sides, "reflect")[:, row : row + 6, column : column + 5]
        expected.append(torch.from_numpy(crop[:, :, ::-1].copy() if flip else crop))
    assert torch.equal(augment(batch, draws, padding, "reflect"), torch.stack(expected))


def test_the_mode_of_padding_changes_no_draws():
    constant, reflect = (Augmentation(True, 3, 0, mode).draw(100, 1) for mode in ("constant", "reflect"))
    assert torch.equal(constant, reflect)


def test_alternating_flips_show_every_image_both_ways_in_any_two_epochs():
    epochs = [Augmentation("alternating", 0, seed=0).draw(10_000, epoch)[:, 0] for epoch in range(4)]
    assert abs(epochs[0].sum() - 5000) < 5 * math.sqrt(10_000 / 4)  # five deviations of a binomial count
    for before, after in itertools.pairwise(epochs):
        assert torch.equal(after, 1 - before)


def test_a_cutout_is_a_square_of_zeros_around_a_pixel_of_the_image():
    batch = torch.full((2000, 2, 6, 5), 9, dtype=torch.uint8)
    draws = Augmentation(False, 0, 0, cutout=3).draw(2000, epoch=0)
    changed = augment(batch, draws, 0, cutout=3)
    for image, (row, column) in zip(changed, draws[:, 3:].tolist(), strict=True):
        expected = torch.full((2, 6, 5), 9, dtype=torch.uint8)
        top, left = row % 6 - 1, column % 5 - 1
        expected[:, max(0, top) : top + 3, max(0, left) : left + 3] = 0
        assert torch.equal(image, expected)
    # Every pixel is a center as often: five deviations of a binomial count of 2000 with p = 1/30.
    centers = (draws[:, 3] % 6 * 5 + draws[:, 4] % 5).bincount(minlength=30)
    assert (centers - 2000 / 30).abs().max() < 5 * math.sqrt(2000 / 30)


def test_a_cutout_changes_no_other_draws():
    without, with_cutout = (Augmentation(True, 3, 0, cutout=size).draw(100, 1) for size in (0, 2))
    assert torch.equal(with_cutout[:, :3], without)


class Noise:
    """Draws from the generators of torch, numpy and Python."""

    def __call__(self, image):
        first = torch.randint(0, 50, image.shape, dtype=torch.uint8)
        return image // 2 + first + np.random.randint(20) + random.randrange(20)


INDICES = torch.arange(7)


@pytest.mark.parametrize(
    "transforms", [[Noise()], [v2.RandomRotation(30), v2.ColorJitter(0.5)], [v2.RandomApply([v2.GaussianBlur(3)])]]
)
def test_transforms_follow_from_seed_epoch_and_image_and_not_from_the_batch(transforms):
    batch, change = images(7, 12, 12), Transforms(transforms, seed=0)
    whole = change(batch, INDICES, 3)
    one_by_one = [change(batch[i : i + 1], INDICES[i : i + 1], 3) for i in range(7)]
    assert torch.equal(torch.cat(one_by_one), whole)
    same = batch[:1].expand(7, -1, -1, -1)
    assert len({image.numpy().tobytes() for image in change(same, INDICES, 3)}) > 1  # images have draws of their own
    assert not torch.equal(change(batch, INDICES, 4), whole)
    assert not torch.equal(Transforms(transforms, seed=1)(batch, INDICES, 3), whole)


def test_transforms_leave_the_global_generators_as_they_were():
    torch.manual_seed(5)
    np.random.seed(5)
    random.seed(5)
    Transforms([Noise()], 0)(images(7), INDICES, 0)
    found = torch.rand(1).item(), np.random.rand(), random.random()
    torch.manual_seed(5)
    np.random.seed(5)
    random.seed(5)
    assert found == (torch.rand(1).item(), np.random.rand(), random.random())


@pytest.mark.parametrize(
    ("transform", "message"),
    [
        (v2.CenterCrop(4), r"must return uint8 images \(3, 6, 5\), CenterCrop returned torch.uint8 \(3, 4, 4\)"),
        (v2.ToDtype(torch.float32), r"ToDtype returned torch.float32 \(3, 6, 5\)"),
        (v2.Normalize([0.5], [0.5]), r"Normalize cannot transform uint8 images \(3, 6, 5\) \(TypeError: "),
        (v2.MixUp(num_classes=10), "MixUp mixes them; leave it out of data.transforms and set data.mixup"),
        ("RandomRotation", r"must be objects such as \{_target_: .*\}, got 'RandomRotation'; set data.transforms"),
    ],
)
def test_transforms_that_cannot_be_are_an_error_of_one_line(transform, message):
    with pytest.raises(ValueError, match=message) as error:
        Transforms([transform], 0)(images(1), INDICES[:1], 0)
    assert "\n" not in str(error.value)
    assert "data.transforms" in str(error.value)
