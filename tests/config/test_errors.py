"""Mistakes in overrides are explained, whatever else is given with them."""

import sys
from pathlib import Path

import pytest

from conftest import first
from trainlab.config.compose import compose
from trainlab.config.errors import describe_config_error
from trainlab.config.help import describe_groups
from trainlab.config.load import load_config
from trainlab.config.resolvers import PROJECT


@pytest.mark.parametrize("other", ["experiment=glob(exercise/*)", "model=choice(selu,bn)", "model=selu,bn", "model={}"])
def test_a_setting_that_does_not_exist_is_explained_beside_a_sweep_over_options(other: str):
    with pytest.raises(Exception, match="Could not override") as caught:
        load_config("train", ["optim.lrr=1"])
    message = describe_config_error(caught.value, [other, "optim.lrr=1"], "train")
    assert message.startswith("there is no setting 'optim.lrr'; did you mean optim.lr")


def test_an_experiment_without_the_folder_that_it_was_moved_to_is_an_error_that_names_it():
    names = [path.stem for path in (PROJECT / "conf" / "experiment" / "exercise").glob("*.yaml")]
    assert len(names) > 5
    messages = {}
    for name in names:
        with pytest.raises(ValueError) as caught:
            compose([f"experiment={name}"])
        messages[name] = str(caught.value)
    assert messages == {n: f"experiment has no option {n!r}; set experiment=exercise/{n}" for n in names}


NEAREST = {  # override: settings that may be meant, nearest first
    "epochs=3": "trainer.max_epochs=3?",
    "trainer.epochs=3": "trainer.max_epochs=3?",
    "batch_size=64": "data.batch_size=64?",
    "lr=0.1": "optim.lr=0.1?",
    "model.lr=0.1": "optim.lr=0.1?",
    "optim.learning_rate=0.1": "optim.lr=0.1?",
    "optimizer=adam": "optim=adam?",
    "patience=3": "callbacks.early_stopping.patience=3?",
    "early_stopping=null": "callbacks.early_stopping=null?",
    "sede=3": "seed=3, sweep.seed=3 or model.seed=3?",
}


@pytest.mark.parametrize("override", NEAREST)
def test_a_wrong_name_is_answered_by_the_nearest_ones(override: str):
    key = override.partition("=")[0]
    with pytest.raises(Exception, match="Could not override") as caught:
        load_config("train", [override])
    message = describe_config_error(caught.value, [override], "train")
    assert message == f"there is no setting {key!r}; did you mean {NEAREST[override]}"


def test_settings_of_an_option_without_any():
    with pytest.raises(Exception, match="Could not override") as caught:
        load_config("train", ["scheduler.gamma=3"])
    message = describe_config_error(caught.value, [], "train")
    assert message == "there is no setting 'scheduler.gamma'; the chosen option of scheduler has no settings"


GLOBAL = "# @package _global_\n"
FIRST_LINE = "its first line must be '# @package _global_'"
FILES = {  # file and text: message, with the file as FILE
    (
        "experiment/a",
        GLOBAL + "traner: {max_epochs: 1}",
    ): "there is no setting 'traner.max_epochs'; did you mean train",
    ("experiment/a", GLOBAL + "sweep: {jbos: 1}"): "there is no setting 'sweep.jbos'; did you mean sweep.jobs?",
    (
        "experiment/a",
        GLOBAL + "callbacks: {early_stoping: null}",
    ): "there is no setting 'callbacks.early_stoping'; did you mean callbacks.early_stopping?",
    (
        "experiment/a",
        GLOBAL + "logger: {tensorbord: {max_queue: 3}}",
    ): "there is no setting 'logger.tensorbord'; did you mean logger.tensorboard?",
    ("experiment/a", "seed: 1"): f"the settings of experiment/a.yaml have no effect; {FIRST_LINE}",
    ("local/default", "seed: 1"): f"the settings of local/default.yaml have no effect; {FIRST_LINE}",
    (
        "experiment/a",
        GLOBAL + "seed: {a: 1\nname: x",
    ): "FILE is no valid YAML: expected ',' or '}', but got",
    ("experiment/a", "defaults: [override /model: bn]"): f"FILE overrides the group model; {FIRST_LINE}",
    ("experiment/a", GLOBAL + "defaults: [override /modle: bn]"): "FILE: there is no group 'modle'; did you mean m",
    ("model/a", "defaults: [elu_hee]"): "FILE: model has no option 'elu_hee'; did you mean elu_he or",
    ("model/a", "- 3\n- 4"): "model must be settings, KEY: VALUE, got a list; change model/a.yaml",
    ("callbacks/a", "- a: 3"): "callbacks must be settings, KEY: VALUE, got a list; change callbacks/a.yaml",
}


@pytest.fixture
def own_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is added to the path of modules is removed after the test."""
    monkeypatch.setattr(sys, "path", [*sys.path])


@pytest.mark.parametrize(("name", "text"), first(4, FILES))
def test_a_mistake_in_a_file_is_one_line_that_names_it(name: str, text: str, tmp_path: Path, own_path: None):
    path = tmp_path / f"{name}.yaml"
    path.parent.mkdir()
    path.write_text(text)
    group, _, option = name.partition("/")
    with pytest.raises(ValueError) as caught:
        compose([f"output_dir={tmp_path}", "name=x", *([f"{group}={option}"] if option == "a" else [])], tmp_path)
    message = str(caught.value)
    assert message.startswith(FILES[name, text].replace("FILE", str(path)))
    assert "\n" not in message


def test_files_that_cannot_be_read_in_the_help(tmp_path: Path):
    (tmp_path / "train.yaml").write_text("defaults: [{model: null}]")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "a.yaml").write_text("- 3")
    assert describe_groups([tmp_path], "train") == "model (default: none)\n  a  \n"
    (tmp_path / "model" / "a.yaml").write_text("a: {")
    with pytest.raises(ValueError, match=r"/model/a.yaml is no valid YAML: expected the node content, .*, in line 1$"):
        describe_groups([tmp_path], "train")


@pytest.mark.parametrize(
    ("override", "file", "text"),
    [
        ("+mine=a", "mine/a", "size: 3"),  # a group of the user's own
        ("+mine/part=a", "mine/part/a", "size: 3"),
        ("experiment=a", "experiment/a", GLOBAL + "size: 3\nmodel: {width: '${size}'}"),  # others refer to it
        ("+logger.mine._target_=a", "model/a", ""),
    ],
)
def test_settings_that_have_a_reader_can_be_added(override: str, file: str, text: str, tmp_path: Path, own_path: None):
    path = tmp_path / f"{file}.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    compose([f"output_dir={tmp_path}", "name=x", override], tmp_path)
