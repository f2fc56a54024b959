"""Old names of settings and values: refused with the new name, wherever they are given."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from trainlab.config.build import build
from trainlab.config.command_line import readable
from trainlab.config.load import load_config
from trainlab.config.overrides import WrongArguments
from trainlab.config.renamed import SETTINGS, VALUES
from trainlab.config.resolvers import PROJECT


@pytest.mark.parametrize("old", SETTINGS)
def test_every_new_setting_exists_and_the_old_one_does_not(old: str):
    options = ["lr_search=range_test"]
    assert load_config("train", [*options, f"{SETTINGS[old]}=null"])
    with pytest.raises(Exception, match=f"Could not override '{old}'"):
        load_config("train", [*options, f"{old}=null"])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("callbacks.pictures=null", "callbacks.pictures was renamed; set callbacks.figures"),
        ("~callbacks.pictures", "callbacks.pictures was renamed; set callbacks.figures"),
        ("+callbacks.pictures.num_images=8", "callbacks.pictures was renamed; set callbacks.figures.num_images"),
        (
            "callbacks.activations.every_epochs=1,2",
            "callbacks.activations.every_epochs was renamed; set callbacks.layer_statistics.every_n_epochs",
        ),
        (
            "callbacks.activations.num_images=8",
            "callbacks.activations was renamed; set callbacks.layer_statistics.num_images",
        ),
        (
            "model.initializer=he_normal,he_same",
            "model.initializer=he_same was renamed; set model.initializer=he_constant",
        ),
        (
            "model.dropout_kind=choice(ordinary,alpha)",
            "model.dropout_kind=ordinary was renamed; set model.dropout_kind=standard",
        ),
    ],
)
def test_on_a_command_line(given: str, message: str):
    with pytest.raises(WrongArguments) as caught:
        readable(["-m", given])
    assert str(caught.value) == message


@pytest.mark.parametrize("given", ["callbacks.checkpoint.mode=max", "+callbacks.checkpoint.mode=max"])
def test_the_direction_of_the_best_checkpoint_is_that_of_the_metric(given: str):
    with pytest.raises(WrongArguments) as caught:
        readable([given])
    message = "callbacks.checkpoint.mode follows from the metric; leave it out, or of task=logged set task.mode"
    assert str(caught.value) == message


def test_new_values_and_other_settings_are_accepted():
    words = [f"{key}={','.join(names.values())}" for key, names in VALUES.items()]
    words += [f"{new}=1" for new in SETTINGS.values() if new != "callbacks.layer_statistics"]
    assert readable(["-m", *words, "name=ordinary", "data.root=pictures"])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"callbacks.pictures": None}, "callbacks.pictures was renamed; set callbacks.figures"),
        ({"callbacks.activations": {"every_epochs": 1}}, "set callbacks.layer_statistics.every_n_epochs"),
        ({"model.output_initializer": "he_same"}, "set model.output_initializer=he_constant"),
    ],
)
def test_in_a_config_that_an_experiment_file_has_set(compose_config, given: dict[str, Any], message: str):
    with pytest.raises(ValueError, match=message):
        build(compose_config().changed(given))


def test_the_command_ends_in_one_line(tmp_path: Path):
    command = [sys.executable, PROJECT / "src/train.py", "callbacks.pictures=null", f"output_dir={tmp_path}"]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == "error: callbacks.pictures was renamed; set callbacks.figures\n"
