"""Data modules that share images have them in one place, wherever that is."""

from types import SimpleNamespace

import pytest
import torch

from trainlab.data.shapes import Shapes

ELSEWHERE = torch.device("meta")  # which every machine has


def shapes(seed: int = 0, split_seed: int = 0) -> Shapes:
    return Shapes(num_train=20, num_test=10, val_size=5, batch_size=5, seed=seed, split_seed=split_seed)


def train_on(device: torch.device, data: Shapes) -> None:
    """What Lightning does before a training there."""
    data.trainer = SimpleNamespace(
        strategy=SimpleNamespace(root_device=device), overfit_batches=0, global_rank=0, world_size=1, num_devices=1
    )
    data.setup("fit")


@pytest.mark.parametrize("first", [0, 1, 2])
def test_all_who_share_images_train_where_one_has_put_them(first: int):
    """As a run, the short trainings of its search, and members of a population."""
    run = shapes()
    others = [shapes(seed) for seed in (1, 2)]
    for other in others:
        other.share(run)
    everyone = [run, *others]
    assert {data.train_dataloader().images.device.type for data in everyone} == {"cpu"}
    train_on(ELSEWHERE, everyone[first])
    for data in everyone:
        for batches in (data.train_dataloader(), data.val_dataloader(), data.test_dataloader()):
            assert (batches.images.device, batches.labels.device) == (ELSEWHERE, ELSEWHERE)
        assert data.images.train is run.images.train


def test_who_shares_images_keeps_its_own_split_and_statistics():
    run, alike, other, alone = shapes(), shapes(1), shapes(2, split_seed=3), shapes(4, split_seed=3)
    alike.share(run)
    other.share(run)
    assert alike.train_dataloader().indices is run.train_dataloader().indices, "one split is drawn once"
    assert alike.statistics() is run.statistics()
    for kind in ("train_dataloader", "val_dataloader"):
        assert torch.equal(getattr(other, kind)().indices, getattr(alone, kind)().indices)
    assert not torch.equal(other.train_dataloader().indices, run.train_dataloader().indices)
    for found, expected in zip(other.statistics(), alone.statistics(), strict=True):
        assert torch.equal(found, expected)
    assert other.images.train is run.images.train
