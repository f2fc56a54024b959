"""What a run leaves in its folder, and what it does where there is something already."""

import csv
import dataclasses
import errno
import json
import os
import signal
import time
from pathlib import Path

import pytest
import torch
from lightning.pytorch.callbacks import Callback
from omegaconf import OmegaConf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import trainlab.run
from conftest import STEPS, TINY, first, with_defaults
from sweeping import FAULT, Script, eventually
from trainlab.cli import explain
from trainlab.config import learners
from trainlab.config.compose import resolve_job
from trainlab.config.run_config import make_paths_absolute
from trainlab.data.shapes import Shapes
from trainlab.inference import evaluate_checkpoint
from trainlab.loggers.tensorboard import FINAL
from trainlab.run import Interrupted
from trainlab.runs.checkpoints import load_checkpoint, network_weights
from trainlab.runs.errors import Diverged, Held, LeaseLost
from trainlab.runs.files import read_rows
from trainlab.runs.folder import run_folder_lock
from trainlab.runs.format import FORMAT
from trainlab.runs.heartbeat import OF_RUN
from trainlab.runs.lease import lease_of, take
from trainlab.runs.result import Result, describe

METRICS = ["best_epoch", "val_loss", "val_acc", "test_loss", "test_acc", "epochs", "stop_reason"]


class RaiseAt(Callback):
    """Calls a function before one step."""

    def __init__(self, step, function):
        self.step, self.function = step, function

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if trainer.global_step == self.step:
            self.function()


def fail():
    raise RuntimeError("the cat pulled the plug")


def weights(folder, name="last"):
    return network_weights(load_checkpoint(folder / "checkpoints" / f"{name}.ckpt"))


def identical(ours, theirs):
    return ours.keys() == theirs.keys() and all(torch.equal(ours[key], theirs[key]) for key in ours)


def files(folder):
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file() and ".hydra" not in p.parts}


def test_an_error_of_the_file_system_is_recorded_with_what_to_do(train, tmp_path):
    (tmp_path / "run" / "checkpoints" / "last.ckpt").mkdir(parents=True)
    with pytest.raises(IsADirectoryError):
        train()
    message = Result.read(tmp_path / "run").error["message"]
    assert message == f"{tmp_path}/run/checkpoints/last.ckpt: a folder is where a file is needed; " + (
        "move it away, or set another output_dir"
    )


def test_the_folder_of_a_run_has_what_the_design_says(train):
    result, folder = train("seed=3", "trainer.max_epochs=1")
    assert files(folder) == {
        *("checkpoints/best.ckpt", "checkpoints/last.ckpt"),
        *("config.yaml", "metrics.csv", "result.json", "confusion.json"),
    }
    counts = json.loads((folder / "confusion.json").read_text())
    assert counts["epoch"] == result.metrics["best_epoch"]
    rights = sum(row[i] for i, row in enumerate(counts["confusion"]))
    assert rights / sum(map(sum, counts["confusion"])) == pytest.approx(result.metrics["test_acc"])
    written = json.loads((folder / "result.json").read_text())
    assert written == {"format": FORMAT} | dataclasses.asdict(result)
    assert list(written) == [
        "format",
        "status",
        "fingerprint",
        "overrides",
        "metrics",
        "time",
        "provenance",
        "error",
        "lr_search",
        "tags",
        "task",
        "compiled",
        "num_threads",
    ]
    assert written["lr_search"] is None
    assert written["status"] == "completed"
    assert written["overrides"] == ["seed=3", "trainer.max_epochs=1"]
    assert sorted(written["metrics"]) == sorted(METRICS)
    assert sorted(written["time"]) == ["device", "epoch_s", "images_per_s", "total_s"]
    assert written["error"] is None
    provenance = written["provenance"]
    assert {"command", "git_commit", "git_dirty", "versions", "seed", "data_digest"} <= provenance.keys()
    assert provenance["seed"] == 3
    assert provenance["versions"]["torch"] == torch.__version__.partition("+")[0]
    assert provenance["data_digest"] == Shapes(num_train=400, num_test=100).read().digest


def test_the_best_epoch_is_tested_and_not_the_last(train):
    # At this rate the loss goes down and up again.
    result, folder = train("optim.lr=0.02", "trainer.max_epochs=5")
    rows = read_rows(folder / "metrics.csv")
    losses = [float(row["val/loss"]) for row in rows]
    best = losses.index(min(losses))
    assert best < len(losses) - 1, "the last epoch is the best; the test shows nothing"
    assert result.metrics["best_epoch"] == best
    assert result.metrics["val_loss"] == losses[best]
    assert result.metrics["val_acc"] == float(rows[best]["val/acc"])
    assert (result.metrics["epochs"], result.metrics["stop_reason"]) == (5, "max_epochs")

    figures = evaluate_checkpoint(folder / "checkpoints" / "best.ckpt", device="cpu")
    assert (figures["epoch"], figures["test_loss"]) == (best, result.metrics["test_loss"])
    assert figures["test_acc"] == result.metrics["test_acc"]
    last = evaluate_checkpoint(folder / "checkpoints" / "last.ckpt", device="cpu")
    assert (last["epoch"], last["test_loss"] == figures["test_loss"]) == (4, False)


def test_the_same_seed_gives_the_same_run_and_another_seed_another(train):
    settings = ["model=alpha_dropout", "data.flip=true", "trainer.max_epochs=1"]
    first, folder = train(*settings, name="first")
    torch.rand(7)  # what others draw does not matter
    second, again = train(*settings, name="second")
    other, elsewhere = train(*settings, "seed=2", name="other")
    assert first.metrics == second.metrics
    assert first.fingerprint == second.fingerprint
    assert identical(weights(folder), weights(again))
    assert other.metrics["val_loss"] != first.metrics["val_loss"]
    assert other.fingerprint != first.fingerprint
    assert not torch.equal(weights(elsewhere)["module.output.weight"], weights(folder)["module.output.weight"])


def forbid(monkeypatch, name):
    def forbidden(*args, **kwargs):
        raise AssertionError(f"{name} was called")

    monkeypatch.setattr(trainlab.run, name, forbidden)


def test_a_completed_run_is_not_made_again_and_other_settings_are_refused(train, monkeypatch):
    first, folder = train("trainer.max_epochs=1")
    before = {name: (folder / name).stat().st_mtime_ns for name in files(folder)}
    forbid(monkeypatch, "fit")
    again, _ = train("trainer.max_epochs=1")
    assert again == first
    keeps = "Set another name=, as ckpt_path=last keeps network, optimizer and schedule"
    with pytest.raises(ValueError, match=rf"optim.lr: 0.0001, now 0.0003\). {keeps}$"):
        train("trainer.max_epochs=1", "optim.lr=3e-4")
    with pytest.raises(ValueError, match=r"trainer.max_epochs: 1, now 2\). Set another name=, or ckpt_path=last to"):
        train("trainer.max_epochs=2")
    assert {name: (folder / name).stat().st_mtime_ns for name in files(folder)} == before


def test_a_diverged_run_is_recorded_and_not_made_again(train, monkeypatch, tmp_path):
    settings = ["optim=sgd", "optim.lr=1e30"]
    with pytest.raises(Diverged, match="step 2") as caught:
        train(*settings)
    status, message = explain(caught.value)
    assert (status, message) == (1, f"error: {caught.value}")
    assert "\n" not in message
    result = Result.read(tmp_path / "run")
    assert result.status == "diverged"
    assert result.error["type"] == "Diverged"
    assert "step 2 " in result.error["message"]
    assert "val_loss" not in result.metrics
    forbid(monkeypatch, "fit")
    with pytest.raises(Diverged, match=r"diverged before: the loss is not finite at step 2 "):
        train(*settings)


def test_a_failed_run_is_recorded_with_its_traceback(train, tmp_path):
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(RuntimeError, match="plug"):
        train(callbacks=(RaiseAt(STEPS + 3, fail),))
    folder = tmp_path / "run"
    result = Result.read(folder)
    assert result.status == "failed"
    assert (result.error["type"], result.error["message"]) == ("RuntimeError", "the cat pulled the plug")
    text = Path(result.error["traceback"]).read_text()
    assert text.startswith("Traceback")
    assert "in fail" in text
    assert files(folder) >= {"checkpoints/last.ckpt", "traceback.txt"}
    assert signal.getsignal(signal.SIGINT) is handler


def test_a_second_ctrl_c_ends_the_run_at_once(train, tmp_path):
    def press_twice():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(Interrupted):
        train(callbacks=(RaiseAt(STEPS + 3, press_twice),))
    result = Result.read(tmp_path / "run")
    assert (result.status, result.error) == ("interrupted", None)
    assert load_checkpoint(tmp_path / "run" / "checkpoints" / "last.ckpt")["epoch"] == 0
    assert signal.getsignal(signal.SIGINT) is handler


class OutOfReach(torch.Tensor):
    """A tensor that nothing may read, but for moving it to a device, while it is sealed."""

    sealed = True

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        assert func is torch.Tensor.to or not cls.sealed, f"{func.__name__} read the test set too early"
        return super().__torch_function__(func, types, args, kwargs or {})


def test_the_test_set_is_not_touched_before_the_best_checkpoint_is_chosen(train, monkeypatch):
    read, weights_of = Shapes.read, learners.network_weights

    def sealed(data):
        images = read(data)
        hidden = {k: getattr(images, k).as_subclass(OutOfReach) for k in ("test", "test_labels")}
        return dataclasses.replace(images, **hidden)

    def weights_of_the_best(checkpoint):
        OutOfReach.sealed = False
        return weights_of(checkpoint)

    monkeypatch.setattr(OutOfReach, "sealed", True)
    monkeypatch.setattr(Shapes, "read", sealed)
    monkeypatch.setattr(learners, "network_weights", weights_of_the_best)
    result, _ = train("model=alpha_dropout", "scheduler=plateau")
    assert not OutOfReach.sealed
    assert result.status == "completed"
    assert "test_loss" in result.metrics


@pytest.mark.slow
def test_early_stopping_can_be_switched_off(train):
    stop = ["callbacks.early_stopping.min_delta=10", "callbacks.early_stopping.patience=1", "trainer.max_epochs=3"]
    stopped, _ = train(*stop, name="on")
    assert (stopped.metrics["epochs"], stopped.metrics["stop_reason"]) == (2, "early stopping")
    whole, _ = train("callbacks.early_stopping=null", "trainer.max_epochs=3", name="off")
    assert (whole.metrics["epochs"], whole.metrics["stop_reason"]) == (3, "max_epochs")


@pytest.mark.slow
def test_max_time_stops_at_the_end_of_an_epoch(train):
    started = time.monotonic()
    result, folder = train("trainer.max_epochs=10000", "trainer.max_time=00:00:00:01", "callbacks.early_stopping=null")
    assert time.monotonic() - started >= 1
    assert result.metrics["stop_reason"] == "max_time"
    last = load_checkpoint(folder / "checkpoints" / "last.ckpt")
    assert last["global_step"] == STEPS * result.metrics["epochs"] < STEPS * 10000


def test_max_steps_stops_in_an_epoch_and_says_so(train):
    result, folder = train("trainer.max_steps=25", "trainer.max_epochs=-1")
    assert result.metrics["stop_reason"] == "max_steps"
    assert load_checkpoint(folder / "checkpoints" / "last.ckpt")["global_step"] == 25


def test_ctrl_c_is_given_back_by_a_finished_run(train):
    handler = signal.getsignal(signal.SIGINT)
    train("trainer.max_epochs=1")
    assert signal.getsignal(signal.SIGINT) is handler


@pytest.mark.parametrize("victim", first(1, ["last.ckpt", "metrics.csv"]))
def test_a_full_disk_leaves_no_partial_file_and_the_run_can_be_resumed(victim, train, monkeypatch, tmp_path):
    replace, calls = Path.replace, []

    def full(self, target):
        if target.name == victim:
            calls.append(target)
        if len(calls) > 1:
            raise OSError(errno.ENOSPC, "No space left on device", str(target))
        return replace(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", full)
        with pytest.raises(OSError, match="No space left on device"):
            train()
    folder = tmp_path / "run"
    assert not [name for name in files(folder) if ".tmp" in name or Path(name).name.startswith(".last")]
    assert files(folder) <= {
        *("checkpoints/best.ckpt", "checkpoints/last.ckpt"),
        *("config.yaml", "metrics.csv", "result.json"),
    }
    assert load_checkpoint(folder / "checkpoints" / "last.ckpt")["epoch"] == 0
    failed = Result.read(folder)
    assert failed.status == "failed"  # written in the room that there was
    assert f"{victim}: No space left on device; make room there, or set output_dir" in failed.error["message"]
    result, _ = train()
    undisturbed, whole = train(name="whole")
    assert result.metrics == undisturbed.metrics
    assert identical(weights(folder), weights(whole))


def test_a_full_disk_names_the_file(train, monkeypatch, tmp_path):
    def full(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=rf"No space left on device: '{tmp_path}/run/"):
        train()


def test_tensorboard_has_the_figures_of_metrics_csv_and_three_pictures(train):
    result, folder = train(
        "callbacks.figures={_target_: trainlab.callbacks.FigureLogger, num_images: 8}",
        "logger.tensorboard={_target_: trainlab.loggers.TensorBoard, save_dir: '${run_dir}'}",
    )
    events = EventAccumulator(str(folder), {"scalars": 0, "images": 0}).Reload()
    rows = read_rows(folder / "metrics.csv")
    keys = ["train/loss", "train/acc", "val/loss", "val/acc", "while training/lr", "while training/momentum"]
    for key in [*keys, "while training/images_per_s", "while training/epoch_s"]:
        scalars = events.Scalars(key)
        assert [s.step for s in scalars] == [STEPS, 2 * STEPS]
        assert [s.value for s in scalars] == pytest.approx(
            [float(r[key if key in r else key.partition("/")[2]]) for r in rows], rel=1e-6
        ), key  # float32
    accuracy = result.metrics["test_acc"]
    assert [s.value for s in events.Scalars(f"{FINAL}/test_acc")] == pytest.approx([accuracy], rel=1e-6)
    pictures = ["view/confusion matrix", "view/test images", "view/training images"]
    assert sorted(events.Tags()["images"]) == pictures
    # 3 * 32 * 32 * 16 + 16, twice 16 * 16 + 16, 16 * 10 + 10.
    assert {float(r["parameters"]) for r in rows} == {49168 + 2 * 272 + 170}


EPOCHS = 8
COMMAND = [f"trainer.max_epochs={EPOCHS}", "callbacks.early_stopping=null", "optim.lr=1e-3", FAULT]


def test_ctrl_c_saves_the_epoch_and_the_same_command_resumes(train, tmp_path):
    """And while it runs, nobody else gets into its folder."""
    arguments = [*with_defaults(TINY, *COMMAND), f"output_dir={tmp_path}", "name=run"]
    folder = tmp_path / "run"
    process = Script("train.py", arguments, tmp_path, {"FAULTS_SLEEP": "0.01"})
    try:
        assert eventually((folder / "metrics.csv").exists)
        process.send(signal.SIGSTOP)  # so that it is still training, however fast the machine is
        with pytest.raises(ValueError, match=rf"another process is training in {folder}; wait for it, or set another"):
            train(*COMMAND)
        process.send(signal.SIGINT)
        process.send(signal.SIGCONT)
        done = process.finish()
    finally:
        process.send(signal.SIGKILL)
    assert done.returncode == 130, done.stderr
    assert done.stderr.splitlines() == [
        "stopping after this epoch; press Ctrl-C again to stop now and lose it",
        "interrupted: the same command resumes from here",
    ]
    cut = Result.read(folder)
    assert cut.status == "interrupted"
    assert cut.metrics["epochs"] < EPOCHS, "the signal came too late; the test shows nothing"
    assert load_checkpoint(folder / "checkpoints" / "last.ckpt")["epoch"] + 1 == cut.metrics["epochs"]
    assert len(read_rows(folder / "metrics.csv")) == cut.metrics["epochs"]

    train(*COMMAND)
    whole, other = train(*COMMAND, name="whole")
    result = Result.read(folder)
    assert (result.status, result.metrics) == ("completed", whole.metrics)
    assert result.fingerprint == whole.fingerprint
    assert identical(weights(folder), weights(other))
    with (folder / "metrics.csv").open() as file:
        assert [int(row["epoch"]) for row in csv.DictReader(file)] == list(range(EPOCHS))


def test_paths_hold_in_every_working_directory(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/me")
    paths = {"output_dir": "out", "run_dir": "${output_dir}/run", "ckpt_path": "last", "lr_search": None}
    cfg = OmegaConf.create({**paths, "data": {"root": "~/images", "cache_dir": "/cache"}})
    make_paths_absolute(cfg, tmp_path)
    assert (cfg.output_dir, cfg.run_dir, cfg.ckpt_path) == (f"{tmp_path}/out", f"{tmp_path}/out/run", "last")
    assert (cfg.data.root, cfg.data.cache_dir, cfg.lr_search) == ("/home/me/images", "/cache", None)


def test_a_folder_in_use_is_refused(train, tmp_path):
    with run_folder_lock(tmp_path / "run"):
        with pytest.raises(Held, match="another process is training in"):
            train()
        assert files(tmp_path / "run") == {".lease/1/owner"}


@pytest.mark.parametrize("is_noticed", [True, False])
def test_a_run_that_another_process_has_taken_over_writes_nothing_more(is_noticed, train, tmp_path):
    """It ends before the next step where its heartbeat notices, and at the next write in any case."""
    folder, found = tmp_path / "run", {}

    def take_over():
        lease = lease_of(folder / "result.json")
        assert take(folder, OF_RUN, lease.number + 1)
        if is_noticed:
            lease.beat()
        found.update((name, (folder / name).read_bytes()) for name in files(folder))

    def go_on():
        assert not is_noticed

    with pytest.raises(LeaseLost) as caught:
        train(callbacks=(RaiseAt(STEPS + 5, take_over), RaiseAt(STEPS + 6, go_on)))
    assert {name: (folder / name).read_bytes() for name in files(folder)} == found
    assert {"result.json", "metrics.csv", "checkpoints/last.ckpt", ".lease/2/owner"} <= found.keys()
    status, message = explain(caught.value)
    assert (status, message.startswith(f"error: {folder} was taken over by process {os.getpid()} on ")) == (1, True)


@pytest.mark.slow
def test_settings_of_an_earlier_run_that_cannot_be_read_are_a_line(train, tmp_path):
    train("trainer.max_epochs=1")
    path = tmp_path / "run" / "config.yaml"
    for content in (b"a: [1", b"\xff\xfe\x00", b"- 1", b"", b"1: 2", None):
        path.unlink() if content is None else path.write_bytes(content)
        message = f"^{path} is damaged or missing .*; remove {path.parent}, or set another name=$"
        with pytest.raises(ValueError, match=message) as error:
            train("trainer.max_epochs=1", "seed=2")
        assert len(str(error.value).splitlines()) == 1


def test_without_validation_the_last_network_is_tested_and_the_end_says_so(train):
    result, folder = train("trainer.limit_val_batches=0")
    assert "val_loss" not in result.metrics
    figures, end = describe(result, folder).splitlines()
    assert figures == (
        "no epoch has a finite validation loss, so the last of 2 was tested (ended at max_epochs): "
        f"test loss {result.metrics['test_loss']:.4f}, test accuracy {100 * result.metrics['test_acc']:.2f} %"
    )
    assert end.startswith("completed in ")


def test_a_run_of_several_nodes_needs_a_process_on_each(train, tmp_path):
    with pytest.raises(ValueError, match=r"^trainer.num_nodes=2 needs processes on so many nodes, got this one; start"):
        train("trainer.num_nodes=2")
    assert list(tmp_path.iterdir()) == []


def job(*overrides):
    """What Hydra has of a job with overrides."""
    runtime = {"choices": {}, "cwd": "/", "output_dir": "/outputs"}
    return OmegaConf.create({"overrides": {"task": list(overrides)}, "runtime": runtime})


def test_a_name_that_a_fixed_folder_of_the_configuration_would_ignore_is_an_error(compose_config, tmp_path):
    old = dict(compose_config(name="old").references)
    with pytest.raises(
        ValueError, match=r"^name would have no effect, the configuration has run_dir=.*old; set run_dir"
    ):
        resolve_job(OmegaConf.create(old | {"name": "new"}), job("name=new"))
    assert not (tmp_path / "old").exists()
    cfg = resolve_job(OmegaConf.create(old | {"name": "new", "run_dir": str(tmp_path / "new")}), job("name=new"))
    assert trainlab.run.run(cfg).status == "completed"
