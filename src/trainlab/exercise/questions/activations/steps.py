"""What a training step costs under each activation."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.nn.functional import cross_entropy

from trainlab.exercise.evidence import Evidence, Measured
from trainlab.exercise.questions.activations.trained import groups_by_activation
from trainlab.exercise.timing import alternating, one_thread, times_as_long
from trainlab.models import MLP
from trainlab.randomness import generator
from trainlab.report.statistics import Ratio

NAME = "question_4_steps"
BATCH, ROUNDS, STEPS = 32, 20, 8


def step_times(evidence: Evidence) -> Measured:
    """Milliseconds of a step on one thread by activation, a number a round."""
    rounds, steps = (3, 2) if evidence.setting.quick else (ROUNDS, STEPS)
    trainings = {key: _training(group.settings) for key, group in groups_by_activation(evidence).items()}
    with one_thread():
        return {"ms": alternating(trainings, rounds, steps)}


def relative(times: Mapping[str, list[float]]) -> dict[str, Ratio]:
    """Time of a step over that with ReLU in the same round, with an interval over the rounds."""
    if "relu" not in times:
        return {}
    return {key: times_as_long(own, times["relu"]) for key, own in times.items() if key != "relu"}


def _training(settings: Mapping[str, Any]) -> Callable[[], None]:
    """A step of the network that a run was made with, alone, under Nadam, on a batch that is drawn once."""
    model = {key.removeprefix("model."): value for key, value in settings.items() if key.startswith("model.")}
    network = MLP(**{key: value for key, value in model.items() if key not in ("_target_", "seed")})
    shape = (3, 32, 32)
    network.scaling.set_statistics(torch.full(shape, 127.0), torch.full(shape, 64.0))
    draws = generator(0, "steps")
    images = torch.randint(0, 256, (BATCH, *shape), generator=draws, dtype=torch.uint8)
    labels = torch.randint(0, network.num_classes, (BATCH,), generator=draws)
    optimizer = torch.optim.NAdam(network.parameters(), lr=1e-4)

    def step() -> None:
        optimizer.zero_grad()
        cross_entropy(network(images), labels).backward()
        optimizer.step()

    return step
