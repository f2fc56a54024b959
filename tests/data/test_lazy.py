"""Data sets above `data.memory`: read when they are needed, and trained as those in memory are, to the bit."""

import numpy as np
import pytest
import torch
from PIL import Image

from same_runs import NADAM, assert_same_run
from test_max_steps import assert_same_end
from trainlab.data.arrays import Arrays
from trainlab.data.image_folder import ImageFolder
from trainlab.data.shapes import Shapes
from trainlab.inference.evaluate import evaluate_checkpoint
from trainlab.population.eligibility import ineligible_reason
from trainlab.runs.fingerprint import fingerprint

SIZES = {"val_size": 6, "batch_size": 4, "eval_batch_size": 5}
AUGMENTED = {"flip": True, "crop_padding": 2, "cutout": 4, "mixup": 0.3, "cutmix": 1.0}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Gray images of noise, no two of the same size."""
    draws = np.random.default_rng(0)
    root = tmp_path_factory.mktemp("photos")
    for split, count in (("train", 14), ("test", 5)):
        for name in ("cat", "dog"):
            (root / split / name).mkdir(parents=True)
            for i in range(count):
                pixels = draws.integers(0, 256, (12 + i, 20 + i), dtype=np.uint8)
                Image.fromarray(pixels).save(root / split / name / f"{i}.png")
    return root


@pytest.fixture
def folder(root, tmp_path):
    def folder(**settings):
        shape = {"image_size": (12, 20), "channels": 1}
        return ImageFolder(str(root), cache_dir=str(tmp_path / "cache"), **SIZES | shape | settings)

    return folder


def assert_same_batches(ours, theirs):
    pairs = list(zip(ours, theirs, strict=True))
    assert pairs
    for (images, targets), (own_images, own_targets) in pairs:
        assert images.equal(own_images) and targets.equal(own_targets)


@pytest.mark.parametrize("num_workers", [0, 2])
def test_batches_and_statistics_are_those_of_images_in_memory(num_workers, folder):
    held, lazy = folder(**AUGMENTED), folder(**AUGMENTED, memory=0, num_workers=num_workers)
    assert held.in_memory and not lazy.in_memory
    for epoch in (0, 3):
        batches = [data.train_dataloader() for data in (held, lazy)]
        for one in batches:
            one.set_epoch(epoch)
            one.start = epoch  # the middle of an epoch
        assert len(batches[0]) == len(batches[1]) == 6
        assert_same_batches(*batches)
    assert_same_batches(held.val_dataloader(), lazy.val_dataloader())
    assert_same_batches(held.test_dataloader(), lazy.test_dataloader())
    for ours, theirs in zip(held.statistics(), lazy.statistics(), strict=True):
        assert ours.equal(theirs)
    assert held.images.digest == lazy.images.digest
    assert held.images.test[torch.tensor([3, 1])].equal(lazy.images.test[torch.tensor([3, 1])])
    assert held.images.test[4].equal(lazy.images.test[4])


def test_an_array_in_a_folder_is_read_by_images(tmp_path):
    draws = np.random.default_rng(0)
    for part, count in (("train", 30), ("test", 8)):
        np.save(tmp_path / f"{part}.npy", draws.integers(0, 256, (count, 9, 7, 3), dtype=np.uint8))
        np.save(tmp_path / f"{part}_labels.npy", np.arange(count) % 3)
    held, lazy = Arrays(str(tmp_path), **SIZES), Arrays(str(tmp_path), memory=0, num_workers=1, **SIZES)
    assert_same_batches(held.train_dataloader(), lazy.train_dataloader())
    assert held.images.digest == lazy.images.digest


def test_what_is_read_all_at_once_needs_memory():
    data = Shapes(num_train=500, num_test=500, val_size=100, memory=0.002)
    with pytest.raises(
        ValueError, match=r"at least the 0\.00307 GB of images, which Shapes .* got 0\.002; set data\.m"
    ):
        data.check()


def test_where_the_images_are_is_described_in_megabytes(tmp_path):
    data = Shapes(num_train=500, num_test=500, val_size=100)  # 1000 images of 3 x 32 x 32 bytes
    assert data.describe_memory() == "3.1 MB of images in memory (limit 8 GB)"
    for part in ("train", "test"):
        np.save(tmp_path / f"{part}.npy", np.zeros((100, 100, 100, 1), dtype=np.uint8))
        np.save(tmp_path / f"{part}_labels.npy", np.arange(100) % 3)
    lazy = Arrays(str(tmp_path), memory=0, num_workers=1, **SIZES)
    expected = "2.0 MB of images, above the limit of 0 GB (data.memory), are read when they are needed, by 1 worker"
    assert lazy.describe_memory() == expected


def settings(root, tmp_path, *more):
    return [
        *NADAM,
        *("data=image_folder", f"data.root={root}", f"data.cache_dir={tmp_path / 'cache'}", "model.num_classes=2"),
        *("data.channels=1", "data.image_size=[12,20]", "data.val_size=6", "data.batch_size=4"),
        *("model.standardize=true", "data.mixup=0.3", "data.flip=true", "data.num_workers=2", *more),
    ]


def test_a_run_is_the_same(train, root, tmp_path):
    held, folder = train(*settings(root, tmp_path), name="held")
    _, lazy = train(*settings(root, tmp_path, "data.memory=0"), name="lazy")
    assert_same_run(folder, lazy)
    assert evaluate_checkpoint(lazy / "checkpoints" / "best.ckpt")["test_acc"] == held.metrics["test_acc"]


@pytest.mark.slow
def test_a_run_continues_inside_an_epoch(train, root, tmp_path):
    train(*settings(root, tmp_path, "data.memory=0", "trainer.max_steps=8"), name="cut")
    _, cut = train(*settings(root, tmp_path, "data.memory=0", "trainer.max_steps=12", "ckpt_path=last"), name="cut")
    assert_same_end(cut, train(*settings(root, tmp_path, "trainer.max_steps=12"), name="whole")[1])


def test_it_is_solo_with_the_reason_and_another_machine_may_have_more_memory(compose_config, root, folder, tmp_path):
    configs = [compose_config(*settings(root, tmp_path, f"data.memory={gb}")).settings for gb in (8, 0)]
    assert fingerprint(configs[0]) == fingerprint(configs[1])
    assert ineligible_reason(configs[0], 1, folder()) == ""
    assert ineligible_reason(configs[1], 1, folder(memory=0)) == "the images take more than data.memory"


@pytest.mark.parametrize("num_workers", [0, 1])
def test_a_corrupt_file_is_an_error_of_one_line_or_left_out(num_workers, root, folder, tmp_path, monkeypatch):
    path = root / "train" / "cat" / "3.png"
    whole = path.read_bytes()
    path.write_bytes(whole[:30])
    try:
        with pytest.raises(ValueError, match=r"cat/3\.png is corrupt or .*set data\.on_corrupt=skip") as error:
            data = folder(memory=0, num_workers=num_workers)
            list(data.train_dataloader()), list(data.val_dataloader())
        assert "\n" not in str(error.value)
        settings = {"on_corrupt": "skip", "num_workers": num_workers}
        with pytest.warns(UserWarning, match="skipped 1 corrupt files"):
            assert_same_batches(folder(**settings).train_dataloader(), folder(memory=0, **settings).train_dataloader())
        monkeypatch.setattr("trainlab.data.image_folder.decode", lambda *_: pytest.fail("decoded again"))
        with pytest.warns(UserWarning, match="skipped 1 corrupt files"):
            assert len(folder(memory=0, **settings).images.train) == 27
    finally:
        path.write_bytes(whole)
