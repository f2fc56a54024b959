"""What a training step costs under each activation: in turn, in processor time, so that all see the same machine."""

import time
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.nn.functional import cross_entropy

from trainlab.exercise.evidence import Evidence, Measured
from trainlab.exercise.questions.activations.trained import groups_by_activation
from trainlab.models import MLP
from trainlab.randomness import generator
from trainlab.report.statistics import Ratio, ratio

NAME = "question_4_steps"
BATCH, ROUNDS, STEPS = 32, 20, 8


def step_times(evidence: Evidence) -> Measured:
    """Milliseconds of a step on one thread by activation, a figure a round: the shortest of a few steps in a row.

    What else the machine does can only make a step longer.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return {"ms": _in_turn(evidence)}
    finally:
        torch.set_num_threads(threads)


def _in_turn(evidence: Evidence) -> dict[str, list[float]]:
    rounds, steps = (3, 2) if evidence.setting.quick else (ROUNDS, STEPS)
    trainings = {key: _training(group.settings) for key, group in groups_by_activation(evidence).items()}
    times: dict[str, list[float]] = {key: [] for key in trainings}
    for step in trainings.values():  # the first ones find their memory
        _milliseconds(step), _milliseconds(step)
    keys = [*trainings]
    for number in range(rounds):
        first = number % max(1, len(keys))
        for key in keys[first:] + keys[:first]:
            times[key].append(min(_milliseconds(trainings[key]) for _ in range(steps)))
    return times


def relative(times: Mapping[str, list[float]]) -> dict[str, Ratio]:
    """Time of a step over that with ReLU in the same round, with an interval over the rounds."""
    if "relu" not in times:
        return {}
    relu = dict(enumerate(times["relu"]))
    return {key: ratio(dict(enumerate(own)), relu) for key, own in times.items() if key != "relu"}


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


def _milliseconds(step: Callable[[], None]) -> float:
    started = time.process_time()  # another process that has the core does not count
    step()
    return 1000 * (time.process_time() - started)
