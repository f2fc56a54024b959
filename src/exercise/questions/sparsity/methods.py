"""The methods of question 6, each a function network -> network, and the loop that all are fine-tuned with."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from trainlab import FlatParameters
from trainlab.data import ImageData

N = TypeVar("N", bound=nn.Module)
Masks = dict[str, Tensor]  # which weights stay, by layer
Loss = Callable[[nn.Module, Tensor, Tensor], Tensor]  # network, images, labels -> ()
Constraint = Callable[[nn.Module, float, int, int], object]  # network after a step, its rate, number, and of how many
LARGEST = 127
TEMPERATURE, SOFT_SHARE = 4.0, 0.9  # of distillation; the rest of the loss is of the labels
GROWTH = 2 / 3  # the part of the steps in which zeros are made; the rest makes up for them
EVERY = 10  # steps between two rounds of gradual pruning


@dataclass(frozen=True)
class Plan:
    """Epochs of at most ``batches`` each, and the rate of the first step, which falls linearly to zero."""

    epochs: int
    batches: int
    lr: float


def cross_entropy(network: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """The mean loss of a batch."""
    return functional.cross_entropy(network(images), labels)


def fine_tune(
    network: N, data: ImageData, plan: Plan, loss: Loss = cross_entropy, constraint: Constraint | None = None
) -> N:
    """A copy of ``network`` trained on by Adam, in evaluation mode; the order of the images follows from their seed."""
    network = deepcopy(network).train()
    flat = FlatParameters(network)
    optimizer = torch.optim.Adam([flat.parameter], lr=plan.lr)
    batches = data.train_dataloader()
    steps, step = plan.epochs * min(plan.batches, len(batches)), 0
    for epoch in range(plan.epochs):
        batches.set_epoch(epoch)
        for images, labels in islice(batches, plan.batches):
            optimizer.param_groups[0]["lr"] = lr = plan.lr * (1 - step / steps)
            flat.zero_grad()
            loss(network, images, labels).backward()
            flat.gather_gradients()
            optimizer.step()
            step += 1
            if constraint:
                constraint(network, lr, step, steps)
    return deepcopy(network).eval()  # with parameters of its own again, not views of one vector


def linear_layers(network: nn.Module) -> dict[str, nn.Linear]:
    """The layers whose weights can be made sparse, by name, from input to output."""
    return {name: module for name, module in network.named_modules() if isinstance(module, nn.Linear)}


def masks(network: nn.Module, share: float) -> Masks:
    """All weights but the smallest, so that ``share`` of all together do not stay.

    Magnitudes are in units of the root mean square of their layer: of many inputs, weights are smaller than of few.
    """
    weights = {name: layer.weight.detach() for name, layer in linear_layers(network).items()}
    scores = torch.cat([(of.abs() / (of.square().mean().sqrt() or 1)).flatten() for of in weights.values()])
    keep = torch.ones(len(scores), dtype=torch.bool)
    keep[scores.argsort(stable=True)[: round(share * len(scores))]] = False
    parts = keep.split([of.numel() for of in weights.values()])
    return {name: part.view_as(weight) for (name, weight), part in zip(weights.items(), parts, strict=True)}


@torch.no_grad()
def apply_masks(network: nn.Module, kept: Masks) -> None:
    """Set the weights that do not stay to zero."""
    for name, layer in linear_layers(network).items():
        layer.weight.mul_(kept[name])


def prune(network: N, share: float) -> N:
    """A copy with ``share`` of the weights set to zero and nothing done about it."""
    network = deepcopy(network)
    apply_masks(network, masks(network, share))
    return network


def prune_and_tune(network: N, share: float, data: ImageData, plan: Plan) -> N:
    """The same, fine-tuned with these weights held at zero."""
    kept = masks(network, share)
    return fine_tune(prune(network, share), data, plan, constraint=lambda of, *_: apply_masks(of, kept))


def gone(share: float, done: float) -> float:
    """Share of zeros after the part ``done`` of the steps: much at first, little later (Zhu and Gupta, 2017)."""
    return share * (1 - (1 - min(1.0, done / GROWTH)) ** 3)


def prune_gradually(network: N, share: float, data: ImageData, plan: Plan) -> N:
    """A copy pruned while it trains, by the schedule of TensorFlow's toolkit."""
    kept: Masks = {}

    def tighten(of: nn.Module, lr: float, step: int, steps: int) -> None:
        if step % EVERY == 1 or step == steps:  # at the end, too, so that the share is exact
            kept.update(masks(of, gone(share, step / steps)))
        apply_masks(of, kept)

    return fine_tune(network, data, plan, constraint=tighten)


def tune_with_l1(network: N, strength: float, data: ImageData, plan: Plan) -> N:
    """A copy trained on under ``strength`` times the sum of the absolute weights.

    Weights are moved towards zero after each step of Adam, since a subgradient would leave them swinging about zero.
    The last third of the steps goes without, so that those not zero grow back ("relaxed lasso", Meinshausen 2007).
    """
    kept: Masks = {}

    @torch.no_grad()
    def shrink(of: nn.Module, lr: float, step: int, steps: int) -> None:
        if step <= GROWTH * steps:
            for name, layer in linear_layers(of).items():
                layer.weight.copy_(functional.softshrink(layer.weight, lr * strength))
                kept[name] = layer.weight != 0
        else:
            apply_masks(of, kept)

    return fine_tune(network, data, plan, constraint=shrink)


def factors(layer: nn.Linear, rank: int) -> nn.Sequential:
    """Two layers whose product is the best approximation of ``layer`` of that rank (Eckart and Young)."""
    left, sizes, right = torch.linalg.svd(layer.weight.detach(), full_matrices=False)
    roots = sizes[:rank].sqrt()
    first = nn.utils.skip_init(nn.Linear, layer.in_features, rank, bias=False)
    second = nn.utils.skip_init(nn.Linear, rank, layer.out_features)
    first.weight, second.weight = nn.Parameter(roots[:, None] * right[:rank]), nn.Parameter(left[:, :rank] * roots)
    second.bias = layer.bias
    return nn.Sequential(first, second)


def factorize(network: N, rank: int) -> N:
    """A copy with low-rank factors in the place of each layer that has more weights than they."""
    network = deepcopy(network)
    for name, layer in linear_layers(network).items():
        if rank * (layer.in_features + layer.out_features) < layer.weight.numel():
            network.set_submodule(name, factors(layer, rank))
    return network


def round_weight(weight: Tensor) -> Tensor:
    """The nearest weights that an 8-bit integer and a scale a row, as bfloat16, stand for; zero stays zero."""
    scales = (weight.abs().amax(1, keepdim=True) / LARGEST).bfloat16().float()
    return (weight / scales.where(scales > 0, 1)).round().clamp(-LARGEST, LARGEST) * scales


@torch.no_grad()
def quantize(network: N) -> N:
    """A copy with weights of 8 bits and a scale a row, in float32: smaller to store, not faster."""
    network = deepcopy(network)
    for layer in linear_layers(network).values():
        layer.weight.copy_(round_weight(layer.weight))
    return network


class RecordedReLU(nn.ReLU):
    """Keeps its last output until that is taken."""

    def forward(self, input: Tensor) -> Tensor:
        """The output."""
        self.output = super().forward(input)
        return self.output


def take_outputs(network: nn.Module) -> list[Tensor]:
    """The last outputs of the hidden layers of a sparsely active network."""
    return [vars(module).pop("output") for module in network.modules() if isinstance(module, RecordedReLU)]


def sparsely_active(network: N, strength: float, data: ImageData, plan: Plan) -> N:
    """A copy with ReLU, trained on under ``strength`` times the mean output of a unit, summed over the layers."""
    network = deepcopy(network)
    for name in [name for name, _ in network.named_modules() if name.rpartition(".")[2].startswith("activation_")]:
        network.set_submodule(name, RecordedReLU())  # ELU and its like never put out a zero

    def loss(of: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
        errors = cross_entropy(of, images, labels)
        return errors + strength * torch.stack([output.mean() for output in take_outputs(of)]).sum()

    return fine_tune(network, data, plan, loss)


@torch.inference_mode()
def share_of_zeros(network: nn.Module, images: Tensor) -> float:
    """Of the outputs of all hidden units of a sparsely active network to ``images``; of others 0."""
    network(images)
    outputs = take_outputs(network)
    return float((torch.stack(outputs) == 0).float().mean()) if outputs else 0.0


def distillation_loss(logits: Tensor, soft: Tensor, labels: Tensor) -> Tensor:
    """Of a batch (Hinton, Vinyals and Dean, 2015): ``logits`` (B, C) of the student, ``soft`` those of the teacher."""
    student, teacher = ((x / TEMPERATURE).log_softmax(1) for x in (logits, soft))
    # The gradient of a softened loss is 1 / T^2 times that of a hard one.
    taught = TEMPERATURE**2 * functional.kl_div(student, teacher, reduction="batchmean", log_target=True)
    return SOFT_SHARE * taught + (1 - SOFT_SHARE) * functional.cross_entropy(logits, labels)


def distill(student: N, teacher: nn.Module, data: ImageData, plan: Plan) -> N:
    """A copy of ``student`` trained on what ``teacher`` says of the training images, and on their labels."""

    def loss(network: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
        with torch.no_grad():
            soft = teacher(images)
        return distillation_loss(network(images), soft, labels)

    return fine_tune(student, data, plan, loss)
