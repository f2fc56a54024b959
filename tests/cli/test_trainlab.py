"""The command `trainlab`, and what it shares with the scripts of a checkout."""

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hydra.core.global_hydra import GlobalHydra

import trainlab
from trainlab import commands, programs
from trainlab.commands import COMMANDS, new
from trainlab.config.resolvers import CONF, PROJECT

# Commands run in processes of their own, where nothing has imported their module before.
pytestmark = pytest.mark.filterwarnings("ignore:.*found in sys.modules after import of package")


@pytest.fixture
def own_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is put on the path of modules is there for the test alone."""
    monkeypatch.setattr(sys, "path", [*sys.path])


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    """A user's config folder."""
    folder = tmp_path / "mine" / "conf"
    for path, text in {
        "model/wide.yaml": "defaults: [elu_he]\nwidth: 300\n",
        "model/studies/deep.yaml": "# @package model\ndefaults: [/model/elu_he]\ndepth: 40\n",
        "local/default.yaml": "# @package _global_\nseed: 7\n",
    }.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return folder


def called(monkeypatch: pytest.MonkeyPatch, *words: str) -> int | None:
    """Exit status of `trainlab`."""
    monkeypatch.setattr(sys, "argv", ["/usr/bin/trainlab", *words])
    with pytest.raises(SystemExit) as ended:
        commands.main()
    return ended.value.code


def test_every_command_is_a_module_and_all_scripts_are_commands():
    assert all(callable(importlib.import_module(f"trainlab.commands.{name}").main) for name in COMMANDS)
    assert {path.stem for path in (PROJECT / "src").glob("*.py")} == set(COMMANDS) - {"new"}


@pytest.mark.parametrize(
    ("word", "message"), [("trian", "did you mean train?"), ("x", f"there are: {', '.join(COMMANDS)}")]
)
def test_a_mistyped_command_is_one_line(
    word: str, message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    assert called(monkeypatch, word) == 2
    assert capsys.readouterr().err == f"error: trainlab has no command {word!r}; {message}\n"


def test_the_help_imports_nothing_that_takes_time(tmp_path: Path):
    code = (
        "import sys; from trainlab.commands import main; sys.argv[1:] = ['--help']; main();"
        "print(sorted({'torch', 'hydra', 'omegaconf', 'yaml', 'trainlab.config'} & set(sys.modules)))"
    )
    environment = os.environ | {"PYTHONPATH": str(PROJECT / "src")}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, check=True)
    *lines, imported = done.stdout.splitlines()
    assert imported == "[]"
    assert [name for name in COMMANDS if not any(line.startswith(f"  {name} ") for line in lines)] == []


@pytest.mark.parametrize(
    ("program", "words", "outputs"),
    [
        ("/usr/bin/trainlab", ["trainlab", "train", "--config-dir", "conf"], "outputs"),
        (
            str(PROJECT / "src" / "train.py"),
            ["python", "src/train.py", "--config-dir", "conf"],
            str(PROJECT / "outputs"),
        ),
    ],
)
def test_commands_are_shown_as_this_one_was_started(
    program: str, words: list[str], outputs: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(sys, "argv", [program, "--config-dir", "conf", "seed=1"])
    assert programs.command_words("train") == words
    assert programs.command_words("report") == ["trainlab report", "python src/report.py"][words[0] == "python"].split()
    assert programs.project_path("outputs") == outputs


def test_without_a_script_outputs_are_below_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TRAINLAB_DATA", raising=False)
    cfg = trainlab.compose(["name=run"])
    assert cfg.run_dir == tmp_path / "outputs" / "run"
    assert cfg.settings["data"]["root"] == str(tmp_path / "data")


def test_options_of_a_config_folder_compose(conf: Path, own_path: None):
    cfg = trainlab.compose(["model=wide", "name=run"], config_dir=conf)
    assert (cfg.settings["model"]["width"], cfg.settings["model"]["depth"]) == (300, 20)
    assert cfg.settings["seed"] == 7  # of conf/local
    assert trainlab.compose(["model=wide", "seed=3", "name=run"], config_dir=conf).settings["seed"] == 3
    assert trainlab.compose(["name=run"]).settings["seed"] == 1
    assert sys.path[:2] == [str(conf.parent), str(conf)]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model=wied", "model has no option 'wied'; did you mean wide"),
        ("model=deep", "model has no option 'deep'; set model=studies/deep"),
        ("model.wdith=3", "there is no setting 'model.wdith'; did you mean model.width"),
    ],
)
def test_mistakes_name_the_options_of_a_config_folder(override: str, message: str, conf: Path, own_path: None):
    model = [] if override.startswith("model=") else ["model=wide"]
    with pytest.raises(ValueError, match=message):
        trainlab.compose([*model, override], config_dir=conf)


def test_a_config_folder_must_exist(tmp_path: Path):
    with pytest.raises(ValueError, match=r"config_dir must be a folder, got '.*/none'; set config_dir"):
        trainlab.compose(config_dir=tmp_path / "none")


def test_the_help_of_train_lists_the_options_of_a_config_folder(
    conf: Path, own_path: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    GlobalHydra.instance().clear()
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")
    monkeypatch.setenv("TRAINLAB_EXPLAINS", "0")
    assert called(monkeypatch, "train", "--help", "--config-dir", str(conf)) == 0
    output = capsys.readouterr().out
    assert f"Usage: trainlab train --config-dir {conf} [-m]" in output
    assert "\n  wide " in output and "\n  studies/deep " in output and "\n  elu_he (default) " in output
    assert "\nlocal" not in output  # the group of this machine's own settings


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Mine", "the name must be that of a Python package, of a-z, 0-9 and _, got 'Mine'; give another"),
        ("2nd", "the name must be that of a Python package, of a-z, 0-9 and _, got '2nd'; give another"),
        ("class", "the name must be that of a Python package, of a-z, 0-9 and _, got 'class'; give another"),
        ("torch", "torch is the name of another package or folder; give another"),
        ("tests", "tests is the name of another package or folder; give another"),
        ("there", "there exists; give a new folder"),
    ],
)
def test_names_that_a_new_project_cannot_have(
    name: str,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there").mkdir()
    assert called(monkeypatch, "new", name) == f"error: {message}"
    assert [path.name for path in tmp_path.rglob("*")] == ["there"]


def test_a_new_project_has_its_name_everywhere(tmp_path: Path, own_path: None):
    folder = tmp_path / "rings_2"
    new.write_project(folder)
    files = {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}
    assert {"README.md", ".gitignore", "pyproject.toml", "rings_2/networks.py", "tests/test_rings_2.py"} <= set(files)
    assert [name for name, text in files.items() if "myproject" in name + text] == []
    cfg = trainlab.compose(["experiment=first", "name=run"], config_dir=folder / "conf")
    assert cfg.settings["model"]["_target_"] == "rings_2.networks.SmallCNN"
    assert cfg.settings["data"]["_target_"] == "rings_2.images.Stripes"


def test_options_of_a_new_project_have_the_arguments_of_their_classes(tmp_path: Path, own_path: None):
    new.write_project(tmp_path / "rings_3")
    cfg = trainlab.compose(["experiment=first", "name=run"], config_dir=tmp_path / "rings_3" / "conf")
    network = importlib.import_module("rings_3.networks").SmallCNN
    data = importlib.import_module("rings_3.images").Stripes(
        **{key: value for key, value in cfg.settings["data"].items() if key != "_target_"}
    )
    width = cfg.settings["model"]["width"]
    assert network(data.image_shape, data.count_classes(), width)(data.read().train[:2] / 255).shape == (2, 9)
    shapes = trainlab.compose(["data=shapes", "name=run"]).settings["data"]
    assert set(cfg.settings["data"]) == set(shapes) - {"image_size", "data_seed"}, "it has every setting of images"


def test_configurations_are_found_in_the_checkout():
    assert CONF == PROJECT / "conf"
