"""L1 regularization by proximal steps, which end in zeros and not merely near them."""

from collections.abc import Callable

import torch
from torch import Tensor

from exercise.flat_parameters import FlatParameters
from exercise.questions.sparsity.fine_tuning import N, Plan, fine_tune, linear_layers, over_weights
from trainlab.data import ImageData


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
