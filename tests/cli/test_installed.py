"""The wheel, installed in an environment of its own: the command `trainlab` in a folder with a project of a user's."""

import json
import os
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from conftest import TINY, with_defaults
from trainlab.config.resolvers import PROJECT
from trainlab.loggers.metrics_csv import read_rows

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
Run = Callable[..., subprocess.CompletedProcess[str]]
CHECKPOINT = "ckpt_path=outputs/first/checkpoints/best.ckpt"

SCHEDULE = """
from torch.optim.lr_scheduler import ConstantLR


def halved(optimizer, total_steps):
    return {"scheduler": ConstantLR(optimizer, factor=0.5, total_iters=total_steps), "interval": "step"}
"""
CALLBACK = """
from lightning.pytorch.callbacks import Callback


class Seen(Callback):
    def on_fit_end(self, trainer, module):
        print(f"seen by process {trainer.global_rank}")
"""
FILES = {
    "conf/scheduler/halved.yaml": "_target_: schedules.halved\n_partial_: true\n",
    "conf/callbacks/seen.yaml": "defaults: [default]\nseen:\n  _target_: mine.seen.Seen\n",
    "conf/local/default.yaml": "# @package _global_\noptim:\n  lr: 2e-3\n",
    "conf/schedules.py": SCHEDULE,
    "mine/__init__.py": "",
    "mine/seen.py": CALLBACK,
}
OWN = ("--config-dir", "conf", "scheduler=halved", "callbacks=seen")


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the programs of an environment with the wheel, and the libraries of this one; nothing is downloaded."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, symlinks=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")  # without the .pth files in it
    pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python")]
    install = ["install", "--quiet", "--no-deps", "--no-index", "--no-build-isolation", str(PROJECT)]
    subprocess.run([*pip, *install], check=True)
    return folder / "bin"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a user's options: a schedule in a file of the config folder, a callback in a package beside it."""
    folder = tmp_path_factory.mktemp("project")
    for path, text in FILES.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return folder


@pytest.fixture(scope="module")
def run(environment: Path, project: Path) -> Run:
    """Run a command of the environment in the user's folder; it must succeed unless another status is expected."""

    def ran(*words: str, cwd: Path = project, status: int = 0) -> subprocess.CompletedProcess[str]:
        clean = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        path = {"PATH": f"{environment}:{os.environ['PATH']}"}
        command = [str(environment / words[0]), *words[1:]]
        done = subprocess.run(command, cwd=cwd, env=clean | path, capture_output=True, text=True, timeout=200)
        assert done.returncode == status, done.stdout + done.stderr
        return done

    return ran


@pytest.fixture(scope="module")
def first(run: Run, project: Path) -> Path:
    """Folder of a run with the user's options."""
    done = run("trainlab", "train", *with_defaults(TINY, *OWN, "name=first"))
    assert "seen by process 0" in done.stdout
    return project / "outputs" / "first"


def result_of(folder: Path) -> dict:
    return json.loads((folder / "result.json").read_text())


def test_training_uses_the_options_and_the_code_of_the_user(first: Path):
    result = result_of(first)
    assert result["status"] == "completed"
    assert result["provenance"]["command"].startswith("trainlab train data=shapes")
    assert result["provenance"]["program"] == "trainlab train --config-dir conf"
    assert {float(row["lr"]) for row in read_rows(first / "metrics.csv")} == {1e-3}  # of conf/local, halved


def test_two_processes(run: Run, project: Path):
    done = run("trainlab", "train", *with_defaults(TINY, *OWN, "trainer.devices=2", "name=two"))
    assert "seen by process 0" in done.stdout and "seen by process 1" in done.stdout
    assert result_of(project / "outputs" / "two")["status"] == "completed"


def test_a_sweep_with_a_search_of_the_rate_and_its_report(run: Run, project: Path):
    small = ("lr_search=range_test", "lr_search.num_steps=40", "lr_search.num_seeds=2")
    done = run("trainlab", "train", "-m", *with_defaults(TINY, *OWN, "model=elu_he,bn", "seed=1,2", "name=sweep"))
    folder = project / "outputs" / "sweep"
    assert len(list(folder.glob("*/result.json"))) == 4
    assert f"report: {folder / 'report.html'}" in done.stdout
    assert "trainlab train --config-dir conf -m data=shapes" in (folder / "report.md").read_text()
    assert "report: " in run("trainlab", "report", "outputs/sweep", "--output-dir", "again").stdout
    run("trainlab", "train", *with_defaults(TINY, *small, "name=searched"))
    assert result_of(project / "outputs" / "searched")["lr_search"]


def test_a_checkpoint_is_evaluated_exported_and_predicts(run: Run, first: Path, project: Path):
    run("trainlab", "eval", CHECKPOINT)
    assert json.loads((first / "eval.json").read_text())
    run("trainlab", "export", CHECKPOINT, "--format", "torch_export")
    assert (first / "model.pt2").exists()
    Image.new("RGB", (32, 32), "teal").save(project / "image.png")
    assert run("trainlab", "predict", CHECKPOINT, "image.png").stdout.startswith("image.png: ")


def test_the_exercise_starts_its_trainings(run: Run, project: Path):
    small = ("model.depth=2", "trainer.max_epochs=1", "trainer.limit_train_batches=10", "seed=1")
    done = run("trainlab", "exercise", "--quick", "best", *small)
    assert f"report: {project}/outputs/exercise_quick/" in done.stdout
    assert "trainlab train -m experiment=best_20x100 " in done.stderr


def test_a_new_project_trains_and_its_tests_pass(run: Run, project: Path):
    run("trainlab", "new", "fresh")
    folder = project / "fresh"
    run("trainlab", "train", "--config-dir", "conf", "experiment=first", "name=first", "trainer=cpu", cwd=folder)
    result = result_of(folder / "outputs" / "first")
    assert result["status"] == "completed" and result["metrics"]["test_acc"] > 0.9
    assert "4 passed" in run("python", "-m", "pytest", cwd=folder).stdout
