"""What a run prints of its settings."""

from pathlib import Path

import pytest

from conftest import compose_tiny
from trainlab.config.build import build
from trainlab.config.compose import compose
from trainlab.config.differing import describe_differing
from trainlab.run import train
from trainlab.runs.fingerprint import fingerprint, training_overrides

CASES = {  # overrides: what is printed
    "": "all settings have their default values",
    "optim.lr=5e-4 seed=2 model=bn": "model=bn seed=2 optim.lr=5e-4",  # the seeds of data and model refer to it
    "experiment=demo model=selu": "experiment=demo model=selu data=shapes optim.lr=0.0003 trainer.max_epochs=4",
    "callbacks={figures: null, early_stopping: {patience: 3}} ~logger.csv": (
        "callbacks.early_stopping.patience=3 callbacks.figures=null ~logger.csv"
    ),
    "print_config=true test=false": "test=false",
}


@pytest.mark.parametrize("overrides", CASES)
def test_only_settings_that_differ_are_named(overrides: str, tmp_path: Path):
    words = overrides.replace("} ", "}\0").split("\0") if "{" in overrides else overrides.split()
    assert describe_differing(compose([*words, f"output_dir={tmp_path}", "name=x"])) == CASES[overrides]


def test_an_option_of_the_user_s_is_compared_with_its_own_values(tmp_path: Path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "wide.yaml").write_text("defaults: [elu_he]\nwidth: 300\ndepth: 4\n")
    overrides = ["model=wide", "model.depth=5", f"output_dir={tmp_path}", "name=x"]
    assert describe_differing(compose(overrides, tmp_path)) == "model=wide model.depth=5"


def test_lines_are_broken_between_settings(tmp_path: Path):
    numbers = [f"model.{key}=0.123456789" for key in ("initializer_scale", "bias_scale", "dropout")]
    lines = describe_differing(compose([*numbers, f"output_dir={tmp_path}", "name=x"])).splitlines()
    assert sorted(word for line in lines for word in line.split()) == sorted(numbers)
    assert len(lines) == 2 and max(map(len, lines)) <= 80


def test_all_settings_are_printed_where_that_is_set(tmp_path: Path):
    one, other = (compose_tiny(tmp_path, *words, name="x") for words in ((), ("print_config=true",)))
    assert fingerprint(one.settings) == fingerprint(other.settings)
    assert training_overrides(["print_config=true"]) == []
    train(other.changed({"trainer.max_epochs": 1}))
    log = (tmp_path / "x" / "train.log").read_text()
    assert "initializer_scale: 1.0\n" in log and log.count("max_epochs: 1\n") == 1
    train(one.changed({"trainer.max_epochs": 1, "run_dir": str(tmp_path / "y")}))
    log = (tmp_path / "y" / "train.log").read_text()
    assert "initializer_scale" not in log
    assert f"all settings: {tmp_path / 'y' / 'config.yaml'}\n" in log


def test_a_class_in_a_list_that_is_none_is_an_error_that_names_the_setting(tmp_path: Path):
    wrong = "{_target_: torchvision.transforms.v2.RandomRotatio, degrees: 10}"
    cfg = compose_tiny(tmp_path, f"data.transforms=[{wrong}]")
    with pytest.raises(ValueError, match=r"did you mean RandomRotation\?\); set data\.transforms\[0\]\._target_"):
        build(cfg)
