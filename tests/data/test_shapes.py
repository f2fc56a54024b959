import math

import pytest
import torch

from trainlab.data.shapes import SHAPES, Shapes

SMALL = {"num_train": 205, "num_test": 30, "val_size": 50}


def lens(a: float, b: float, apart: float) -> float:
    """Area that two circles of radii ``a`` and ``b`` share."""
    x = (apart**2 + a**2 - b**2) / (2 * apart)
    y = apart - x
    return sum(r**2 * math.acos(d / r) - d * math.sqrt(r**2 - d**2) for r, d in ((a, x), (b, y)))


AREAS = {
    "circle": math.pi * 0.85**2,
    "square": 1.5**2,
    "triangle": 3 * math.sqrt(3) / 4,  # equilateral, corners on the unit circle
    "cross": 2 * 1.9 * 0.56 - 0.56**2,
    "ring": math.pi * (0.9**2 - 0.5**2),
    "star": 5 * 0.42 * math.sin(math.pi / 5),  # ten triangles: centre, tip at 1, notch at 0.42
    "crescent": math.pi * 0.95**2 - lens(0.95, 0.75, 0.45),
    "heart": 1.1**2 + math.pi * 0.55**2,  # a square and two half circles on its sides
    "stripes": 3 * 0.34 * 1.7,
    "checkerboard": 12 * 0.34**2,
}


@pytest.mark.parametrize("name", AREAS)
def test_a_shape_has_the_area_of_its_geometry(name):
    cell = 0.0026
    axis = (torch.arange(1000) + 0.5) * cell - 1.3
    x, y = axis.expand(1000, 1000), axis[:, None].expand(1000, 1000)
    # On a turned grid no edge runs along cells. Those that the outline cuts count by chance; the
    # longest outline, 17 for the checkerboard, cuts about 17 / cell: deviation cell^2 * sqrt(17 / cell) / 2.
    deviation = cell**2 * math.sqrt(17 / cell) / 2
    cos, sin = math.cos(0.4), math.sin(0.4)
    inside = SHAPES[name](x * cos + y * sin, y * cos - x * sin) < 0
    assert inside.sum().item() * cell**2 == pytest.approx(AREAS[name], abs=5 * deviation)


def test_there_are_ten_classes_and_each_has_its_share():
    images = Shapes(**SMALL).images
    assert images.classes == tuple(AREAS)
    assert sorted(images.train_labels.bincount(minlength=10).tolist()) == [20] * 5 + [21] * 5
    assert images.test_labels.bincount(minlength=10).tolist() == [3] * 10


def test_images_are_uint8_of_the_configured_size():
    data = Shapes(image_size=24, **SMALL)
    images = data.images
    assert data.image_shape == (3, 24, 24)
    assert images.train.shape == (205, 3, 24, 24)
    assert images.test.shape == (30, 3, 24, 24)
    assert images.train.dtype == images.test.dtype == torch.uint8
    assert images.train_labels.dtype == images.test_labels.dtype == torch.int64
    assert len(data.train_dataloader().indices) == 155


def test_images_are_a_function_of_the_seed():
    torch.manual_seed(1)
    first = Shapes(**SMALL).images
    torch.manual_seed(2)
    state = torch.get_rng_state()
    again, other = Shapes(seed=5, **SMALL).images, Shapes(data_seed=1, **SMALL).images
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(first.train, again.train)
    assert torch.equal(first.test_labels, again.test_labels)
    assert first.digest == again.digest
    assert not torch.equal(first.train, other.train)
    assert first.digest != other.digest


def test_no_picture_comes_twice_and_the_test_set_stays_when_the_training_set_grows():
    small, large = Shapes(**SMALL).images, Shapes(**{**SMALL, "num_train": 300}).images
    assert torch.equal(small.test, large.test)
    assert small.digest != large.digest
    assert len(torch.cat([large.train, large.test]).flatten(1).unique(dim=0)) == 330


def test_noise_has_the_configured_standard_deviation():
    clean, noisy = (Shapes(noise=noise, **SMALL).images.train.double() for noise in (0, 0.1))
    # Five deviations away from black and white nothing is cut off.
    difference = (noisy - clean)[(clean == 127) | (clean == 128)]
    assert len(difference) > 2000
    # Rounding adds a variance of 1/12 each; the deviation of n numbers is known to 1 / sqrt(2 n).
    expected = math.sqrt(25.5**2 + 2 / 12)
    assert difference.std().item() == pytest.approx(expected, rel=5 / math.sqrt(2 * len(difference)))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("num_train", 9),
        ("num_test", 0),
        ("image_size", 15),
        ("noise", -0.1),
        ("noise", 1.5),
        ("batch_size", 0),
        ("eval_batch_size", 0),
        ("val_size", 0),
        ("val_split", "middle"),
        ("crop_padding", -1),
    ],
)
def test_errors_name_the_value_and_the_key(key, value):
    with pytest.raises(ValueError, match=rf"got {value!r}; set data\.{key}"):
        Shapes(**{key: value})


def test_a_validation_set_must_leave_training_images():
    Shapes(num_train=100, val_size=60).check()
    with pytest.raises(ValueError, match=r"got 100; set data\.val_size"):
        Shapes(num_train=100, val_size=100).check()
    with pytest.raises(ValueError, match=r"got 50; set data\.batch_size"):
        Shapes(num_train=100, val_size=60, batch_size=50).check()


@pytest.mark.parametrize("settings", [{"num_train": 10**9}, {"num_test": 10**9}, {"image_size": 10**5}])
def test_images_that_take_too_much_memory_are_refused(settings):
    with pytest.raises(ValueError, match=r"must take at most 4 GiB, got .* GiB; set data\.num_train$"):
        Shapes(**settings)
