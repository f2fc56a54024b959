"""The loops that all methods are fine-tuned with, ours and Lightning's.

Ours is Adam, a learning rate that falls to zero, and room for what a method adds; Lightning's prunes while it trains.
"""

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar

import lightning
import torch
from lightning.fabric.plugins.environments import LightningEnvironment
from lightning.pytorch.callbacks import ModelPruning
from torch import Tensor, nn
from torch.nn import functional

from trainlab import FlatParameters, make_trainer
from trainlab.data import ImageData

N = TypeVar("N", bound=nn.Module)
Loss = Callable[[nn.Module, Tensor, Tensor], Tensor]  # network, images, labels -> ()
# Made once of the parameters, then called after each step with its learning rate, to change them in place.
Constraint = Callable[[FlatParameters], Callable[[float], object]]


@dataclass(frozen=True)
class Plan:
    """How long and how fast.

    Attributes:
        epochs: each has an order of the images of its own.
        batches: of an epoch, or all, if that is fewer.
        lr: of the first step; it falls linearly to zero.
    """

    epochs: int
    batches: int
    lr: float


def cross_entropy(network: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """The mean loss of a batch."""
    return functional.cross_entropy(network(images), labels)


def fine_tune(
    network: N, data: ImageData, plan: Plan, loss: Loss = cross_entropy, constraint: Constraint | None = None
) -> N:
    """A copy of ``network`` trained on; in evaluation mode.

    Args:
        network: on the CPU; left as it is.
        data: whose training batches are used, in an order that follows from its seed and the epoch.
        plan: epochs and learning rate.
        loss: of a batch.
        constraint: on the parameters.
    """
    network = deepcopy(network).train()
    flat = FlatParameters(network)
    optimizer = torch.optim.Adam([flat.parameter], lr=plan.lr)
    constrain = constraint(flat) if constraint else None
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
            if constrain:
                constrain(lr)
            step += 1
    return deepcopy(network).eval()  # with parameters of its own again, not views of one vector


def linear_layers(network: nn.Module) -> dict[str, nn.Linear]:
    """The layers whose weights can be made sparse, by name, from input to output."""
    return {name: module for name, module in network.named_modules() if isinstance(module, nn.Linear)}


def over_weights(flat: FlatParameters, values: dict[str, Tensor], others: float) -> Tensor:
    """One vector over all parameters: ``values`` at the weights of the layers named, ``others`` elsewhere."""
    vector = torch.full_like(flat.parameter, others, requires_grad=False)
    parts = flat.by_name(vector)
    for name, value in values.items():
        parts[f"{name}.weight"].copy_(value)
    return vector


def cubic(share: float, epochs: int) -> Callable[[int], float]:
    """Epoch -> the part of the weights that are left which goes at its end, so that ``share`` of all is gone.

    Zhu and Gupta, "To Prune, or Not to Prune" (2017): much at first, little later. The callback prunes at the end of
    epochs and takes its amount of what the pruning before has left; nothing goes after the last epoch, which would have
    no step to make up for it.
    """
    times = max(1, epochs - 1)

    def gone(pruned: int) -> float:
        return share * (1 - (1 - pruned / times) ** 3)

    def amount(epoch: int) -> float:
        if epoch >= times:
            return 0.0
        return (gone(epoch + 1) - gone(epoch)) / (1 - gone(epoch))

    return amount


def prune_by_schedule(network: N, share: float, data: ImageData, plan: Plan) -> N:
    """A copy trained on while ``ModelPruning`` prunes each layer to ``share``.

    Three of the callback's defaults are not wanted. It prunes biases and batch normalization too unless it is given the
    weights. Over all layers together it compares plain magnitudes, which empties the first layer, so each layer is
    pruned separately. And it puts what is left back to where the training began after each pruning (the "lottery
    ticket"), which would undo the fine-tuning.
    """
    network = deepcopy(network).train()  # the trainer leaves it in the mode that it finds it in
    callback = ModelPruning(
        "l1_unstructured",
        parameters_to_prune=[(layer, "weight") for layer in linear_layers(network).values()],
        use_global_unstructured=False,
        use_lottery_ticket_hypothesis=False,
        amount=cubic(share, plan.epochs),
    )
    with _silence_lightning():
        trainer = make_trainer(
            lambda: lightning.Trainer(
                accelerator="cpu",
                devices=1,
                plugins=[LightningEnvironment()],  # and not that of a cluster's job
                max_epochs=plan.epochs,
                limit_train_batches=plan.batches,
                callbacks=[callback],
                logger=False,
                enable_checkpointing=False,
                enable_progress_bar=False,
                enable_model_summary=False,
                use_distributed_sampler=False,
            )
        )
        trainer.fit(Tuning(network, plan), train_dataloaders=data.train_dataloader())
    return network.eval()


class Tuning(lightning.LightningModule):
    """What ``fine_tune`` does, as a module of Lightning's."""

    def __init__(self, network: nn.Module, plan: Plan) -> None:
        super().__init__()
        self.network, self.plan = network, plan

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """The loss of a batch."""
        return cross_entropy(self.network, *batch)

    def configure_optimizers(self) -> Any:
        """Adam, and a rate that falls to zero."""
        optimizer = torch.optim.Adam(self.network.parameters(), lr=self.plan.lr)
        steps = int(self.trainer.estimated_stepping_batches)
        falling = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: max(0.0, 1 - step / steps))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": falling, "interval": "step"}}


@contextmanager
def _silence_lightning() -> Iterator[None]:
    """Without Lightning's messages on a training that has no validation, and on the machine."""
    logger = logging.getLogger("lightning.pytorch")
    level = logger.level
    logger.setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            logger.setLevel(level)
