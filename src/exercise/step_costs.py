"""What a training step of one network costs compared with one of another, on a machine that runs other things too."""

import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pydoc import locate
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim import Optimizer

from exercise.store import Measured
from trainlab import FlatParameters, generator
from trainlab.models import MLP, Dropout, ImageNetwork, image_network
from trainlab.report import Group

SHAPE = (3, 32, 32)


def time_alternately(
    actions: Mapping[str, Callable[[], object]],
    rounds: int,
    times: int = 1,
    clock: Callable[[], float] = time.process_time,
) -> dict[str, list[float]]:
    """Milliseconds of each action on the processor, one for each of ``rounds``: the shortest of ``times`` in a row.

    What else the machine does can only make an action longer; while another process has the core the clock stands. The
    actions take turns within a round, each of which begins with another one. A first round is not counted.
    """
    names = list(actions)
    found: dict[str, list[float]] = {name: [] for name in names}
    for i in range(-1, rounds):
        start = i % len(names)
        for name in names[start:] + names[:start]:
            taken = []
            for _ in range(times):
                begun = clock()
                actions[name]()
                taken.append(1000 * (clock() - begun))
            found[name].append(min(taken))
    return {name: of[1:] for name, of in found.items()}


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch compute in one thread: two in a small network wait for each other more than they compute."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def step_times(groups: Mapping[str, Group], rounds: int, times: int = 4) -> Measured:
    """Milliseconds on the processor of a step of each group's network, one thread, one number per round.

    Size of the batch and optimizer are those of its runs; images are drawn, of 32 x 32 pixels. Groups
    without a completed run are left out.
    """
    steps = {}
    for key, settings in ((key, group.settings) for key, group in groups.items() if group.runs):
        network, make = untrained_network(settings), cast(Any, locate(settings["optim._target_"]))
        batch = random_batch(settings["data.batch_size"], network.num_classes)
        steps[key] = training_step(network, partial(make, **arguments_of(settings, "optim")), *batch)
    with one_thread():
        return dict(time_alternately(steps, rounds, times)) if steps else {}


def training_step(
    network: ImageNetwork, make: Callable[[list[nn.Parameter]], Optimizer], images: Tensor, labels: Tensor
) -> Callable[[], None]:
    """A step as a training makes it, on one batch: the optimizer has all parameters end to end, and masks are new."""
    if network.scaling.standardize:
        network.scaling.set_statistics(torch.full(SHAPE, 127.5), torch.full(SHAPE, 73.9))  # 73.9: 256 / sqrt(12)
    flat = FlatParameters(network)
    optimizer = make([flat.parameter])
    draws = [module.draws for module in network.modules() if isinstance(module, Dropout)]

    def step() -> None:
        for of_layer in draws:
            of_layer.step += 1
        flat.zero_grad()
        cross_entropy(network(images), labels).backward()
        flat.gather_gradients()
        optimizer.step()

    return step


def random_batch(size: int, classes: int = 10) -> tuple[Tensor, Tensor]:
    """Images (size, 3, 32, 32) whose pixels are drawn evenly, and labels."""
    draws = generator(0, "timed images")
    return torch.randint(256, (size, *SHAPE), dtype=torch.uint8, generator=draws), torch.arange(size) % classes


def untrained_network(
    settings: Mapping[str, Any], image_shape: tuple[int, int, int] = SHAPE, **changes: Any
) -> ImageNetwork:
    """The network of a run with these settings, but for ``changes``, as it was before training."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # its trainings have given them
        return image_network(MLP, image_shape, **(arguments_of(settings, "model") | changes))


def arguments_of(settings: Mapping[str, Any], part: str) -> dict[str, Any]:
    """Arguments of the network ("model") or the optimizer ("optim") of a run with these settings."""
    named = {key.partition(".")[2]: value for key, value in settings.items() if key.startswith(f"{part}.")}
    return {name: value for name, value in named.items() if not name.startswith("_")}
