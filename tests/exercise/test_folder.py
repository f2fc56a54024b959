"""Who works in the folder of an exercise, and with which settings."""

import json
from pathlib import Path
from typing import Any

import pytest

from exercise.store import claim_folder
from exercise.trainings import Setting, Sweep

SWEEP = Sweep("sweep", ("optim.lr=1e-4", "seed=1,2"))


def claim(folder: Path, *overrides: str, sweep: Sweep = SWEEP) -> None:
    with claim_folder(folder, [sweep], Setting(overrides=overrides)):
        (folder / sweep.name).mkdir(exist_ok=True)  # something was trained


@pytest.mark.parametrize(
    ("before", "now", "said"),
    [
        (("data.root=/a",), ("data.root=/b",), "data.root=/a, which differs in data.root=/a data.root=/b; give what"),
        ((), ("data.root=/b",), "seed=1,2, which differs in data.root=/b; give what was given then"),
        (("trainer=cpu", "data.root=/a"), ("data.root=/a",), "data.root=/a, which differs in trainer=cpu; give what"),
        (("trainer=cpu", "compile=true"), ("compile=true", "trainer=cpu"), "compile=true, which differs in the order;"),
    ],
)
def test_other_settings_are_refused_in_the_same_folder(
    tmp_path: Path, before: tuple[str, ...], now: tuple[str, ...], said: str
):
    claim(tmp_path, *before)
    claim(tmp_path, *before)
    with pytest.raises(ValueError, match=f"sweep was trained with .*{said}"):
        claim(tmp_path, *now)
    claim(tmp_path, *now, sweep=Sweep("another", ()))  # only what is trained there has settings


def test_settings_that_nothing_was_trained_with_are_forgotten(tmp_path: Path):
    with claim_folder(tmp_path, [SWEEP], Setting(overrides=("data.rot=/a",))):
        pass  # the sweep refuses a mistyped key, and leaves no folder
    claim(tmp_path, "data.root=/a")
    with pytest.raises(ValueError, match=r"which differs in data.root=/a data.root=/b"):
        claim(tmp_path, "data.root=/b")


def test_how_a_sweep_runs_is_not_a_setting(tmp_path: Path):
    claim(tmp_path)
    claim(tmp_path, "sweep.jobs=1")


def test_unreadable_settings_are_reported_at_once(tmp_path: Path):
    with pytest.raises(ValueError, match="cannot read the argument 'seed=1,,2'"):
        claim(tmp_path, "seed=1,,2")
    with pytest.raises(ValueError, match=r"optim.lr=interval\(1e-5,1e-3\) are not known"):
        claim(tmp_path, "optim.lr=interval(1e-5,1e-3)")
    assert not (tmp_path / "settings.json").exists()


def test_two_exercises_do_not_work_in_one_folder(tmp_path: Path):
    with (
        claim_folder(tmp_path, [SWEEP], Setting()),
        pytest.raises(ValueError, match=r"another exercise is running in .*; wait for it"),
    ):
        claim(tmp_path)
    claim(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            {"sweep": []},
            r"settings.json is of format 1 \(read it with trainlab 0.1\) and this version reads format 2; set",
        ),
        ({"format": 3, "sweeps": {}}, r"is of format 3 \(read it with another version of trainlab\) and"),
    ],
)
def test_a_folder_of_another_format_is_refused(tmp_path: Path, content: dict[str, Any], message: str):
    path = tmp_path / "settings.json"
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=message):
        claim(tmp_path)
    assert json.loads(path.read_text()) == content
    path.unlink()
    claim(tmp_path)
    claim(tmp_path)
