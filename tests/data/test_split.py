import pytest
import torch

from trainlab.data.split import split
from trainlab.randomness import generator

COUNTS = torch.tensor([100, 50, 30, 20])
LABELS = torch.arange(4).repeat_interleave(COUNTS)[torch.randperm(200, generator=generator(0, "labels"))]


@pytest.mark.parametrize("kind", ["stratified", "first", "last"])
@pytest.mark.parametrize("val_size", [1, 20, 137, 199])
def test_every_image_is_in_one_part(kind, val_size):
    train, val = split(LABELS, val_size, kind, seed=0)
    assert len(val) == val_size
    assert sorted(torch.cat([train, val]).tolist()) == list(range(200))
    assert train.tolist() == sorted(train.tolist())
    assert val.tolist() == sorted(val.tolist())


def test_first_takes_the_first():
    train, val = split(LABELS, 30, "first", seed=3)
    assert val.tolist() == list(range(30))
    assert train.tolist() == list(range(30, 200))


def test_last_takes_the_last_as_keras_does():
    train, val = split(LABELS, 30, "last", seed=3)
    assert val.tolist() == list(range(170, 200))
    assert train.tolist() == list(range(170))


@pytest.mark.parametrize(
    ("val_size", "expected"),
    [
        (20, [10, 5, 3, 2]),
        (60, [30, 15, 9, 6]),
        (
            7,
            [3, 2, 1, 1],
        ),  # 3.5, 1.75, 1.05, 0.7: rounded down 5; the largest remainders, 0.75 and 0.7, get the rest
        (199, [99, 50, 30, 20]),  # 99.5, 49.75, 29.85, 19.9
    ],
)
def test_stratified_takes_from_each_class_in_proportion(val_size, expected):
    _, val = split(LABELS, val_size, "stratified", seed=0)
    assert LABELS[val].bincount(minlength=4).tolist() == expected


def test_stratified_draws_by_its_seed_alone():
    torch.manual_seed(1)
    _, val = split(LABELS, 40, "stratified", seed=0)
    torch.manual_seed(2)
    assert torch.equal(split(LABELS, 40, "stratified", seed=0)[1], val)
    assert not torch.equal(split(LABELS, 40, "stratified", seed=1)[1], val)


def test_stratified_knows_classes_by_label_and_not_by_number():
    _, val = split(LABELS * 10 + 3, 20, "stratified", seed=0)
    assert torch.equal(split(LABELS, 20, "stratified", seed=0)[1], val)


def test_stratified_draws_from_all_of_a_class():
    chosen = {i for seed in range(40) for i in split(LABELS, 60, "stratified", seed)[1].tolist()}
    assert chosen == set(range(200))  # an image is missed with probability 0.7^40 < 1e-6
