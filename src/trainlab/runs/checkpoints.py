"""Checkpoints: written atomically, safe to load, and enough to rebuild network and data from."""

import io
import pickle
import warnings
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import NoneType
from typing import Any

import torch
from lightning.pytorch.plugins import TorchCheckpointIO
from lightning_utilities.core.apply_func import apply_to_collection
from torch import Tensor, nn

from trainlab.runs.checkpoint_form import check_form
from trainlab.runs.files import write_atomically
from trainlab.runs.fingerprint import KEPT, differences, spans_the_run


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes checkpoints atomically."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write ``checkpoint``.

        Raises:
            ValueError: it has other objects in it than tensors and plain values, and could not be loaded again.
        """
        check_loadable(checkpoint)
        buffer = io.BytesIO()
        torch.save(apply_to_collection(checkpoint, Tensor, _own), buffer)
        write_atomically(Path(path), buffer.getvalue())


def _own(tensor: Tensor) -> Tensor:
    """A tensor with its own storage: torch saves the whole storage of a view, such as that of a population."""
    return tensor if tensor.untyped_storage().nbytes() == tensor.nbytes else tensor.detach().clone()


def check_loadable(checkpoint: Mapping[str, Any]) -> None:
    """Raise ValueError, with its key, if a part of a checkpoint could not be loaded with ``weights_only=True``."""
    for key, value in _odd_values(checkpoint):
        buffer = io.BytesIO()
        try:
            torch.save(value, buffer)
            buffer.seek(0)
            torch.load(buffer, map_location="cpu", weights_only=True)
        except Exception as error:  # what pickling runs may raise anything
            advice = (
                f"leave it out by save_hyperparameters(ignore=[{key.rpartition('.')[2]!r}])"
                if key.startswith(("hyper_parameters.", "datamodule_hyper_parameters."))
                else "keep it out of the checkpoint, or save plain values that it can be made from"
            )
            kind = f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")
            raise ValueError(
                f"a checkpoint must hold tensors and plain values only, got {kind} at {key}; {advice}"
            ) from error


def _odd_values(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """The parts of a nested value, with their keys, that are no tensors, plain values or containers."""
    kind = type(value)
    if kind in (dict, OrderedDict):
        for name, item in value.items():
            yield from _odd_values(name, f"{key} (a key)".lstrip())
            yield from _odd_values(item, f"{key}.{name}".lstrip("."))
    elif kind in (list, tuple, set):
        for item in value:
            yield from _odd_values(item, key)
    elif kind not in _PLAIN:
        yield key, value


_PLAIN = (Tensor, nn.Parameter, str, int, float, bool, NoneType, bytes, torch.Size, torch.dtype, torch.device)


def load_checkpoint(path: Path, to_resume: bool = False) -> dict[str, Any]:
    """A checkpoint of this project, on the CPU, with its ``path``. Runs no code from the file.

    Args:
        path: of the file.
        to_resume: whether a training is to resume from it, which needs more than evaluation and prediction.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no checkpoint of this project, of another format, or a part of it is missing or wrong.
    """
    if not path.is_file():
        raise FileNotFoundError(f"there is no checkpoint {path}; set ckpt_path to a .ckpt file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # `check_form` finds what is wrong
            checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:  # torch's own message says how to load it unsafely
        reason = "it is damaged, or has other objects in it than tensors and plain values"
        raise ValueError(f"{path} cannot be read as a checkpoint ({reason}); set another ckpt_path") from None
    except Exception as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ValueError(f"{path} cannot be read as a checkpoint ({reason}); set another ckpt_path") from error
    try:
        check_form(checkpoint, to_resume)
    except ValueError as error:
        raise ValueError(f"{path} {error}; set another ckpt_path") from None
    return checkpoint | {"path": str(path)}


def is_of_own_module(checkpoint: Mapping[str, Any]) -> bool:
    """Whether a checkpoint is of a LightningModule that is not of trainlab."""
    return bool((checkpoint["trainlab"]["config"].get("module") or {}).get("_target_"))


def network_weights(checkpoint: dict[str, Any]) -> dict[str, Tensor]:
    """The network's part of the state of a checkpoint; all of it, if it is of a LightningModule of the user's."""
    state: dict[str, Tensor] = checkpoint["state_dict"]
    if is_of_own_module(checkpoint):
        return state
    return {key.removeprefix("network."): value for key, value in state.items() if key.startswith("network.")}


def mismatch(there: Mapping[str, Tensor], here: Mapping[str, Tensor]) -> str:
    """The first key, if any, whose tensors differ in shape or that only one of two states has."""
    for key in [*here, *there]:
        was, now = (tuple(state[key].shape) if key in state else "absent" for state in (there, here))
        if was != now:
            return f"{key} is {was} there and {now} here"
    return ""


def check_same_network(checkpoint: dict[str, Any], network: nn.Module) -> None:
    """Raise ValueError unless the weights of a checkpoint are those of such a network."""
    if wrong := mismatch(network_weights(checkpoint), network.state_dict()):
        raise ValueError(
            f"the checkpoint is of another architecture: {wrong}; "
            "use the model= options it was trained with, or another ckpt_path"
        )


def check_fits(checkpoint: dict[str, Any], network: nn.Module, config: Mapping[str, Any], total_steps: int) -> None:
    """Raise ValueError unless a training with this network and optimizer can resume from the checkpoint.

    ``total_steps`` are those of the whole training with these settings.
    """
    check_same_network(checkpoint, network)
    old = checkpoint["trainlab"]["config"]
    if batches_begun(checkpoint):
        _check_rest_of_epoch(batches_begun(checkpoint), old, config)
    kept = [key for key in KEPT if key != "model"]  # of that only the shapes, by `check_same_network`
    changes = differences(*({key: c.get(key) for key in kept} for c in (old, config)))
    if spans_the_run(old):
        length = ("max_epochs", "max_steps")
        changes += differences(*({f"trainer.{k}": c["trainer"][k] for k in length} for c in (old, config)))
    if changes:
        changes = [change for change in changes if "_target_" in change] or changes
        what = "the settings of its module" if is_of_own_module(checkpoint) else "optimizer and schedule"
        raise ValueError(
            f"a resumed run keeps {what}, but the checkpoint's are others ({'; '.join(changes)}); "
            "leave these as they were, or start anew under another name="
        )
    if spans_the_run(old):
        _check_span(checkpoint["trainlab"], config, total_steps)
    if "current_model_state" in checkpoint:  # only Lightning's WeightAveraging restores both
        others = {k: c for k, c in old["callbacks"].items() if c and not c["_target_"].startswith("trainlab.")}
        kept_callbacks = {k: c for k in others if (c := config["callbacks"].get(k))}
        if changes := differences({"callbacks": others}, {"callbacks": kept_callbacks}):
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
    """The settings that decide the batches and steps of an epoch."""
    keys = ("devices", "accumulate_grad_batches", "limit_train_batches", "overfit_batches")
    for config in configs:
        yield {"data": config["data"], "trainer": {key: config["trainer"].get(key) for key in keys}}


def batches_begun(checkpoint: dict[str, Any]) -> int:
    """Batches of the epoch in which `max_steps` ended the training of a checkpoint; 0 at an epoch's end."""
    return len(checkpoint.get("begun_epoch", {}).get("sizes", ()))


def epochs_done(checkpoint: dict[str, Any]) -> int:
    """Complete epochs that a checkpoint was trained for."""
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
