"""Finished runs for the tests of the report."""

from collections.abc import Callable
from pathlib import Path

import pytest
from run_folders import leave_run


@pytest.fixture
def leave(tmp_path: Path) -> Callable[..., Path]:
    """``leave_run`` for a folder by its name in ``tmp_path``."""
    return lambda name, *arguments, **settings: leave_run(tmp_path / name, *arguments, **settings)


@pytest.fixture
def no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the figures out, which take most of a report's time."""
    monkeypatch.setattr("trainlab.report.write.draw_all", lambda groups: [])


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Two models of three seeds: selu reaches elu's best loss in half the epochs, which take twice as long."""
    for seed in (1, 2, 3):
        worse = 0.01 * seed
        elu = [2.0, 1.6, 1.3, 1.0 + worse]
        selu = [1.5, 1.0, 0.9 + worse, 0.95 + worse]
        leave_run(tmp_path / f"elu,{seed}", elu, [0.2, 0.3, 0.4, 0.50 - worse], seed, "elu", epoch_s=2.0)
        best = 0.55 - worse + 0.001 * (seed == 2)  # than elu by 0.05, 0.051 and 0.05
        leave_run(tmp_path / f"selu,{seed}", selu, [0.3, 0.4, best, 0.54], seed, "selu", epoch_s=4.0)
    return tmp_path
