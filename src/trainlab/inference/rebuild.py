"""Rebuild the network and the data of a checkpoint from the settings saved in it."""

import threading
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any, Protocol

import torchmetrics
from lightning import LightningDataModule
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from trainlab.data import ForeignData, ImageData, TrainingData
from trainlab.inference.rebuild_module import network_of_module
from trainlab.inference.trusted import TRUSTED, construct, instantiate, is_in
from trainlab.models.image_network import NOT_OF_NETWORK, ImageNetwork, wrap
from trainlab.randomness import seeded_for_data
from trainlab.runs.checkpoints import is_of_own_module, load_checkpoint, mismatch, network_weights
from trainlab.tasks.classification import Classification
from trainlab.tasks.task import Task
from trainlab.validation import check_arguments


class HasFolder(Protocol):
    """A run as `trainlab.load_runs` gives it."""

    @property
    def folder(self) -> Path:
        """Where it lies."""


Where = str | PathLike[str] | HasFolder
_SPARE_SIZE = 10_000  # parameters allowed beyond the size of the weights


def load_network(run: Where, trust: Sequence[str] = ()) -> ImageNetwork:
    """The network of a run with the weights of its best epoch, in evaluation mode, on the CPU.

    It takes raw images, uint8 (B, C, H, W), and returns logits (B, C).

    Args:
        run: its folder, a checkpoint of it (a ``.ckpt`` file), or a run that `trainlab.load_runs` returned.
        trust: packages and modules, besides those of trainlab, whose classes and functions the checkpoint may name.

    Raises:
        FileNotFoundError: there is no such checkpoint.
        ValueError: it is no checkpoint of this project, is damaged, or names code that is not trusted.
    """
    return rebuild_network(load_checkpoint(_checkpoint(run)), trust)


def load_data(run: Where, trust: Sequence[str] = (), **changes: Any) -> ImageData:
    """The data that a run was trained on, split as it was, without the ``transforms`` of its training images.

    Args:
        run: as for `load_network`.
        trust: as for `load_network`.
        **changes: settings of the data that are to be others, such as ``root``, where the images have moved to.

    Raises:
        FileNotFoundError: there is no such checkpoint.
        ValueError: it is no checkpoint of this project or is damaged, names code that is not trusted, or a change is
            out of range.
    """
    data = rebuild_data(load_checkpoint(_checkpoint(run)), trust, **changes)
    if not isinstance(data, ImageData):
        raise ValueError(f"{_checkpoint(run)} was trained on a data module that is not of trainlab; construct that one")
    return data


def _checkpoint(run: Where) -> Path:
    path = Path(run) if isinstance(run, str | PathLike) else run.folder
    return path / "checkpoints" / "best.ckpt" if path.suffix != ".ckpt" else path


def rebuild_network(checkpoint: dict[str, Any], trust: Sequence[str] = ()) -> ImageNetwork:
    """The network of a checkpoint with its weights, in evaluation mode. For ``trust`` see `load_network`.

    Raises:
        ValueError: settings are unknown or invalid, name code that is not trusted, or do not match the weights.
    """
    if is_of_own_module(checkpoint):
        return network_of_module(checkpoint, trust)
    about, weights = checkpoint["trainlab"], network_weights(checkpoint)
    shape, settings = tuple(about["image_shape"]), about["config"]["model"]
    classes = about.get("num_outputs", len(about["classes"]))
    arguments = {key: value for key, value in settings.items() if key not in NOT_OF_NETWORK}
    with warnings.catch_warnings(), _limited_size(weights.values(), settings["_target_"]):
        warnings.simplefilter("ignore")  # the training has warned of its settings

        def make() -> nn.Module:
            return construct(nn.Module, checkpoint, "model", arguments, trust, image_shape=shape, num_classes=classes)

        standardize, seed = settings.get("standardize", False), about["config"].get("seed", 0)
        try:
            network = wrap(make, shape, settings.get("num_classes", classes), standardize, seed)
        except ValueError as error:
            if str(error).startswith(checkpoint["path"]):
                raise
            raise ValueError(f"{checkpoint['path']} cannot be used: {error}") from error
    wrong = mismatch(weights, network.state_dict())
    if not wrong and network.num_classes != classes:
        wrong = f"the classes are {classes} there and {network.num_classes} here"
    if wrong:
        raise ValueError(f"{checkpoint['path']} has weights of another network than its settings: {wrong}")
    network.load_state_dict(weights)
    return network.eval()


def rebuild_task(checkpoint: dict[str, Any], trust: Sequence[str] = ()) -> Task:
    """The task of a checkpoint with its metrics. For ``trust`` see `load_network`.

    Raises:
        ValueError: settings are unknown or invalid, or name code that is not trusted.
    """
    about = checkpoint["trainlab"]
    settings, count = about["config"].get("task"), len(about["classes"])
    if settings is None or settings.get("_target_") == "trainlab.tasks.LoggedMetrics":  # of the user's LightningModule
        return Classification()
    late = {"num_classes": count, "num_labels": count, "num_outputs": count}
    metrics = {
        name: construct(torchmetrics.Metric, checkpoint, f"task.metrics.{name}", metric, trust, **late)
        for name, metric in (settings.get("metrics") or {}).items()
    }
    own = {key: value for key, value in settings.items() if key != "metrics"}
    return construct(Task, checkpoint, "task", own, trust, **({"metrics": metrics} if metrics else {}))


def rebuild_data(checkpoint: dict[str, Any], trust: Sequence[str] = (), **changes: Any) -> TrainingData:
    """The data module of a checkpoint, with ``changes`` to its settings. Writes only to folders set by ``changes``.

    Raises:
        ValueError: as for the network, or ``changes`` are invalid.
    """
    saved = checkpoint["trainlab"]["config"]["data"]
    settings = {key: value for key, value in saved.items() if key != "transforms"}  # which only training uses
    with seeded_for_data():
        data = _wrapped(construct(LightningDataModule, checkpoint, "data", settings, trust), checkpoint)
    if changes:
        if "root" in changes:
            changes[data.located_by] = changes.pop("root")
        check_arguments(type(data.module if isinstance(data, ForeignData) else data), changes, "data")
        with seeded_for_data():
            data = _wrapped(instantiate(settings | changes, "data", trust, {}), checkpoint)
    shape, expected = data.image_shape, tuple(checkpoint["trainlab"]["image_shape"])
    if shape != expected:
        raise ValueError(f"{checkpoint['path']} has a network for images {expected} and data of images {shape}")
    data.may_write = data.writes_to in changes
    return data


def _wrapped(module: LightningDataModule, checkpoint: dict[str, Any]) -> TrainingData:
    if isinstance(module, TrainingData):
        return module
    return ForeignData(module, checkpoint["trainlab"]["config"].get("seed", 0), len(checkpoint["trainlab"]["classes"]))


def check_finite(outputs: Tensor, path: Path) -> None:
    """Raise ValueError if ``outputs`` of the network of the checkpoint ``path`` are NaN or infinite."""
    if not outputs.isfinite().all():
        raise ValueError(
            f"outputs of the network must be finite, {path} gives NaN or infinite ones; set another ckpt_path"
        )


@contextmanager
def _limited_size(weights: Iterable[Tensor], target: Any) -> Iterator[None]:
    """Raise an error in the construction of a network that becomes far larger than ``weights``.

    Otherwise a small file could build a network larger than the memory. Modules that a network constructs without
    using them, such as normalization of layers that have none, may be as large as the network. What a user trusts may
    be of any size.
    """
    left, thread = _SPARE_SIZE + 3 * sum(tensor.numel() for tensor in weights), threading.get_ident()

    def check(module: nn.Module, name: str, parameter: nn.Parameter) -> None:
        nonlocal left
        if threading.get_ident() != thread:
            return  # the hook is global; other threads build networks, too
        left -= max(1, parameter.numel())
        if left < 0:
            raise ValueError("its settings describe a network larger than its weights")

    if not is_in(str(target), TRUSTED):
        yield
        return
    hook = register_module_parameter_registration_hook(check)
    try:
        yield
    finally:
        hook.remove()
