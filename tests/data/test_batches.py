import pytest
import torch

from trainlab.data.augmentation import Augmentation, Transforms, augment
from trainlab.data.batches import Batches
from trainlab.randomness import generator

NUM_IMAGES = 60
IMAGES = torch.randint(0, 256, (NUM_IMAGES, 3, 4, 4), dtype=torch.uint8, generator=generator(0, "images"))
LABELS = torch.arange(NUM_IMAGES)  # the label tells the image
SUBSET = torch.arange(5, 50)


def batches(batch_size=8, indices=SUBSET, order_seed=0, **settings) -> Batches:
    return Batches(IMAGES, LABELS, indices, batch_size, order_seed=order_seed, **settings)


def labels(source: Batches, epoch: int = 0) -> list[list[int]]:
    source.set_epoch(epoch)
    return [y.tolist() for _, y in source]


def flat(lists: list[list[int]]) -> list[int]:
    return [x for part in lists for x in part]


@pytest.mark.parametrize("order_seed", [None, 0])
@pytest.mark.parametrize("batch_size", [1, 8, 9, 45, 100])
def test_an_epoch_has_every_image_of_the_subset_once(order_seed, batch_size):
    source = batches(batch_size, order_seed=order_seed)
    epoch = labels(source)
    assert sorted(flat(epoch)) == SUBSET.tolist()
    assert [len(batch) for batch in epoch[:-1]] == [batch_size] * (len(epoch) - 1)
    assert len(source) == len(epoch)


def test_images_keep_their_labels():
    for x, y in batches():
        assert torch.equal(x, IMAGES[y])


def test_without_a_seed_the_order_is_kept():
    assert flat(labels(batches(order_seed=None), epoch=3)) == SUBSET.tolist()


def test_the_order_follows_from_seed_and_epoch():
    torch.manual_seed(1)
    first = labels(batches(), epoch=4)
    torch.manual_seed(2)
    state = torch.get_rng_state()
    assert labels(batches(), epoch=4) == first
    assert labels(batches(), epoch=5) != first
    assert labels(batches(order_seed=1), epoch=4) != first
    assert torch.equal(torch.get_rng_state(), state)


def test_lightning_finds_set_epoch():
    source = batches()
    source.sampler.set_epoch(3)
    assert [y.tolist() for _, y in source] == labels(batches(), epoch=3)


def test_two_ranks_partition_the_batches_of_one_process():
    whole = labels(batches(16, indices=torch.arange(48)))
    shards = [labels(batches(8, indices=torch.arange(48), rank=rank, world_size=2)) for rank in range(2)]
    for step, batch in enumerate(whole):
        for rank in range(2):
            assert shards[rank][step] == batch[rank::2]


@pytest.mark.parametrize("world_size", [2, 4, 7])
def test_a_shuffled_epoch_is_padded_so_that_all_ranks_make_as_many_steps(world_size):
    ranks = [batches(4, rank=rank, world_size=world_size) for rank in range(world_size)]
    shards = [labels(rank) for rank in ranks]
    sizes = {tuple(len(batch) for batch in shard) for shard in shards}
    assert len(sizes) == 1
    assert {len(rank) for rank in ranks} == {len(shards[0])}
    # The epoch's first images come again at its end.
    order = flat(labels(batches()))
    missing = -len(order) % world_size
    drawn = sorted(x for shard in shards for x in flat(shard))
    assert drawn == sorted(order + order[:missing])


def test_an_epoch_in_order_is_not_padded():
    ranks = [batches(4, order_seed=None, rank=rank, world_size=2) for rank in range(2)]
    shards = [flat(labels(rank)) for rank in ranks]
    assert sorted(shards[0] + shards[1]) == SUBSET.tolist()
    assert [len(rank) for rank in ranks] == [6, 6]  # 23 and 22 images in batches of 4


def test_augmentation_follows_the_image_and_not_the_batch():
    augmentation = Augmentation(flip=True, crop_padding=2, seed=0)
    draws = augmentation.draw(NUM_IMAGES, epoch=2)
    for source in (
        batches(8, augmentation=augmentation),
        batches(5, augmentation=augmentation, order_seed=3),
    ):
        source.set_epoch(2)
        for x, y in source:
            assert torch.equal(x, augment(IMAGES[y], draws[y], 2))


def test_transforms_follow_the_image_too():
    class Add:
        def __call__(self, image):
            return image // 2 + torch.randint(0, 100, (1,), dtype=torch.uint8)

    transforms = Transforms([Add()], seed=0)
    expected = transforms(IMAGES, torch.arange(NUM_IMAGES), 2)
    for source in (batches(8, transforms=transforms), batches(5, transforms=transforms, rank=1, world_size=2)):
        source.set_epoch(2)
        for x, y in source:
            assert torch.equal(x, expected[y])
