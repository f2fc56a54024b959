"""Checkpoints: written atomically, safe to load, and enough to rebuild network and data from."""

import importlib
import io
import pickle
import threading
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins import TorchCheckpointIO
from lightning_utilities.core.apply_func import apply_to_collection
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from trainlab.checkpoint_form import check_form, check_training_state
from trainlab.checks import check_arguments
from trainlab.data import ImageData
from trainlab.files import write_atomically
from trainlab.results import differences

_SPARE_SIZE = 10_000  # elements of parameters
_TRUSTED = ("trainlab.", "torch.nn.", "torch.optim.")


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint so that at any moment it is whole or absent."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write ``checkpoint``, tensors and plain values only."""
        buffer = io.BytesIO()
        torch.save(apply_to_collection(checkpoint, Tensor, _own), buffer)
        write_atomically(Path(path), buffer.getvalue())


def _own(tensor: Tensor) -> Tensor:
    """A tensor with memory of its own: torch saves all of what a view is part of, like a whole population."""
    return tensor if tensor.untyped_storage().nbytes() == tensor.nbytes else tensor.detach().clone()


def load_checkpoint(path: Path) -> dict[str, Any]:
    """A checkpoint of this project, on the CPU, with where it lies as its ``path``. Runs no code from the file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no checkpoint of this project, or a part of it is missing or wrong.
    """
    if not path.is_file():
        raise FileNotFoundError(f"there is no checkpoint {path}; set ckpt_path to a .ckpt file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what it has to say is found by `check_form`
            checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:  # torch's own message says how to load it unsafely
        reason = "it is damaged, or has other objects in it than tensors and plain values"
        raise ValueError(f"{path} cannot be read as a checkpoint ({reason}); set another ckpt_path") from None
    except Exception as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ValueError(f"{path} cannot be read as a checkpoint ({reason}); set another ckpt_path") from error
    try:
        check_form(checkpoint)
    except ValueError as error:
        raise ValueError(f"{path} {error}; set another ckpt_path") from None
    return checkpoint | {"path": str(path)}


def load_training_checkpoint(path: Path) -> dict[str, Any]:
    """A checkpoint that has what a training resumes from, too.

    Raises:
        FileNotFoundError, ValueError: as by `load_checkpoint`.
    """
    checkpoint = load_checkpoint(path)
    try:
        check_training_state(checkpoint)
    except ValueError as error:
        raise ValueError(f"{path} {error}; set another ckpt_path") from None
    return checkpoint


def network_weights(checkpoint: dict[str, Any]) -> dict[str, Tensor]:
    """The network's part of the state of a checkpoint."""
    state = checkpoint["state_dict"]
    return {key.removeprefix("network."): value for key, value in state.items() if key.startswith("network.")}


def rebuild_network(checkpoint: dict[str, Any]) -> nn.Module:
    """The network of a checkpoint with its weights, in evaluation mode.

    Raises:
        ValueError: it has settings that this version does not know or take, or they are not those of its weights.
    """
    about, weights = checkpoint["trainlab"], network_weights(checkpoint)
    with warnings.catch_warnings(), _limited_size(weights.values()):
        warnings.simplefilter("ignore")  # what there is to say of the settings was said when it was trained
        network = _construct(nn.Module, checkpoint, "model", image_shape=tuple(about["image_shape"]))
    wrong = _mismatch(weights, network.state_dict())
    if not wrong and network.num_classes != len(about["classes"]):
        wrong = f"the classes are {len(about['classes'])} there and {network.num_classes} here"
    if wrong:
        raise ValueError(f"{checkpoint['path']} has weights of another network than its settings: {wrong}")
    network.load_state_dict(weights)
    return network.eval()


def rebuild_data(checkpoint: dict[str, Any], **changes: Any) -> ImageData:
    """The data module of a checkpoint, with ``changes`` to its settings. Writes only where these say.

    Raises:
        ValueError: as for the network; or the changes are out of range.
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


def _mismatch(there: Mapping[str, Tensor], here: Mapping[str, Tensor]) -> str:
    """The first key, if any, whose tensors differ in shape, or that only one of two states has."""
    for key in [*here, *there]:
        was, now = (tuple(state[key].shape) if key in state else "absent" for state in (there, here))
        if was != now:
            return f"{key} is {was} there and {now} here"
    return ""


@contextmanager
def _limited_size(weights: Iterable[Tensor]) -> Iterator[None]:
    """Stop what is built here when it has become far larger than ``weights``, before that has taken memory or time.

    Otherwise a small file could have a network built that is larger than the memory. What a network builds and does
    not use, such as the normalization of layers that have none, may be as large as the network.
    """
    left, thread = _SPARE_SIZE + 3 * sum(tensor.numel() for tensor in weights), threading.get_ident()

    def check(module: nn.Module, name: str, parameter: nn.Parameter) -> None:
        nonlocal left
        if threading.get_ident() != thread:
            return  # the hook is global, and other members of a population build theirs
        left -= max(1, parameter.numel())
        if left < 0:
            raise ValueError("it describes a network larger than its weights")

    hook = register_module_parameter_registration_hook(check)
    try:
        yield
    finally:
        hook.remove()


def check_rebuildable(network: nn.Module) -> None:
    """Raise ValueError for a network that `rebuild_network` would refuse to build from a checkpoint."""
    kind = type(network)
    if not kind.__module__.startswith(_TRUSTED):
        raise ValueError(
            f"the network must be of {', '.join(_TRUSTED)}* (others could not be rebuilt from best.ckpt for the test), "
            f"got {kind.__module__}.{kind.__qualname__}; set model._target_"
        )


def check_finite(outputs: Tensor, path: Path) -> None:
    """Raise ValueError if ``outputs``, of the network of the checkpoint ``path``, are NaN or infinite."""
    if not outputs.isfinite().all():
        raise ValueError(
            f"the network of {path} puts out numbers that are not finite, so nothing was made of them; "
            "set another ckpt_path"
        )


def check_fits(checkpoint: dict[str, Any], network: nn.Module, config: Mapping[str, Any], total_steps: int) -> None:
    """Raise ValueError unless a training with this network and optimizer can resume from the checkpoint.

    ``total_steps`` are those of the whole training with these settings.
    """
    if wrong := _mismatch(network_weights(checkpoint), network.state_dict()):
        raise ValueError(
            f"the checkpoint is of another architecture: {wrong}; "
            "use the model= options it was trained with, or another ckpt_path"
        )
    old = checkpoint["trainlab"]["config"]
    if batches_begun(checkpoint):
        _check_rest_of_epoch(batches_begun(checkpoint), old, config)
    changes = differences(*({k: c[k] for k in ("optim", "scheduler")} for c in (old, config)))
    spans_the_run = not old["scheduler"]["_target_"].endswith((".constant", ".plateau"))
    if spans_the_run:
        length = ("max_epochs", "max_steps")
        changes += differences(*({f"trainer.{k}": c["trainer"][k] for k in length} for c in (old, config)))
    if changes:
        changes = [change for change in changes if "_target_" in change] or changes
        raise ValueError(
            f"optimizer and schedule go on as they were, but the checkpoint's are others ({'; '.join(changes)}); "
            "leave these as they were, or start anew under another name="
        )
    if spans_the_run:
        _check_span(checkpoint["trainlab"], config, total_steps)
    if "current_model_state" in checkpoint:  # Lightning's WeightAveraging takes both out again, and nothing else does
        others = {k: c for k, c in old["callbacks"].items() if c and not c["_target_"].startswith("trainlab.")}
        kept = {k: c for k in others if (c := config["callbacks"].get(k))}
        if changes := differences({"callbacks": others}, {"callbacks": kept}):
            raise ValueError(
                f"the checkpoint holds averaged weights and callbacks are others ({'; '.join(changes)}); "
                "keep these callbacks as they were, or start anew under another name="
            )


def _check_span(about: Mapping[str, Any], config: Mapping[str, Any], total_steps: int) -> None:
    """Raise ValueError where a schedule over the whole run would have another number of steps."""
    if about["total_steps"] == total_steps:
        return
    changes = "; ".join(differences(*_batch_settings(about["config"], config))) or "other devices or images"
    raise ValueError(
        f"the schedule of the checkpoint spans {about['total_steps']} steps, and a run with these settings has "
        f"{total_steps} ({changes}); leave these as they were, or start anew under another name="
    )


def _batch_settings(*configs: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The settings that decide what the batches and steps of an epoch are."""
    keys = ("devices", "accumulate_grad_batches", "limit_train_batches", "overfit_batches")
    for config in configs:
        yield {"data": config["data"], "trainer": {key: config["trainer"].get(key) for key in keys}}


def batches_begun(checkpoint: dict[str, Any]) -> int:
    """Batches of the epoch that a checkpoint lies in the middle of, where `max_steps` ended it; 0 at an epoch's end."""
    return len(checkpoint.get("begun_epoch", {}).get("sizes", ()))


def epochs_done(checkpoint: dict[str, Any]) -> int:
    """Whole epochs that a checkpoint was trained for."""
    return int(checkpoint["epoch"]) + (0 if batches_begun(checkpoint) else 1)


def _check_rest_of_epoch(begun: int, old: Mapping[str, Any], config: Mapping[str, Any]) -> None:
    """Raise ValueError unless the rest of an epoch has the batches that it would have had."""
    if changes := differences(*_batch_settings(old, config)):
        raise ValueError(
            f"the checkpoint lies inside an epoch, after batch {begun}, and the batches of its rest have changed "
            f"({'; '.join(changes)}); leave these as they were, or start anew under another name="
        )
    if begun % config["trainer"]["accumulate_grad_batches"]:
        raise ValueError(
            f"the checkpoint lies between two batches of one step (batch {begun}, accumulate_grad_batches="
            f"{config['trainer']['accumulate_grad_batches']}); start anew under another name="
        )


def _construct(kind: type, checkpoint: dict[str, Any], section: str, **late: Any) -> Any:
    """An object of the class that a section of the checkpoint's configuration names, if that is one to be trusted.

    A module's other names are not: `trainlab.build.instantiate` would build anything.
    """
    arguments = dict(checkpoint["trainlab"]["config"][section])
    target = arguments.pop("_target_")
    module, _, name = target.rpartition(".")
    try:
        built = getattr(importlib.import_module(module), name, None) if target.startswith(_TRUSTED) else None
    except (ImportError, ValueError):  # no such module; no name that one can have
        built = None
    if not (isinstance(built, type) and issubclass(built, kind) and built.__module__.startswith(_TRUSTED)):
        trusted = ", ".join(_TRUSTED)
        rule = f"a checkpoint may only build a {kind.__name__} of {trusted}*, not {target}"
        raise ValueError(f"{checkpoint['path']} cannot be used: {rule}")
    try:
        check_arguments(built, arguments, section)
        return built(**arguments | late)
    except Exception as error:  # whatever a constructor says to what the file holds
        reason = (str(error) or type(error).__name__).splitlines()[0].rpartition("; ")  # its advice is for a training
        raise ValueError(
            f"{checkpoint['path']} has {section} settings that cannot be used ({(reason[0] or reason[2])[:200]})"
        ) from error
