"""Networks of torchvision and timm by name."""

from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor, nn

STEMS = ("imagenet", "small")


class TorchvisionNetwork(nn.Module):
    """A classification network of `torchvision.models`. Grey images are repeated to three channels.

    Args:
        image_shape: (C, H, W) of the images; C is 1 or 3.
        name: as `torchvision.models.list_models` gives it, such as "resnet18".
        num_classes: number of logits.
        stem: "imagenet" as published, which reduces images 4 to 32 times; "small" for images of about 32 x 32 pixels:
            the first convolution has a stride of 1 (and is 3 x 3 if it was 7 x 7), and no pooling follows it.
        weights: file with the initial weights, a state dict of that network; its last layer may be for other classes.
        **settings: further arguments of the network.

    Raises:
        ValueError: there is no such network, stem or argument, or the weights are of another network.
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        *,
        name: str,
        num_classes: int = 10,
        stem: str = "imagenet",
        weights: str | None = None,
        **settings: Any,
    ) -> None:
        from torchvision import models  # takes a while to import

        super().__init__()
        known = models.list_models(module=models)
        if name not in known:
            close = ", ".join(other for other in known if other[:4] == str(name)[:4]) or ", ".join(known)
            raise ValueError(f"torchvision has no network {name!r}, but {close}; set model.name")
        if stem not in STEMS:
            raise ValueError(f"stem must be one of {', '.join(STEMS)}, got {stem!r}; set model.stem")
        if image_shape[0] not in (1, 3):
            raise ValueError(f"torchvision's networks take 1 or 3 channels, got {image_shape[0]}; set another model")
        if name in ("googlenet", "inception_v3"):  # otherwise they return three outputs in training
            settings = {"aux_logits": False, "init_weights": True} | settings
        try:
            self.network = models.get_model(name, weights=None, num_classes=num_classes, **settings)
        except TypeError as error:
            raise ValueError(f"{name}: {error}; leave out that argument of model") from error
        if stem == "small":
            _make_stem_small(self.network, name)
        if weights is not None:
            load_initial_weights(self.network, Path(weights), stem)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, num_classes) of scaled images (B, C, H, W)."""
        return self.network(images.expand(-1, 3, -1, -1))


def timm_network(
    image_shape: tuple[int, int, int],
    *,
    name: str,
    num_classes: int = 10,
    weights: str | None = None,
    **settings: Any,
) -> nn.Module:
    """A network of timm, the package "PyTorch Image Models", which must be installed.

    Args:
        image_shape: (C, H, W) of the images.
        name: as `timm.list_models` gives it.
        num_classes: number of logits.
        weights: file with the initial weights, a state dict of that network; its last layer may be for other classes.
        **settings: further arguments of `timm.create_model`, such as ``img_size``.

    Raises:
        ValueError: timm is not installed, there is no such network, or the weights are of another network.
    """
    try:
        import timm
    except ImportError as error:
        raise ValueError("model=timm needs the package timm; pip install timm") from error
    if not timm.is_model(name):
        close = ", ".join(timm.list_models(f"{str(name)[:6]}*")[:10]) or "see timm.list_models()"
        raise ValueError(f"timm has no network {name!r}: {close}; set model.name")
    network = timm.create_model(name, pretrained=False, num_classes=num_classes, in_chans=image_shape[0], **settings)
    if weights is not None:
        load_initial_weights(network, Path(weights))
    return network


def _make_stem_small(network: nn.Module, name: str) -> None:
    """Remove the first reductions of an image."""
    first, conv = _first_conv(network)
    if conv.kernel_size[0] == conv.stride[0] > 2:  # patches
        raise ValueError(
            f"stem=small is for networks that begin with a convolution, {name} has patches; set model.stem=imagenet"
        )
    kept = (conv.out_channels, conv.bias is not None)
    if conv.kernel_size[0] > 3:
        small = nn.Conv2d(3, kept[0], 3, stride=1, padding=1, bias=kept[1])
        nn.init.kaiming_normal_(small.weight, mode="fan_out", nonlinearity="relu")
        _set(network, first, small)
    else:
        conv.stride, conv.padding = (1, 1), (conv.kernel_size[0] // 2,) * 2
    for key, layer in network.named_modules():
        if isinstance(layer, nn.MaxPool2d):
            if key in ("maxpool", "features.pool0"):  # of ResNet, ShuffleNet and DenseNet
                _set(network, key, nn.Identity())
            break


def _first_conv(network: nn.Module) -> tuple[str, nn.Conv2d]:
    return next((key, layer) for key, layer in network.named_modules() if isinstance(layer, nn.Conv2d))


def _set(network: nn.Module, name: str, layer: nn.Module) -> None:
    owner, _, key = name.rpartition(".")
    setattr(network.get_submodule(owner), key, layer)


def load_initial_weights(network: nn.Module, path: Path, stem: str = "imagenet") -> None:
    """Load a state dict, leaving the last linear layer as it is where that is for another number of classes.

    Args:
        network: with this ``stem``, if it is of torchvision.
        path: file of the state dict.
        stem: see `TorchvisionNetwork`.

    Raises:
        ValueError: the file cannot be read, or is of another network.
    """
    try:
        weights = torch.load(path, map_location="cpu", weights_only=True)
        if not isinstance(weights, dict) or not all(isinstance(value, Tensor) for value in weights.values()):
            raise TypeError("it is no state dict; save module.state_dict()")
    except UnpicklingError as error:
        raise ValueError(
            f"{path} holds other objects than tensors, such as a whole module; save module.state_dict(), and set "
            "model.weights to that file"
        ) from error
    except Exception as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ValueError(f"{path} cannot be read as weights ({reason[:200]}); set model.weights") from error
    own = network.state_dict()
    last = [key for key, layer in network.named_modules() if isinstance(layer, nn.Linear)][-1:]
    head = {f"{key}.{name}" for key in last for name in ("weight", "bias")}
    wrong = [
        key
        for key in [*own, *(key for key in weights if key not in own)]
        if key not in weights or key not in own or weights[key].shape != own[key].shape
    ]
    others = [key for key in wrong if key not in head]
    if stem == "small" and others == [f"{_first_conv(network)[0]}.weight"]:
        raise ValueError(
            f"{path} has weights of the published network, and stem=small has another first convolution "
            f"({others[0]}); set model.stem=imagenet"
        )
    if others:
        raise ValueError(f"{path} has weights of another network: {others[0]} differs; set model.weights or model.name")
    network.load_state_dict(own | {key: value for key, value in weights.items() if key not in wrong})
