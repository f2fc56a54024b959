"""Goals for populations and whether they are met, as rows of a Markdown table."""

import argparse
import statistics
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from trainings import Trained

SOLO = "one by one"
SIDE = "side by side, a thread each"
ONE = "population of one"
TOGETHER = "together"
COMPILED = "together, compile=true"
CONTESTANTS = (SOLO, SIDE, ONE, TOGETHER, COMPILED)

RATIOS = {TOGETHER: 0.5, COMPILED: 0.45, ONE: 1.1}  # each to SOLO
MEMORY_BETWEEN = (5, 40)  # members
COPIES = 6  # of a member's parameters that there may be

Populations = Mapping[tuple[str, int], Trained]  # by "eager" or "compiled", and members


@dataclass
class Measurements:
    """All that was measured.

    Attributes:
        sweeps: by network and contestant, a training a time it was its turn.
        growth: populations on the processor, by "eager" or "compiled" and members.
        failures: reasons, by what failed.
    """

    sweeps: dict[tuple[str, str], list[Trained]] = field(default_factory=dict)
    growth: dict[tuple[str, int], Trained] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)


def goals(taken: Measurements, args: argparse.Namespace) -> Iterator[str]:
    """The whole table."""
    yield "| measured | network | goal | result | by the wall clock | met |"
    yield "| --- | --- | --- | --- | --- | --- |"
    yield from ratios(taken, args)
    yield from beside_side(taken, args)
    yield from memory(taken.growth)


def ratios(taken: Measurements, args: argparse.Namespace) -> Iterator[str]:
    """Rows: each contestant over the runs one by one."""
    for variant in args.variants if "sweeps" in args.parts else ():
        solo = taken.sweeps.get((variant, SOLO))
        for name, limit in RATIOS.items():
            runs = 1 if name == ONE else args.members
            theirs = f"{runs} {SOLO}" if runs > 1 else "the same solo run"
            start = f"| {f'{runs} ' if runs > 1 else ''}{name} / {theirs} | {variant} | ≤ {limit:g}"
            ours = taken.sweeps.get((variant, name))
            if not ours or not solo:
                yield f"{start} | not measured | | |"
                continue
            a, b = runs * full_s(ours), runs * full_s(solo)
            wall = statistics.median(t.wall_s for t in ours) / statistics.median(t.wall_s for t in solo)
            yield f"{start} | {a / b:.2f} ({a:.2f} s / {b:.2f} s an epoch) | {wall:.2f} | {met(a / b <= limit)} |"


def beside_side(taken: Measurements, args: argparse.Namespace) -> Iterator[str]:
    """Rows without a goal: solo runs as a sweep runs them, one per core."""
    for variant in args.variants if "sweeps" in args.parts else ():
        side = taken.sweeps.get((variant, SIDE))
        for name in (SOLO, TOGETHER, COMPILED):
            if side and (other := taken.sweeps.get((variant, name))):
                ratio = full_s(other) / full_s(side)
                yield f"| {name} / {SIDE} | {variant} | | {ratio:.2f} | | |"


def full_s(trained: list[Trained]) -> float:
    """Seconds of a member's full epoch, median over all epochs."""
    return statistics.median(s for one in trained for s in one.full_s)


def met(yes: bool) -> str:
    """Whether a goal is met, as text."""
    return "yes" if yes else "**no**"


def memory(populations: Populations) -> Iterator[str]:
    """Rows: memory of each additional member."""
    for mode, few, many in _memory_pairs(populations):
        members = many.members - few.members
        limit = memory_limit(few)
        each = ((many.resident_bytes or 0) - (few.resident_bytes or 0)) / members
        peak = (many.peak_bytes - few.peak_bytes) / members
        yield (
            f"| memory per additional member, {mode}: ({many.members} - {few.members} members) / {members} | elu_he "
            f"| ≤ {limit / 1e6:.1f} MB | {each / 1e6:.1f} MB resident ({peak / 1e6:.1f} MB at the peak) "
            f"| | {met(each <= limit)} |"
        )


def memory_limit(one: Trained) -> int:
    """Bytes that a member may take."""
    return COPIES * 4 * one.weights + one.activations_bytes


def _memory_pairs(populations: Populations) -> Iterator[tuple[str, Trained, Trained]]:
    for mode in ("eager", "compiled"):
        few, many = (populations.get((mode, members)) for members in MEMORY_BETWEEN)
        if few and many and few.resident_bytes and many.resident_bytes:
            yield mode, few, many
