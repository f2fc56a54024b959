"""Batches for several members compared with those of each solo run."""

from types import SimpleNamespace

import pytest
import torch

from trainlab.data.augmentation import Augmentation
from trainlab.data.batches import Batches
from trainlab.models.image_network import InputScaling
from trainlab.population.batch_streams import BatchStreams
from trainlab.population.stack import scaling_of

IMAGES = torch.arange(50 * 3 * 4 * 4).view(50, 3, 4, 4).remainder(251).to(torch.uint8)
LABELS = torch.arange(50) % 10
TRAIN = torch.arange(50)[torch.arange(50) % 5 > 0]  # 40 of them


OTHER = torch.arange(50)[torch.arange(50) % 5 < 4]


def batches(seed, epoch=0, augmented=True, train=TRAIN):
    made = Batches(
        *(IMAGES, LABELS, train, 16),
        order_seed=seed,
        augmentation=Augmentation(True, 2, seed) if augmented else None,
    )
    made.set_epoch(epoch)
    return made


@pytest.mark.parametrize("augmented", [False, True])
@pytest.mark.parametrize(
    ("members", "count"),
    [
        ([(1, 0), (1, 0), (1, 0)], 1),
        ([(1, 0), (2, 0), (3, 0)], 3),
        ([(1, 0), (2, 0), (1, 0)], 2),
        ([(1, 1), (1, 0), (1, 1)], 2),  # one seed, epochs apart
    ],
)
def test_each_member_gets_the_batches_that_it_would_get_alone(members, count, augmented):
    streams = BatchStreams([batches(*member, augmented) for member in members])
    assert streams.count == count
    alone = [list(batches(*member, augmented)) for member in members]
    assert len(streams) == len(alone[0]) == 3  # 16, 16 and 8
    for number in range(3):
        images, labels = streams.batch(number)
        assert images.dtype == torch.uint8 and images.shape[0] == labels.numel()
        images = streams.to_members(images.view(*labels.shape, 3, 4, 4))
        labels = streams.to_members(labels)
        for member, own in enumerate(alone):
            assert torch.equal(images[member], own[number][0])
            assert torch.equal(labels[member], own[number][1])


def test_what_all_members_have_in_common_is_not_copied():
    one, each = BatchStreams([batches(1), batches(1)]), BatchStreams([batches(1), batches(2)])
    batch = torch.rand(1, 16)
    assert one.to_members(batch).data_ptr() == batch.data_ptr()
    own = torch.rand(2, 16)
    assert each.to_members(own).data_ptr() == own.data_ptr()
    few = BatchStreams([batches(2), batches(1), batches(2)])
    assert torch.equal(few.to_members(own), own[[0, 1, 0]])


def test_splits_of_the_same_images_are_streams_of_their_own():
    members = [(1, 0, True, TRAIN), (1, 0, True, OTHER), (2, 0, True, OTHER), (1, 0, True, TRAIN)]
    streams = BatchStreams([batches(*member) for member in members])
    assert (streams.count, streams.firsts, streams.has_one_split) == (3, [0, 1, 2], False)
    images, labels = streams.batch(0)
    images = streams.to_members(images.view(*labels.shape, 3, 4, 4))
    for member, own in enumerate(members):
        assert torch.equal(images[member], next(iter(batches(*own)))[0])
    assert BatchStreams([batches(*member) for member in members[1:3]]).has_one_split


@pytest.mark.parametrize("standardize", [True, False])
def test_images_of_each_split_are_scaled_by_its_own_statistics(standardize):
    scalings = [InputScaling((3, 4, 4), standardize) for _ in range(2)]
    for number, scaling in enumerate(scalings if standardize else [], 1):
        scaling.set_statistics(torch.full((3, 4, 4), 10.0 * number), torch.full((3, 4, 4), 1.0 + number))
    first, second = (SimpleNamespace(network=SimpleNamespace(scaling=scaling)) for scaling in scalings)
    of = {id(first): (1, OTHER), id(second): (2, TRAIN)}

    def step(*owners):
        each = [batches(seed, train=train) for seed, train in (of[id(owner)] for owner in owners)]
        streams = BatchStreams(each)
        scaled = scaling_of(streams, owners)(streams.batch(0)[0]).view(streams.count, 16, 3, 4, 4)
        return streams.to_members(scaled), [next(iter(one))[0] for one in each]

    for owners, expected in (((first, second), scalings), ((second, second), [scalings[1]] * 2)):
        found, images = step(*owners)
        for member, scaling in enumerate(expected):
            assert torch.equal(found[member], scaling(images[member]))
