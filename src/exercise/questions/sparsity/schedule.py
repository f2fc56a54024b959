"""Pruning while it trains, by the schedule of Lightning's callback."""

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

import lightning
import torch
from lightning.fabric.plugins.environments import LightningEnvironment
from lightning.pytorch.callbacks import ModelPruning
from torch import Tensor, nn

from exercise.questions.sparsity.fine_tuning import N, Plan, cross_entropy, linear_layers
from trainlab.data import ImageData


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

    Three of the callback's defaults are not wanted. It prunes biases and batch normalization too unless it is told the
    weights. Over all layers together it compares plain magnitudes, which empties the first layer, so each layer is
    pruned by itself. And it puts what is left back to where the training began after each pruning (the "lottery
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
        trainer = lightning.Trainer(
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
        trainer.fit(Tuning(network, plan), train_dataloaders=data.train_dataloader())
    return network.eval()


class Tuning(lightning.LightningModule):
    """What ``fine_tuned`` does, as Lightning has it."""

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
    """Without what Lightning says of a training that has no validation, and of the machine."""
    said = logging.getLogger("lightning.pytorch")
    level = said.level
    said.setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            said.setLevel(level)
