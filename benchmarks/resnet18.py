"""Times torchvision's ResNet-18 on CIFAR-10: the training steps of this project's command and of a plain loop.

    .venv/bin/python benchmarks/resnet18.py --images DIR [--batches 100] [--epochs 2] [--rounds 3]

Both train the same network by the same optimizer on batches of the same size. They run right after each other, in
``--rounds`` pairs; a run's first epoch warms up and is left out. Prints the median seconds of an epoch of each, and
the ratio. Run it on an otherwise idle machine.
"""

import argparse
import csv
import json
import statistics
import sys
import tempfile
from pathlib import Path

from child import run_child
from contestants import HERE, Setup, project_command, write_arrays


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, required=True, metavar="DIR")
    parser.add_argument("--batches", type=int, default=100, help="of an epoch")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--epochs", type=int, default=2, help="timed epochs of a run, after the first")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each")
    args = parser.parse_args()
    setup = Setup(args.images.resolve(), write_arrays(args.images.resolve()), args.epochs, {})
    ours: list[float] = []
    loop: list[float] = []
    for number in range(args.rounds):
        ours += _of_project(setup, args.batches, args.batch_size)
        loop += _of_loop(setup, args.batches, args.batch_size)
        print(f"round {number + 1}: {ours[-1]:.2f} s, loop {loop[-1]:.2f} s", file=sys.stderr, flush=True)
    of_ours, of_loop = statistics.median(ours), statistics.median(loop)
    print(f"{args.batches} steps of {args.batch_size}: {of_ours:.2f} s, plain loop {of_loop:.2f} s, ", end="")
    print(f"ratio {of_ours / of_loop:.3f} (medians of {len(ours)} epochs)")


def _of_project(setup: Setup, batches: int, batch_size: int) -> list[float]:
    """Seconds of the training steps of each timed epoch."""
    with tempfile.TemporaryDirectory() as folder:
        settings = ("optim=sgd", "optim.lr=0.05", "optim.nesterov=true", f"data.batch_size={batch_size}")
        lengths = (f"trainer.max_epochs={setup.epochs + 1}", f"trainer.limit_train_batches={batches}")
        short = ("trainer.limit_val_batches=1", "test=false")
        run_child(project_command(setup, folder, "model=resnet18", *settings, *lengths, *short), {})
        with (Path(folder) / "run" / "metrics.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))[1:]
    return [batches * batch_size / float(row["images_per_s"]) for row in rows]


def _of_loop(setup: Setup, batches: int, batch_size: int) -> list[float]:
    command = [sys.executable, HERE / "peers" / "resnet18_loop.py", setup.arrays]
    lengths = ["--batches", str(batches), "--batch-size", str(batch_size), "--epochs", str(setup.epochs + 1)]
    done = run_child([*command, *lengths], {})
    return [json.loads(line)["train_s"] for line in done.output.splitlines()][1:]


if __name__ == "__main__":
    main()
