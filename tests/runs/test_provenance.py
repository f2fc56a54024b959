"""What a result says of where it comes from."""

import sys

from trainlab.runs.provenance import provenance


def test_the_command_is_the_one_that_was_typed_and_not_what_hydra_gets(monkeypatch):
    monkeypatch.setattr(sys, "orig_argv", ["/venv/bin/python", "src/train.py", "name=s", "-m", "seed=1,2"])
    monkeypatch.setattr(sys, "argv", ["src/train.py", "--multirun", "name='s'", "seed=1,2"])
    assert provenance(1)["command"] == "python src/train.py name=s -m seed=1,2"
