"""A run whose learning rate is searched: what it is searched with, what stays as it was, and when it is not again."""

import json
import os
import random
import re
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hydra.errors import InstantiationException
from omegaconf import OmegaConf

import trainlab.run
from conftest import TINY, cases, first, with_defaults
from faults import PressCtrlC
from same_runs import assert_same_run
from sweeping import Script
from trainlab.config.build import build
from trainlab.data import ImageData
from trainlab.lr_search.apply import batches_per_epoch, devices_setting, run_search, search_config
from trainlab.lr_search.grid import Grid
from trainlab.lr_search.range_test import RangeTest
from trainlab.run import Interrupted
from trainlab.runs.checkpoints import load_checkpoint
from trainlab.runs.files import read_rows
from trainlab.runs.fingerprint import fingerprint, settings
from trainlab.runs.result import Result

RANGE_TEST = ("lr_search=range_test", "lr_search.num_steps=40", "lr_search.num_seeds=2")
GRID = (
    "lr_search=grid",
    "lr_search.num_rates=3",
    "lr_search.min_lr=2e-4",
    "lr_search.max_lr=1e-2",
    "lr_search.epochs=1",
)
SEARCHES = {"range_test": RANGE_TEST, "grid": GRID}


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the searches that are made and not read from the cache."""
    names: list[str] = []
    for module, kind in (("range_test", "RangeTest"), ("grid", "Grid")):
        target = f"trainlab.lr_search.{module}.{kind}.search"
        before = getattr(__import__(f"trainlab.lr_search.{module}", fromlist=[kind]), kind).search

        def noted(self: Any, *arguments: Any, before: Any = before, module: str = module) -> Any:
            names.append(module)
            return before(self, *arguments)

        monkeypatch.setattr(target, noted)
    return names


def global_states() -> tuple[Any, ...]:
    return torch.get_rng_state().tolist(), np.random.get_state()[1].tolist(), random.getstate()


@pytest.mark.parametrize("search", first(1, SEARCHES))
def test_a_run_is_to_the_bit_what_it_would_be_with_the_rate_given(search: str, train: Any):
    same = ("model=alpha_dropout", "data.flip=true", "scheduler=one_cycle", "optim=adam")
    before = global_states()
    result, searched = train(*same, *SEARCHES[search], name="searched")
    assert global_states() == before
    _, given = train(*same, f"optim.lr={result.lr_search['lr']!r}", name="given")
    assert_same_run(searched, given)


@pytest.mark.slow
@pytest.mark.parametrize("search", SEARCHES)
def test_the_test_set_takes_no_part(search: str, compose_config: Any, monkeypatch: pytest.MonkeyPatch):
    def touched(self: ImageData) -> None:
        raise AssertionError("the test set was touched")

    monkeypatch.setattr(ImageData, "test_dataloader", touched)
    if search == "range_test":
        monkeypatch.setattr(ImageData, "val_dataloader", touched)
    cfg = compose_config(*SEARCHES[search])
    parts = build(cfg)
    images = parts.data.images
    # Whatever is computed from test images is not a number from here on.
    object.__setattr__(images, "test_labels", torch.full_like(images.test_labels, -1))
    assert 0 < run_search(cfg, parts)["lr"] < 1


@pytest.mark.parametrize("search", cases(SEARCHES, "range_test"))
@pytest.mark.slow
def test_the_rate_is_in_all_that_a_run_leaves(search: str, train: Any):
    result, folder = train(
        *SEARCHES[search],
        "logger.tensorboard={_target_: trainlab.loggers.TensorBoard, save_dir: ${run_dir}}",
    )
    found = json.loads((folder / "result.json").read_text())["lr_search"]
    lr = found["lr"]
    assert lr != 1e-4  # the option's
    assert found["method"] == search
    assert set(found) == {"method", "lr", "rule", "suggestions", "curve", "search_s"}
    assert found["lr"] == found["suggestions"][found["rule"]]
    assert OmegaConf.load(folder / "config.yaml").optim.lr == lr
    assert [float(row["lr"]) for row in read_rows(folder / "metrics.csv")] == [lr, lr]
    checkpoint = load_checkpoint(folder / "checkpoints" / "best.ckpt")
    assert checkpoint["trainlab"]["config"]["optim"]["lr"] == lr
    assert checkpoint["optimizer_states"][0]["param_groups"][0]["lr"] == lr
    assert (folder / "lr_search.png").read_bytes().startswith(b"\x89PNG")
    assert result.time["total_s"] > 0
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    assert "view/learning rate search" in EventAccumulator(str(folder)).Reload().Tags()["images"]


@pytest.mark.slow
def test_lists_of_numbers_stand_on_a_line(train: Any):
    _, folder = train(*RANGE_TEST, "trainer.max_epochs=1")
    lines = (folder / "result.json").read_text().splitlines()
    assert len(lines) < 100
    assert sum(line.count(",") > 20 for line in lines) == 3  # the rates, and the losses of two seeds


def test_seeds_and_lengths_of_one_variant_search_once(train: Any, made: list[str]):
    first, folder = train(*RANGE_TEST, name="first")
    same = ("seed=2", "trainer.max_epochs=1", "callbacks.early_stopping.patience=3", "trainer.max_time=00:01:00:00")
    second, _ = train(*RANGE_TEST, *same, name="second")
    assert made == ["range_test"]
    assert second.lr_search == first.lr_search
    assert second.fingerprint != first.fingerprint
    assert len(list((folder.parent / ".lr_search").glob("*.json"))) == 1


CHANGES = (
    *("model=bn", "model.width=8", "optim=adam", "optim.eps=1e-7", "scheduler=one_cycle", "task.label_smoothing=0.1"),
    *("trainer.gradient_clip_val=1", "trainer.precision=64-true", "data.batch_size=8", "data.flip=true"),
    *("data.data_seed=1", "data.val_size=80", "lr_search.num_steps=41", "lr_search.seed=1", "model.seed=5"),
)


@pytest.mark.slow
def test_a_search_is_repeated_if_a_setting_it_depends_on_changes(compose_config: Any, monkeypatch: pytest.MonkeyPatch):
    def searched(*overrides: str) -> bool:
        """Whether a search is made; if so, it finds what the first one found."""
        made: list[Any] = []
        for kind in (Grid, RangeTest):
            monkeypatch.setattr(kind, "search", lambda *_: made.append(1) or first)
        cfg = compose_config(*overrides)
        run_search(cfg, build(cfg))
        return bool(made)

    search, first = RangeTest.search, None

    def noted(*arguments: Any) -> Any:
        nonlocal first
        first = search(*arguments)
        return first

    monkeypatch.setattr(RangeTest, "search", noted)
    cfg = compose_config(*RANGE_TEST)
    run_search(cfg, build(cfg))
    assert first is not None
    assert not searched(*RANGE_TEST)
    assert [change for change in CHANGES if not searched(*with_defaults(RANGE_TEST, change))] == []
    assert searched(*GRID)


@pytest.mark.parametrize(
    ("overrides", "devices", "batches"),
    [
        ((), 1, 19),  # 300 images in batches of 16
        ((), 2, 10),
        (("trainer.limit_train_batches=null",), 1, 19),
        (("trainer.limit_train_batches=7",), 1, 7),
        (("trainer.limit_train_batches=70",), 1, 19),
        (("trainer.limit_train_batches=0.5",), 1, 9),
    ],
)
def test_batches_of_an_epoch(overrides: Any, devices: int, batches: int, compose_config: Any):
    cfg = compose_config(*GRID, *overrides)
    assert batches_per_epoch(search_config(cfg, devices), build(cfg).data) == batches


def test_the_search_is_made_on_the_device_of_the_run():
    assert devices_setting(torch.device("cpu")) == 1
    assert devices_setting(torch.device("cuda", 3)) == [3]


@pytest.mark.slow
def test_a_setting_that_is_invalid_for_a_trial_names_the_search(train: Any):
    long = ("scheduler=cosine", "scheduler.warmup_steps=30")  # of the 38 steps of the run
    train(*long, name="given")
    message = r"warmup_steps must be in \[0, 18\).*set scheduler.warmup_steps \(in a trial of lr_search\)"
    with pytest.raises(ValueError, match=message):
        train(*long, *GRID)


@pytest.mark.slow
def test_the_fingerprint_is_that_of_the_requested_config(train: Any, compose_config: Any):
    asked = fingerprint(compose_config(*RANGE_TEST).settings)
    result, folder = train(*RANGE_TEST)
    assert result.fingerprint == asked
    assert fingerprint(OmegaConf.to_container(OmegaConf.load(folder / "config.yaml"))) == asked
    assert asked != fingerprint(compose_config().settings)


def test_runs_without_a_search_resume(train: Any, compose_config: Any):
    config = compose_config().settings
    assert not [key for key in settings(config) if key.startswith("lr_search")]
    without = {key: value for key, value in config.items() if key != "lr_search"}
    assert fingerprint(without) == fingerprint(config)
    result, folder = train("trainer.max_epochs=1")
    content = json.loads((folder / "result.json").read_text())
    assert content.pop("lr_search") is None
    (folder / "result.json").write_text(json.dumps(content))
    assert Result.read(folder) == result


def test_an_interrupted_run_resumes_with_its_rate(train: Any, made: list[str], tmp_path: Path):
    settings = (*RANGE_TEST, "trainer.max_epochs=4", "scheduler=one_cycle", "optim=adam")
    _, whole = train(*settings, name="whole")
    with pytest.raises(Interrupted):
        train(*settings, name="cut", callbacks=(PressCtrlC(1),))
    for path in (tmp_path / ".lr_search").iterdir():
        path.unlink()
    made.clear()
    result, cut = train(*settings, name="cut")
    assert made == []
    assert result.lr_search == Result.read(whole).lr_search
    assert_same_run(cut, whole)
    again, _ = train(*settings, name="cut")  # completed
    assert again == result


@pytest.mark.slow
def test_a_run_does_not_resume_with_a_damaged_rate(train: Any, tmp_path: Path):
    settings = (*RANGE_TEST, "trainer.max_epochs=3")
    with pytest.raises(Interrupted):
        train(*settings, callbacks=(PressCtrlC(1),))
    path = tmp_path / "run" / "result.json"
    content = json.loads(path.read_text())
    del content["lr_search"]["suggestions"]
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"result\.json is damaged \(lr_search\); remove it, or set another name="):
        train(*settings)
    assert json.loads(path.read_text()) == content


@pytest.mark.slow
def test_the_message_about_changed_settings_leaves_out_the_rate(train: Any):
    train(*RANGE_TEST, "trainer.max_epochs=1")
    with pytest.raises(ValueError, match=r"\(model.width: 16, now 8\)"):
        train(*RANGE_TEST, "trainer.max_epochs=1", "model.width=8")


@pytest.mark.slow
@pytest.mark.parametrize("search", cases([RANGE_TEST, GRID, (*GRID, "+trainer.benchmark=false")], GRID))
def test_ctrl_c_loses_the_search_alone(search: Any, train: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    order, calls = trainlab.data.batches.Batches.order, []

    def pressed(self: Any) -> Any:
        calls.append(1)
        if len(calls) == 2:
            os.kill(os.getpid(), signal.SIGINT)
        return order(self)

    with monkeypatch.context() as patch:
        patch.setattr(trainlab.data.batches.Batches, "order", pressed)
        with pytest.raises(Interrupted):
            train(*search)
    result = Result.read(tmp_path / "run")
    assert (result.status, result.lr_search) == ("interrupted", None)
    assert not list((tmp_path / ".lr_search").glob("*.json"))
    result, _ = train(*search)
    assert result.status == "completed" and result.lr_search


def test_a_search_that_finds_nothing_fails_its_run_with_the_reason(train: Any, tmp_path: Path, made: list[str]):
    hopeless = (*RANGE_TEST, "optim=sgd", "lr_search.min_lr=1e5", "lr_search.max_lr=1e30")
    for _ in range(2):
        with pytest.raises(ValueError, match=r"set lr_search\.min_lr lower"):
            train(*hopeless)
    assert made == ["range_test"]
    assert Result.read(tmp_path / "run").status == "failed"


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("optim.lr=1e-3",), "lr_search finds the learning rate, got optim.lr=1e-3 too; leave out one of them"),
        (("ckpt_path=last",), "got ckpt_path=last and lr_search; leave out lr_search and set optim.lr"),
        (
            ("lr_search.rule=guess",),
            "rule must be one of steepest, valley, tenth_of_minimum, got 'guess'; set lr_search.rule",
        ),
        (("lr_search.num_steps=many",), "num_steps must be an integer, got 'many'; set lr_search.num_steps"),
    ],
)
def test_mistakes_are_reported_before_anything_is_done(overrides: Any, message: str, train: Any, tmp_path: Path):
    with pytest.raises((ValueError, InstantiationException), match=re.escape(message)):
        train(*with_defaults(RANGE_TEST, *overrides))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.ddp
def test_processes_for_other_devices_train_with_the_rate_that_the_first_found(tmp_path: Path):
    settings = ("trainer.devices=2", f"output_dir={tmp_path}", "name=run", "trainer.max_epochs=1")
    done = Script("train.py", with_defaults(TINY, *with_defaults(RANGE_TEST, *settings)), tmp_path, {}).finish()
    assert done.returncode == 0, done.stderr
    result = Result.read(tmp_path / "run")
    assert result.lr_search
    (row,) = read_rows(tmp_path / "run" / "metrics.csv")
    assert float(row["lr"]) == result.lr_search["lr"]
    assert done.stdout.count("found by range_test") == 1
