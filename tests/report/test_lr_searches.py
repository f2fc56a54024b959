"""Searches of learning rates in the report."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from trainlab.report.groups import group_runs
from trainlab.report.plots.lr_search import draw_lr_searches, plot_lr_searches
from trainlab.report.runs import find_runs
from trainlab.report.write import write_report

GRID = {
    **{"method": "grid", "lr": 3e-3, "rule": "lowest", "suggestions": {"lowest": 3e-3}, "search_s": 61.0},
    "curve": {"lr": [1e-4, 1e-3, 3e-3, 1e-2], "losses": [[2.2], [1.9, 1.7], [1.8, 1.6], [None]]},
}
RANGE_TEST = {
    **{"method": "range_test", "lr": 1e-3, "rule": "valley", "search_s": 6.0},
    "suggestions": {"steepest": 5e-3, "valley": 1e-3, "tenth_of_minimum": 9e-4},
    "curve": {"lr": [1e-4, 1e-3, 1e-2, 1e-1], "losses": [[2.3, 2.2, 1.9, 7.0], [2.4, 2.1, 1.8]]},
}


@pytest.fixture
def leave_searched(leave: Callable[..., Path]) -> Callable[..., Path]:
    """A finished run whose rate was searched."""

    def left(name: str, search: Any, **settings: Any) -> Path:
        folder = leave(name, [2.0, 1.5], [0.3, 0.4], **settings)
        content = json.loads((folder / "result.json").read_text())
        (folder / "result.json").write_text(json.dumps(content | {"lr_search": search}))
        return folder

    return left


def test_a_figure_a_method(leave_searched: Any, leave: Any, tmp_path: Path):
    leave_searched("a1", GRID, seed=1, activation="elu", lr=3e-3)
    leave_searched("a2", GRID, seed=2, activation="elu", lr=3e-3)
    leave_searched("b", RANGE_TEST, activation="selu", lr=1e-3)
    leave("c", [2.0, 1.5], [0.3, 0.4], activation="relu")
    pictures = {picture.name: picture for picture in plot_lr_searches(group_runs(find_runs([tmp_path])))}
    assert set(pictures) == {"lr_search_grid", "lr_search_range_test"}
    report = write_report([tmp_path]).read_text()
    assert "Search over a grid of learning rates" in report and "Learning-rate range test" in report
    assert (tmp_path / "figures" / "lr_search_grid.png").exists()


def test_without_a_search_there_is_none(study: Path):
    assert plot_lr_searches(group_runs(find_runs([study]))) == []


@pytest.mark.parametrize("found", [GRID, RANGE_TEST])
def test_what_was_taken_is_marked_and_named(found: Any):
    figure, png, svg, _ = draw_lr_searches({"": found})
    assert png.startswith(b"\x89PNG") and b"<svg" in svg
    (axes,) = figure.axes
    (star,) = [line for line in axes.lines if line.get_marker() == "*" and len(line.get_xdata())]
    assert star.get_xdata()[0] == found["lr"]
    rate = {3e-3: "3.0e-3", 1e-3: "1.0e-3"}[found["lr"]]
    assert f"taken: {rate} ({found['rule']})" in axes.get_legend_handles_labels()[1]
    assert axes.get_xscale() == "log"
    assert axes.get_ylim()[1] < 5  # what exploded is cut off


def damaged(search: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {**search, **changes}


@pytest.mark.parametrize(
    "search",
    [
        *([], {}, "grid", {"method": "grid"}),
        damaged(GRID, lr=-1.0),
        damaged(GRID, lr="high"),
        damaged(GRID, method="guess"),
        damaged(GRID, suggestions=None),
        damaged(GRID, curve={"lr": [1e-3], "losses": []}),
        damaged(GRID, curve={"lr": [1e-3], "losses": [[None]]}),
        damaged(GRID, curve={"lr": [0.0], "losses": [[1.0]]}),
        damaged(RANGE_TEST, curve={"lr": [1e-3], "losses": [[1.0, 2.0]]}),
        damaged(RANGE_TEST, curve={"lr": [1e-3], "losses": [["low"]]}),
    ],
)
def test_a_damaged_search_is_noted_and_the_run_counts(search: Any, leave_searched: Any, tmp_path: Path):
    leave_searched("a", search)
    (run,) = find_runs([tmp_path])
    assert run.is_completed
    assert "lr_search of result.json is damaged" in run.reason
    assert plot_lr_searches(group_runs([run])) == []


def test_what_explodes_widens_the_axis_to_neither_side():
    wild = GRID | {"curve": GRID["curve"] | {"losses": [[2.2], [1.9, 1.7], [1.8, 1.6], [400.0]]}}
    figure, *_ = draw_lr_searches({"": wild})
    low, high = figure.axes[0].get_ylim()
    assert 1.5 < low < 1.6 and 2.2 < high < 3.2
