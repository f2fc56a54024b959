"""What a training step of one network costs compared with one of another."""

import warnings
from collections.abc import Callable, Mapping
from functools import partial
from pydoc import locate
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim import Optimizer

from exercise.store import Measured
from exercise.timing import one_thread, time_alternately, time_ratio
from trainlab import FlatParameters, generator
from trainlab.models import MLP, Dropout, ImageNetwork, image_network
from trainlab.report import Group, format_bounds
from trainlab.statistics import Ratio, interval

SHAPE = (3, 32, 32)
MATTERS = 0.05  # of a step's time: the same network differs by almost so much between processes


def step_times(groups: Mapping[str, Group], rounds: int, times: int = 4) -> Measured:
    """Milliseconds on the processor of a step of each group's network, one thread, a number a round.

    Size of the batch and optimizer are those of its runs; images are drawn, of 32 x 32 pixels. Groups
    without a completed run are left out.
    """
    steps = {key: _step_of(group.settings) for key, group in groups.items() if group.runs}
    with one_thread():
        return dict(time_alternately(steps, rounds, times)) if steps else {}


def step_ratio(found: Measured, old: str, new: str) -> Ratio | None:
    """What a step of ``new`` takes over one of ``old``, with an interval over the rounds; None if not measured."""
    return time_ratio(found[new], found[old]) if old in found and new in found else None


def describe_step_cost(found: Measured, old: tuple[str, str], new: tuple[str, str]) -> str:
    """A sentence on what a step of ``new`` costs compared with one of ``old``: (key in ``found``, label)."""
    ratio = step_ratio(found, old[0], new[0])
    if ratio is None:
        return f"What a step of {new[1]} costs was not measured."
    ours, theirs = (interval(found[key]).mean for key in (new[0], old[0]))
    rounds = len(found[new[0]])
    clear = f"; up to {100 * MATTERS:.0f} % count as none" if is_slower(ratio) is None else ""
    return (
        f"A training step of {new[1]} takes {ratio.value:.2f} times as long as one of {old[1]} (95 % over {rounds} "
        f"rounds, alternately: {format_bounds(ratio)}): {ours:.1f} against {theirs:.1f} ms of processor time, each on "
        f"one thread{clear}."
    )


def is_slower(ratio: Ratio | None) -> bool | None:
    """Whether a step takes longer by more than ``MATTERS``; False where it takes less, None where neither is shown."""
    if ratio is None:
        return None
    return True if ratio.low > 1 + MATTERS else False if ratio.high < 1 - MATTERS else None


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


def _step_of(settings: Mapping[str, Any]) -> Callable[[], None]:
    """A step of the network, the optimizer and the size of a batch that a run has."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of the network: its trainings have given them
        network = image_network(MLP, **arguments_of(settings, "model"))
    make = cast(Any, locate(settings["optim._target_"]))
    batch = random_batch(settings["data.batch_size"], network.num_classes)
    return training_step(network, partial(make, **arguments_of(settings, "optim")), *batch)


def arguments_of(settings: Mapping[str, Any], part: str) -> dict[str, Any]:
    """Arguments of the network ("model") or the optimizer ("optim") of a run with these settings."""
    named = {key.partition(".")[2]: value for key, value in settings.items() if key.startswith(f"{part}.")}
    return {name: value for name, value in named.items() if not name.startswith("_")}
