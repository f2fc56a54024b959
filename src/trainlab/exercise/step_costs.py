"""What a training step of one network costs beside one of another."""

from collections.abc import Callable, Mapping
from pydoc import locate
from typing import Any

import torch
from torch.nn.functional import cross_entropy

from trainlab.exercise.evidence import Measured
from trainlab.exercise.timing import alternating, one_thread, times_as_long
from trainlab.flat import FlatParameters
from trainlab.models import MLP
from trainlab.randomness import CounterDraws, generator
from trainlab.report.groups import Group
from trainlab.report.statistics import Ratio, interval

SHAPE = (3, 32, 32)


def step_times(groups: Mapping[str, Group], rounds: int, times: int = 4) -> Measured:
    """Milliseconds on the processor of a step of each group's network, one thread, a number a round.

    Batch and optimizer are those of its runs. Groups without a completed run are left out.
    """
    steps = {key: _step(group.settings) for key, group in groups.items() if group.runs}
    with one_thread():
        return dict(alternating(steps, rounds, times))


def compared(found: Measured, old: str, new: str) -> Ratio | None:
    """What a step of ``new`` takes over one of ``old``, with an interval over the rounds; None if not measured."""
    return times_as_long(found[new], found[old]) if old in found and new in found else None


def told(found: Measured, old: tuple[str, str], new: tuple[str, str]) -> str:
    """A sentence on what a step of ``new`` costs beside one of ``old``: (key in ``found``, label)."""
    ratio = compared(found, old[0], new[0])
    if ratio is None:
        return f"What a step of {new[1]} costs was not measured."
    ours, theirs = (interval(found[key]).mean for key in (new[0], old[0]))
    rounds = len(found[new[0]])
    clear = "" if ratio.is_clear else "; no difference is shown"
    return (
        f"A training step of {new[1]} takes {ratio.value:.2f} times as long as one of {old[1]} (95 % over {rounds} "
        f"rounds, in turn: {ratio.low:.2f} to {ratio.high:.2f}): {ours:.1f} against {theirs:.1f} ms of processor "
        f"time{clear}."
    )


def is_dearer(ratio: Ratio | None) -> bool | None:
    """Whether a step takes longer; False where it takes less time, None where neither is shown."""
    if ratio is None:
        return None
    return True if ratio.low > 1 else False if ratio.high < 1 else None


def _step(settings: Mapping[str, Any]) -> Callable[[], None]:
    """A step as a training with these settings makes it, on one batch of drawn images."""
    network = MLP(**_of(settings, "model"))
    if network.scaling.standardize:
        network.scaling.set_statistics(torch.full(SHAPE, 127.5), torch.full(SHAPE, 73.9))  # 73.9: 256 / sqrt(12)
    draws = generator(0, "timed steps")
    images = torch.randint(256, (settings["data.batch_size"], *SHAPE), dtype=torch.uint8, generator=draws)
    labels = torch.arange(len(images)) % network.num_classes
    flat = FlatParameters(network)
    make: Any = locate(settings["optim._target_"])
    optimizer = make([flat.parameter], **_of(settings, "optim"))
    masks = [module for module in network.modules() if isinstance(module, CounterDraws)]

    def step() -> None:
        for mask in masks:
            mask.step += 1
        cross_entropy(network(images), labels).backward()
        flat.gather_gradients()
        optimizer.step()
        flat.zero_grad()

    return step


def _of(settings: Mapping[str, Any], part: str) -> dict[str, Any]:
    """Arguments of the network or the optimizer."""
    named = {key.partition(".")[2]: value for key, value in settings.items() if key.startswith(f"{part}.")}
    return {name: value for name, value in named.items() if not name.startswith("_")}
