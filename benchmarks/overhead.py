"""What a run or a sweep takes besides training: until the first step, to check many jobs, and for jobs of one step."""

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from child import Failed, run_child

HERE = Path(__file__).resolve().parent
COMMAND = [sys.executable, HERE.parent / "src" / "train.py"]
SWEEPS = {
    "seeds, max_steps=1": ["model=elu_he", "seed=range({})", "trainer.max_steps=1"],
    "learning rates, one epoch of one batch": [
        *("model=elu_he", "optim.lr={}", "trainer.max_epochs=1", "trainer.limit_train_batches=1"),
    ],
}
# In the second one each job chooses its network and its optimizer.
CHECKS = {
    "one choice of options": ["model=elu_he", "seed=range({})", "optim.lr=5e-4"],
    "20 choices of options": [
        "model=elu_he,bn,selu,relu_he,alpha_dropout",
        "optim=nadam,sgd,adam,adamw",
        "seed=range({})",
    ],
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", nargs="+", default=["start", "check", "sweep"], choices=["start", "check", "sweep"])
    parser.add_argument("--rounds", type=int, default=5, help="of the start, each an import and a command alternately")
    parser.add_argument("--checked", type=int, default=1000, help="jobs that are composed and checked")
    parser.add_argument("--jobs", type=int, default=200, help="of a sweep")
    parser.add_argument("--data", nargs="+", default=["data=shapes"], help="settings of the data")
    options = parser.parse_args()
    settings = [*options.data, "trainer=cpu"]
    parts: dict[str, Callable[[], None]] = {
        "start": lambda: measure_start(options.rounds, settings),
        "check": lambda: measure_checks(options.checked, settings),
        "sweep": lambda: measure_sweeps(options.jobs, settings),
    }
    for part in options.parts:
        try:
            parts[part]()
        except Failed as failure:
            sys.exit(f"{part}: {failure}")


def measure_start(rounds: int, settings: Sequence[str]) -> None:
    """Seconds from the command to its first training step, and of the import of torch and Lightning alone."""
    imports, commands = [], []
    for _ in range(rounds + 1):
        begun = time.time()
        run_child([sys.executable, "-c", "import torch, lightning"], {})
        imports.append(time.time() - begun)
        with tempfile.TemporaryDirectory() as folder:
            clock = Path(folder) / "first_step"
            callback = f"+callbacks.first_step={{_target_: first_step.FirstStep, path: {clock}}}"
            begun = time.time()
            run_child(
                [*COMMAND, *settings, "model=elu_he", "trainer.max_epochs=1", callback, f"output_dir={folder}"],
                {"PYTHONPATH": str(HERE)},
            )
            commands.append(float(clock.read_text()) - begun)
    ratios = [command / alone for command, alone in zip(commands, imports, strict=True)][1:]  # the first reads the disk
    print(
        f"start: {statistics.median(commands[1:]):.2f} s to the first step, import torch, lightning "
        f"{statistics.median(imports[1:]):.2f} s; ratio {statistics.median(ratios):.2f} "
        f"({min(ratios):.2f} to {max(ratios):.2f}), goal 1.6"
    )


def measure_checks(jobs: int, settings: Sequence[str]) -> None:
    """CPU seconds of a command that composes and checks jobs, with all of its processes, and trains nothing."""
    for name, sweep in CHECKS.items():
        choices = 20 if "20" in name else 1
        words = [word.format(jobs // choices) for word in sweep]
        with tempfile.TemporaryDirectory() as folder:
            wall_s, cpu_s = timed([*COMMAND, "-m", *settings, *words, "sweep.dry_run=true", f"output_dir={folder}"])
        print(
            f"check of {jobs} jobs, {name}: {cpu_s:.1f} s of CPU time, {wall_s:.1f} s, goal 40 s of CPU time for 1000"
        )


def measure_sweeps(jobs: int, settings: Sequence[str]) -> None:
    """Seconds and megabytes of whole sweeps whose jobs make a step each."""
    for name, sweep in SWEEPS.items():
        rates = ",".join(f"{1e-4 * 1.02**i:.4g}" for i in range(jobs))
        words = [word.format(rates if word.startswith("optim.lr") else jobs) for word in sweep]
        with tempfile.TemporaryDirectory() as folder:
            wall_s, cpu_s = timed([*COMMAND, "-m", *settings, *words, f"output_dir={folder}", "name=sweep"])
            done = len(list(Path(folder, "sweep").glob("*/result.json")))
            size = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
        if done != jobs:
            raise Failed(f"{done} of {jobs} jobs have a result")
        print(
            f"sweep of {jobs} jobs, {name}: {wall_s:.1f} s, {cpu_s:.1f} s of CPU time, {size / 1e6:.0f} MB, goal 60 s"
        )


def timed(command: Sequence[str | Path]) -> tuple[float, float]:
    """Wall seconds of a command, and CPU seconds of all its processes."""
    before, begun = os.times(), time.time()
    run_child(command, {})
    after = os.times()
    cpu_s = after.children_user + after.children_system - before.children_user - before.children_system
    return time.time() - begun, cpu_s


if __name__ == "__main__":
    main()
