"""Rebuild a LightningModule of the user's from the settings saved in a checkpoint."""

import warnings
from collections.abc import Sequence
from typing import Any

from lightning import LightningModule

from trainlab.inference.trusted import construct
from trainlab.models.image_network import ImageNetwork, wrap
from trainlab.randomness import global_generators_restored


def network_of_module(checkpoint: dict[str, Any], trust: Sequence[str]) -> ImageNetwork:
    """The `forward` of the LightningModule that a checkpoint is of, as a network on raw images.

    Raises:
        ValueError: it was trained on no images of trainlab, or does not return logits of them; see `rebuild_module`.
    """
    about, path = checkpoint["trainlab"], checkpoint["path"]
    if "image_shape" not in about:
        raise ValueError(
            f"{path} is of a {about['config']['module']['_target_']} that was trained on a data module of its own, and "
            "predictions and export need images of trainlab; load it by load_from_checkpoint of its class"
        )
    module = rebuild_module(checkpoint, trust)
    load_weights(module, checkpoint)
    try:
        return wrap(lambda: module, tuple(about["image_shape"]), len(about["classes"])).eval()
    except ValueError as error:
        raise ValueError(f"{path} cannot be used: {error}") from error


def rebuild_module(checkpoint: dict[str, Any], trust: Sequence[str] = ()) -> LightningModule:
    """The LightningModule of the user's that a checkpoint is of, without its weights.

    Raises:
        ValueError: settings are unknown or invalid, or name code that is not trusted.
    """
    about = checkpoint["trainlab"]
    late: dict[str, Any] = {}
    if "image_shape" in about:
        late = {"image_shape": tuple(about["image_shape"]), "num_classes": len(about["classes"])}
    with warnings.catch_warnings(), global_generators_restored():
        warnings.simplefilter("ignore")  # the training has warned of its settings
        return construct(LightningModule, checkpoint, "module", about["config"]["module"], trust, **late)


def load_weights(module: LightningModule, checkpoint: dict[str, Any]) -> None:
    """Load the weights of a checkpoint into a module, as Lightning does.

    Raises:
        ValueError: they are of another module.
    """
    try:
        module.configure_model()
        module.on_load_checkpoint(checkpoint)
        module.load_state_dict(checkpoint["state_dict"], strict=module.strict_loading)
    except Exception as error:  # hooks of the user's may raise anything
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"{checkpoint['path']} has weights of another module than its settings: {reason}") from error
