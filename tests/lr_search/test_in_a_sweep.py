"""Sweeps whose learning rates are searched, as users start them: a search a variant, whoever makes it."""

import json
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from sweeping import eventually, start, sweep
from trainlab.runs.files import read_rows

pytestmark = pytest.mark.slow

GRID = (
    *("lr_search=grid", "lr_search.num_rates=3", "lr_search.epochs=1", "lr_search.validations_per_epoch=1"),
    *("lr_search.min_lr=1e-4", "lr_search.max_lr=1e-2", "lr_search.num_refined=0"),
)
JOBS = ("model=bn,selu_lecun", "seed=1,2", *GRID, "name=study")


def results_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted((folder / "study").glob("*/result.json"))]


def assert_searched_once_a_model(folder: Path) -> None:
    found = results_of(folder)
    assert [result["status"] for result in found] == ["completed"] * 4
    by_model: dict[str, list[Any]] = {}
    for result in found:
        model = next(override for override in result["overrides"] if override.startswith("model="))
        by_model.setdefault(model, []).append(result["lr_search"])
    assert len(by_model) == 2
    for first, second in by_model.values():
        assert first == second  # with the seconds it took, so it is one search
        assert any(first["lr"] == pytest.approx(lr) for lr in (1e-4, 1e-3, 1e-2))
    assert len(list((folder / ".lr_search").glob("*.json"))) == 2
    assert len({result["metrics"]["val_loss"] for result in found}) == 4


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed")
    done = sweep(*JOBS, f"output_dir={folder}", FIGURES="blank")
    assert (done.returncode, done.stderr) == (0, "")
    return folder


def test_members_of_a_population_use_the_search_done_before_they_start(undisturbed: Path):
    assert_searched_once_a_model(undisturbed)
    assert [result["time"]["population"]["members"] for result in results_of(undisturbed)] == [2] * 4
    logs = [path.read_text() for path in (undisturbed / "study").glob("population_*.log")]
    assert len(logs) == 2
    assert all("has the lowest validation loss" in log for log in logs)
    for path in (undisturbed / "study").glob("*/result.json"):
        lr = json.loads(path.read_text())["lr_search"]["lr"]
        assert float(read_rows(path.parent / "metrics.csv")[-1]["lr"]) == lr
        assert "found by grid" in (path.parent / "train.log").read_text()
        assert (path.parent / "lr_search.png").exists()
    report = (undisturbed / "study" / "report.html").read_text()
    assert "Search over a grid of learning rates" in report


@pytest.mark.slow
def test_runs_of_processes_of_their_own_search_once_too(tmp_path: Path, undisturbed: Path):
    done = sweep(*JOBS, "sweep.population=off", "sweep.jobs=2", f"output_dir={tmp_path}")
    assert (done.returncode, done.stderr) == (0, "")
    assert_searched_once_a_model(tmp_path)
    rates = [[result["lr_search"]["lr"] for result in results_of(folder)] for folder in (tmp_path, undisturbed)]
    assert rates[0] == rates[1]


@pytest.mark.slow
def test_a_killed_sweep_resumes_with_its_rates(tmp_path: Path):
    slow = ("data._target_=faults.SlowShapes", "seed=1,2", *GRID, "name=study", "optim=adam", "trainer.max_epochs=3")
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert sweep(*slow, f"output_dir={whole}").returncode == 0
    process = start(*slow, f"output_dir={cut}", FAULTS_SLEEP="0.05")
    assert eventually(lambda: [len(read_rows(path)) > 0 for path in cut.glob("study/*/metrics.csv")] == [True, True])
    process.send(signal.SIGKILL)
    assert process.finish().returncode == -signal.SIGKILL, "it had ended before; the test shows nothing"
    shutil.rmtree(cut / ".lr_search")
    assert sweep(*slow, f"output_dir={cut}").returncode == 0
    assert not (cut / ".lr_search").exists()
    for ours, theirs in zip(results_of(cut), results_of(whole), strict=True):
        assert ours["lr_search"]["lr"] == theirs["lr_search"]["lr"]
        assert ours["metrics"]["epochs"] == 3
        assert ours["metrics"]["val_loss"] == pytest.approx(theirs["metrics"]["val_loss"], rel=1e-6)  # float32


@pytest.mark.slow
def test_a_search_that_fails_fails_the_runs_that_need_it_and_no_other(tmp_path: Path):
    # A training of the search has 19 steps, the run 38.
    long = ("scheduler=cosine", "scheduler.warmup_steps=5,30", "seed=1,2")
    done = sweep(*long, *GRID, "name=study", f"output_dir={tmp_path}")
    assert done.returncode == 1
    found = results_of(tmp_path)
    message = "warmup_steps must be in [0, 19), the steps of the run, got 30"
    for result in found:
        fails = "scheduler.warmup_steps=30" in result["overrides"]
        assert result["status"] == ("failed" if fails else "completed")
        if fails:
            assert result["error"]["message"].startswith(message)
            assert Path(result["error"]["traceback"]).exists()
    assert len(found) == 4
    assert done.stdout.count(message) >= 2


def test_ctrl_c_in_a_search_starts_no_job(tmp_path: Path):
    process = start(*JOBS, f"output_dir={tmp_path}", "data._target_=faults.SlowShapes", FAULTS_SLEEP="0.2")
    assert eventually(lambda: bool(list((tmp_path / ".lr_search").glob("*.lock"))))
    process.send(signal.SIGINT)
    assert process.finish().returncode == 130
    assert not list((tmp_path / ".lr_search").glob("*.json"))
    assert not list((tmp_path / "study").glob("*/checkpoints"))
