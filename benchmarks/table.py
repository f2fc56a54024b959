"""Measured times as Markdown tables: first the targets, then all times."""

import argparse
import datetime
import os
import platform
import shlex
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

from contestants import KERAS_PYTHON, Times

Pair = tuple[str, int]  # variant, batch size


@dataclass
class Measurements:
    """All that was measured.

    Attributes:
        times: by contestant and pair, over all rounds.
        failures: reasons, by "contestant variant batch_size", or by what failed for all pairs.
        start_up_s: seconds from the command to the first training step.
    """

    times: dict[tuple[str, Pair], Times] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    start_up_s: float | None = None

    def add(self, name: str, pair: Pair, runs: Sequence[Times]) -> None:
        """Join the runs of a contestant."""
        self.times[name, pair] = Times(
            [s for run in runs for s in run.train_s],
            [s for run in runs for s in run.epoch_s],
            [s for run in runs for s in run.wall_s],
            max(run.peak_bytes for run in runs),
        )

    def failure(self, name: str, pair: Pair) -> str | None:
        """Why there is no figure of a contestant."""
        return self.failures.get(name) or self.failures.get(f"{name} {pair[0]} {pair[1]}")


def render(measurements: Measurements, args: argparse.Namespace) -> str:
    """The whole page."""
    pairs = [(variant, batch_size) for variant in args.variants for batch_size in args.batch_sizes]
    return "\n".join(
        [
            *heading(args),
            "",
            "| measured | variant | batch | target | result |",
            "| --- | --- | --- | --- | --- |",
            *targets(measurements, pairs),
            "",
            "Seconds an epoch: median (smallest to largest) of n epochs.",
            "",
            "| contestant | variant | batch | training steps | with validation | n | peak memory |",
            "| --- | --- | --- | --- | --- | --- | --- |",
            *times(measurements, pairs),
        ]
    )


def heading(args: argparse.Namespace) -> list[str]:
    """Machine, versions, date, command, how often."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    threads = f"{args.threads} threads" if args.threads else "each contestant's own number of threads"
    packages = ", ".join(f"{name} {version(name)}" for name in ("torch", "lightning"))
    return [
        f"- {cpu_model()}, {cores} cores; {threads}",
        f"- Python {platform.python_version()}, {packages}, {keras_versions()}",
        f"- {datetime.date.today()}, `{shlex.join(['python', *sys.argv])}`",
        f"- rounds, with contestants alternating: {args.rounds}; timed epochs after one to warm up: {args.epochs}",
    ]


def cpu_model() -> str:
    """The processor's name."""
    info = Path("/proc/cpuinfo")
    for line in info.read_text().splitlines() if info.exists() else ():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def keras_versions() -> str:
    """Those in Keras's own environment."""
    code = (
        "from importlib.metadata import version as v;print('keras', v('keras') + ', tensorflow', v('tensorflow-cpu'))"
    )
    try:
        done = subprocess.run([KERAS_PYTHON, "-c", code], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "no Keras"
    return done.stdout.strip()


def targets(measurements: Measurements, pairs: Sequence[Pair]) -> list[str]:
    """Rows of ratios, start-up and memory."""
    rows = [ratio(measurements, pair, "project", "plain-loop", "≤ 1.15") for pair in pairs]
    rows += [ratio(measurements, pair, "project-compiled", "keras", "≤ 0.55") for pair in pairs]
    rows += [ratio(measurements, pair, "project", "lightning", "< 1") for pair in pairs if pair == ("elu_he", 32)]
    rows += [between_epochs(measurements, pair) for pair in pairs]
    memory = [
        t.peak_bytes for (name, pair), t in measurements.times.items() if (name, pair[0]) == ("project", "elu_he")
    ]
    peak = f"{max(memory) / 1e9:.2f} GB" if memory else "not measured"
    start_up = "not measured" if measurements.start_up_s is None else f"{measurements.start_up_s:.1f} s"
    if "start-up" in measurements.failures:
        start_up = f"failed: {measurements.failures['start-up']}"
    rows.append(f"| project, from the command to the first training step | elu_he | 32 | ≤ 6 s | {start_up} |")
    rows.append(f"| project, peak resident memory | elu_he | any | ≤ 1.5 GB | {peak} |")
    return rows


def ratio(measurements: Measurements, pair: Pair, ours: str, theirs: str, target: str) -> str:
    """A row: an epoch with its validation of one contestant over that of another."""
    start = f"| {ours} / {theirs}, epoch with validation | {pair[0]} | {pair[1]} | {target} |"
    for name in (ours, theirs):
        if failure := measurements.failure(name, pair):
            return f"{start} {name} failed: {failure} |"
        if (name, pair) not in measurements.times:
            return f"{start} not measured |"
    a, b = (statistics.median(measurements.times[name, pair].epoch_s) for name in (ours, theirs))
    return f"{start} {a / b:.2f} ({a:.2f} s / {b:.2f} s) |"


def between_epochs(measurements: Measurements, pair: Pair) -> str:
    """A row: what the clock on the wall says of an epoch, checkpoints included."""
    start = f"| project, from one epoch's end to the next, checkpoints included | {pair[0]} | {pair[1]} | |"
    times = measurements.times.get(("project", pair))
    return f"{start} {statistics.median(times.wall_s):.2f} s |" if times else f"{start} not measured |"


def times(measurements: Measurements, pairs: Sequence[Pair]) -> list[str]:
    """A row for every contestant and pair, failed ones too."""
    rows = []
    for pair in pairs:
        for (name, measured), t in measurements.times.items():
            if measured == pair and not measurements.failure(name, pair):
                memory = f"{t.peak_bytes / 1e9:.2f} GB"
                figures = f"{spread(t.train_s)} | {spread(t.epoch_s)} | {len(t.epoch_s)} | {memory}"
                rows.append(f"| {name} | {pair[0]} | {pair[1]} | {figures} |")
    rows += [f"| {what} | | | failed: {reason} | | | |" for what, reason in measurements.failures.items()]
    return rows


def spread(seconds: Sequence[float]) -> str:
    """Median, smallest and largest."""
    return f"{statistics.median(seconds):.2f} ({min(seconds):.2f} to {max(seconds):.2f})"
