"""Folds of a stratified partition, each held out for validation in one run."""

import itertools

import pytest
import torch

from trainlab.data.shapes import Shapes
from trainlab.data.split import Split, split_fold
from trainlab.runs.fingerprint import fingerprint

LABELS = torch.tensor([0] * 20 + [1] * 11 + [2] * 3)[torch.randperm(34, generator=torch.Generator().manual_seed(0))]


def folds(num_folds, seed=0):
    return [split_fold(LABELS, fold, num_folds, seed) for fold in range(num_folds)]


@pytest.mark.parametrize("num_folds", [2, 5, 34])
def test_every_image_is_held_out_once_in_folds_of_one_size_and_the_same_classes(num_folds):
    parts = folds(num_folds)
    assert sorted(torch.cat([val for _, val in parts]).tolist()) == list(range(len(LABELS)))
    for fold, (train, val) in enumerate(parts):
        assert sorted([*train.tolist(), *val.tolist()]) == list(range(len(LABELS)))
        assert train.equal(train.sort().values) and val.equal(val.sort().values)
        assert len(val) == Split(1, "stratified", 0, fold, num_folds).count(len(LABELS))
    assert {len(val) for _, val in parts} <= {len(LABELS) // num_folds, -(-len(LABELS) // num_folds)}
    for label in range(3):
        counts = [int((LABELS[val] == label).sum()) for _, val in parts]
        assert max(counts) - min(counts) <= 1


def test_the_partition_is_that_of_its_seed():
    for one, other in zip(folds(5), folds(5), strict=True):
        assert one[1].equal(other[1])
    assert not all(one[1].equal(other[1]) for one, other in zip(folds(5), folds(5, seed=1), strict=True))


def test_a_module_trains_on_the_images_of_the_other_folds():
    modules = [Shapes(num_train=103, num_test=10, fold=fold, num_folds=4) for fold in range(4)]
    held = [module._indices[1] for module in modules]
    assert torch.cat(held).sort().values.equal(torch.arange(103))
    for module, val in zip(modules, held, strict=True):
        module.check()
        assert module.count_val_images(103) == len(val) == sum(len(labels) for _, labels in module.val_dataloader())
        assert not set(module._indices[0].tolist()) & set(val.tolist())
    assert not torch.equal(modules[0].statistics()[0], modules[1].statistics()[0])


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"fold": 0}, "fold needs the number of folds, got 0 of none; set data.num_folds"),
        ({"num_folds": 1, "fold": 0}, "num_folds must be at least 2, got 1; set data.num_folds"),
        ({"num_folds": 5}, "fold must be in 0 to 4, with num_folds=5, got null; set data.fold"),
        ({"num_folds": 5, "fold": 5}, "fold must be in 0 to 4, with num_folds=5, got 5; set data.fold"),
        ({"num_folds": 5, "fold": 0, "val_split": "first"}, "folds are stratified, got val_split=first"),
    ],
)
def test_settings_that_name_no_fold_are_refused(settings, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        Shapes(**settings)


def test_sizes_are_checked_against_the_images_of_the_other_folds():
    with pytest.raises(ValueError, match=r"^num_folds must be at most the 20 training images, got 21; set data"):
        Shapes(num_train=20, fold=0, num_folds=21).check()
    with pytest.raises(ValueError, match=r"^batch_size must be at most the 15 training images, got 16; set data"):
        Shapes(num_train=20, fold=0, num_folds=4, batch_size=16, val_size=1).check()
    Shapes(num_train=20, fold=0, num_folds=4, batch_size=15, val_size=1000).check()


def test_folds_are_in_the_fingerprint_only_where_there_are_any(compose_config):
    plain = compose_config().settings
    without = {**plain, "data": {k: v for k, v in plain["data"].items() if k not in ("fold", "num_folds")}}
    assert fingerprint(plain) == fingerprint(without)
    each = [compose_config(f"data.fold={fold}", "data.num_folds=2").settings for fold in (0, 1)]
    assert len({fingerprint(one) for one in [plain, *each]}) == 3


def test_runs_of_folds_resume_and_are_tested_on_the_same_images(train):
    results = [train(f"data.fold={i}", "data.num_folds=2", "trainer.max_epochs=1", name=f"f{i}")[0] for i in (0, 1)]
    for one, other in itertools.combinations(results, 2):
        assert one.provenance["data_digest"] == other.provenance["data_digest"]
        assert one.metrics["val_loss"] != other.metrics["val_loss"]
    again, _ = train("data.fold=0", "data.num_folds=2", "trainer.max_epochs=1", name="f0")
    assert again.metrics == results[0].metrics
