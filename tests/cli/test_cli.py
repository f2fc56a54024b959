"""Wrong inputs end in one or two lines that say what to do, before anything is read or written."""

import errno
import gc
import importlib
import json
import logging
import os
import runpy
import sys
import urllib.error
import warnings
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra.core.global_hydra import GlobalHydra
from PIL import Image

from conftest import cases, first, with_defaults
from trainlab.cli import explain, gc_paused
from trainlab.config.resolvers import PROJECT
from trainlab.runs.files import read_rows

SHAPES = ("data=shapes", "data.num_train=400", "data.num_test=100", "data.val_size=100")
TINY = (
    *SHAPES,
    "model.depth=3",
    "model.width=16",
    "trainer=cpu",
    "trainer.max_epochs=1",
    "callbacks.figures=null",
    "logger.tensorboard=null",
)

Script = Callable[..., int]


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Script:
    """Run a script of `src/` in this process, as the command line would. Returns its exit status."""

    def called(name: str, *arguments: str) -> int:
        handlers = logging.root.handlers[:]
        GlobalHydra.instance().clear()
        with monkeypatch.context() as patch:
            patch.setattr(sys, "argv", [str(PROJECT / "src" / name), *arguments])
            patch.setattr(warnings, "formatwarning", warnings.formatwarning)  # the script sets its own
            # so that the environment is put back to this, whatever the script sets
            patch.setenv("HYDRA_FULL_ERROR", os.environ.get("HYDRA_FULL_ERROR", "0"))
            patch.setenv("TRAINLAB_EXPLAINS", "0")
            try:
                runpy.run_path(sys.argv[0], run_name="__main__")
            except SystemExit as end:
                if isinstance(end.code, str):
                    print(end.code, file=sys.stderr)
                    return 1
                return end.code or 0
            finally:
                logging.root.handlers[:] = handlers
        return 0

    return called


Mistake = Callable[..., tuple[int, str]]


@pytest.fixture
def mistake(script: Script, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Mistake:
    """Exit status and message of a `train.py` that must not train: what comes after "error: ", in two lines at most."""

    def made(*overrides: str, name: str = "train.py", settings: tuple[str, ...] = TINY) -> tuple[int, str]:
        where = (f"output_dir={tmp_path / 'out'}", "name=run")
        status = script(name, *with_defaults((*settings, *where) if name == "train.py" else (), *overrides))
        printed, _, message = capfd.readouterr().err.partition("error: ")
        assert printed == ""
        assert 1 <= len(message.splitlines()) <= 2
        assert "Traceback" not in message
        return status, message

    return made


def files_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


NOT_COMPOSED = {  # overrides: what the message has to say
    "model=elu_hee": "model has no option 'elu_hee'; did you mean elu_he or",
    "modle=bn": "there is no setting 'modle'; did you mean model=bn or ",
    "optim=ADAM": "optim has no option 'ADAM'; did you mean adam?",
    "experiment=part_8c": "experiment has no option 'part_8c'; did you mean exercise/part_8c_bn?",
    "callbacks=null": "callbacks has no option 'null'; there are: default",
    "optim=zebra": "optim has no option 'zebra'; there are: adadelta, adafactor, adagrad, adam,",
    "modell=bn": "there is no setting 'modell'; did you mean model=bn?",
    "+trainr.max_epochs=1": "there is no setting 'trainr.max_epochs'; did you mean trainer.max_epochs",
    "seeds=3": "did you mean seed=3 for one run, or -m seed=1,2,3 for three?",
    "+foo=1": "there is no setting 'foo'; see --help",
    "-m seed=1,2 +foo=1": "there is no setting 'foo'; see --help",
    "--cfg job --package optim optim.lrr=1": "there is no setting 'optim.lrr'; did you mean optim.lr",
    "optim.lrr=1e-3": "there is no setting 'optim.lrr'; did you mean optim.lr",
    "model.dropuot=0.1": "did you mean model.dropout=0.1?",
    "trainer.max_epoch=3": "did you mean trainer.max_epochs",
    "epochs=3": "there is no setting 'epochs'; did you mean trainer.max_epochs=3?",
    "hydra.sweep.dirr=x": "there is no setting 'hydra.sweep.dirr'; --cfg hydra shows",
    "model=bn,selu": "model has several values, bn,selu; add -m to sweep over them\n",
    "optim.lr=1e-4,5e-4": "optim.lr has several values, 1e-4,5e-4; add -m to sweep over them; one list is written '",
    "model=[": "cannot read the argument 'model=['",
    "optim.lr": "cannot read the argument 'optim.lr'; write key=value",
    "data.root=a(b)": "in quotes it is text: \"data.root='a(b)'\"",
    "+optim.lr=1": "optim.lr is there already; leave out the + before it",
    "+model=bn": "model is there already; leave out the + before it",
    "~sede": "there is no setting 'sede'; did you mean seed, ",
    "seed=1 seed=2": "seed is given twice: seed=1 and seed=2; leave out one of them",
    "-m model=glob(x*)": "model=glob(x*) has no value to sweep over; there are: alpha_dropout, ",
    "output_dir=": "output_dir must be a folder, got ''; set output_dir",
    "output_dir=null": "output_dir must be a folder, got null; set output_dir",
    "-m seed=1,2 output_dir=": "output_dir must be a folder, got ''; set output_dir",
    "-m seed=range(2,2)": "seed=range(2,2) has no value to sweep over",
    "-m seed=range(2,2) hydra/sweeper=optuna": "seed=range(2,2) has no value to sweep over",
    "-m model=glob(x*) hydra/sweeper=optuna": "model=glob(x*) has no value to sweep over; there are: ",
    "-m optim=sgd,nadam optim.momentum=0.8": "optim=nadam: there is no setting 'optim.momentum'; did you mean optim.m",
}
WRONG = {
    "optim.lr=-1": "lr must be positive and finite, got -1; set optim.lr",
    "optim.lr=0": "lr must be positive and finite, got 0; set optim.lr",
    "~trainer.precision": "trainer.precision must be given; leave out ~trainer.precision",
    "~lr_search": "lr_search must be given; leave out ~lr_search",
    "run_dir=null": "run_dir follows from output_dir and name; set these, and leave out run_dir",
    "optim.lr=inf": "lr must be finite, got inf; set optim.lr",
    "optim.lr=nan": "lr must be finite, got nan; set optim.lr",
    "+optim.lr.a=1": "lr must be positive and finite, got {'a': 1}; set optim.lr",
    "optim.lr=abc": "lr must be a number, got 'abc'; set optim.lr",
    "optim.lr=null": "lr must be a number, got null; set optim.lr",
    "optim.lr=[1e-4,5e-4]": "got [0.0001, 0.0005]; set optim.lr, or sweep over the values: -m optim.lr=0.0001,0.0005",
    "optim.betas=3": "betas must be a list of 2, each a number, got 3; set optim.betas",
    "+optim.lrr=1": "NAdam takes no lrr; leave out optim.lrr",
    "optim.weight_decay=-1": "Invalid weight_decay value: -1",
    "model.dropout=1.2": "dropout must be in [0, 1), got 1.2; set model.dropout",
    "model.dropout=-0.1": "dropout must be in [0, 1), got -0.1; set model.dropout",
    "model.depth=1.5": "depth must be an integer, got 1.5; set model.depth",
    "model.depth=0": "depth must be at least 1, got 0; set model.depth",
    "model.batch_norm=perhaps": "batch_norm must be true or false, got 'perhaps'; set model.batch_norm",
    "model.activation=elo": "activation must be one of elu, selu, relu",
    "model.initializer=he": "initializer must be one of he_normal, he_uniform",
    "model.num_classes=7": "num_classes must be the number of classes of the data, 10, got 7; set model.num_classes=10",
    "data.batch_size=301": "batch_size must be at most the 300 training images, got 301; set data.batch_size",
    "data.batch_size=abc": "batch_size must be an integer, got 'abc'; set data.batch_size",
    "data.val_size=400": "val_size must be below the 400 training images, got 400; set data.val_size=66",
    "optim.lr=1e-3x": "lr must be a number, got '1e-3x'; set optim.lr",
    "optim.lr=1e-3;3e-4": "lr must be a number, got '1e-3;3e-4'; separate values by commas: -m optim.lr=1e-3,3e-4",
    "data.flip=maybe": "flip must be true or false or alternating, got 'maybe'; set data.flip",
    "seed=1-3": "seed must be an integer, got '1-3'; sweep over the range: -m 'seed=range(1,4)'",
    "trainer.devices=two": "devices must be a number, the numbers of some as [0,1], or auto, got 'two'",
    "seed=abc": "seed must be an integer, got 'abc'\n",
    "compile=3": "compile must be auto, true or false, got 3; set compile",
    "task.label_smoothing=1": "label_smoothing must be in [0, 1), got 1; set task.label_smoothing",
    "trainer.devices=1000": "available CPU cores, got 1000; set trainer.devices",
    "trainer.max_epochs=x": "max_epochs must be an integer, got 'x'; set trainer.max_epochs",
    "trainer.precision=7": "got 7; set trainer.precision",
    "trainer.accelerator=abacus": "invalid accelerator name",
    "scheduler=one_cycle trainer.max_epochs=-1": "needs at least 3 steps, got 0; set trainer.max_epochs",
    "scheduler=plateau scheduler.monitor=loss": "monitor must be one of val/loss, val/acc, got 'loss'",
    "callbacks.early_stopping.monitor=loss": "got 'loss'; set callbacks.early_stopping.monitor",
    "callbacks.early_stopping.patience=x": "got 'x'; set callbacks.early_stopping.patience",
    "callbacks.checkpoint.dirpath=a": "out/run/checkpoints, where the run is looked for, got a; set output_dir",
    "logger.csv.save_dir=/a": "out/run, where the run is looked for, got /a; set output_dir, name",
    "callbacks.checkpoint=null": "callbacks.checkpoint cannot be switched off",
    "ckpt_path=": "ckpt_path must be a path, got ''; set ckpt_path",
    "ckpt_path=nowhere.ckpt": f"there is no checkpoint {Path('nowhere.ckpt').absolute()}; set ckpt_path",
    "ckpt_path=last": "checkpoints/last.ckpt to continue; set name= to that of the run, or leave out ckpt_path",
}


@pytest.mark.parametrize(
    "overrides",
    cases(
        NOT_COMPOSED,
        *("model=elu_hee", "optim.lrr=1e-3", "model=bn,selu", "model=[", "seed=1 seed=2"),
    ),
)
def test_settings_that_are_not_there(overrides: str, mistake: Mistake, tmp_path: Path):
    status, message = mistake(*overrides.split())
    assert status == 2
    assert NOT_COMPOSED[overrides] in message
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "overrides",
    cases(
        WRONG,
        *("optim.lr=-1", "+optim.lrr=1", "data.batch_size=301", "ckpt_path=nowhere.ckpt"),
    ),
)
def test_invalid_settings(overrides: str, mistake: Mistake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("trainlab.data.shapes.Shapes.read", lambda self: pytest.fail("data were read"))
    status, message = mistake(*overrides.split())
    assert status == 2
    assert WRONG[overrides] in message
    assert files_in(tmp_path / "out") == []


@pytest.mark.parametrize("override", cases(["optim.lr=-1", "data.batch_size=abc"], "data.batch_size=abc"))
def test_mistakes_in_numbers_are_found_before_pytorch_is_loaded(override, mistake: Mistake, monkeypatch):
    monkeypatch.setattr("trainlab.commands.train.load_libraries", lambda: pytest.fail("PyTorch is loaded"))
    assert mistake(override) == (2, f"{WRONG[override]}\n")


def test_a_gpu_that_is_not_there(mistake: Mistake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: False)
    status, message = mistake("trainer=gpu")
    assert status == 2
    assert message.startswith("accelerator=gpu needs a GPU, but none is available; set trainer=auto or trainer=cpu")
    assert files_in(tmp_path / "out") == []


def test_an_empty_path_is_not_the_working_directory(mistake: Mistake, tmp_path: Path):
    status, message = mistake("data=image_folder", "data.root=", settings=("trainer=cpu",))
    assert (status, message.strip()) == (2, "data.root must be a path, got ''; set data.root")
    assert files_in(tmp_path / "out") == []


def test_a_folder_of_images_that_is_not_there(mistake: Mistake, tmp_path: Path):
    status, message = mistake("data=image_folder", f"data.root={tmp_path}/pets", settings=("trainer=cpu",))
    assert status == 2
    assert f"there is no folder {tmp_path}/pets/train" in message
    assert "set data.root" in message
    assert files_in(tmp_path / "out") == []


def test_cifar10_without_network(mistake: Mistake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def offline(*_, **__):
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr("torchvision.datasets.utils.download_and_extract_archive", offline)
    module = "trainlab.data.torchvision_sets"
    monkeypatch.setattr(f"{module}._without_progress_bar", lambda message: warnings.catch_warnings())
    status, message = mistake(f"data.root={tmp_path / 'data'}", settings=("trainer=cpu", "model.depth=1"))
    assert status == 1
    assert f"CIFAR-10 is not in {tmp_path / 'data'} and cannot be downloaded" in message
    assert "set data.root" in message
    assert "data=shapes" in message
    # Only a training can tell, so it is on record; with a network the same command trains.
    assert json.loads((tmp_path / "out" / "run" / "result.json").read_text())["status"] == "failed"


def test_a_full_disk(mistake: Mistake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    status, message = mistake()
    assert status == 1
    assert "No space left on device; make room there, or set output_dir" in message
    assert files_in(tmp_path / "out") == []


def test_an_output_folder_that_cannot_be_created(mistake: Mistake, tmp_path: Path):
    (tmp_path / "file").touch()
    status, message = mistake(f"output_dir={tmp_path / 'file'}")
    assert status == 1
    assert f"{tmp_path / 'file'}" in message
    assert "a file is where a folder is needed; move it away, or set another output_dir" in message


@pytest.mark.slow
def test_invalid_settings_leave_a_finished_run_unchanged(mistake: Mistake, script: Script, tmp_path: Path, capfd):
    run = tmp_path / "out" / "run"
    assert script("train.py", *TINY, f"output_dir={tmp_path / 'out'}", "name=run") == 0
    capfd.readouterr()
    before = {name: (run / name).read_bytes() for name in ("result.json", "config.yaml", "checkpoints/last.ckpt")}

    status, message = mistake("model.width=8")
    assert status == 2
    assert "run with other settings (model.width: 16, now 8). Set another name=" in message

    status, message = mistake("model.width=8", "name=other", f"ckpt_path={run / 'checkpoints' / 'last.ckpt'}")
    assert status == 2
    assert message.startswith("the checkpoint is of another architecture: module.linear_1.weight is (16, 3072) there")
    assert "use the model= options it was trained with, or another ckpt_path" in message

    assert mistake("optim.lr=-1") == (2, "lr must be positive and finite, got -1; set optim.lr\n")
    assert {name: (run / name).read_bytes() for name in before} == before
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["run"]


@pytest.mark.parametrize(
    ("arguments", "status", "expected"),
    [
        ((), 2, "ckpt_path must be given; set ckpt_path=..."),
        (("ckpt_path=nowhere.ckpt",), 2, f"there is no checkpoint {Path('nowhere.ckpt').absolute()}; set"),
        ((f"ckpt_path={__file__}",), 2, "cannot be read as a checkpoint"),
        *(
            pytest.param(("ckpt_path=x", f"{group}={option}"), 2, f"there is no setting '{group}'; ", marks=marks)
            for group, option, marks in (
                *(("model", "bn", ()), ("trainer", "cpu", pytest.mark.slow), ("data", "shapes", pytest.mark.slow)),
                ("no/such", "group", ()),
            )
        ),
        (("ckpt_path=x", "+model=bn"), 2, "there is no setting 'model'; there are: ckpt_path, data_root"),
        (("ckpt_path=x", "out=[1]"), 2, "out must be a path or null, got [1]"),
        (("ckpt_pth=x",), 2, "there is no setting 'ckpt_pth'; did you mean ckpt_path=x?"),
        (("ckpt_path=x", "mc_samples=many"), 2, "mc_samples must be an integer or null, got 'many'"),
        (("ckpt_path=x", "mc_samples=0"), 2, "mc_samples must be at least 1, got 0; set mc_samples"),
    ],
)
def test_evaluation(arguments: tuple[str, ...], status: int, expected: str, mistake: Mistake):
    got, message = mistake(*arguments, name="eval.py")
    assert got == status
    assert expected in message


def test_report_of_a_folder_that_is_not_there(mistake: Mistake, tmp_path: Path):
    status, message = mistake(str(tmp_path / "study"), name="report.py")
    assert status == 1
    assert message == f"there is no folder {tmp_path / 'study'}; give one under outputs/\n"


@pytest.mark.parametrize(
    ("name", "words", "key"),
    [
        ("predict.py", "ckpt_path=a x.png ckpt_path=b", "ckpt_path"),
        ("predict.py", "ckpt_path=a x.png --top 1 --top=2", "--top"),
        ("export.py", "ckpt_path=a --format onnx --format torch_export", "--format"),
        ("eval.py", "ckpt_path=a ckpt_path=b", "ckpt_path"),
    ],
)
def test_settings_given_twice(name: str, words: str, key: str, script: Script, capfd):
    assert script(name, *words.split()) == 2
    assert f"error: {key} is given twice" in capfd.readouterr().err


def test_full_errors_on_demand(script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    with pytest.raises(ValueError, match="lr must be positive"):
        script("train.py", *TINY, f"output_dir={tmp_path}", "name=run", "optim.lr=-1")


def test_an_error_that_no_setting_explains_keeps_its_traceback():
    error = RuntimeError("a bug")
    with pytest.raises(RuntimeError) as raised:
        explain(error)
    assert raised.value is error


def test_a_mistake_in_one_job_of_a_sweep_is_found_before_the_others_start(script: Script, tmp_path: Path, capfd):
    sweep = ("-m", f"output_dir={tmp_path / 'out'}", "name=sweep", "model=alpha_dropout", "model.dropout=0.1,1.5,0.2")
    assert script("train.py", *TINY, *sweep) == 2  # the flag is also taken behind settings
    lines = capfd.readouterr().err.splitlines()
    assert lines[0] == "error: 1 of 3 jobs cannot be run, so none was started"
    assert lines[1:] == ["  model.dropout=1.5: dropout must be in [0, 1), got 1.5; set model.dropout"]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("override", "expected"),
    first(
        1,
        [
            ("sweep.jobs=0", "jobs must be auto or an integer of at least 1, got 0; set sweep.jobs"),
            ("sweep.on_failure=panic", "on_failure must be continue or stop, got 'panic'; set sweep.on_failure"),
            (
                "sweep.population=1.5",
                "population must be auto, off or an integer of at least 2, got 1.5; set sweep.population",
            ),
            ("sweep.retry_failed=maybe", "retry_failed must be true or false, got 'maybe'; set sweep.retry_failed"),
        ],
    ),
)
def test_settings_of_a_sweep(override: str, expected: str, script: Script, tmp_path: Path, capfd):
    assert script("train.py", "-m", *TINY, f"output_dir={tmp_path / 'out'}", "seed=1,2", override) == 2
    assert expected in capfd.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_settings_that_only_sweeps_have_are_named_where_there_is_none(script: Script, tmp_path: Path, capfd):
    of_sweeps = ("sweep/executor=local", "sweep.jobs=2", "sweep.objective=val/acc")
    script("train.py", *TINY, f"output_dir={tmp_path}", "name=run", "train=false", *of_sweeps)
    warning, error = capfd.readouterr().err.splitlines()  # the last is that there is no run to test
    has = "sweep/executor=local, sweep.jobs=2 have no effect on a single run"
    assert (warning, error[:6]) == (f"warning: {has}; add -m for a sweep", "error:")


def test_epochs_that_are_not_validated_have_no_validation_figures(train: Any, tmp_path: Path):
    # 19 steps an epoch, so the third one is cut short.
    steps = ("trainer.max_epochs=3", "trainer.max_steps=45", "model.depth=1")
    result, folder = train(*steps)
    assert result.metrics["best_epoch"] < 2 and result.metrics["epochs"] == 3
    assert result.metrics["stop_reason"] == "max_steps"
    assert [row["val/loss"] != "" for row in read_rows(folder / "metrics.csv")] == [True, True, False]
    train(*steps, "ckpt_path=last", "trainer.max_steps=60")
    assert [row["val/loss"] != "" for row in read_rows(folder / "metrics.csv")] == [True, True, True]


@pytest.mark.slow
def test_runs_without_a_name_that_start_in_one_second_have_folders_of_their_own(
    script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("trainlab.config.compose.time_name", lambda: "now")
    for seed in (1, 2):
        assert script("train.py", *TINY, f"output_dir={tmp_path}", f"seed={seed}") == 0
    assert script("train.py", *TINY, f"output_dir={tmp_path}", "optim.lr=-1") == 2
    assert script("train.py", "-m", *TINY, f"output_dir={tmp_path}", "optim.lr=-1,-2") == 2
    assert script("train.py", *TINY, f"output_dir={tmp_path}", "--cfg", "job", "--resolve") == 0
    assert {path.parent.name for path in tmp_path.glob("*/result.json")} == {"now", "now_1"}
    assert len(list(tmp_path.iterdir())) == 2


def test_a_config_that_is_shown_has_the_paths_of_the_run(script: Script, tmp_path: Path, capfd):
    assert script("train.py", f"output_dir={tmp_path}", "name=1e5", "--cfg", "job", "--resolve") == 0
    shown = capfd.readouterr().out
    assert f"run_dir: {tmp_path}/1e5\n" in shown
    assert f"dirpath: {tmp_path}/1e5/checkpoints\n" in shown
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_can_train_nothing_leaves_nothing(script: Script, tmp_path: Path):
    wrong = with_defaults(TINY, "trainer.max_epochs=0", f"output_dir={tmp_path}", "name=run")
    assert script("train.py", *wrong) == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_the_home_folder_is_understood_everywhere(script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for split in ("train", "test"):
        for number, name in enumerate(("cat", "dog", "owl")):
            (tmp_path / "images" / split / name).mkdir(parents=True)
            for i in range(3):
                Image.new("RGB", (16, 16), (80 * number, i, 0)).save(tmp_path / f"images/{split}/{name}/{i}.png")
    monkeypatch.setenv("HOME", str(tmp_path))
    data = ("data=image_folder", "data.root=~/images", "data.cache_dir=~/cache", "data.val_size=3", "data.batch_size=2")
    model = ("model.depth=1", "model.width=4", "model.num_classes=3", "trainer=cpu", "trainer.max_epochs=1")
    quiet = ("callbacks.figures=null", "logger.tensorboard=null", "name=run", "output_dir=~/out")
    assert script("train.py", *data, *model, *quiet) == 0
    monkeypatch.chdir("/")  # a checkpoint is read from anywhere
    checkpoint = "ckpt_path=~/out/run/checkpoints/best.ckpt"
    assert script("eval.py", checkpoint, "out=~/new/eval.json") == 0
    assert script("predict.py", checkpoint, "~/images/test") == 0
    assert script("export.py", checkpoint, "--format=torch_export", "--out=~/new/model.pt2") == 0
    assert script("report.py", "~/out", "--output-dir=~/new") == 0
    made = {path.name for path in tmp_path.iterdir()}
    assert made == {"images", "cache", "out", "new"}
    assert {"eval.json", "model.pt2", "report.html"} <= {path.name for path in (tmp_path / "new").iterdir()}


def test_an_interpolation_of_nothing_names_the_setting(mistake: Mistake):
    assert mistake("data.batch_size=${a}") == (2, "data.batch_size: Interpolation key 'a' not found\n")


@pytest.mark.parametrize(
    ("name", "imported", "words"),
    [
        ("predict.py", "trainlab.inference.predict", ("ckpt_path=x.ckpt", "x.png")),
        ("export.py", "trainlab.inference.export", ("ckpt_path=x.ckpt", "--format", "onnx")),
        ("report.py", "trainlab.report", (".",)),
    ],
)
def test_ctrl_c_while_a_script_imports_ends_it_with_130(
    script: Script,
    name: str,
    imported: str,
    words: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
):
    class Interrupt:
        @staticmethod
        def find_spec(module: str, *_: object) -> None:
            if module == imported:
                raise KeyboardInterrupt

    monkeypatch.delitem(sys.modules, imported, raising=False)
    monkeypatch.setattr(sys, "meta_path", [Interrupt, *sys.meta_path])
    assert script(name, *words) == 130
    assert capsys.readouterr().err == ""


def test_ctrl_c_leaves_no_empty_folder_of_a_report(script: Script, study: Path, monkeypatch: pytest.MonkeyPatch):
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("trainlab.report.write.plot_groups", interrupt)
    assert script("report.py", str(study), "--output-dir", str(study / "report")) == 130
    assert not (study / "report").exists()


def test_libraries_alone_are_left_out_of_later_collections(tmp_path, monkeypatch):
    (tmp_path / "imported_once.py").write_text("numbers = [[n] for n in range(1000)]")
    monkeypatch.syspath_prepend(tmp_path)
    frozen = gc.get_freeze_count()
    with gc_paused():
        importlib.import_module("imported_once")
    assert gc.get_freeze_count() >= frozen + 1000
    cycle: Any = type("Cycle", (), {})()
    cycle.own, gone = cycle, weakref.ref(cycle)
    with gc_paused():
        pass
    del cycle
    gc.collect()
    assert gone() is None
    gc.unfreeze()
