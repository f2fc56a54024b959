"""Test of a LightningModule of the user's: the metrics that its `test_step` logs."""

import hashlib
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning import LightningDataModule, LightningModule
from lightning.fabric.plugins.environments import LightningEnvironment
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities.model_helpers import is_overridden

from trainlab.console import quiet
from trainlab.data import ImageData
from trainlab.inference.rebuild import rebuild_data
from trainlab.inference.rebuild_module import rebuild_module
from trainlab.inference.trusted import construct
from trainlab.models.image_network import InputScaling
from trainlab.randomness import derive_seed, seed_global_generators, seeded_for_data
from trainlab.tasks.logged import LoggedMetrics
from trainlab.tasks.metrics import key_of
from trainlab.training.lightning_internals import make_trainer


def test_module(
    module: LightningModule,
    data: LightningDataModule,
    path: Path,
    device: torch.device,
    precision: str | int | None,
    seed: int,
    callbacks: Sequence[Callback] = (),
) -> dict[str, float]:
    """Metrics that ``module`` logs in its test on one device, by their keys in a result.

    Args:
        module: gets the weights of the checkpoint.
        data: with the test set.
        path: of the checkpoint.
        device: of the test.
        precision: as of `lightning.Trainer`.
        seed: of the run: data that are split at random in `setup` are split as in the training.
        callbacks: that take part in the test.

    Raises:
        ValueError: it has no `test_step`, or that logs nothing.
    """
    check_test_step(module)
    if torch.distributed.is_initialized():  # of the training, whose other processes have ended
        torch.distributed.destroy_process_group()
    seed_for_setup(seed, device)
    trainer = make_trainer(
        lambda: lightning.Trainer(
            accelerator=device.type,
            devices=[device.index or 0] if device.type == "cuda" else 1,
            precision=precision,  # type: ignore[arg-type]  # a Literal to Lightning
            logger=False,
            callbacks=[*callbacks],
            plugins=[LightningEnvironment()],
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Be aware that when using `ckpt_path`")  # callbacks of the training are over
        trainer.test(module, datamodule=data, ckpt_path=path, weights_only=True, verbose=False)
    found = {key_of(name, "test"): float(value) for name, value in trainer.callback_metrics.items()}
    if not found:
        raise ValueError(f"test_step of {type(module).__name__} must log a metric by self.log; or set test=false")
    return found


def evaluate_module(
    checkpoint: dict[str, Any], device: torch.device, trust: Sequence[str], changes: Mapping[str, Any]
) -> dict[str, Any]:
    """Content of an evaluation of the LightningModule that a checkpoint is of, on the test set of its data.

    Args:
        checkpoint: module and data are rebuilt from it.
        device: of the test.
        trust: packages and modules, besides those of trainlab, whose classes and functions the checkpoint may name.
        changes: of settings of the data, if these are images of trainlab.

    Raises:
        ValueError, OSError: as `evaluate_checkpoint`.
    """
    quiet()
    about, path = checkpoint["trainlab"], Path(checkpoint["path"])
    config = about["config"]
    if "image_shape" in about:
        images = rebuild_data(checkpoint, trust, **changes)
        assert isinstance(images, ImageData)
        images.scaling = InputScaling(images.image_shape, standardize=False)
        data: LightningDataModule = images
    elif changes:
        raise ValueError(f"{path} was trained on a data module of its own; leave out {next(iter(changes))}")
    else:
        with seeded_for_data():
            data = construct(LightningDataModule, checkpoint, "data", config["data"], trust)
    module = rebuild_module(checkpoint, trust)
    metrics = test_module(module, data, path, device, config["trainer"]["precision"], config["seed"])
    task = LoggedMetrics(primary=config["task"]["primary"], mode=config["task"]["mode"])
    return {
        "checkpoint": str(path.resolve()),
        "epoch": checkpoint["epoch"],
        "data_digest": digest_of(data),
        **metrics,
        "task": task.reported([key.removeprefix("test_") for key in metrics]).entry(),
    }


def digest_of(data: LightningDataModule) -> str:
    """That of the images of trainlab; of data of the user's, their ``digest``, or else a hash of the class's name."""
    if isinstance(data, ImageData):
        return data.images.digest
    if (own := getattr(data, "digest", None)) is not None:
        return str(own)
    return hashlib.blake2b(type(data).__qualname__.encode(), digest_size=16).hexdigest()


def seed_for_setup(seed: int, device: torch.device) -> None:
    """Seed what a data module and a module draw in `setup`: the same in training and test of a run with this seed."""
    seed_global_generators(derive_seed(seed, "setup"), device)


def check_test_step(module: LightningModule) -> None:
    """Raise ValueError where a module cannot be tested."""
    if not is_overridden("test_step", module):
        raise ValueError(f"{type(module).__name__} has no test_step; define it, or set test=false")
