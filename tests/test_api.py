"""The Python API: what it gives, that it is what the command line gives, and that it leaves nothing behind."""

import logging
import os
import random
import signal
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.singleton import Singleton
from omegaconf import OmegaConf
from omegaconf.basecontainer import BaseContainer

import trainlab
from conftest import TINY, first, with_defaults
from sweeping import Script
from trainlab.runs.checkpoints import load_checkpoint, network_weights
from trainlab.runs.result import Result


@pytest.fixture(scope="module", autouse=True)
def _hydra_is_loaded() -> None:
    """Hydra makes its registries, such as that of its plugins, in the first composition of a process."""
    trainlab.compose(["name=run"])


def process_state() -> dict[str, Any]:
    """All that a call is to leave as it was."""
    root = logging.root
    levels = {name: logging.getLogger(name).level for name in ("", "trainlab", "lightning.pytorch", "lightning.fabric")}
    return {
        "directory": Path.cwd(),
        "signals": {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)},
        "threads": torch.get_num_threads(),
        "filters": [*warnings.filters],
        "environment": dict(os.environ),
        "handlers": ([*root.handlers], [*logging.getLogger("trainlab").handlers]),
        "levels": levels,
        "hydra": (GlobalHydra.instance().hydra, HydraConfig.instance().cfg, {*Singleton._instances}),
        "resolvers": dict(BaseContainer._resolvers),
        "arguments": [*sys.argv],
        "random": (torch.get_rng_state().tolist(), random.getstate(), np.random.get_state()[1].tolist()),
        "flags": (torch.are_deterministic_algorithms_enabled(), torch.get_float32_matmul_precision()),
    }


def overrides(folder: Path, *own: str) -> list[str]:
    return with_defaults([*TINY, f"output_dir={folder}", "name=run"], *own)


def weights(folder: Path) -> list[bytes]:
    paths = [folder / "checkpoints" / f"{name}.ckpt" for name in ("best", "last")]
    return [t.numpy().tobytes() for path in paths for t in network_weights(load_checkpoint(path)).values()]


def test_training_leaves_the_process_as_it_was(tmp_path: Path):
    trainlab.train(trainlab.compose(overrides(tmp_path, "name=first", "trainer.max_epochs=1")))  # imports
    before = process_state()
    searched = ("lr_search=range_test", "lr_search.num_steps=40", "lr_search.num_seeds=1", "model=alpha_dropout")
    trainlab.train(trainlab.compose(overrides(tmp_path, *searched, "trainer.max_epochs=1")))
    assert process_state() == before


@pytest.mark.parametrize(
    ("wrong", "message"),
    first(
        6,
        [
            ("optim.lr=-1", "lr must be positive"),
            ("optim.lrr=1", "there is no setting 'optim.lrr'; did you mean optim.lr"),
            ("seed=1,2", "seed has several values, 1,2; add -m"),
            ("run_dir=null", "run_dir follows from output_dir and name"),
            ("hydra.run.dir=elsewhere", "hydra.run.dir=elsewhere would have no effect"),
            ("optim.lr=1e30", "is not finite"),
            ("model=bm", "model has no option 'bm'; did you mean bn"),
            ("callbacks.pictures=null", "callbacks.pictures was renamed; set callbacks.figures"),
            ("output_dir=null", "output_dir must be a folder, got null; set output_dir"),
            ("callbacks={figuers: null}", "there is no setting 'callbacks.figuers'; did you mean callbacks.figures"),
            ("callbacks={pictures: null}", "callbacks.pictures was renamed; set callbacks.figures"),
        ],
    ),
)
def test_mistakes_are_errors_that_leave_the_process_as_it_was(wrong: str, message: str, tmp_path: Path):
    before = process_state()
    with pytest.raises(Exception, match=message):
        trainlab.train(trainlab.compose(overrides(tmp_path / "new" / "outputs", wrong)))
    assert process_state() == before
    if wrong != "optim.lr=1e30":
        assert list(tmp_path.iterdir()) == []


def test_resolvers_of_the_caller_stay_its_own(tmp_path: Path):
    OmegaConf.register_new_resolver("folder", lambda: "of the caller", replace=True)
    try:
        trainlab.expand_sweep(["seed=1,2"])
        trainlab.compose(overrides(tmp_path)).changed({"seed": 2})
        assert OmegaConf.create({"own": "${folder:}"}).own == "of the caller"
    finally:
        OmegaConf.clear_resolver("folder")


def test_a_run_without_a_name_that_is_refused_leaves_no_folder(tmp_path: Path):
    unnamed = [one for one in overrides(tmp_path / "new" / "outputs", "optim.lr=-1") if not one.startswith("name=")]
    cfg = trainlab.compose(unnamed)
    assert cfg.run_dir.is_dir()
    with pytest.raises(ValueError, match="lr must be positive"):
        trainlab.train(cfg)
    assert list(tmp_path.iterdir()) == []


def test_each_task_of_a_job_of_slurm_can_train_a_run_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name in ("NTASKS", "STEP_NUM_TASKS", "NNODES"):
        monkeypatch.setenv(f"SLURM_{name}", "2")
    for name in ("PROCID", "LOCALID", "NODEID"):
        monkeypatch.setenv(f"SLURM_{name}", "1")
    assert trainlab.train(trainlab.compose(overrides(tmp_path))).status == "completed"


@pytest.mark.parametrize("call", [trainlab.compose, trainlab.expand_sweep])
def test_overrides_that_are_no_list_are_an_error(call: Any):
    with pytest.raises(
        ValueError, match=r"^overrides must be a list of strings, got 'model=bn'; write \['model=bn'\]$"
    ):
        call("model=bn")


def test_a_key_given_twice_is_an_error():
    with pytest.raises(ValueError, match="seed is given twice: seed=1 and seed=2; leave out one of them"):
        trainlab.compose(["seed=1", "seed=2"])


def test_a_run_is_to_the_bit_that_of_the_command_line(tmp_path: Path):
    own = ("model=alpha_dropout", "data.flip=true", "optim=adam")
    results = []
    for name in ("one", "two"):
        torch.rand(3)  # what others draw has no influence
        results.append(trainlab.train(trainlab.compose(overrides(tmp_path / name, *own))))
    done = Script("train.py", overrides(tmp_path / "command", *own), tmp_path, {}).finish()
    assert done.returncode == 0, done.stderr
    folders = [tmp_path / name / "run" for name in ("one", "two", "command")]
    assert weights(folders[0]) == weights(folders[1]) == weights(folders[2])
    by_command = Result.read(folders[2])
    assert by_command
    assert by_command.metrics == results[0].metrics == results[1].metrics
    assert by_command.fingerprint == results[0].fingerprint
    configs = [
        yaml.safe_load((folder / "config.yaml").read_text().replace(str(folder.parent), "")) for folder in folders
    ]
    assert configs[0] == configs[1] == configs[2]
    assert {p.name for p in folders[2].iterdir()} - {p.name for p in folders[0].iterdir()} == {".hydra"}
    assert "epoch   2/2" in (folders[0] / "train.log").read_text()


@pytest.mark.parametrize("own", first(1, [["model=elu_he"], ["model=bn", "model.standardize=true", "data.flip=true"]]))
def test_a_loop_from_the_initial_network_over_the_batches_is_the_training(own: list[str], tmp_path: Path):
    """As in docs/api.md."""
    settings = ["optim=adam", "optim.lr=1e-3", "trainer.precision=64-true", "trainer.max_epochs=2"]
    cfg = trainlab.compose(overrides(tmp_path, *own, *settings))
    before = process_state()
    network = trainlab.initial_network(cfg)
    assert process_state() == before
    assert list(tmp_path.iterdir()) == []
    trainlab.train(cfg)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    data = trainlab.load_data(tmp_path / "run")
    batches = data.train_dataloader()
    torch.set_default_dtype(torch.float64)
    try:
        for epoch in range(2):
            batches.set_epoch(epoch)
            for images, labels in batches:
                optimizer.zero_grad()
                torch.nn.functional.cross_entropy(network(images), labels).backward()
                optimizer.step()
    finally:
        torch.set_default_dtype(torch.float32)
    trained = network_weights(load_checkpoint(tmp_path / "run" / "checkpoints" / "last.ckpt"))
    for name, value in network.state_dict().items():
        torch.testing.assert_close(trained[name], value, rtol=1e-9, atol=1e-12)  # 38 steps of float64


def test_an_error_that_the_caller_handles_is_not_one_of_the_run(tmp_path: Path):
    try:
        raise ValueError("of the caller")
    except ValueError:
        result = trainlab.train(trainlab.compose(overrides(tmp_path, "trainer.max_epochs=1")))
    assert (result.status, result.metrics["stop_reason"]) == ("completed", "max_epochs")


def test_a_completed_run_is_not_trained_again(tmp_path: Path):
    cfg = trainlab.compose(overrides(tmp_path, "trainer.max_epochs=1"))
    first = trainlab.train(cfg)
    written = (tmp_path / "run" / "result.json").stat().st_mtime_ns
    assert trainlab.train(cfg).metrics == first.metrics
    assert (tmp_path / "run" / "result.json").stat().st_mtime_ns == written


def test_runs_without_a_name_have_new_folders(tmp_path: Path):
    unnamed = [override for override in overrides(tmp_path) if not override.startswith("name=")]
    configs = [trainlab.compose(unnamed) for _ in range(3)]
    assert len({cfg.run_dir for cfg in configs}) == 3
    assert {cfg.run_dir.parent for cfg in configs} == {tmp_path}
    assert configs[0].settings["callbacks"]["checkpoint"]["dirpath"] == f"{configs[0].run_dir}/checkpoints"


def test_more_than_one_device_is_refused(tmp_path: Path):
    with pytest.raises(ValueError, match=r"uses one device, got 2; set trainer.devices=1, or use trainlab train"):
        trainlab.train(trainlab.compose(overrides(tmp_path, "trainer.devices=2")))
    assert list(tmp_path.iterdir()) == []
