"""How a sweep or a population is started, and what is found of its time and memory afterwards."""

import csv
import json
import re
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import yaml

from child import Failed, Finished, run_child
from contestants import CACHE, EPOCH_LINE, HERE, NUM_TRAIN_IMAGES

BATCH_SIZE = 32
MODES = ("eager", "captured", "compiled")  # see `one_population.py`
NUM_SHAPES = 5_000  # training images of data=shapes


@dataclass(frozen=True)
class Workload:
    """What all trainings share.

    Attributes:
        images: the image folder; None for the embedded data set.
        epochs: to be timed, after one to warm up.
        environment: variables that set the number of threads.
        trainer: option of the group, cpu or gpu.
        full_epoch: images of a full epoch; None for those of the data.
        more: settings that follow.
    """

    images: Path | None
    epochs: int
    environment: dict[str, str]
    trainer: str = "cpu"
    full_epoch: int | None = None
    more: tuple[str, ...] = ()

    @property
    def num_images(self) -> int:
        """Of a full epoch."""
        return self.full_epoch or (NUM_TRAIN_IMAGES if self.images else NUM_SHAPES)

    @property
    def data(self) -> list[str]:
        """Settings of the data."""
        if self.images:
            return ["data=image_folder", f"data.root={self.images}", f"data.cache_dir={CACHE}"]
        return ["data=shapes"]

    def overrides(self, variant: str, steps: int | None) -> list[str]:
        """Of every training. ``steps``: of an epoch; None for all that there are."""
        return [
            *self.data,
            f"data.batch_size={BATCH_SIZE}",
            f"model={variant}",
            f"trainer={self.trainer}",
            f"trainer.max_epochs={self.epochs + 1}",
            *((f"trainer.limit_train_batches={steps}",) if steps else ()),
            "callbacks.early_stopping=null",
            *self.more,
        ]


@dataclass(frozen=True)
class Trained:
    """Trainings of a sweep. A member's epoch is its share of an epoch, where others were trained at the same time.

    Attributes:
        members: how many there were.
        populations: populations or solo runs trained at the same time, in one process each.
        steps: of an epoch.
        epoch_s: a member's seconds of each timed epoch, the mean over the members.
        full_s: the same for an epoch of all images: the training steps that were left out are added.
        step_s: a member's seconds a training step, of each timed epoch.
        wall_s: by the clock, of a member's epoch: from the first epoch's end to the last one's.
        whole_s: the same to the end of the runs, with their tests, pictures and last checkpoints.
        weights: parameters of a member.
        activations_bytes: see `activations`.
        resident_bytes: of memory, on a GPU of its own, as the first member's last epoch ends; None if unknown.
        peak_bytes: the largest resident set.
    """

    members: int
    populations: int
    steps: int
    epoch_s: list[float]
    full_s: list[float]
    step_s: list[float]
    wall_s: float
    whole_s: float
    weights: int
    activations_bytes: int
    resident_bytes: int | None
    peak_bytes: int


def learning_rates(count: int) -> str:
    """From 2e-5 to 5e-4, each the same factor above the one before."""
    return ",".join(f"{2e-5 * 25 ** (i / max(1, count - 1)):.4e}" for i in range(count))


def train_sweep(
    work: Workload,
    variant: str,
    members: int,
    together: bool,
    compiled: bool = False,
    steps: int | None = None,
    at_once: int = 1,
) -> Trained:
    """A sweep over learning rates by the real command line: as one population, or solo, ``at_once`` at a time.

    Raises:
        Failed: it ended with an error, or its jobs were put together in another way.
    """
    with tempfile.TemporaryDirectory() as folder:
        done = run_sweep(work, Path(folder), variant, members, together, compiled, steps, at_once)
        return found(Path(folder), members if together else 1, work, done.peak_bytes, at_once)


def run_sweep(
    work: Workload,
    folder: Path,
    variants: str,
    members: int,
    together: bool,
    compiled: bool = False,
    steps: int | None = None,
    at_once: int = 1,
) -> Finished:
    """The command of `train_sweep`, for one or more networks, with its runs in ``folder``.

    Raises:
        Failed: it ended with an error.
    """
    command = [
        *(sys.executable, HERE.parent / "src" / "train.py", "-m"),
        *work.overrides(variants, steps),
        f"compile={str(compiled).lower()}",
        f"optim.lr={learning_rates(members)}",
        *((f"sweep.population={members}",) if together else ("sweep.population=off", f"sweep.jobs={at_once}")),
    ]
    return run_child([*command, f"output_dir={folder}", "name=sweep"], work.environment)


def train_population(
    work: Workload, variant: str, members: int, mode: str, steps: int | None, solo: bool = False
) -> Trained:
    """A population of any size, or a solo run; see `one_population.py`.

    Raises:
        Failed: it ended with an error.
    """
    with tempfile.TemporaryDirectory() as folder:
        resident = Path(folder) / "resident"
        command = [
            *(sys.executable, HERE / "one_population.py", *(("--solo",) if solo else ())),
            *(folder, learning_rates(members), mode, *work.overrides(variant, steps)),
            f"+callbacks.resident={{_target_: resident.Resident, path: {resident}}}",
        ]
        done = run_child(command, work.environment)
        return found(Path(folder), members, work, done.peak_bytes)


def found(folder: Path, together: int, work: Workload, peak_bytes: int, at_once: int = 1) -> Trained:
    """What trainings in ``folder`` have left behind: solo, ``at_once`` at a time, or ``together`` in
    populations.

    Raises:
        Failed: the trainings differ from the request.
    """
    runs = sorted(path.parent for path in folder.rglob("result.json"))
    populations = _populations(runs, together) or at_once
    tables = [rows(run / "metrics.csv")[1:] for run in runs]
    if not tables or {len(rows) for rows in tables} != {work.epochs}:
        raise Failed(f"{[len(rows) for rows in tables]} epochs after the first, expected {work.epochs}")
    steps = int(tables[0][0]["step"]) // 2  # of the second epoch's row
    images = min(work.num_images, steps * BATCH_SIZE)
    epochs = list(zip(*tables, strict=True))
    epoch_s = [statistics.fmean(float(row["epoch_s"]) for row in rows) / populations for rows in epochs]
    train_s = [statistics.fmean(images / float(row["images_per_s"]) for row in rows) / populations for rows in epochs]
    left_out = work.num_images / images - 1
    logs = [moments(run / "train.log") for run in runs]
    trained_at_once = [logs] if together > 1 else [logs[i : i + at_once] for i in range(0, len(logs), at_once)]
    resident = folder / "resident"
    return Trained(
        members=len(runs),
        populations=populations,
        steps=steps,
        epoch_s=epoch_s,
        full_s=[epoch + train * left_out for epoch, train in zip(epoch_s, train_s, strict=True)],
        step_s=[s / steps for s in train_s],
        wall_s=_a_member_epoch([min(log[1] for log in part) - _start(part) for part in trained_at_once], tables),
        whole_s=_a_member_epoch([max(log[2] for log in part) - _start(part) for part in trained_at_once], tables),
        weights=int(tables[0][0]["parameters"]),
        activations_bytes=activations(runs[0] / "config.yaml"),
        resident_bytes=int(resident.read_text().split()[0]) if resident.exists() else None,
        peak_bytes=peak_bytes,
    )


def _populations(runs: Sequence[Path], together: int) -> int:
    """How many populations ``runs`` were trained in at the same time; 0 if there was none."""
    sizes = []
    for run in runs:
        result = json.loads((run / "result.json").read_text())
        sizes.append(result["time"].get("population", {}).get("members", 1))
        if (sizes[-1] > 1) != (together > 1):
            raise Failed(f"{sizes[-1]} trained together where {together} were to be")
    return round(sum(1 / size for size in sizes)) if together > 1 else 0


def activations(config: Path) -> int:
    """Bytes that a member keeps of a batch for the backward pass.

    They are of each hidden layer what the linear layer, the normalization if there is one, and the activation put out,
    and the logits. The images are not among them: members that differ in their learning rates share them.
    """
    settings = yaml.safe_load(config.read_text())
    model, images = settings["model"], settings["data"]["batch_size"]
    tensors = 3 if model["batch_norm"] else 2
    return 4 * images * (tensors * model["depth"] * model["width"] + model["num_classes"])


def rows(path: Path) -> list[dict[str, str]]:
    """Of a file of comma-separated values, by heading."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def _start(logs: Sequence[tuple[float, float, float]]) -> float:
    return min(log[0] for log in logs)


def _a_member_epoch(seconds: Sequence[float], tables: Sequence[Sequence[object]]) -> float:
    return sum(seconds) / sum(map(len, tables))


def moments(log: Path) -> tuple[float, float, float]:
    """When a run's first epoch ended, when its last one did, and when it wrote its last line."""
    lines = re.findall(r"^(\d\S+ \d\S+)(.*)", log.read_text(), re.MULTILINE)
    times = [datetime.strptime(time, "%Y-%m-%d %H:%M:%S,%f").timestamp() for time, _ in lines]
    epochs = [time for time, (_, rest) in zip(times, lines, strict=True) if rest.startswith(EPOCH_LINE)]
    if not epochs:
        raise Failed(f"{log.name} has no line about an epoch")
    return epochs[0], epochs[-1], times[-1]
