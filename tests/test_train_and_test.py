"""`train=false`, `test=false` and `ckpt_path=latest`."""

import json
import os
import re

import pytest
from hydra.types import RunMode
from omegaconf import OmegaConf

from sweeping import results, sweep
from trainlab.config.compose import resolve_job
from trainlab.report.run_table import runs_table
from trainlab.report.runs import find_runs
from trainlab.runs.latest import latest_checkpoint
from trainlab.runs.result import Result

TEST = ("test_loss", "test_acc")


def test_a_run_without_a_test_is_completed_and_the_same_command_tests_it_later(train):
    whole, _ = train(name="whole")
    untested, folder = train("test=false")
    assert untested.status == "completed"
    assert untested.fingerprint == whole.fingerprint
    assert untested.metrics == {key: value for key, value in whole.metrics.items() if key not in TEST}
    (run,) = find_runs([folder])
    assert run.is_completed and "-" in str(next(iter(runs_table([run], folder).renderables)).columns[3]._cells)
    again, _ = train("test=false")
    assert again.metrics == untested.metrics
    tested, _ = train()
    assert tested.metrics == whole.metrics
    assert Result.read(folder) == tested


def test_without_training_the_best_checkpoint_of_a_completed_run_is_tested(train):
    whole, folder = train(name="whole")
    before = (folder / "result.json").read_bytes()
    again, _ = train("train=false", name="whole")
    assert again.metrics == whole.metrics
    assert (folder / "result.json").read_bytes() == before
    _, untested = train("test=false", name="untested")
    tested, _ = train("train=false", name="untested")
    assert tested.metrics == whole.metrics == Result.read(untested).metrics
    by_path, nowhere = train("train=false", f"ckpt_path={folder}/checkpoints/best.ckpt", name="nowhere")
    assert by_path.metrics == {key: whole.metrics[key] for key in TEST}
    assert not nowhere.exists()


def test_without_training_there_must_be_something_to_test(train, tmp_path):
    with pytest.raises(
        ValueError, match=rf"^train=false tests a completed run, and in {tmp_path}/x there is none; set"
    ):
        train("train=false", name="x")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match=r"^with train=false there must be a test, got test=false"):
        train("train=false", "test=false", name="x")
    with pytest.raises(ValueError, match=r"^test must be true or false, got 'no'; set test"):
        train("test=no", name="x")
    result, folder = train(name="x")
    with pytest.raises(ValueError, match=r"holds a run with other settings \(.*seed: 1, now 2\)"):
        train("train=false", "seed=2", name="x")
    with pytest.raises(ValueError, match=r"^the checkpoint is of another architecture: "):
        train("train=false", "model.width=17", f"ckpt_path={folder}/checkpoints/best.ckpt", name="y")
    result.status = "interrupted"
    result.write(folder)
    with pytest.raises(ValueError, match=r"there is a run that is interrupted; set name= to that of a run"):
        train("train=false", name="x")


@pytest.mark.slow
def test_the_runs_of_a_sweep_can_be_tested_later(tmp_path):
    arguments = ["seed=1,2", f"output_dir={tmp_path}", "name=study"]
    assert sweep(*arguments, "test=false").returncode == 0
    study = tmp_path / "study"
    assert not any(set(TEST) & result["metrics"].keys() for result in results(study).values())
    shown = sweep(*arguments, "train=false", "sweep.dry_run=true")
    assert shown.stdout.splitlines()[0] == "2 jobs: 2 tested", shown.stderr
    done = sweep(*arguments, "train=false")
    assert done.returncode == 0, done.stderr
    assert all(set(TEST) <= result["metrics"].keys() for result in results(study).values())
    refused = sweep("seed=1,2,3", *arguments[1:], "train=false")
    assert refused.returncode == 2
    assert "train=false tests a completed run, and in" in refused.stderr
    assert not list(study.glob("*seed=3*"))


@pytest.mark.slow
def test_latest_is_the_last_checkpoint_that_was_written_last(train, compose_config, tmp_path):
    with pytest.raises(
        FileNotFoundError, match=rf"^there is no run with a checkpoint under {tmp_path}; set output_dir"
    ):
        compose_config("ckpt_path=latest")
    for age, name in enumerate(("c", "a/b", "d")):
        last = tmp_path / name / "checkpoints" / "last.ckpt"
        last.parent.mkdir(parents=True)
        last.touch()
        os.utime(last, (10**9 - age, 10**9 - age))
    begun = tmp_path / "d" / "continuation" / "checkpoints" / "last.ckpt"
    begun.parent.mkdir(parents=True)
    begun.touch()
    assert latest_checkpoint(tmp_path) == tmp_path / "c" / "checkpoints" / "last.ckpt"
    _, folder = train(name="first")
    cfg = compose_config("ckpt_path=latest", name="second")
    assert cfg.settings["ckpt_path"] == str(folder / "checkpoints" / "last.ckpt")
    with pytest.raises(ValueError, match=r"^nothing left to train: .*first/checkpoints/last\.ckpt has 2 epochs"):
        train("ckpt_path=latest", name="second")
    best = compose_config("ckpt_path=latest", "train=false", name="second").settings["ckpt_path"]
    assert best == str(folder / "checkpoints" / "best.ckpt")
    longer, _ = train("ckpt_path=latest", "trainer.max_epochs=3", name="second")
    assert longer.metrics["epochs"] == 3
    assert longer.provenance["continued_from"][0]["path"] == str(folder / "checkpoints" / "last.ckpt")


def test_latest_is_refused_in_a_sweep():
    cfg = OmegaConf.create({"ckpt_path": "latest"})
    with pytest.raises(
        ValueError, match=r"^ckpt_path=latest would name another checkpoint for each run of a sweep; set"
    ):
        resolve_job(cfg, OmegaConf.create({"mode": RunMode.MULTIRUN}))


def test_anomaly_detection_names_the_operation(train, tmp_path, monkeypatch):
    result, _ = train("debug=anomaly", "trainer.max_epochs=1", name="fine")
    assert result.status == "debug"

    def spoiled(self, logits, labels):
        loss = (logits - logits.detach()).abs().sum().sqrt() + logits.sum()  # its derivative at 0 is infinite times 0
        return loss, (logits.argmax(1) == labels).sum()

    monkeypatch.setattr("trainlab.training.module.TaskModule._loss", spoiled)
    with pytest.warns(UserWarning, match="Error detected in"), pytest.raises(RuntimeError, match="returned nan values"):
        train("debug=anomaly", name="spoiled")
    found = json.loads((tmp_path / "spoiled" / "result.json").read_text())
    assert found["status"] == "failed"
    assert re.match(r"Function '\w+Backward0' returned nan values", found["error"]["message"])
