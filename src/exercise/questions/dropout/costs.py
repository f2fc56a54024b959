"""What dropout costs a training step and a prediction: measured on the network of 20 layers of 100 units."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import torch
from torch import Tensor

from exercise.step_costs import random_batch, training_step
from exercise.store import Evidence, Measured
from exercise.timing import one_thread, time_alternately, time_ratio
from trainlab.inference import mc_probabilities
from trainlab.models import MLP, ImageNetwork, image_network
from trainlab.statistics import Ratio

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
