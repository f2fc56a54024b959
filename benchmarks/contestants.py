"""How each contestant is started, and where its times are found."""

import csv
import itertools
import json
import re
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from child import Failed, run_child

HERE = Path(__file__).resolve().parent
CACHE = HERE / ".cache"
KERAS_PYTHON = HERE / ".keras-venv" / "bin" / "python"
NUM_TRAIN_IMAGES = 45_000

PEERS = {
    "plain-loop": [sys.executable, HERE / "peers" / "plain_loop.py"],
    "plain-loop-compiled": [sys.executable, HERE / "peers" / "plain_loop.py", "--compile"],
    "lightning": [sys.executable, HERE / "peers" / "lightning_tutorial.py"],
    "keras": [KERAS_PYTHON, HERE / "peers" / "keras_fit.py"],
}
EPOCH_LINE = " INFO trainlab.callbacks.epoch_log: epoch "  # in a run's log, at the end of every epoch
CONTESTANTS = ("plain-loop", "project", "project-compiled", "keras", "plain-loop-compiled", "lightning")


@dataclass(frozen=True)
class Setup:
    """What all contestants of a comparison share.

    Attributes:
        images: the image folder.
        arrays: its training and validation split, see `arrays.py`.
        epochs: to be timed, after one to warm up.
        environment: variables that set the number of threads.
    """

    images: Path
    arrays: Path
    epochs: int
    environment: dict[str, str]


@dataclass(frozen=True)
class Times:
    """Seconds of each epoch of one contestant, without the first.

    Attributes:
        train_s: the training steps.
        epoch_s: the training steps and the validation.
        wall_s: from one epoch's end to the next one's, checkpoints and logs included; of the project alone.
        peak_bytes: the process's largest resident set.
    """

    train_s: list[float]
    epoch_s: list[float]
    wall_s: list[float]
    peak_bytes: int


def run_contestant(name: str, variant: str, batch_size: int, setup: Setup) -> Times:
    """One warm-up epoch and ``setup.epochs`` timed ones.

    Raises:
        Failed: it ended with an error, or printed other than was agreed.
    """
    if name.startswith("project"):
        return _run_project(variant, batch_size, setup, compiled=name == "project-compiled")
    settings = [setup.arrays, "--batch-size", str(batch_size), "--epochs", str(setup.epochs + 1)]
    if name != "lightning":
        settings += ["--variant", variant]
    done = run_child([*PEERS[name], *settings], setup.environment)
    rows = [json.loads(line) for line in done.output.splitlines() if line.startswith("{")][1:]
    if len(rows) != setup.epochs:
        raise Failed(f"printed {len(rows)} epochs after the first, expected {setup.epochs}")
    return Times([r["train_s"] for r in rows], [r["epoch_s"] for r in rows], [], done.peak_bytes)


def _run_project(variant: str, batch_size: int, setup: Setup, compiled: bool) -> Times:
    with tempfile.TemporaryDirectory() as folder:
        command = project_command(setup, folder, f"model={variant}", f"data.batch_size={batch_size}")
        command += [f"trainer.max_epochs={setup.epochs + 1}", f"compile={str(compiled).lower()}"]
        done = run_child(command, setup.environment)
        run = Path(folder) / "run"
        with (run / "metrics.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))[1:]
        wall_s = _between_epochs(run / "train.log")
    train_s = [NUM_TRAIN_IMAGES / float(row["images_per_s"]) for row in rows]
    return Times(train_s, [float(row["epoch_s"]) for row in rows], wall_s, done.peak_bytes)


def project_command(setup: Setup, output_dir: str, *overrides: str) -> list[str | Path]:
    """The project's command line, with everything logged that is logged by default, into ``output_dir``/run."""
    return [
        sys.executable,
        HERE.parent / "src" / "train.py",
        "data=image_folder",
        f"data.root={setup.images}",
        f"data.cache_dir={CACHE}",
        "trainer=cpu",
        "callbacks.early_stopping=null",
        f"output_dir={output_dir}",
        "name=run",
        *overrides,
    ]


def _between_epochs(log: Path) -> list[float]:
    """Seconds between the lines that a run writes at the end of every epoch."""
    ends = [
        datetime.strptime(match[1], "%Y-%m-%d %H:%M:%S,%f")
        for match in re.finditer(rf"^(\S+ \S+){EPOCH_LINE}", log.read_text(), re.MULTILINE)
    ]
    if len(ends) < 2:
        raise Failed(f"the log has {len(ends)} lines of epochs")
    return [(end - start).total_seconds() for start, end in itertools.pairwise(ends)]


def measure_start_up(setup: Setup, repeats: int = 3) -> float:
    """Median seconds from the command to its first training step; the images are decoded already.

    Raises:
        Failed: a run ended with an error.
    """
    seconds = []
    for _ in range(repeats):
        with tempfile.TemporaryDirectory() as folder:
            clock = Path(folder) / "first_step"
            callback = f"+callbacks.first_step={{_target_: first_step.FirstStep, path: {clock}}}"
            command = project_command(setup, folder, "model=elu_he", "trainer.max_epochs=1", callback)
            start = time.time()
            run_child(command, setup.environment | {"PYTHONPATH": str(HERE)})
            seconds.append(float(clock.read_text()) - start)
    return statistics.median(seconds)


def write_arrays(images: Path) -> Path:
    """The arrays that peers read; see `arrays.py`.

    Raises:
        Failed: the folder has no such images.
    """
    CACHE.mkdir(exist_ok=True)
    command = [sys.executable, HERE / "arrays.py", images, CACHE]
    return Path(run_child(command, {"PYTHONPATH": str(HERE.parent / "src")}).output.strip())


def build_keras_environment() -> None:
    """Make `.keras-venv` unless Keras can be imported from there.

    Raises:
        Failed: it cannot be installed.
    """
    check = [KERAS_PYTHON, "-c", "import keras"]
    try:
        run_child(check, {"KERAS_BACKEND": "tensorflow"})
    except Failed:
        run_child([sys.executable, "-m", "venv", "--clear", KERAS_PYTHON.parents[1]], {})
        run_child([KERAS_PYTHON, "-m", "pip", "install", "--quiet", "tensorflow-cpu", "keras"], {})
        run_child(check, {"KERAS_BACKEND": "tensorflow"})
