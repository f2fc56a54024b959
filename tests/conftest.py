"""Tiny runs: a few hundred pictures, three layers of 16 units, on one thread."""

import os

# Before torch is imported, and for all processes that tests start: workers share the cores, and a thread that waits
# for another must not spin on one of them.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["OMP_WAIT_POLICY"] = "PASSIVE"

import atexit
import base64
import gc
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import pytest
from _pytest.mark import ParameterSet

from run_folders import leave, no_figures, study  # noqa: F401 (fixtures)

if TYPE_CHECKING:  # imported where they are used: the process that starts the workers uses none of it
    from lightning.pytorch.callbacks import Callback
    from matplotlib.figure import Figure
    from omegaconf import DictConfig

    from trainlab.config.run_config import RunConfig
    from trainlab.ending import Ending

pytest_plugins = ["chromium"]
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # in the background of a script; what is started would, too
    signal.signal(signal.SIGINT, signal.default_int_handler)

os.fsync = lambda descriptor: None  # it takes a sixth of the time of tiny runs, and only a power failure needs it
gc.set_threshold(50_000, 20, 50)  # far fewer collections than by default: they took a sixth of the time of tiny runs
gc.disable()  # until all is imported


def enable_gc() -> None:
    """Collect garbage from now on, but never look at what was imported: that takes 0.4 s, as populations start, too."""
    gc.freeze()
    atexit.register(gc.unfreeze)  # or libraries report what is left at the end as leaks
    gc.enable()


def pytest_collection_finish() -> None:
    """All tests have been imported."""
    enable_gc()


NUM_TRAIN, NUM_VAL, BATCH_SIZE = 300, 100, 16
STEPS = 19  # an epoch: 18 batches of 16 and one of 12
TINY = (
    "data=shapes",
    f"data.num_train={NUM_TRAIN + NUM_VAL}",
    f"data.val_size={NUM_VAL}",
    "data.num_test=100",
    f"data.batch_size={BATCH_SIZE}",
    "model.depth=3",
    "model.width=16",
    "trainer=cpu",
    "trainer.max_epochs=2",
    "callbacks.figures=null",
    "logger.tensorboard=null",  # pictures and their library take most of a tiny run's time
)


def with_defaults(defaults: Sequence[str], *arguments: str) -> list[str]:
    """A command line of ``arguments``, and of the ``defaults`` whose keys are not among theirs."""
    keys = {argument.lstrip("+~").partition("=")[0] for argument in arguments}
    return [*(default for default in defaults if default.partition("=")[0] not in keys), *arguments]


def cases(every: Iterable[Any], *default: Any) -> list[ParameterSet]:
    """``every`` case of a test as its parameters; those that are none of the ``default`` ones are marked slow."""
    found = list(every)
    assert default and all(case in found for case in default), default
    return [pytest.param(case, marks=[] if case in default else pytest.mark.slow) for case in found]


def first(count: int, every: Iterable[Any]) -> list[ParameterSet]:
    """``every`` case of a test as its parameters, a tuple as several; only the first ``count`` are not marked slow."""
    rows = [case if isinstance(case, tuple) else (case,) for case in every]
    assert 0 < count < len(rows), (count, len(rows))
    return [pytest.param(*row, marks=[pytest.mark.slow] * (i >= count)) for i, row in enumerate(rows)]


_BLANK = {
    "png": base64.b64decode(
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg=="
    ),
    "svg": '<svg xmlns="http://www.w3.org/2000/svg" width="1pt" height="1pt" viewBox="0 0 1 1"></svg>',
}


def save_blank(figure: "Figure", file: IO[Any], *, format: str, **_: Any) -> None:
    """In the place of `Figure.savefig`: a picture of the format, with nothing in it."""
    file.write(_BLANK[format])


@pytest.fixture
def drawn() -> None:
    """Figures are drawn in tests that use this."""


@pytest.fixture(autouse=True)
def _blank_figures(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave figures blank: drawing takes most of the time of tests of reports."""
    if "drawn" not in request.fixturenames:
        monkeypatch.setattr("matplotlib.figure.Figure.savefig", save_blank)


@pytest.fixture(scope="session", autouse=True)
def _git_is_asked_once() -> Iterator[None]:
    """Ask for the commit once: two processes for each run take as long as a hundred of its steps."""
    from trainlab.runs import provenance

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(provenance, "_git", cache(provenance._git))
        yield


def compose_settings(*overrides: str) -> "DictConfig":
    """`conf/train.yaml` with overrides, without what is Hydra's; its loader composes each choice of options once."""
    from omegaconf import open_dict

    from trainlab.config.load import load_config
    from trainlab.config.resolvers import register_resolvers

    register_resolvers()
    cfg = load_config("train", overrides)
    with open_dict(cfg):
        del cfg["hydra"]
    return cfg


def compose_tiny(outputs: Path, *overrides: str, name: str = "run") -> "RunConfig":
    """`conf/train.yaml` with the tiny settings and more overrides, for a run in ``outputs / name``."""
    from trainlab.config.compose import compose

    given = {override.lstrip("+~").partition("=")[0]: override for override in overrides}  # the last one of a key
    shapes = given.get("data", "data=shapes") == "data=shapes"
    is_dense = "model.stages" not in given
    tiny = [setting for setting in TINY if shapes or not setting.startswith("data.num_")]
    tiny = [setting for setting in tiny if is_dense or not setting.startswith("model.")]
    cfg = compose(with_defaults([*tiny, f"name={name}", f"output_dir={outputs}"], *given.values()))
    return replace(cfg, overrides=overrides)


@pytest.fixture
def compose_config(tmp_path: Path) -> "Callable[..., RunConfig]":
    """``compose_tiny`` in ``tmp_path``."""

    return partial(compose_tiny, tmp_path)


@pytest.fixture
def train(compose_config: "Callable[..., RunConfig]", monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Make a tiny run with ``callbacks`` besides its own. Returns its result and its folder."""
    from trainlab.run import build, run

    def trained(*overrides: str, name: str = "run", callbacks: "tuple[Callback, ...]" = ()) -> Any:
        def build_with_callbacks(cfg: "RunConfig", context: Any) -> Any:
            parts = build(cfg, context)
            parts.trainer.callbacks[:0] = callbacks
            return parts

        with monkeypatch.context() as patch:
            patch.setattr("trainlab.run.build", build_with_callbacks)
            return run(compose_config(*overrides, name=name)), tmp_path / name

    return trained


@pytest.fixture
def announced(monkeypatch: pytest.MonkeyPatch) -> "Iterator[Ending]":
    """An `Ending` that is watched. At a signal, ``left_s`` is left."""
    from trainlab import ending as endings

    own = endings.Ending()
    own.left_s = 0.0
    before = {number: signal.getsignal(number) for number in endings.WARNINGS}
    for place in ("trainlab.callbacks.end_in_time", "trainlab.config.build"):
        monkeypatch.setattr(f"{place}.ending", own)
    own.watch(lambda number: own.left_s)
    yield own
    for number, handler in before.items():
        signal.signal(number, handler)
