"""Checks trainings on a GPU: tests, results, times and memory. Prints one table.

    .venv/bin/python benchmarks/gpu_check.py [--device cpu] [--images DIR] [--quick]

- Tests: all that are marked `gpu`; with `--device cpu` they are only collected.
- Results: short trainings of elu_he and bn (with `--device cpu` of bn alone) by the real command line, solo runs and
  populations, in float64, in float32, and in float32 compiled, compared with the same trainings on the CPU. The
  difference is that of the last weights, the
  sum of their absolute differences over that of the weights, or of a loss, relative, of the worst member. The reference
  is the CPU's float64. How far the CPU's own float32 is from it shows what rounding by 2^-24 makes of a training:
  float32 may differ from the reference by 10 times as much; float64, which rounds by 2^-53, by 100 times 2^-29 of that.
  The populations are trained twice at the same time on the one GPU, while the solo runs are.
- Times of elu_he at batch 32, eager, captured as a CUDA graph, and compiled (see `one_population.py`): epochs of a solo
  run and of populations, of 45,000 images; the steps that are left out are added at the speed of the others.
- Memory of each additional member.
- Experiments: training and validation of those options of `experiment` that exist.

The exit status is 1 if anything failed or is wrong. A time that misses its goal is only marked.
"""

import argparse
import os
import shlex
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median

import torch
import yaml

from child import Failed, run_child
from contestants import CACHE, HERE, NUM_TRAIN_IMAGES
from table import cpu_model
from throughput import positive, progress
from trainings import MODES, Trained, Workload, moments, rows, run_sweep, train_population

ROOT = HERE.parent
VARIANTS = "elu_he,bn"
DOUBLE, SINGLE = "64-true", "32-true"
TYPES = {DOUBLE: "float64", SINGLE: "float32"}
BOTH = f"{DOUBLE},{SINGLE}"
MANY = 4  # members of the populations whose results are compared
# Of the CPU's rounding in float32: float64 rounds 2^29 times as finely, but its exponentials less exactly.
LIMITS = {DOUBLE: 100 * 2.0**-29, SINGLE: 10}
SMALL = ("data.num_train=700", "data.val_size=100", "data.num_test=200")  # 19 batches of 32, the last one smaller
UNTESTED = ("callbacks.figures=null", "logger.tensorboard=null", "test=false")
TINY = ("model.depth=2", "model.width=8")  # on the CPU
FEW = ("data.num_train=1200", "data.val_size=100", "data.num_test=100")  # on the CPU, for times of at most 30 steps
GOALS = {0: 0.6, 64: 3.0}  # seconds of a solo run's epoch; an epoch of so many members over it
EXPERIMENTS = {"airbench94": 8.0}  # goals in seconds
WHOLE_S = 480

Runs = Mapping[tuple[str, str], Sequence[Path]]  # folders by network and precision, in the order of the learning rates


@dataclass
class Check:
    """Measures, and collects the rows of the table: what, value, goal or limit, and ok, missed or WRONG."""

    args: argparse.Namespace
    work: Workload
    rows: list[tuple[str, str, str, str]] = field(default_factory=list)

    @property
    def on_gpu(self) -> bool:
        """Whether goals apply."""
        return self.work.trainer == "gpu"

    def add(self, what: str, value: str, limit: str = "", right: bool = True) -> None:
        """Add a result."""
        self.rows.append((what, value, limit, "ok" if right else "WRONG"))

    def add_time(self, what: str, value: float, goal: float | None, unit: str = "s", before: str = "") -> None:
        """Add a time; ``before`` it in the table."""
        goal = goal if self.on_gpu else None
        met = "missed" if goal and value > goal else "ok"
        self.rows.append((what, f"{before}{value:.2f} {unit}", f"≤ {goal:g} {unit}" if goal else "", met))

    @contextmanager
    def noted(self, what: str) -> Iterator[None]:
        """Add a row if what is done inside fails."""
        progress(what)
        try:
            yield
        except Failed as failure:
            self.add(what, f"failed: {failure}", right=False)

    def tests(self) -> None:
        """Run those marked `gpu`."""
        command = [sys.executable, "-m", "pytest", "-c", ROOT / "pyproject.toml", "-m", "gpu", ROOT / "tests"]
        command += [] if self.on_gpu else ["--collect-only"]
        with self.noted("tests marked gpu"):
            done = run_child(command, self.work.environment | {"PYTHONPATH": str(ROOT / "src")})
            self.add("tests marked gpu", done.output.strip().splitlines()[-1].strip("= "))

    def results(self) -> None:
        """Compare trainings with those of the CPU."""
        on = self.work.trainer
        reference = {"CPU solo": ("cpu", 1, BOTH, False), "CPU population": ("cpu", MANY, BOTH, False)}
        ours = {"solo": (on, 1, BOTH, False), "population": (on, MANY, BOTH, False)}
        again = {"population again": (on, MANY, BOTH, False)}
        compiled = {"solo compiled": (on, 1, SINGLE, True), "population compiled": (on, MANY, SINGLE, True)}
        with tempfile.TemporaryDirectory() as root, ThreadPoolExecutor() as pool:
            folder = Path(root)
            for at_once in (reference, ours | again, compiled):
                list(pool.map(lambda name, sweep: self._sweep(folder / name, *sweep), at_once, at_once.values()))
            for name in ours | again | compiled:
                self._compare(name, trained(folder / name), trained(folder / f"CPU {name.split()[0]}"))
            seconds = overlap(folder / "population", folder / "population again")
            self.add("both populations at once", f"{seconds:.1f} s", "> 0 s", seconds > 0)

    def _sweep(self, folder: Path, trainer: str, members: int, precisions: str, compiled: bool) -> None:
        together = members > 1
        more = (*SMALL, *UNTESTED, *self.work.more, f"trainer.precision={precisions}")
        environment = self.work.environment | {"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // 4))}
        variants = VARIANTS if self.on_gpu else "bn"
        work = Workload(None, 2, environment, trainer, more=more + ("sweep.jobs=1",) * together)
        with self.noted(f"{variants}: {folder.name}, {precisions}"):
            run_sweep(work, folder, variants, members, together, compiled)

    def _compare(self, name: str, ours: Runs, reference: Runs) -> None:
        """Without runs there is a row that says why already."""
        for (variant, precision), runs in ours.items() if reference else ():
            exact = reference[variant, DOUBLE]
            limit = LIMITS[precision] * distance(reference[variant, SINGLE], exact)
            far = distance(runs, exact)
            what = f"{variant} {name}, {TYPES[precision]}: difference from the CPU"
            self.add(what, f"{far:.1e}", f"≤ {limit:.1e}", far <= limit)

    def times(self) -> None:
        """Epochs of a solo run and of populations, and the memory of a member."""
        few = () if self.on_gpu else FEW
        work = replace(self.work, full_epoch=NUM_TRAIN_IMAGES, more=(*UNTESTED, *few, *self.work.more))
        for mode in MODES:
            done: dict[int, Trained] = {}  # a solo run has 0 members
            for members in (0, *self.args.members):
                what = f"epoch of a {f'population of {members}' if members else 'solo run'}, {mode}"
                with self.noted(what):
                    steps = self.args.steps * (1 if members > 1 else 10)
                    done[members] = train_population(work, "elu_he", members or 1, mode, steps, solo=not members)
                    seconds = epoch_s(done[members])
                    goal = None if mode == "eager" else GOALS.get(members)
                    if members and 0 in done:
                        self.add_time(what, seconds / epoch_s(done[0]), goal, "x a solo run", f"{seconds:.2f} s, ")
                    elif not members:
                        self.add_time(what, seconds, goal)
            sizes = [(one.members, one.resident_bytes or 0) for members, one in done.items() if members]
            (few, least), (many, most) = (min(sizes), max(sizes)) if sizes else ((0, 0), (0, 0))
            if least and many > few:
                each = f"{(most - least) / (many - few) / 1e6:.1f} MB"
                self.add(f"memory of each member from {few} to {many}, {mode}", each)

    def experiments(self) -> None:
        """Time whole trainings, without their start."""
        small = () if self.on_gpu else (*SMALL, *UNTESTED, "trainer.max_epochs=1", "trainer.limit_train_batches=2")
        for name in self.args.experiments:
            if not (ROOT / "conf" / "experiment" / f"{name}.yaml").exists():
                continue
            with self.noted(f"experiment={name}"), tempfile.TemporaryDirectory() as folder:
                command = [sys.executable, ROOT / "src" / "train.py", *self.work.data, f"experiment={name}"]
                command += [f"trainer={self.work.trainer}", f"output_dir={folder}", "name=run", *small]
                run_child(command, self.work.environment)
                epochs = rows(Path(folder, "run", "metrics.csv"))
                what = f"experiment={name}, {float(epochs[-1]['val/acc']):.2%} in validation"
                self.add_time(what, sum(float(epoch["epoch_s"]) for epoch in epochs), EXPERIMENTS.get(name))


def epoch_s(one: Trained) -> float:
    """Seconds of a full epoch of all members."""
    return median(one.full_s) * one.members


def trained(folder: Path) -> Runs:
    """The runs of a sweep."""
    found = defaultdict(list)
    for path in folder.rglob("result.json"):
        settings = yaml.safe_load(path.with_name("config.yaml").read_text())
        variant = "bn" if settings["model"]["batch_norm"] else "elu_he"
        found[variant, settings["trainer"]["precision"]].append((float(settings["optim"]["lr"]), path.parent))
    return {key: [run for _, run in sorted(runs)] for key, runs in sorted(found.items())}


def distance(ours: Sequence[Path], theirs: Sequence[Path]) -> float:
    """How far runs are from others, of the one that is farthest."""
    return max(_distance(one, other) for one, other in zip(ours, theirs, strict=True))


def _distance(ours: Path, theirs: Path) -> float:
    one, other = (torch.load(run / "checkpoints/last.ckpt", "cpu", weights_only=True) for run in (ours, theirs))
    pairs = [(one["state_dict"][key].double(), value.double()) for key, value in other["state_dict"].items()]
    weights = sum((a - b).abs().sum() for a, b in pairs) / sum(b.abs().sum() for _, b in pairs)
    epochs = zip(rows(ours / "metrics.csv"), rows(theirs / "metrics.csv"), strict=True)
    losses = [[float(a[key]) / float(b[key]) - 1 for key in ("train/loss", "val/loss")] for a, b in epochs]
    return float(torch.cat([weights[None], torch.tensor(losses).abs().flatten()]).max())  # NaN if there is one


def overlap(*sweeps: Path) -> float:
    """Seconds in which all of them trained, from the ends of their first epochs on; negative if they did not."""
    logs = [[moments(path.with_name("train.log")) for path in sweep.rglob("result.json")] for sweep in sweeps]
    starts, ends = ([of(log[i] for log in own) for own in logs if own] for i, of in enumerate((min, max)))
    return min(ends, default=0.0) - max(starts, default=0.0)


def table(lines: Sequence[tuple[str, str, str, str]]) -> str:
    """In columns."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)


def main() -> int:
    """Check, print, and return the exit status."""
    args, start = parse_args(), time.monotonic()
    # Of this checkout, whatever the interpreter has installed.
    environment = {"PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(HERE)])}
    environment["CUDA_VISIBLE_DEVICES"] = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0]
    on_gpu = args.device == "cuda"
    CACHE.mkdir(exist_ok=True)
    work = Workload(args.images, args.epochs, environment, "gpu" if on_gpu else "cpu", more=() if on_gpu else TINY)
    check = Check(args, work)
    for part in (check.tests, check.results, check.times, check.experiments):
        part()
    check.add_time("the whole check", time.monotonic() - start, WHOLE_S)
    print(f"{torch.cuda.get_device_name() if on_gpu else cpu_model()}, torch {torch.__version__}")
    print(f"{shlex.join(['python', *sys.argv])}\n")
    print(table([("what", "value", "goal or limit", ""), *check.rows]))
    return int(any(row[-1] == "WRONG" for row in check.rows))


def parse_args() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="cpu: tiny sizes, to try this")
    parser.add_argument("--images", type=Path, metavar="DIR", help="CIFAR-10 as image files; otherwise embedded images")
    parser.add_argument("--quick", action="store_true", help="short epochs, at most 16 members")
    parser.add_argument("--members", nargs="+", type=positive, help="of the populations that are timed")
    parser.add_argument("--experiments", nargs="+", default=list(EXPERIMENTS), metavar="NAME")
    args = parser.parse_args()
    if args.device == "cuda" and not torch.cuda.is_available():
        parser.exit(2, "there is no GPU; give --device cpu\n")
    args.images = args.images.resolve() if args.images and args.device == "cuda" else None
    members, args.steps, args.epochs = ([1, 16], 20, 1) if args.quick else ([1, 16, 64, 256], 100, 2)
    if args.device == "cpu":
        members, args.steps, args.epochs = [1, 4], 3, 1
    args.members = args.members or members
    return args


if __name__ == "__main__":
    sys.exit(main())
