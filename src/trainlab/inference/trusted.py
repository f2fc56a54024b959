"""Objects that the settings in a checkpoint name: built only from what is trusted, for it may come from anywhere."""

import functools
import importlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from lightning import LightningDataModule
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from trainlab.models.image_network import late_arguments
from trainlab.programs import command_line
from trainlab.tasks.task import Task
from trainlab.validation import check_arguments

# Of these, classes of networks, data, tasks, metrics and optimizers; functions that make networks by `_is_factory`.
TRUSTED = (
    *("trainlab", "torch.nn", "torch.optim", "torchvision.models"),
    *("torchmetrics.classification", "torchmetrics.regression"),
)
_BY_NAME = ("torchmetrics",)  # which has the names of its classes at the top, too
# Arguments of networks of libraries that only set the initial weights, which are not needed again.
_INITIAL_WEIGHTS = ("weights", "pretrained", "checkpoint_path")

_FACTS = ("image_shape", "num_classes", "num_labels", "num_outputs")  # which the objects in a section get, too


def is_in(name: str, packages: Iterable[str]) -> bool:
    """Whether a dotted name is that of one of the packages, or of something in them."""
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def construct(
    kind: type, checkpoint: dict[str, Any], section: str, settings: Mapping[str, Any], trust: Sequence[str], **late: Any
) -> Any:
    """What ``settings`` of a section of the checkpoint's configuration stand for, if all that they name is trusted.

    Raises:
        ValueError: something is not trusted, cannot be built, or is not of this ``kind``.
    """
    path = checkpoint["path"]
    for target in _targets(settings):
        if not is_in(target, (*TRUSTED, *_BY_NAME, *trust)):
            package = target.partition(".")[0]
            raise ValueError(
                f"{path} cannot be used: it names {target}, which is not of trainlab; if you trust that code, set "
                f"trust=[{package}] ({command_line('eval')}), --trust {package} ({command_line('predict')}, "
                f"{command_line('export')}) or trust= (Python)"
            )
        if target in trust and not is_in(target, TRUSTED):
            module = target.rpartition(".")[0]
            raise ValueError(
                f"trust takes packages and modules, got {target}, a class or function; set trust=[{module}]"
            )
    try:
        built = instantiate(settings, section, trust, late)
    except Exception as error:  # the file may contain anything
        # Without the message's advice, which is for training.
        reason = (str(error) or type(error).__name__).splitlines()[0].rpartition("; ")
        where = "; --config-dir names the config folder that your code is in or beside"
        raise ValueError(
            f"{path} has {section} settings that cannot be used ({(reason[0] or reason[2])[:200]})"
            f"{where if isinstance(error.__cause__, ModuleNotFoundError) else ''}"
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


_KINDS = (nn.Module, LightningDataModule, Task, Optimizer, LRScheduler)


def _may_be_called(built: Any, trust: Sequence[str]) -> bool:
    """Whether a checkpoint may have this called with arguments of its choice.

    A class or function only counts where it is defined: a trusted module may import others that build anything.
    """
    module = str(getattr(built, "__module__", ""))
    if isinstance(built, type) and issubclass(built, _KINDS):
        return is_in(module, (*TRUSTED, *trust))
    return callable(built) and (_is_factory(module) or is_in(module, trust))


def _is_factory(module: str) -> bool:
    """Whether functions of a module make networks, and nothing else: those of torchvision for classification.

    Those for detection and segmentation download weights by default; a function of `_api` calls any of them.
    """
    package, _, name = module.rpartition(".")
    return module == "trainlab.models.libraries" or (package == "torchvision.models" and not name.startswith("_"))


def instantiate(value: Any, section: str, trust: Sequence[str], late: Mapping[str, Any]) -> Any:
    """``value`` with objects in the place of mappings that have a ``_target_``; ``late`` as when it was trained."""
    facts = {key: fact for key, fact in late.items() if key in _FACTS}
    if isinstance(value, list):
        return [instantiate(item, section, trust, facts) for item in value]
    if not isinstance(value, Mapping):
        return value
    arguments = {key: instantiate(item, f"{section}.{key}", trust, facts) for key, item in value.items()}
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
    if is_in(target, ("torchvision", "trainlab")):
        arguments |= {key: None for key in _INITIAL_WEIGHTS if key in arguments}
    check_arguments(built, {key: value[key] for key in arguments}, section)
    arguments |= late_arguments(built, arguments, **late)
    return functools.partial(built, **arguments) if partial else built(**arguments)
