"""Rebuild the network and the data of a checkpoint from the settings saved in it."""

import functools
import importlib
import threading
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any, Protocol

import torchmetrics
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from trainlab.data import ImageData
from trainlab.models.image_network import NOT_OF_NETWORK, ImageNetwork, late_arguments, wrap
from trainlab.runs.checkpoints import load_checkpoint, mismatch, network_weights
from trainlab.tasks.classification import Classification
from trainlab.tasks.task import Task
from trainlab.validation import check_arguments


class HasFolder(Protocol):
    """A run as `trainlab.load_runs` and `trainlab.train` give it."""

    @property
    def folder(self) -> Path:
        """Where it lies."""


Where = str | PathLike[str] | HasFolder
_SPARE_SIZE = 10_000  # parameters allowed beyond the size of the weights
# Of these, classes of networks, data, tasks and metrics; of _FACTORIES, functions that make networks, too.
_TRUSTED = ("trainlab", "torch.nn", "torchvision.models", "torchmetrics.classification", "torchmetrics.regression")
_FACTORIES = ("trainlab.models.libraries", "torchvision.models")
# Arguments of networks of libraries that only set the initial weights, which are not needed again.
_INITIAL_WEIGHTS = ("weights", "pretrained", "checkpoint_path")


def load_network(run: Where, trust: Sequence[str] = ()) -> ImageNetwork:
    """The network of a run with the weights of its best epoch, in evaluation mode, on the CPU.

    It takes raw images, uint8 (B, C, H, W), and returns logits (B, C).

    Args:
        run: its folder, a checkpoint of it (a ``.ckpt`` file), or a run that `trainlab.train` or `trainlab.load_runs`
            returned.
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
    return rebuild_data(load_checkpoint(_checkpoint(run)), trust, **changes)


def _checkpoint(run: Where) -> Path:
    path = Path(run) if isinstance(run, str | PathLike) else run.folder
    return path / "checkpoints" / "best.ckpt" if path.suffix != ".ckpt" else path


def rebuild_network(checkpoint: dict[str, Any], trust: Sequence[str] = ()) -> ImageNetwork:
    """The network of a checkpoint with its weights, in evaluation mode. For ``trust`` see `load_network`.

    Raises:
        ValueError: settings are unknown or invalid, name code that is not trusted, or do not match the weights.
    """
    about, weights = checkpoint["trainlab"], network_weights(checkpoint)
    shape, settings = tuple(about["image_shape"]), about["config"]["model"]
    classes = about.get("num_outputs", len(about["classes"]))
    arguments = {key: value for key, value in settings.items() if key not in NOT_OF_NETWORK}
    with warnings.catch_warnings(), _limited_size(weights.values(), settings["_target_"]):
        warnings.simplefilter("ignore")  # the training has warned of its settings

        def make() -> nn.Module:
            return _construct(nn.Module, checkpoint, "model", arguments, trust, image_shape=shape, num_classes=classes)

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
    if settings is None:
        return Classification()
    late = {"num_classes": count, "num_labels": count, "num_outputs": count}
    metrics = {
        name: _construct(torchmetrics.Metric, checkpoint, f"task.metrics.{name}", metric, trust, **late)
        for name, metric in (settings.get("metrics") or {}).items()
    }
    own = {key: value for key, value in settings.items() if key != "metrics"}
    return _construct(Task, checkpoint, "task", own, trust, **({"metrics": metrics} if metrics else {}))


def rebuild_data(checkpoint: dict[str, Any], trust: Sequence[str] = (), **changes: Any) -> ImageData:
    """The data module of a checkpoint, with ``changes`` to its settings. Writes only to folders set by ``changes``.

    Raises:
        ValueError: as for the network, or ``changes`` are invalid.
    """
    saved = checkpoint["trainlab"]["config"]["data"]
    settings = {key: value for key, value in saved.items() if key != "transforms"}  # which only training uses
    data = _construct(ImageData, checkpoint, "data", settings, trust)
    if changes:
        if "root" in changes:
            changes[data.located_by] = changes.pop("root")
        check_arguments(type(data), changes, "data")
        data = _instantiate(settings | changes, "data", trust, {})
    shape, expected = data.image_shape, tuple(checkpoint["trainlab"]["image_shape"])
    if shape != expected:
        raise ValueError(f"{checkpoint['path']} has a network for images {expected} and data of images {shape}")
    data.may_write = data.writes_to in changes
    return data


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

    if not _is_in(str(target), _TRUSTED):
        yield
        return
    hook = register_module_parameter_registration_hook(check)
    try:
        yield
    finally:
        hook.remove()


def _is_in(name: str, packages: Iterable[str]) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def _construct(
    kind: type, checkpoint: dict[str, Any], section: str, settings: Mapping[str, Any], trust: Sequence[str], **late: Any
) -> Any:
    """What ``settings`` of a section of the checkpoint's configuration stand for, if all that they name is trusted."""
    path = checkpoint["path"]
    for target in _targets(settings):
        if not _is_in(target, (*_TRUSTED, *trust)):
            package = target.partition(".")[0]
            raise ValueError(
                f"{path} cannot be used: it names {target}, which is not of trainlab; if you trust that code, set "
                f"trust=[{package}] (eval.py), --trust {package} (predict.py, export.py) or trust= (Python)"
            )
    try:
        built = _instantiate(settings, section, trust, late)
    except Exception as error:  # the file may contain anything
        # Without the message's advice, which is for training.
        reason = (str(error) or type(error).__name__).splitlines()[0].rpartition("; ")
        raise ValueError(
            f"{path} has {section} settings that cannot be used ({(reason[0] or reason[2])[:200]})"
        ) from error
    if not isinstance(built, kind):
        raise ValueError(f"{path} cannot be used: {settings['_target_']} builds no {kind.__name__}")
    return built


def _targets(settings: Any) -> Iterator[str]:
    """All that nested settings name."""
    if isinstance(settings, Mapping):
        if "_target_" in settings:
            yield str(settings["_target_"])
        settings = list(settings.values())
    if isinstance(settings, list):
        for value in settings:
            yield from _targets(value)


def _may_be_called(built: Any, trust: Sequence[str]) -> bool:
    """Whether a checkpoint may have this called with arguments of its choice.

    A class or function only counts where it is defined: a trusted module may import others that build anything.
    """
    module = str(getattr(built, "__module__", ""))
    if isinstance(built, type) and issubclass(built, nn.Module | ImageData | Task):
        return _is_in(module, (*_TRUSTED, *trust))
    return callable(built) and _is_in(module, (*_FACTORIES, *trust))


def _instantiate(value: Any, section: str, trust: Sequence[str], late: Mapping[str, Any]) -> Any:
    """``value`` with objects in the place of mappings that have a ``_target_``."""
    if isinstance(value, list):
        return [_instantiate(item, section, trust, {}) for item in value]
    if not isinstance(value, Mapping):
        return value
    arguments = {key: _instantiate(item, f"{section}.{key}", trust, {}) for key, item in value.items()}
    if "_target_" not in value:
        return arguments
    target, partial = str(arguments.pop("_target_")), arguments.pop("_partial_", False)
    module, _, name = target.rpartition(".")
    try:
        built: Any = getattr(importlib.import_module(module), name, None)
    except (ImportError, ValueError) as error:  # the module does not exist or has an invalid name
        raise ValueError(f"{target} cannot be imported: {error}") from error
    if not _may_be_called(built, trust):
        raise ValueError(f"{target} is no class or function that a checkpoint may name")
    if _is_in(target, ("torchvision", "trainlab")):
        arguments |= {key: None for key in _INITIAL_WEIGHTS if key in arguments}
    check_arguments(built, {key: value[key] for key in arguments}, section)
    arguments |= late_arguments(built, arguments, **late)
    return functools.partial(built, **arguments) if partial else built(**arguments)
