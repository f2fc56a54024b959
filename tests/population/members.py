"""Small trainings, solo or as members of a population, in this process, and comparisons of their results."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import DictConfig, OmegaConf

from sweeping import figures
from trainlab.config.compose import compose
from trainlab.config.resolvers import PROJECT
from trainlab.config.run_config import RunConfig, resolve
from trainlab.population.runner import Population
from trainlab.run import run
from trainlab.runs.checkpoints import load_checkpoint
from trainlab.runs.files import read_rows
from trainlab.runs.result import Result

STEPS = 50  # an epoch: 799 images in batches of 16, the last of 15
SMALL = (
    *("data.image_size=16", "data.num_train=899", "data.val_size=100", "data.num_test=50", "data.batch_size=16"),
    *("model.depth=5", "model.width=20", "trainer.max_epochs=4", "trainer.precision=64-true"),
)
TIMES = ("epoch_s", "images_per_s")
# A population sums in another order, so each step differs by float64's rounding, 1e-16 of what it computes. Training
# amplifies that: 200 steps make at most 1e-12 of it here, and 1e-9 is less than any mistake in a formula would leave.
# It stays so little because the batches have 16 images. Batch normalization divides by the deviation of a unit over
# the batch; in batches of 4 one near zero comes up every few steps, in layer after layer, and rounding of 1e-17 after
# one step is 1e-6 after 50 and as large as the weights after 200, in two solo runs that sum differently too.
TOLERANCE = 1e-9
# torch computes most numbers of a tensor 32 or 16 at a time and those left at its end one by one, with an exponential
# that rounds otherwise. With full batches alone, of 16 times 20 units, none is left, whatever the number of members:
# on one thread a member then comes to the same bits in any company.
BITWISE = ("data.num_train=900",)


@cache
def _composed(*options: str) -> RunConfig:
    base = ("data=shapes", "trainer=cpu", "logger.tensorboard=null", "callbacks.figures=null", "name=small")
    return compose([*base, "run_dir=nowhere", *options])


def config(folder: Path, *overrides: str, compile: bool = False) -> RunConfig:
    """The configuration of a small run in ``folder``."""
    options = [o for o in overrides if (PROJECT / "conf" / o.partition("=")[0]).is_dir()]
    settings = [*SMALL, *(o for o in overrides if o not in options), f"run_dir={folder}", f"compile={compile}"]
    base = _composed(*options)
    merged = OmegaConf.merge(OmegaConf.create(dict(base.references)), OmegaConf.from_dotlist(settings))
    assert isinstance(merged, DictConfig)
    return resolve(merged, overrides, base.choices)


def alone(folder: Path, *overrides: str, compile: bool = False) -> Any:
    """The result of a run, or what ended it."""
    try:
        return run(config(folder, *overrides, compile=compile))
    except BaseException as error:
        return error


def together(folders: Mapping[Path, Sequence[str]], compile: bool = False) -> list[Any]:
    """The results of the members of a population, by folder and overrides, or what ended each."""

    configs = [config(folder, *overrides, compile=compile) for folder, overrides in folders.items()]
    return Population([partial(run, cfg) for cfg in configs]).run()


def deviations(ours: Any, theirs: Any, place: str = "") -> Iterator[tuple[float, str]]:
    """How far numbers are from each other, and where; infinitely, where they cannot be compared or are not finite."""
    numbers = (int, float)
    if type(ours) is not type(theirs):
        yield math.inf, place
    elif isinstance(ours, torch.Tensor):
        if ours.shape != theirs.shape or ours.dtype != theirs.dtype:
            yield math.inf, place
        elif ours.numel():
            far = float((ours.double() - theirs.double()).abs().max())
            yield (far if math.isfinite(far) else math.inf), place
    elif isinstance(ours, Mapping):
        keys = [key for key in ours if key not in TIMES]
        if keys != [key for key in theirs if key not in TIMES]:
            yield math.inf, place
        else:
            for key in keys:
                yield from deviations(ours[key], theirs[key], f"{place}.{key}")
    elif isinstance(ours, list | tuple):
        if len(ours) != len(theirs):
            yield math.inf, place
        else:
            for i, (x, y) in enumerate(zip(ours, theirs, strict=True)):
                yield from deviations(x, y, f"{place}[{i}]")
    elif isinstance(ours, numbers) and not isinstance(ours, bool) and math.isfinite(ours):
        yield abs(ours - theirs), place
    elif ours != theirs:
        yield math.inf, place


def saved(folder: Path, name: str = "last") -> dict[str, Any]:
    """All of a checkpoint but where it lies, which one it continues, whether it was compiled and in how many rows."""
    checkpoint = load_checkpoint(folder / "checkpoints" / f"{name}.ckpt")
    about = checkpoint["trainlab"]
    places = {
        key: value
        for key, value in about["config"].items()
        if key not in ("run_dir", "output_dir", "ckpt_path", "callbacks", "logger", "compile")
    }
    del checkpoint["path"]
    checkpoint.pop("population", None)
    for key in ("continued_from", "compiled"):
        about.pop(key, None)
    return checkpoint | {"trainlab": about | {"config": places}}


def rows(folder: Path) -> list[dict[str, float]]:
    """`metrics.csv` but for the times; without what an epoch that was not validated has none of."""
    return [{k: float(v) for k, v in row.items() if v and k not in TIMES} for row in read_rows(folder / "metrics.csv")]


def assert_same_run(ours: Path, theirs: Path, tolerance: float = TOLERANCE) -> None:
    """Both folders hold checkpoints, rows and results that differ by rounding at most, times aside."""
    far = [
        *(found for name in ("last", "best") for found in deviations(saved(ours, name), saved(theirs, name), name)),
        *deviations(rows(ours), rows(theirs), "metrics.csv"),
    ]
    results = [Result.read(folder) for folder in (ours, theirs)]
    assert results[0] and results[1]
    figures = [dict(result.metrics) for result in results if result]
    losses = [figure.pop("test_loss") for figure in figures]
    # The test is in float32; where weights differ in the last bits, some round up and others down.
    assert abs(losses[0] - losses[1]) <= (1e-6 if tolerance else 0)
    far += deviations(*figures, "metrics")
    assert results[0].status == results[1].status
    far = sorted(one for one in far if not one[0] <= tolerance)
    assert not far, far[-5:]


def assert_as_undisturbed(folder, undisturbed):
    found = figures(folder / "study")
    assert found.keys() == undisturbed.keys()
    for name, (status, metrics, rows) in found.items():
        expected_status, expected_metrics, expected_rows = undisturbed[name]
        assert status == expected_status == "completed"
        numbers = [[{k: float(v) for k, v in row.items()} for row in table] for table in (rows, expected_rows)]
        rest = [{k: v for k, v in m.items() if k != "test_loss"} for m in (metrics, expected_metrics)]
        far = max([*deviations(*numbers), *deviations(*rest)])
        assert far[0] <= TOLERANCE, (name, far)
        assert metrics["test_loss"] == pytest.approx(expected_metrics["test_loss"], rel=1e-6)  # in float32


def continued(folder):
    """From which epoch each run went on, as its log says."""
    logs = "".join(path.read_text() for path in folder.glob("study/*/train.log"))
    return sorted(re.findall(r"last\.ckpt after epoch (\d+)", logs))
