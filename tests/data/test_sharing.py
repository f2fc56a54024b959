"""Data modules that share images have them in one place, wherever that is."""

from types import SimpleNamespace

import pytest
import torch

from trainlab.data.shapes import Shapes

ELSEWHERE = torch.device("meta")  # which every machine has


def shapes(seed: int = 0) -> Shapes:
    return Shapes(num_train=20, num_test=10, val_size=5, batch_size=5, seed=seed)


def train_on(device: torch.device, data: Shapes) -> None:
    """What Lightning does before a training there."""
    data.trainer = SimpleNamespace(
        strategy=SimpleNamespace(root_device=device), overfit_batches=0, global_rank=0, world_size=1
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
