"""Times sweeps trained as one batched model, compared with the same sweeps run by run; prints Markdown tables.

    .venv/bin/python benchmarks/population.py --images DIR [--quick] [--out FILE]

DIR holds CIFAR-10 as image files, train/<class>/* and test/<class>/*; TRAINLAB_IMAGES is its default. Two parts:

- sweeps: ten learning rates at batch 32 by the real command line, with everything logged that it logs by default.
  `sweep.population=off` comes before every other contestant that takes long, so that each has a neighbour: a machine's
  speed drifts. All its runs cost the same, so one is timed and taken ten times; --all-solo times them all. That is one
  run after the other with all threads; it is compared with what a sweep does by default, one run per core.
- growth: populations of 1 to 40 in a process with one thread, as a sweep starts one a core; a member's time and memory.
  By default epochs of 200 steps.

Each measurement is a command of its own. Its first epoch warms up (a compiled one compiles in it) and is left out.
Seconds are `epoch_s` of a run's `metrics.csv`, for a member of a population its share, divided by the populations that
the sweep trains at the same time; the wall time from the runs' own logs is listed, too. Where
epochs are cut short, the seconds of a full one are those measured plus those of the steps left out: validation,
checkpoints and logs weigh what they weigh in a full one.

A failed measurement is listed as "failed: reason", the others continue, and the exit status is 1. Run it on an
otherwise idle machine.
"""

import argparse
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from child import Failed, run_child
from contestants import CACHE, HERE
from population_goals import COMPILED, ONE, SIDE, SOLO, TOGETHER, Measurements
from population_table import draw_growth, render
from throughput import positive, progress
from trainings import Trained, Workload, train_population, train_sweep

PARTS = ("sweeps", "growth")
MODES = ("eager", "compiled")
ORDER = (SOLO, ONE, TOGETHER, SIDE, SOLO, COMPILED)  # of a round
QUICK = {
    **{"variants": ["elu_he"], "rounds": 1, "epochs": 1, "steps": 100},
    **{"growth": [1, 5, 10, 40], "growth_steps": 50, "growth_modes": ["eager"]},
}


@dataclass
class Bench:
    """Measures, and collects results and failures."""

    args: argparse.Namespace
    work: Workload
    threads: int
    taken: Measurements = field(default_factory=Measurements)

    def sweeps(self) -> None:
        """All contestants of each network one after the other, ``rounds`` times."""
        for variant in self.args.variants:
            for number in range(self.args.rounds):
                for name in ORDER:
                    label = f"{variant}, round {number + 1} of {self.args.rounds}: {name}"
                    measured = self._measure(label, lambda v=variant, n=name: self._contestant(v, n))
                    if measured:
                        self.taken.sweeps.setdefault((variant, name), []).append(measured)

    def _contestant(self, variant: str, name: str) -> Trained:
        members, steps = self.args.members, self.args.steps
        if name == ONE:
            return train_population(self.work, variant, 1, "eager", steps)
        if name == SIDE:
            runs = min(members, self.threads)
            return train_sweep(self.work, variant, runs, together=False, steps=steps, at_once=runs)
        if name == SOLO:
            runs = members if self.args.all_solo else min(members, self.args.solo_runs)
            return train_sweep(self.work, variant, runs, together=False, steps=steps)
        return train_sweep(self.work, variant, members, together=True, compiled=name == COMPILED, steps=steps)

    def growth(self) -> None:
        """Populations of all sizes on the processor; eager and compiled ones of a size are neighbours."""
        one_thread = replace(self.work, environment=self.work.environment | threads(1))
        for members in self.args.growth:
            for mode in self.args.growth_modes:
                steps = self.args.growth_steps or None
                label = f"{members} together, {mode}"
                train = partial(train_population, one_thread, "elu_he", members, mode, steps)
                if measured := self._measure(label, train):
                    self.taken.growth[mode, members] = measured

    def _measure(self, label: str, train: Callable[[], Trained]) -> Trained | None:
        progress(label, end=": ")
        try:
            measured = train()
        except Failed as failure:
            self.taken.failures[label] = str(failure)
            progress(f"failed: {failure}")
            return None
        progress(" ".join(f"{s:.2f}" for s in measured.epoch_s) + " s per member and epoch")
        return measured


def main() -> int:
    """Measure, print, and return the exit status."""
    args = parse_args()
    # Of this checkout, whatever the interpreter has installed.
    environment = {"PYTHONPATH": os.pathsep.join([str(HERE.parent / "src"), str(HERE)])}
    if args.threads:
        environment |= threads(args.threads)
    CACHE.mkdir(exist_ok=True)
    counted = run_child([sys.executable, "-c", "import torch; print(torch.get_num_threads())"], environment)
    num_threads = int(counted.output)
    bench = Bench(args, Workload(args.images, args.epochs, environment), args.threads or num_threads)
    for part in args.parts:
        getattr(bench, part)()
    text = render(bench.taken, args, num_threads)
    print(text)
    if args.out:
        args.out.write_text(text + "\n")
        if bench.taken.growth:
            sys.path.insert(0, str(HERE.parent / "src"))
            draw_growth(bench.taken.growth, args.out.with_suffix(".png"))
    return 1 if bench.taken.failures else 0


def threads(count: int) -> dict[str, str]:
    """Variables of an environment in which torch uses ``count``."""
    return dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(count))


def parse_args() -> argparse.Namespace:
    """The command line; what is given goes before what --quick stands for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, default=os.environ.get("TRAINLAB_IMAGES") or None, metavar="DIR")
    parser.add_argument("--data", choices=("images", "shapes"), default="images", help="shapes: embedded, to try this")
    parser.add_argument("--quick", action="store_true", help="one network, short epochs, little that is compiled")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--variants", nargs="+", choices=("elu_he", "bn"), default=["elu_he", "bn"])
    parser.add_argument("--rounds", type=positive, default=1, help="of the sweeps")
    parser.add_argument("--epochs", type=positive, default=2, help="timed epochs of a run, after the first")
    parser.add_argument("--steps", type=positive, help="of an epoch of sweeps; all if not given")
    parser.add_argument("--members", type=positive, default=10, help="learning rates of a sweep")
    parser.add_argument("--solo-runs", type=positive, default=1, help="runs timed of a sweep that is not together")
    parser.add_argument("--all-solo", action="store_true", help="time all of its runs")
    parser.add_argument("--growth", nargs="+", type=positive, default=[1, 5, 10, 20, 40], metavar="MEMBERS")
    parser.add_argument("--growth-steps", type=int, default=200, help="of an epoch there; 0 for all")
    parser.add_argument("--growth-modes", nargs="+", choices=MODES, default=list(MODES))
    parser.add_argument("--threads", type=positive, help="of a command; torch's own default if not given")
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="file for the page; the curve is written next to it as .png"
    )
    if parser.parse_args().quick:
        parser.set_defaults(**QUICK)
    args = parser.parse_args()
    if args.data == "shapes":
        args.images = None
    elif not args.images:
        parser.exit(2, "give --images DIR or set TRAINLAB_IMAGES: CIFAR-10 as train/<class>/*, test/<class>/*\n")
    else:
        args.images = args.images.resolve()
    return args


if __name__ == "__main__":
    sys.exit(main())
