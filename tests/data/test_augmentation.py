import math

import pytest
import torch

from trainlab.data.augmentation import Augmentation, augment
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
