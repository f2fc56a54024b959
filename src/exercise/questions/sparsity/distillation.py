"""A narrower network, taught by the trained one: smaller, not sparse."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from exercise.questions.sparsity.fine_tuning import Plan, cross_entropy, fine_tune
from exercise.step_costs import arguments_of
from trainlab.data import ImageData
from trainlab.models import MLP, ImageNetwork, image_network

TEMPERATURE = 4.0
SOFT_SHARE = 0.9  # of the loss; the rest is of the labels


def make_student(
    settings: Mapping[str, Any], image_shape: tuple[int, int, int], teacher: nn.Module, width: int
) -> ImageNetwork:
    """A network like that of a run but for its width, untrained; its input scaled like the ``teacher``'s."""
    student = image_network(MLP, image_shape, **(arguments_of(settings, "model") | {"width": width}))
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


def train_alone(student: ImageNetwork, data: ImageData, plan: Plan) -> ImageNetwork:
    """A copy of ``student`` trained on the labels alone, for as long."""
    return fine_tune(student, data, plan, cross_entropy)
