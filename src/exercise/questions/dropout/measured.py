"""The times of training steps and predictions with dropout, and how many epochs a training takes to its lowest loss."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import isnan, nan

import torch
from torch import Tensor

from exercise.formatting import format_ratio, format_seeds
from exercise.step_costs import random_batch, training_step
from exercise.store import Evidence, Measured
from exercise.timing import one_thread, time_alternately, time_ratio
from trainlab.inference import mc_probabilities
from trainlab.models import MLP, ImageNetwork, image_network
from trainlab.report import Group, format_mean
from trainlab.statistics import Ratio, interval, ratio

RATE, BATCH, PREDICTED = 0.1, 128, 250
NONE = "none"
VARIANTS = {
    NONE: {},
    **{
        f"{where}, {kind}": {"dropout": RATE, "dropout_after": where, "dropout_kind": kind}
        for where in ("last", "every")
        for kind in ("standard", "alpha")
    },
}
WHERE = {"last": "after the last hidden layer", "every": "after every hidden layer"}
PLACES = {"last": VARIANTS["last, alpha"], "every": VARIANTS["every, alpha"]}
SAMPLES = (1, 10, 100)
PASS = "one pass"
STEPS_IN_A_ROW, PREDICTIONS_IN_A_ROW = 8, 5  # the shortest counts


def measure_steps(evidence: Evidence) -> Measured:
    """Milliseconds of a training step by variant, a number a round."""
    images, labels = random_batch(BATCH)
    nadam = partial(torch.optim.NAdam, lr=1e-6)
    actions = {
        name: training_step(make_network(**settings), nadam, images, labels) for name, settings in VARIANTS.items()
    }
    with one_thread():
        return dict(time_alternately(actions, rounds=5 if evidence.setting.quick else 60, times=STEPS_IN_A_ROW))


@torch.inference_mode()
def measure_predictions(evidence: Evidence) -> Measured:
    """Milliseconds of predictions by variant, with dropout off and left on, a number a round."""
    images, _ = random_batch(PREDICTED)
    networks = {name: make_network(**settings).eval() for name, settings in {NONE: {}, **PLACES}.items()}
    single = {f"{name}, {PASS}": _prediction(network, images) for name, network in networks.items()}
    sampled = {
        f"{name}, {samples}": _samples(networks[name], images, samples)
        for name in PLACES
        for samples in SAMPLES[: 2 if evidence.setting.quick else None]
    }
    rounds = (3, 3) if evidence.setting.quick else (60, 12)
    with one_thread():
        alone = time_alternately(single, rounds[0], times=PREDICTIONS_IN_A_ROW)
        beside = time_alternately(
            {**{f"{name}, {PASS}": single[f"{name}, {PASS}"] for name in PLACES}, **sampled}, rounds[1]
        )
    return {"inference": alone, "mc_dropout": beside}


def mc_ratio(sampled: Mapping[str, Sequence[float]], place: str, samples: int) -> Ratio:
    """Of so many samples over one pass with dropout off."""
    return time_ratio(sampled[f"{place}, {samples}"], sampled[f"{place}, {PASS}"])


def make_network(**settings: object) -> ImageNetwork:
    """SELU, LeCun initialization, inputs standardized as if all values of a pixel were equally frequent."""
    # The settings are of several types, each that of its argument.
    selu = {"activation": "selu", "initializer": "lecun_normal", "standardize": True}
    network = image_network(MLP, seed=1, **selu, **settings)  # type: ignore[arg-type]  # settings are of many types
    shape = network.scaling.gain.shape
    network.scaling.set_statistics(torch.full(shape, 127.5), torch.full(shape, 73.9))  # of 0 to 255: 256 / sqrt(12)
    return network


def _prediction(network: ImageNetwork, images: Tensor) -> Callable[[], object]:
    return lambda: network(images).softmax(1)


def _samples(network: ImageNetwork, images: Tensor, samples: int) -> Callable[[], object]:
    return lambda: mc_probabilities(network, images, samples).mean(0)


def epochs_to_best(group: Group) -> dict[int, float]:
    """Epochs to the lowest validation loss by seed."""
    return {seed: epoch + 1 for seed, epoch in group.of("metrics", "best_epoch").items()}


def epochs_ratio(first: Group, second: Group) -> Ratio:
    """What the second takes of epochs over what the first takes; NaN where there is no run."""
    a, b = epochs_to_best(first), epochs_to_best(second)
    return ratio(b, a) if a and b else Ratio(nan, nan, nan)


def format_mean_epochs(group: Group) -> str:
    """With its interval."""
    return format_mean(interval([*epochs_to_best(group).values()]))


def is_cut(group: Group) -> bool:
    """Whether the last epoch of one of its runs was the best one."""
    ends = group.of("metrics", "epochs")
    return any(ends.get(seed) == epochs for seed, epochs in epochs_to_best(group).items())


def describe_epochs_to_best(first: Group, second: Group) -> str:
    """Epochs to the lowest validation loss, of two rates."""
    found = epochs_ratio(first, second)
    if isnan(found.value):
        without = [group.label for group in (first, second) if not group.runs]
        return f"No run with {' nor with '.join(without)} was completed, so epochs cannot be compared."
    each = (
        f"{format_mean_epochs(second)} epochs with {second.label}, after {format_mean_epochs(first)} with {first.label}"
    )
    verdict = "no difference that these runs show" if not found.is_clear else "more" if found.value > 1 else "fewer"
    if isnan(found.low):
        verdict = "nothing can be claimed"
    cut = [group.label for group in (second, first) if is_cut(group)]
    ended = f" (the training ended before it rose again with {' and '.join(cut)})" if cut else ""
    n = format_seeds(min(len(first.runs), len(second.runs)))
    return f"The lowest validation loss came after {each}{ended}: {format_ratio(found)} as many, {verdict} ({n})."
