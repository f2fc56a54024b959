"""Networks of any kind as one function of the stacked tensors of M members, by `torch.func`."""

import copy
import random
import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel

from trainlab.models.image_network import ImageNetwork
from trainlab.population.layers import Layer, Tensors
from trainlab.randomness import global_generators_restored
from trainlab.tasks.task import vmap_reason

CONVOLUTIONAL = "batching runs does not speed up convolutional networks"
MAX_PARAMETERS = 1_000_000  # measured with residual networks and vision transformers on a CPU
_MODULE = "module"  # of an `ImageNetwork`
_OF_TORCH = frozenset(vars(nn.Module()))  # attributes such as dictionaries of hooks, by numbers that are never repeated
_TOLERANCE = 1e-4  # of float32 outputs that are summed in another order, relative to the largest


def vmapped(network: ImageNetwork) -> list[Layer]:
    """The module of ``network`` as a function of the stacked tensors of all like it, in training mode."""
    module = copy.deepcopy(network.module).to("meta").train()
    shape = network.image_shape
    trained = [name for name, parameter in module.named_parameters() if parameter.requires_grad]
    others = [name for name, _ in own_tensors(module)]

    def one(tensors: dict[str, Tensor], x: Tensor) -> Tensor:
        return functional_call(module, tensors, (x,))

    def apply(x: Tensor, tensors: Tensors) -> Tensor:
        """Logits (M, D, B) of images with D values each, (M, D, B)."""
        own = {name: tensors.parameter(f"{_MODULE}.{name}") for name in trained}
        own |= {name: tensors.values[f"{_MODULE}.{name}"] for name in others}
        with sdpa_kernel(SDPBackend.MATH):  # the fused kernels have no batching rule
            return vmap(one, randomness="error")(own, x.transpose(1, 2).unflatten(2, shape)).transpose(1, 2)

    return [apply]


def own_tensors(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Tensors that belong to a network and are not trained: buffers and frozen parameters."""
    yield from ((name, parameter) for name, parameter in module.named_parameters() if not parameter.requires_grad)
    yield from module.named_buffers()


def vmap_problem(network: ImageNetwork, other: ImageNetwork) -> str:
    """Why networks like these cannot be trained as one; "" if they can.

    A training step of both at once is compared with one of each.

    Args:
        network: of some seed.
        other: the same with another seed.
    """
    name = type(network.module).__name__
    if any(isinstance(module, nn.modules.conv._ConvNd) for module in network.modules()):
        return CONVOLUTIONAL
    if sum(parameter.numel() for parameter in network.parameters()) > MAX_PARAMETERS:
        return f"batching runs does not speed up networks of more than {MAX_PARAMETERS:,} parameters"
    if tied := _tied(network.module):
        return f"{tied[0]} and {tied[1]} of {name} are the same parameter"
    if key := next(_differing_attributes(network.module, other.module), ""):
        return f"{name} keeps {key}, which depends on the seed, neither as parameter nor as buffer"
    before = _random_states()
    try:
        with global_generators_restored():
            modules, together = [copy.deepcopy(one.module).train() for one in (network, other)], {}
            alone = [_step(module, _images(network)[i]) for i, module in enumerate(modules)]
            drawn = _random_states() != before
            if not drawn:
                with warnings.catch_warnings():
                    warnings.filterwarnings("error", message=".*not yet implemented the batching rule")
                    together = _step_together((network, other))
                drawn = _random_states() != before
    except Exception as error:
        return f"{name} cannot be batched by torch.func.vmap ({vmap_reason(error)})"
    if drawn:
        return f"{name} draws random numbers in a training step"
    if key := next(_differing_attributes(modules[0], network.module), ""):
        return f"{name} keeps {key}, which a step changes"
    for number, (gradients, others) in enumerate(alone):
        if without := [key for key, gradient in gradients.items() if gradient is None]:
            return f"{without[0]} of {name} gets no gradient"
        largest = max(float(gradient.abs().max()) for gradient in gradients.values() if gradient is not None)
        for key, expected in (gradients | others).items():
            scale = largest if key in gradients else float(expected.abs().max())
            if not torch.allclose(together[key][number], expected, rtol=0, atol=_TOLERANCE * scale, equal_nan=True):
                return f"{name} has another {key} after a step that is batched by torch.func.vmap"
    return ""


def _tied(module: nn.Module) -> tuple[str, ...]:
    """Two names of one parameter, if there is one with two."""
    names: dict[nn.Parameter, str] = {}
    for name, parameter in module.named_parameters(remove_duplicate=False):
        if names.setdefault(parameter, name) != name:
            return names[parameter], name
    return ()


def _random_states() -> tuple[Any, ...]:
    _, keys, position, *normal = np.random.get_state()
    return random.getstate(), str(list(keys)), position, normal, bytes(torch.get_rng_state().numpy())


def _images(network: ImageNetwork) -> Tensor:
    """Batches of 4 random images for two members, floats (2, 4, C, H, W)."""
    return torch.rand(2, 4, *network.image_shape, generator=torch.Generator().manual_seed(0))


def _step(module: nn.Module, x: Tensor) -> tuple[dict[str, Tensor | None], dict[str, Any]]:
    """Gradients of the parameters, and logits and other tensors, of a training step of one network."""
    logits = module(x)
    logits.square().sum().backward()
    gradients = {name: p.grad for name, p in module.named_parameters() if p.requires_grad}
    return gradients, {"output": logits.detach(), **dict(own_tensors(module))}


def _step_together(networks: Sequence[ImageNetwork]) -> dict[str, Tensor]:
    """Gradients, logits and other tensors of a training step of all, each (M, ...)."""
    modules = [copy.deepcopy(network.module) for network in networks]

    def stacked(name: str) -> Tensor:
        return torch.stack([dict(_tensors(module))[name].detach() for module in modules])

    trained = {name: stacked(name) for name, p in modules[0].named_parameters() if p.requires_grad}
    others = {name: stacked(name) for name, _ in own_tensors(modules[0])}
    gradients = {f"{_MODULE}.{name}": torch.zeros_like(value) for name, value in trained.items()}
    values = {f"{_MODULE}.{name}": value for name, value in (trained | others).items()}
    root = torch.zeros((), requires_grad=True)
    (layer,) = vmapped(networks[0])
    steps = torch.zeros(len(networks), dtype=torch.int64)
    images = _images(networks[0]).flatten(2).transpose(1, 2)
    logits = layer(images, Tensors(values, steps, gradients, root)).transpose(1, 2)
    logits.square().sum().backward()
    of_trained = {name: gradients[f"{_MODULE}.{name}"] for name in trained}
    return {"output": logits.detach(), **of_trained, **others}


def _tensors(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    yield from module.named_parameters()
    yield from module.named_buffers()


def _differing_attributes(module: nn.Module, other: nn.Module) -> Iterator[str]:
    """Attributes with other values in ``other``, among those that are no parameter, buffer or module."""
    held = {id(tensor) for _, tensor in _tensors(module)}  # `nn.GRU` keeps a list of its parameters
    for name, part in module.named_modules():
        theirs = vars(other.get_submodule(name))
        for key, value in vars(part).items():
            if key not in _OF_TORCH and not _equal(value, theirs.get(key), held):
                yield f"{name}.{key}".lstrip(".")


def _equal(a: Any, b: Any, held: Collection[int]) -> bool:
    """Whether two values are equal. Tensors with ids ``held`` and objects of unknown parts count as equal."""
    if isinstance(a, Tensor):
        return id(a) in held or (isinstance(b, Tensor) and torch.equal(a.detach(), b.detach()))
    if isinstance(a, np.ndarray):
        return isinstance(b, np.ndarray) and a.shape == b.shape and np.array_equal(a, b)
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return a.keys() == b.keys() and all(_equal(a[key], b[key], held) for key in a)
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(_equal(one, other, held) for one, other in zip(a, b, strict=True))
    if isinstance(a, bool | int | float | complex | str | bytes | None):
        return bool(a == b)
    return True
