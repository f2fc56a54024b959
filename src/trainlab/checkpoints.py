"""Checkpoints: written atomically, safe to load, and enough to rebuild network and data from."""

import importlib
import io
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins import TorchCheckpointIO
from lightning_utilities.core.apply_func import apply_to_collection
from torch import Tensor, nn

from trainlab.data import ImageData
from trainlab.files import write_atomically
from trainlab.results import differences

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
    """A checkpoint of this project, on the CPU. Runs no code from the file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no checkpoint of this project.
    """
    if not path.is_file():
        raise FileNotFoundError(f"there is no checkpoint {path}; set ckpt_path to a .ckpt file")
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ValueError(f"{path} cannot be read as a checkpoint ({reason}); set another ckpt_path") from error
    if not isinstance(checkpoint, dict) or "trainlab" not in checkpoint:
        raise ValueError(f"{path} was not written by trainlab; set another ckpt_path")
    return checkpoint


def network_weights(checkpoint: dict[str, Any]) -> dict[str, Tensor]:
    """The network's part of the state of a checkpoint."""
    state = checkpoint["state_dict"]
    return {key.removeprefix("network."): value for key, value in state.items() if key.startswith("network.")}


def rebuild_network(checkpoint: dict[str, Any]) -> nn.Module:
    """The network of a checkpoint with its weights, in evaluation mode."""
    about = checkpoint["trainlab"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what there is to say of the settings was said when it was trained
        network = _construct(nn.Module, about["config"]["model"], image_shape=tuple(about["image_shape"]))
    network.load_state_dict(network_weights(checkpoint))
    return network.eval()


def rebuild_data(checkpoint: dict[str, Any], **changes: Any) -> ImageData:
    """The data module of a checkpoint, with ``changes`` to its settings."""
    return _construct(ImageData, checkpoint["trainlab"]["config"]["data"] | changes)


def check_fits(checkpoint: dict[str, Any], network: nn.Module, config: Mapping[str, Any]) -> None:
    """Raise ValueError unless a training with this network and optimizer can go on from the checkpoint."""
    weights, wanted = network_weights(checkpoint), network.state_dict()
    for key in [*wanted, *weights]:
        there, here = (tuple(d[key].shape) if key in d else "absent" for d in (weights, wanted))
        if there != here:
            raise ValueError(
                f"the checkpoint is of another architecture: {key} is {there} there and {here} here; "
                "use the model= options it was trained with, or another ckpt_path"
            )
    if not checkpoint["loops"]["fit_loop"]["epoch_loop.batch_progress"]["is_last_batch"]:
        raise ValueError(
            "the checkpoint lies in the middle of an epoch (trainer.max_steps); start anew, with another name="
        )
    epochs, most = checkpoint["epoch"] + 1, config["trainer"]["max_epochs"]
    if most is not None and 0 <= most < epochs:
        raise ValueError(f"the checkpoint is of epoch {epochs} and max_epochs is {most}; set trainer.max_epochs higher")
    old = checkpoint["trainlab"]["config"]
    changes = differences(*({k: c[k] for k in ("optim", "scheduler")} for c in (old, config)))
    if not old["scheduler"]["_target_"].endswith((".constant", ".plateau")):
        length = ("max_epochs", "max_steps")
        changes += differences(*({f"trainer.{k}": c["trainer"][k] for k in length} for c in (old, config)))
    if changes:
        changes = [change for change in changes if "_target_" in change] or changes
        raise ValueError(
            f"optimizer and schedule go on as they were, but the checkpoint's are others ({'; '.join(changes)}); "
            "leave these as they were, or start anew under another name="
        )
    if "current_model_state" in checkpoint:  # Lightning's WeightAveraging takes both out again, and nothing else does
        others = {k: c for k, c in old["callbacks"].items() if c and not c["_target_"].startswith("trainlab.")}
        kept = {k: c for k in others if (c := config["callbacks"].get(k))}
        if changes := differences({"callbacks": others}, {"callbacks": kept}):
            raise ValueError(
                f"the checkpoint holds averaged weights and callbacks are others ({'; '.join(changes)}); "
                "keep these callbacks as they were, or start anew under another name="
            )


def _construct(kind: type, config: Mapping[str, Any], **late: Any) -> Any:
    """An object of the class that a plain configuration names, if that is one to be trusted.

    A module's other names are not: `trainlab.build.instantiate` would build anything.
    """
    arguments = dict(config) | late
    target = arguments.pop("_target_")
    module, _, name = target.rpartition(".")
    if target.startswith(_TRUSTED):
        built = getattr(importlib.import_module(module), name)
        if isinstance(built, type) and issubclass(built, kind) and built.__module__.startswith(_TRUSTED):
            return built(**arguments)
    raise ValueError(f"a checkpoint may only build a {kind.__name__} of {', '.join(_TRUSTED)}*, not {target}")
