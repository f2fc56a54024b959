"""The methods of question 6, each a function network -> network."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from exercise.questions.sparsity.fine_tuning import N, Plan, cross_entropy, fine_tune, linear_layers, over_weights
from exercise.step_costs import untrained_network
from trainlab import FlatParameters
from trainlab.data import ImageData
from trainlab.models import ImageNetwork

# Magnitude pruning: the smallest weights are set to zero, and stay there in fine-tuning.
LARGEST = 127
TEMPERATURE = 4.0
SOFT_SHARE = 0.9  # of the loss; the rest is of the labels


def masks(network: nn.Module, share: float) -> dict[str, Tensor]:
    """Which weights stay, bool by layer, so that ``share`` of all weights together do not.

    Magnitudes are in units of the root mean square of their layer. A layer of many inputs has smaller weights than one
    of few, and before batch normalization the size of all weights of a layer means nothing: by the plain magnitude the
    first layer would be the first to go.
    """
    layers = linear_layers(network)
    sizes = {name: layer.weight.detach().square().mean().sqrt() for name, layer in layers.items()}
    scores = {name: layer.weight.detach().abs() / (sizes[name] or 1) for name, layer in layers.items()}
    together = torch.cat([score.flatten() for score in scores.values()])
    keep = torch.ones(len(together), dtype=torch.bool)
    keep[together.argsort(stable=True)[: round(share * len(together))]] = False
    parts = keep.split([score.numel() for score in scores.values()])
    return {name: part.view_as(score) for (name, score), part in zip(scores.items(), parts, strict=True)}


def prune(network: N, share: float) -> N:
    """A copy with ``share`` of the weights set to zero and nothing done about it."""
    network = deepcopy(network)
    layers = linear_layers(network)
    with torch.no_grad():
        for name, keep in masks(network, share).items():
            layers[name].weight.mul_(keep)
    return network


def prune_and_tune(network: N, share: float, data: ImageData, plan: Plan) -> N:
    """The same, fine-tuned with these weights held at zero."""
    kept = masks(network, share)

    def hold(flat: FlatParameters) -> Callable[[float], Tensor]:
        factors = over_weights(flat, kept, others=1.0)
        return lambda lr: flat.parameter.data.mul_(factors)

    return fine_tune(prune(network, share), data, plan, constraint=hold)


# L1 by proximal steps, which end in zeros and not merely near them.


def soft_threshold(values: Tensor, by: Tensor) -> Tensor:
    """Each value moved towards zero ``by`` so much, and no further: the proximal step of the absolute value."""
    return values - values.clamp(min=-by, max=by)


def tune_with_l1(network: N, strength: float, data: ImageData, plan: Plan) -> N:
    """A copy trained on under ``strength`` times the sum of the absolute weights.

    The subgradient of Adam's loss would leave weights swinging about zero. After each of its steps the weights are
    moved towards zero by learning rate times strength instead, apart from the gradient's scaling, as AdamW does with
    weight decay. That shrinks the weights that stay, too; so the last third of the steps goes without, zeros held, for
    them to grow back (Meinshausen's "relaxed lasso", 2007).
    """

    def shrink(flat: FlatParameters) -> Callable[[float], None]:
        weights = over_weights(flat, {name: torch.ones(()) for name in linear_layers(network)}, others=0.0)
        kept = torch.ones_like(weights, dtype=torch.bool)

        def after_step(lr: float) -> None:
            values = flat.parameter.data
            if lr > plan.lr / 3:
                values.copy_(soft_threshold(values, lr * strength * weights))
                torch.logical_or(values, weights == 0, out=kept)
            else:
                values.mul_(kept)

        return after_step

    return fine_tune(network, data, plan, constraint=shrink)


# Low-rank factors in the place of weight matrices: fewer weights, none of them zero.


def factors(layer: nn.Linear, rank: int) -> nn.Sequential:
    """Two layers whose product is the best approximation of ``layer`` of that rank (Eckart and Young)."""
    left, sizes, right = torch.linalg.svd(layer.weight.detach(), full_matrices=False)
    roots = sizes[:rank].sqrt()
    first = nn.utils.skip_init(nn.Linear, layer.in_features, rank, bias=False)
    second = nn.utils.skip_init(nn.Linear, rank, layer.out_features, bias=layer.bias is not None)
    with torch.no_grad():
        first.weight.copy_(roots[:, None] * right[:rank])
        second.weight.copy_(left[:, :rank] * roots)
        if layer.bias is not None:
            second.bias.copy_(layer.bias)
    return nn.Sequential(first, second)


def factorize(network: N, rank: int) -> N:
    """A copy with factors of ``rank`` in each layer where they have fewer weights than it."""
    network = deepcopy(network)
    for name, layer in linear_layers(network).items():
        if rank * (layer.in_features + layer.out_features) < layer.weight.numel():
            network.set_submodule(name, factors(layer, rank))
    return network


# Weights of 8 bits: a smaller file, not a sparse network. torch's own quantized types are on their way out of it. The
# arithmetic is in float32 on what the integers stand for, so nothing is faster.


def row_scales(weight: Tensor) -> Tensor:
    """What 1 stands for in each row (R, 1), float32: the largest weight is 127 of it.

    Scales have the 8 significant bits of bfloat16. With the 7 of an integer a product has 15 at most, which float32
    holds: what is stored stands for the quantized weights to the last bit.
    """
    return (weight.abs().amax(1, keepdim=True) / LARGEST).bfloat16().float()


def quantize_weight(weight: Tensor, scales: Tensor) -> Tensor:
    """The nearest integers, int8."""
    return (weight / scales.where(scales > 0, 1)).round().clamp(-LARGEST, LARGEST).to(torch.int8)


def quantize(network: N) -> N:
    """A copy whose weights are those that 8 bits and a scale a row stand for; symmetric, zero stays zero."""
    network = deepcopy(network)
    with torch.no_grad():
        for layer in linear_layers(network).values():
            scales = row_scales(layer.weight)
            layer.weight.copy_(quantize_weight(layer.weight, scales) * scales)
    return network


# Sparse activations: units that put out zero for most images. Their weights are all there.


def with_relu(network: N) -> N:
    """A copy with ReLU for its hidden units: ELU and its like never put out a zero."""
    network = deepcopy(network)
    for name in _activation_names(network):
        network.set_submodule(name, nn.ReLU())
    return network


def sparsely_active(network: N, strength: float, data: ImageData, plan: Plan) -> N:
    """A copy with ReLU, trained on under ``strength`` times the mean output of a unit, summed over the layers."""
    if not strength:
        return fine_tune(with_relu(network), data, plan)

    def loss(of: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
        with record_activations(of) as outputs:
            errors = cross_entropy(of, images, labels)
        return errors + strength * torch.stack([output.mean() for output in outputs]).sum()

    return fine_tune(with_relu(network), data, plan, loss)


@torch.inference_mode()
def share_of_zeros(network: nn.Module, images: Tensor) -> float:
    """Of the outputs of all hidden units to ``images``."""
    with record_activations(network) as outputs:
        network(images)
    return sum(int((output == 0).sum()) for output in outputs) / sum(output.numel() for output in outputs)


@contextmanager
def record_activations(network: nn.Module) -> Iterator[list[Tensor]]:
    """What the activations put out while it is entered."""
    outputs: list[Tensor] = []
    hooks = [
        network.get_submodule(name).register_forward_hook(lambda module, given, output: outputs.append(output))
        for name in _activation_names(network)
    ]
    try:
        yield outputs
    finally:
        for hook in hooks:
            hook.remove()


def _activation_names(network: nn.Module) -> list[str]:
    return [name for name, _ in network.named_modules() if name.rpartition(".")[2].startswith("activation_")]


# A narrower network, taught by the trained one: smaller, not sparse.


def make_student(
    settings: Mapping[str, Any], image_shape: tuple[int, int, int], teacher: nn.Module, width: int
) -> ImageNetwork:
    """A network like that of a run but for its width, untrained; its input scaled like the ``teacher``'s."""
    student = untrained_network(settings, image_shape, width=width)
    student.scaling.load_state_dict(teacher.get_submodule("scaling").state_dict())
    return student


def distillation_loss(logits: Tensor, soft: Tensor, labels: Tensor) -> Tensor:
    """Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network" (2015), of a batch.

    Args:
        logits: the student's (B, C).
        soft: the teacher's.
        labels: (B,).
    """
    student, teacher = ((x / TEMPERATURE).log_softmax(1) for x in (logits, soft))
    # The gradient of a softened loss is 1 / T^2 times that of a hard one.
    taught = TEMPERATURE**2 * functional.kl_div(student, teacher, reduction="batchmean", log_target=True)
    return SOFT_SHARE * taught + (1 - SOFT_SHARE) * functional.cross_entropy(logits, labels)


def train_student(student: ImageNetwork, teacher: nn.Module, data: ImageData, plan: Plan) -> ImageNetwork:
    """A copy of ``student`` trained on what ``teacher`` says of the training images, and on their labels."""

    def loss(network: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
        with torch.no_grad():
            soft = teacher(images)
        return distillation_loss(network(images), soft, labels)

    return fine_tune(student, data, plan, loss)
