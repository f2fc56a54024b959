"""Rebuild the network and the data of a checkpoint from the settings saved in it."""

import importlib
import threading
import warnings
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from trainlab.data import ImageData
from trainlab.models import ImageNetwork
from trainlab.models.image_network import NOT_OF_NETWORK, WRAPPER_SETTINGS
from trainlab.runs.checkpoints import load_checkpoint, mismatch, network_weights
from trainlab.validation import check_arguments


class HasFolder(Protocol):
    """A run as `trainlab.load_runs` and `trainlab.train` give it."""

    @property
    def folder(self) -> Path:
        """Where it lies."""


Where = str | PathLike[str] | HasFolder
_SPARE_SIZE = 10_000  # parameters allowed beyond the size of the weights
_TRUSTED = ("trainlab.", "torch.nn.", "torch.optim.")


def load_network(run: Where) -> ImageNetwork:
    """The network of a run with the weights of its best epoch, in evaluation mode, on the CPU.

    It takes raw images, uint8 (B, C, H, W), and returns logits (B, C).

    Args:
        run: its folder, a checkpoint of it (a ``.ckpt`` file), or a run that `trainlab.train` or `trainlab.load_runs`
            returned.

    Raises:
        FileNotFoundError: there is no such checkpoint.
        ValueError: it is no checkpoint of this project, or is damaged.
    """
    return rebuild_network(load_checkpoint(_checkpoint(run)))


def load_data(run: Where, **changes: Any) -> ImageData:
    """The data that a run was trained on, split as it was.

    Args:
        run: as for `load_network`.
        **changes: settings of the data that are to be others, such as ``root`` where the images have moved.

    Raises:
        FileNotFoundError: there is no such checkpoint.
        ValueError: it is no checkpoint of this project or is damaged, or a change is out of range.
    """
    return rebuild_data(load_checkpoint(_checkpoint(run)), **changes)


def _checkpoint(run: Where) -> Path:
    path = Path(run) if isinstance(run, str | PathLike) else run.folder
    return path / "checkpoints" / "best.ckpt" if path.suffix != ".ckpt" else path


def rebuild_network(checkpoint: dict[str, Any]) -> ImageNetwork:
    """The network of a checkpoint with its weights, in evaluation mode.

    Raises:
        ValueError: settings are unknown or invalid, or do not match the weights.
    """
    about, weights = checkpoint["trainlab"], network_weights(checkpoint)
    shape, settings = tuple(about["image_shape"]), about["config"]["model"]
    # The training has warned of its settings.
    with warnings.catch_warnings(action="ignore"), _limited_size(weights.values()):
        module = _construct(nn.Module, checkpoint, "model", NOT_OF_NETWORK, image_shape=shape)
        network = ImageNetwork(module, shape, **{key: settings[key] for key in WRAPPER_SETTINGS if key in settings})
    wrong = mismatch(weights, network.state_dict())
    if not wrong and network.num_classes != len(about["classes"]):
        wrong = f"the classes are {len(about['classes'])} there and {network.num_classes} here"
    if wrong:
        raise ValueError(f"{checkpoint['path']} has weights of another network than its settings: {wrong}")
    network.load_state_dict(weights)
    return network.eval()


def rebuild_data(checkpoint: dict[str, Any], **changes: Any) -> ImageData:
    """The data module of a checkpoint, with ``changes`` to its settings. Writes only to folders set by ``changes``.

    Raises:
        ValueError: as for the network, or ``changes`` are invalid.
    """
    data = _construct(ImageData, checkpoint, "data")
    shape, expected = data.image_shape, tuple(checkpoint["trainlab"]["image_shape"])
    if shape != expected:
        raise ValueError(f"{checkpoint['path']} has a network for images {expected} and data of images {shape}")
    if changes:
        settings = {key: value for key, value in checkpoint["trainlab"]["config"]["data"].items() if key != "_target_"}
        check_arguments(type(data), changes, "data")
        data = type(data)(**settings | changes)
    data.may_write = data.writes_to in changes
    return data


def check_rebuildable(network: nn.Module) -> None:
    """Raise ValueError if `rebuild_network` could not build ``network`` from a checkpoint."""
    kind = type(network)
    if not kind.__module__.startswith(_TRUSTED):
        raise ValueError(
            f"the network must be of {', '.join(_TRUSTED)}* (others cannot be rebuilt from best.ckpt for the test), "
            f"got {kind.__module__}.{kind.__qualname__}; set model._target_"
        )


def check_finite(outputs: Tensor, path: Path) -> None:
    """Raise ValueError if ``outputs`` of the network of the checkpoint ``path`` are NaN or infinite."""
    if not outputs.isfinite().all():
        raise ValueError(
            f"outputs of the network must be finite, {path} gives NaN or infinite ones; set another ckpt_path"
        )


@contextmanager
def _limited_size(weights: Iterable[Tensor]) -> Iterator[None]:
    """Raise an error in the construction of a network that becomes far larger than ``weights``.

    Otherwise a small file could build a network larger than the memory. Modules that a network constructs without
    using them, such as normalization of layers that have none, may be as large as the network.
    """
    left, thread = _SPARE_SIZE + 3 * sum(tensor.numel() for tensor in weights), threading.get_ident()

    def check(module: nn.Module, name: str, parameter: nn.Parameter) -> None:
        nonlocal left
        if threading.get_ident() != thread:
            return  # the hook is global; other threads build networks, too
        left -= max(1, parameter.numel())
        if left < 0:
            raise ValueError("its settings describe a network larger than its weights")

    hook = register_module_parameter_registration_hook(check)
    try:
        yield
    finally:
        hook.remove()


def _construct(kind: type, checkpoint: dict[str, Any], section: str, omit: Collection[str] = (), **late: Any) -> Any:
    """Construct the class that a section of the checkpoint's configuration names, if it is trusted.

    Settings to ``omit`` are not its own. A class only counts where it is defined: a trusted module may import functions
    that build anything.
    """
    arguments = {key: v for key, v in checkpoint["trainlab"]["config"][section].items() if key not in omit}
    target = arguments.pop("_target_")
    module, _, name = target.rpartition(".")
    try:
        built = getattr(importlib.import_module(module), name, None) if target.startswith(_TRUSTED) else None
    except (ImportError, ValueError):  # the module does not exist or has an invalid name
        built = None
    if not (isinstance(built, type) and issubclass(built, kind) and built.__module__.startswith(_TRUSTED)):
        trusted = ", ".join(_TRUSTED)
        rule = f"a checkpoint may only build a {kind.__name__} of {trusted}*, not {target}"
        raise ValueError(f"{checkpoint['path']} cannot be used: {rule}")
    try:
        check_arguments(built, arguments, section)
        return built(**arguments | late)
    except Exception as error:  # the file may contain anything
        # Without its advice, which is for training.
        reason = (str(error) or type(error).__name__).splitlines()[0].rsplit("; ", 1)[0]
        raise ValueError(f"{checkpoint['path']} has {section} settings that cannot be used ({reason[:200]})") from error
