import os
import stat
import subprocess
import sys

import pytest

from trainlab.files import locked, write_atomically, write_json

TAKE_LOCK = """
import sys
from pathlib import Path
from trainlab.files import locked
try:
    with locked(Path(sys.argv[1]), wait=False):
        print("taken")
except BlockingIOError:
    print("refused")
"""


def take_lock_elsewhere(path):
    command = [sys.executable, "-c", TAKE_LOCK, str(path)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.strip()


def test_a_file_is_written_in_folders_yet_to_be_made(tmp_path):
    path = tmp_path / "a" / "b" / "result.json"
    write_atomically(path, b"first")
    write_atomically(path, b"second")
    assert path.read_bytes() == b"second"
    assert [p.name for p in path.parent.iterdir()] == ["result.json"]


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, call):
    path = tmp_path / "result.json"
    write_atomically(path, b"old")

    def fail(*args):
        raise OSError("disk full")

    monkeypatch.setattr("os.fsync" if call == "fsync" else "pathlib.Path.replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write_atomically(path, b"new and longer")
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["result.json"]


def test_a_file_is_as_readable_as_any_other(tmp_path):
    write_atomically(tmp_path / "ours", b"")
    (tmp_path / "ordinary").touch()
    ours, ordinary = (stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("ours", "ordinary"))
    assert ours == ordinary


def test_a_lock_excludes_other_handles_until_released(tmp_path):
    path = tmp_path / "locks" / "run.lock"
    with locked(path):
        with pytest.raises(BlockingIOError), locked(path, wait=False):
            pass
        assert take_lock_elsewhere(path) == "refused"
    assert take_lock_elsewhere(path) == "taken"


def test_a_lock_is_released_by_an_error(tmp_path):
    path = tmp_path / "run.lock"
    with pytest.raises(RuntimeError), locked(path):
        raise RuntimeError
    with locked(path, wait=False):
        pass


def test_json_has_no_nan(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "x.json", {"loss": float("nan")})
    assert not list(tmp_path.iterdir())
    write_json(tmp_path / "x.json", {"loss": 1.5})
    assert (tmp_path / "x.json").read_text() == '{"loss": 1.5}\n'
