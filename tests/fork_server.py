"""One process that has imported what takes seconds, and does nothing but fork those that tests start.

Each worker has one, whichever module of its tests uses it first.
"""

import multiprocessing
import threading
from collections.abc import Callable, Sequence
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
_LOCK = threading.Lock()
_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    [
        *("sweeping", "trainlab.run", "trainlab.commands.train", "trainlab.population.runner"),
        *("hydra_plugins.trainlab.launcher", "hydra_plugins.trainlab._sweep", "trainlab.sweep.run_items"),
        *("hydra._internal.hydra", "hydra._internal.config_loader_impl", "hydra.core.override_parser.overrides_parser"),
        *("optuna", "torchmetrics", "matplotlib.pyplot", "scipy.stats", "composed"),
    ]
)


def fork(target: Callable[..., None], *arguments: Any) -> ForkServerProcess:
    """Start ``target(*arguments)`` in a process of its own, with the environment of the server."""
    process = _CONTEXT.Process(target=_run, args=(target, arguments))
    with _LOCK, pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", f"{HERE.parent / 'src'}:{HERE}")  # the server does not have this process's path
        process.start()
    return process


def _run(target: Callable[..., None], arguments: Sequence[Any]) -> None:
    multiprocessing.set_start_method(None, force=True)  # as in a process that users start
    target(*arguments)
