"""Checkpoints as a training leaves them, of networks that were never trained."""

from pathlib import Path
from typing import Any

import torch

from trainlab.models import CNN, MLP, image_network
from trainlab.randomness import generator
from trainlab.runs.format import FORMAT

SIDE = 12  # pixels
DATA = {"_target_": "trainlab.data.image_folder.ImageFolder", "root": "", "cache_dir": "", "image_size": SIDE}
SMALL_CNN = {"stages": [[4], [6]], "dense": [5], "padding": True, "dropout": [0.1, 0.0, 0.3]}


def leave_checkpoint(
    folder: Path, kind: type[MLP] | type[CNN] = MLP, classes: tuple[str, ...] = ("cat", "dog", "owl"), **settings: Any
) -> Path:
    """`checkpoints/best.ckpt` in the folder of a run: a network with all that training would have changed at random."""
    shape = (3, SIDE, SIDE)
    model: dict[str, Any] = {"seed": 1, "num_classes": len(classes)}
    model |= {"depth": 3, "width": 16} if kind is MLP else SMALL_CNN
    model |= settings
    network = image_network(kind, shape, **model)
    draws = generator(0, "left checkpoint")
    if network.scaling.standardize:
        network.scaling.set_statistics(*(100 + 50 * torch.rand(2, *shape, generator=draws)))
    for name, buffer in network.named_buffers():
        if name.endswith(("running_mean", "running_var")):
            buffer.copy_(0.5 + torch.rand(buffer.shape, generator=draws))
    path = folder / "checkpoints" / "best.ckpt"
    path.parent.mkdir(parents=True)
    about = {
        "format": FORMAT,
        "config": {"model": {"_target_": f"trainlab.models.{kind.__name__}", **model}, "data": DATA},
        "image_shape": list(shape),
        "classes": list(classes),
    }
    state = {f"network.{name}": value for name, value in network.state_dict().items()}
    torch.save({"state_dict": state, "epoch": 0, "trainlab": about}, path)
    return path
