"""Results and checkpoints of another format are refused in one line that names the version to read them with."""

import json
from functools import partial

import pytest
import torch

from left_checkpoints import leave_checkpoint
from run_folders import leave_run
from trainlab.inference import evaluate_checkpoint
from trainlab.inference.export import export_checkpoint
from trainlab.inference.predict import Predictor
from trainlab.report.runs import find_runs
from trainlab.runs.checkpoints import load_checkpoint
from trainlab.runs.format import FORMAT
from trainlab.runs.result import Result
from trainlab.sweep.check import check_job

MESSAGES = {
    None: "is of format 1 (read it with trainlab 0.1) and this version reads format 2",
    1: "is of format 1 (read it with trainlab 0.1) and this version reads format 2",
    3: "is of format 3 (read it with another version of trainlab) and this version reads format 2",
    2.0: "has no valid format: it must be an integer, got 2.0",
    "2": "has no valid format: it must be an integer, got '2'",
}
ANY = pytest.mark.parametrize("number", MESSAGES, ids=str)


def set_format(fields, number):
    assert fields.pop("format") == FORMAT
    if number is not None:
        fields["format"] = number


def change_result(folder, number):
    fields = json.loads((folder / "result.json").read_text())
    set_format(fields, number)
    (folder / "result.json").write_text(json.dumps(fields))


def change_checkpoint(path, number):
    checkpoint = torch.load(path, weights_only=True)
    set_format(checkpoint["trainlab"], number)
    torch.save(checkpoint, path)


@ANY
def test_a_result_of_another_format_is_not_read(number, tmp_path):
    change_result(leave_run(tmp_path / "run", [1.0], [0.5]), number)
    with pytest.raises(ValueError) as caught:
        Result.read(tmp_path / "run")
    assert str(caught.value) == f"{tmp_path / 'run' / 'result.json'} {MESSAGES[number]}; set another name="


@ANY
def test_a_checkpoint_of_another_format_is_not_read(number, tmp_path):
    path = leave_checkpoint(tmp_path / "run")
    change_checkpoint(path, number)
    uses = (
        load_checkpoint,
        partial(load_checkpoint, to_resume=True),
        evaluate_checkpoint,
        Predictor.load,
        partial(export_checkpoint, format="torch_export"),
    )
    for use in uses:
        with pytest.raises(ValueError) as caught:
            use(path)
        assert str(caught.value) == f"{path} {MESSAGES[number]}; set another ckpt_path"


def test_training_in_a_folder_of_another_format_is_refused_and_changes_nothing(train, compose_config):
    _, folder = train("trainer.max_epochs=1")
    change_result(folder, None)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    for more in ((), ("seed=2",), ("ckpt_path=last", "trainer.max_epochs=2")):
        with pytest.raises(ValueError, match=r"result.json is of format 1 \(read it with trainlab 0.1\)"):
            train("trainer.max_epochs=1", *more)
        with pytest.raises(ValueError, match="is of format 1"):  # as a job of a sweep
            check_job(compose_config("trainer.max_epochs=1", *more), 0, [], False)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_a_checkpoint_that_training_writes_has_the_format_and_is_not_resumed_with_another(train):
    _, folder = train("trainer.max_epochs=1")
    for name in ("best", "last"):
        assert load_checkpoint(folder / "checkpoints" / f"{name}.ckpt")["trainlab"]["format"] == FORMAT
    change_checkpoint(folder / "checkpoints" / "last.ckpt", 1)
    with pytest.raises(ValueError, match=r"last.ckpt is of format 1 .*; set another name= to train anew$"):
        train("trainer.max_epochs=2", "ckpt_path=last")


def test_a_report_lists_runs_of_another_format_and_shows_the_others(tmp_path):
    leave_run(tmp_path / "new", [1.0], [0.5])
    change_result(leave_run(tmp_path / "old", [1.0], [0.5]), None)
    new, old = find_runs([tmp_path])
    assert (new.folder.name, new.is_completed) == ("new", True)
    assert (old.folder.name, old.is_completed, old.result.status) == ("old", False, "unreadable")
    assert MESSAGES[None] in old.reason
