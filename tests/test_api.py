"""The public Python API: what is loaded of runs that lie on disk."""

import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

import trainlab
from trainlab.inference import evaluate


@pytest.fixture
def run(train: Any) -> tuple[Any, Path]:
    """A result and its folder."""
    return train("model.standardize=true", "trainer.max_epochs=1")


def test_the_network_and_the_data_of_a_run_give_what_the_run_tested(run: tuple[Any, Path]):
    result, folder = run
    (loaded,) = trainlab.load_runs(folder)
    for which in (folder, str(folder), folder / "checkpoints" / "best.ckpt", loaded):
        network, data = trainlab.load_network(which), trainlab.load_data(which)
        assert not network.training
        found = evaluate(network, data.test_dataloader(), len(data.classes))
        assert (found.loss, found.accuracy) == (result.metrics["test_loss"], result.metrics["test_acc"])


def test_data_are_loaded_with_other_settings(run: tuple[Any, Path]):
    assert trainlab.load_data(run[1], batch_size=7).train_dataloader().batch_size == 7
    with pytest.raises(ValueError, match="batch_sise"):
        trainlab.load_data(run[1], batch_sise=7)


def test_a_folder_without_a_checkpoint_is_refused(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match=r"there is no checkpoint .*best\.ckpt"):
        trainlab.load_network(tmp_path)


def test_runs_are_a_table_by_validation_loss(leave: Callable[..., Path], tmp_path: Path):
    for seed, lr, loss in ((1, 1e-3, 1.5), (2, 1e-3, 1.7), (1, 1e-4, 1.9)):
        overrides = (f"optim.lr={lr}", f"seed={seed}")
        leave(f"runs/lr={lr},seed={seed}", [2.0, loss], [0.3, 0.5], seed=seed, lr=lr, overrides=overrides)
    leave("runs/lost", [2.3], [0.1], status="diverged", seed=2, lr=1e-4, overrides=("optim.lr=1e-4", "seed=2"))
    found = trainlab.load_runs(tmp_path)
    assert len(found) == len(found.rows) == 4 and found[0].folder.name == "lr=0.001,seed=1"
    assert [row["status"] for row in found.rows] == ["completed"] * 3 + ["diverged"]
    assert [row["val_loss"] for row in found.rows[:3]] == [1.5, 1.7, 1.9]
    assert [row["optim.lr"] for row in found.rows] == [1e-3, 1e-3, 1e-4, 1e-4]
    assert [row["seed"] for row in found.rows] == [1, 2, 1, 2]
    assert found.rows[0]["group"] == found.rows[1]["group"] != found.rows[2]["group"]
    assert set(found.columns) == set(found.rows[0])


def test_a_table_without_pandas_says_what_to_install(
    leave: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    leave("one", [2.0], [0.3])
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match="needs pandas, which is not installed; run `pip install pandas`"):
        trainlab.load_runs(tmp_path).to_pandas()


def test_a_table_is_a_data_frame_on_request(
    leave: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    leave("one", [2.0], [0.3])
    frame = SimpleNamespace(DataFrame=lambda rows, columns: (rows, columns))  # pandas is optional
    monkeypatch.setitem(sys.modules, "pandas", frame)
    found = trainlab.load_runs(tmp_path)
    assert found.to_pandas() == (found.rows, found.columns)
    assert dict(found.rows[0])["val_loss"] == 2.0


def test_randomness_of_a_place_depends_on_the_seed_and_the_place_alone():
    first, again = (torch.rand(3, generator=trainlab.generator(1, "a", 2)) for _ in range(2))
    assert torch.equal(first, again)
    assert trainlab.derive_seed(1, "a", 2) != trainlab.derive_seed(1, "a", 3) != trainlab.derive_seed(2, "a", 3)
