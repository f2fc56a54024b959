"""What was measured of populations as tables of Markdown: goals first, then the times, the growth and its curve."""

import argparse
import os
import platform
import shlex
import statistics
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from population_goals import CONTESTANTS, COPIES, SOLO, Measurements, Populations, full_s, goals, memory_limit
from table import cpu_model, spread
from trainings import BATCH_SIZE

_BAR = 40  # characters of the longest


def render(taken: Measurements, args: argparse.Namespace, threads: int) -> str:
    """The whole page."""
    lines = [*heading(args, threads), "", *goals(taken, args)]
    if taken.sweeps:
        lines += ["", *sweeps(taken, args)]
    if taken.growth:
        lines += ["", *growth("On one thread of the processor, elu_he", taken.growth), "", *bars(taken.growth)]
        lines += ["", *memory_arithmetic(taken.growth)]
    if taken.failures:
        lines += ["", *(f"- {what}: failed: {reason}" for what, reason in taken.failures.items())]
    return "\n".join(lines)


def heading(args: argparse.Namespace, threads: int) -> Iterator[str]:
    """Machine, versions, command, how often."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    packages = ", ".join(f"{name} {version(name)}" for name in ("torch", "lightning"))
    yield f"- {cpu_model()}, {cores} cores, threads: {threads}"
    yield f"- Python {platform.python_version()}, {packages}"
    yield f"- `{shlex.join(['python', *sys.argv])}`"
    steps = f"{args.steps} steps" if args.steps else "all images"
    yield f"- batch {BATCH_SIZE}; rounds: {args.rounds}; epochs timed of a run after one to warm up: {args.epochs}"
    if "sweeps" in args.parts:
        runs = args.members if args.all_solo else min(args.members, args.solo_runs)
        yield f"- sweeps of {args.members} learning rates, epochs of {steps}; {SOLO}: {runs} timed at a time" + (
            "" if runs == args.members else f" and taken {args.members / runs:g} times"
        )


def sweeps(taken: Measurements, args: argparse.Namespace) -> Iterator[str]:
    """A row for every network and contestant."""
    yield "Seconds of a member's epoch: median (smallest to largest) of n, and by the clock on the wall: from the first"
    yield "epoch's end to the last one's, and to the runs' ends with their tests and pictures. At once: populations in"
    yield "a process each. Memory: the largest resident set of one process."
    yield ""
    yield "| network | contestant | at once | full epoch | epoch as timed | wall | wall, to end | n | steps | memory |"
    yield "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"
    for variant in args.variants:
        for name in CONTESTANTS:
            if all_of_it := taken.sweeps.get((variant, name)):
                epoch_s = [s for one in all_of_it for s in one.epoch_s]
                wall, whole = (statistics.median(getattr(t, key) for t in all_of_it) for key in ("wall_s", "whole_s"))
                peak = max(t.peak_bytes for t in all_of_it)
                yield (
                    f"| {variant} | {name} | {all_of_it[0].populations} "
                    f"| {spread([s for t in all_of_it for s in t.full_s])} | {spread(epoch_s)} "
                    f"| {wall:.2f} | {whole:.2f} | {len(epoch_s)} | {all_of_it[0].steps} | {peak / 1e9:.2f} GB |"
                )


def growth(title: str, populations: Populations) -> Iterator[str]:
    """A row for every population."""
    steps = next(iter(populations.values())).steps
    yield f"{title}: one population of every size, epochs of {steps} steps. Of a member: milliseconds a training step,"
    yield "seconds of an epoch as timed, by the clock on the wall, and of a full one. Resident memory of the process:"
    yield "as the first member's last epoch ends, and at its most, tests and pictures included."
    yield ""
    yield "| members | | ms a step | epoch as timed | wall | full epoch | full epoch, all members | resident | peak |"
    yield "| --- | --- | --- | --- | --- | --- | --- | --- | --- |"
    for (mode, members), one in sorted(populations.items(), key=lambda item: (item[0][0] != "eager", item[0][1])):
        resident = f"{one.resident_bytes / 1e6:.0f} MB" if one.resident_bytes else "unknown"
        step_s, epoch_s, full = map(statistics.median, (one.step_s, one.epoch_s, one.full_s))
        yield (
            f"| {members} | {mode} | {step_s * 1e3:.3f} | {epoch_s:.3f} | {one.wall_s:.3f} | {full:.3f} "
            f"| {full * members:.2f} | {resident} | {one.peak_bytes / 1e6:.0f} MB |"
        )


def bars(populations: Populations) -> Iterator[str]:
    """Seconds of a member's full epoch as a picture of characters."""
    seconds = {key: full_s([one]) for key, one in populations.items()}
    longest = max(seconds.values())
    yield "```text"
    yield "seconds of a member's full epoch, by members"
    for (mode, members), s in sorted(seconds.items(), key=lambda item: (item[0][0] != "eager", item[0][1])):
        yield f"{mode:8} {members:3d} {'█' * max(1, round(_BAR * s / longest))} {s:.2f}"
    yield "```"


def memory_arithmetic(populations: Populations) -> Iterator[str]:
    """Where the limit comes from."""
    one = next(iter(populations.values()))
    weights, kept = 4 * one.weights, one.activations_bytes
    yield f"- Parameters of a member: {one.weights:,} of 4 bytes, {weights:,} bytes."
    yield "- What it keeps of a batch for the backward pass: 4 bytes * 32 images * (2 * 20 layers * 100 units + 10"
    yield f"  logits) = {kept:,} bytes. The images are not among them: all members have the same."
    yield f"- The limit: {COPIES} * {weights:,} + {kept:,} = {memory_limit(one):,} bytes."


def draw_growth(populations: Populations, path: Path) -> None:
    """Seconds of a member's full epoch over the number of members, as a picture."""
    from trainlab.report import COLORS, MARKERS, canvas, legend_below, render

    with canvas(6, 3.6) as (figure, (axes,)):
        for mode, colour, marker in zip(("eager", "compiled"), COLORS, MARKERS, strict=False):
            points = sorted((m, full_s([one])) for (own, m), one in populations.items() if own == mode)
            if points:
                axes.plot(*zip(*points, strict=True), color=colour, marker=marker, label=mode)
        axes.set_title("What a member costs, elu_he at batch 32")
        axes.set_xlabel("members of the population")
        axes.set_ylabel("seconds of a member's epoch")
        axes.set_xticks(sorted({members for _, members in populations}))
        axes.set_xlim(left=0)
        axes.set_ylim(bottom=0)
        legend_below(figure, axes)
        path.write_bytes(render(figure)[0])
