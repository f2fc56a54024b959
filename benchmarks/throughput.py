"""Times this project compared with alternatives of its users, and prints a Markdown table.

    .venv/bin/python benchmarks/throughput.py --images DIR [--out FILE]

DIR holds CIFAR-10 as image files, train/<class>/* and test/<class>/*; TRAINLAB_IMAGES is its default. The
project runs through its real command line with everything logged that it logs by default. All contestants train
the same network on the same 45,000 images, validate on the same 5,000, and use the processor alone.

A machine's speed drifts, so ratios are made of neighbours: for each pair of variant and batch size the
contestants run right after each other, and `--rounds` repeats that sequence, A B C A B C. A run's first epoch
warms up and is left out; a figure is the median over the other epochs of all rounds. Run it on an otherwise
idle machine.

A failed contestant is listed as "failed: reason", the others continue, and the exit status is 1.
"""

import argparse
import os
import sys
from collections import defaultdict
from pathlib import Path

from child import Failed
from contestants import (
    CONTESTANTS,
    Setup,
    Times,
    build_keras_environment,
    measure_start_up,
    run_contestant,
    write_arrays,
)
from table import Measurements, Pair, render

OTHERS = ("start-up",)


def main() -> int:
    """Measure, print, and return the exit status."""
    args = parse_args()
    threads = str(args.threads) if args.threads else None
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "TF_NUM_INTRAOP_THREADS")
    try:
        arrays = write_arrays(args.images)
    except Failed as failure:
        print(failure, file=sys.stderr)
        return 2
    setup = Setup(args.images, arrays, args.epochs, dict.fromkeys(names, threads) if threads else {})
    contestants = [name for name in CONTESTANTS if name not in args.without]
    measurements = Measurements()
    if "keras" in contestants:
        prepare_keras(contestants, measurements)
    for variant in args.variants:
        for batch_size in args.batch_sizes:
            measure_pair((variant, batch_size), contestants, setup, args.rounds, measurements)
    if "start-up" not in args.without:
        progress("start-up")
        try:
            measurements.start_up_s = measure_start_up(setup)
        except Failed as failure:
            measurements.failures["start-up"] = str(failure)
    text = render(measurements, args)
    print(text)
    if args.out:
        args.out.write_text(text + "\n")
    return 1 if measurements.failures else 0


def parse_args() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, default=os.environ.get("TRAINLAB_IMAGES"), metavar="DIR")
    parser.add_argument("--epochs", type=positive, default=3, help="timed epochs of a run, after the first")
    parser.add_argument("--rounds", type=positive, default=2, help="runs of every contestant")
    parser.add_argument("--variants", nargs="+", choices=("elu_he", "bn"), default=["elu_he", "bn"])
    parser.add_argument("--batch-sizes", nargs="+", type=positive, default=[32, 128], metavar="N")
    parser.add_argument("--without", nargs="+", choices=(*CONTESTANTS, *OTHERS), default=[], help="leave these out")
    parser.add_argument("--threads", type=positive, help="of every contestant; each one's own default if not given")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the table there too")
    args = parser.parse_args()
    if not args.images:
        parser.exit(2, "give --images DIR or set TRAINLAB_IMAGES: CIFAR-10 as train/<class>/*, test/<class>/*\n")
    args.images = args.images.resolve()
    return args


def positive(text: str) -> int:
    """A whole number of at least 1."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {number}")
    return number


def prepare_keras(contestants: list[str], measurements: Measurements) -> None:
    """Build Keras's environment; if that fails, list it as failed."""
    progress("Keras's environment (about a minute the first time; --without keras leaves it out)")
    try:
        build_keras_environment()
    except Failed as failure:
        measurements.failures["keras"] = f"cannot be installed: {failure}"
        contestants.remove("keras")


def measure_pair(pair: Pair, contestants: list[str], setup: Setup, rounds: int, measurements: Measurements) -> None:
    """Run all contestants of a pair one after the other, ``rounds`` times."""
    variant, batch_size = pair
    runs: dict[str, list[Times]] = defaultdict(list)
    for number in range(rounds):
        for name in contestants:
            key = f"{name} {variant} {batch_size}"
            if (name == "lightning" and pair != ("elu_he", 32)) or key in measurements.failures:
                continue
            progress(f"{variant}, batch {batch_size}, round {number + 1} of {rounds}: {name}", end=" ")
            try:
                measured = run_contestant(name, variant, batch_size, setup)
            except Failed as failure:
                measurements.failures[key] = str(failure)
                progress(f"failed: {failure}")
            else:
                runs[name].append(measured)
                progress(" ".join(f"{s:.2f}" for s in measured.epoch_s) + " s per epoch")
    for name, times in runs.items():
        measurements.add(name, pair, times)


def progress(line: str, end: str = "\n") -> None:
    """Print progress to stderr."""
    print(line, end=end, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
