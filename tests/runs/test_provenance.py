"""What a result says of where it comes from."""

import subprocess
import sys
from pathlib import Path

import pytest

from trainlab.runs.provenance import _git, provenance


def test_the_command_is_the_one_that_was_typed_and_not_what_hydra_gets(monkeypatch):
    monkeypatch.setattr(sys, "orig_argv", ["/venv/bin/python", "src/train.py", "name=s", "-m", "seed=1,2"])
    monkeypatch.setattr(sys, "argv", ["src/train.py", "--multirun", "name='s'", "seed=1,2"])
    assert provenance(1)["command"] == "python src/train.py name=s -m seed=1,2"


def test_the_installed_command_is_named_and_the_commit_is_that_of_the_folder_it_runs_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(sys, "orig_argv", ["/venv/bin/python", "/venv/bin/trainlab", "train", "seed=2"])
    monkeypatch.setattr(sys, "argv", ["/venv/trainlab/commands/train.py", "--config-dir", "my conf", "seed=2"])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("trainlab.runs.provenance._git", _git)  # in other tests it is asked once
    outside = provenance(1)
    assert outside["command"] == "trainlab train seed=2"
    assert outside["program"] == "trainlab train --config-dir 'my conf'"
    assert outside["git_commit"] is None
    identity = ("-c", "user.name=a", "-c", "user.email=a@b")
    for words in (("init", "--quiet"), (*identity, "commit", "--quiet", "--allow-empty", "--message=first")):
        subprocess.run(["git", *words], check=True)
    assert len(provenance(1)["git_commit"]) == 40
