import errno
import os
import stat
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from trainlab.runs.files import (
    describe_os_error,
    locked,
    named_in_errors,
    read_listed,
    read_rows,
    setting_of_path,
    write_atomically,
    write_in_place,
    write_json,
)

TAKE_LOCK = """
import sys
from pathlib import Path
from trainlab.runs.files import locked
try:
    with locked(Path(sys.argv[1]), "refused"):
        print("taken")
except ValueError:
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
        with pytest.raises(ValueError, match="taken"), locked(path, "taken"):
            pass
        assert take_lock_elsewhere(path) == "refused"
    assert take_lock_elsewhere(path) == "taken"


def test_a_lock_is_released_by_an_error(tmp_path):
    path = tmp_path / "run.lock"
    with pytest.raises(RuntimeError), locked(path):
        raise RuntimeError
    with locked(path, "taken"):
        pass


def test_json_has_no_nan(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "x.json", {"loss": float("nan")})
    assert not list(tmp_path.iterdir())
    write_json(tmp_path / "x.json", {"loss": 1.5})
    assert (tmp_path / "x.json").read_text() == '{"loss": 1.5}\n'


PROBLEMS = {
    errno.ENOSPC: "{0}: No space left on device; make room there, or set output_dir to a place that has room",
    errno.ENAMETOOLONG: "{0}: File name too long; set a shorter name or output_dir",
    errno.EACCES: "{0}: Permission denied; allow it there, or set another output_dir",
    errno.EROFS: "{0}: Read-only file system; allow it there, or set another output_dir",
    errno.EISDIR: "{0}: a folder is where a file is needed; move it away, or set another output_dir",
    errno.EIO: "{0}: Input/output error",
}


@pytest.mark.parametrize("number", PROBLEMS, ids=errno.errorcode.get)
def test_an_error_of_the_file_system_names_path_and_reason(number, tmp_path):
    error = OSError(number, os.strerror(number), str(tmp_path / "x"))
    assert describe_os_error(error, "output_dir") == PROBLEMS[number].format(tmp_path / "x")


def test_a_file_in_the_place_of_a_folder_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError) as caught:
        write_atomically(tmp_path / "file" / "run" / "result.json", b"")
    message = f"{tmp_path / 'file'}: a file is where a folder is needed; move it away, or set another out"
    assert describe_os_error(caught.value, "out") == message


def test_an_error_names_the_setting_of_its_folder(tmp_path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(OSError) as caught,
        setting_of_path("data.root", tmp_path / "images"),
        setting_of_path("data.cache_dir", tmp_path / "file" / "cache"),
    ):
        write_atomically(tmp_path / "file" / "cache" / "x", b"")
    assert describe_os_error(caught.value, "output_dir").endswith("; move it away, or set another data.cache_dir")


def test_a_full_disk_names_the_file_also_in_numpy(tmp_path):
    with pytest.raises(OSError) as caught, named_in_errors(tmp_path / "x"):
        raise OSError("1000 requested and 0 written")
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(tmp_path / "x"))


def test_a_file_is_overwritten_where_there_is_no_room_for_another(tmp_path):
    path = tmp_path / "result.json"
    path.write_bytes(b"a longer text")
    write_in_place(path, b"short")
    assert path.read_bytes() == b"short"


def test_a_lock_file_that_is_removed_locks_out_those_who_wait_for_it(tmp_path):
    path, holders, most = tmp_path / "lock", [], []

    def hold(number):
        for _ in range(20):
            with locked(path, is_removed=True):
                holders.append(number)
                most.append(len(holders))
                time.sleep(0.0005)
                holders.remove(number)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(hold, range(4)))
    assert (len(most), {*most}) == (80, {1})
    assert not path.exists()


@pytest.mark.parametrize("read", [read_listed, read_rows])
@pytest.mark.parametrize("times", [1, 1000])
def test_a_file_that_another_host_replaces_is_read_again(times, read, tmp_path, monkeypatch):
    """NFS has a handle of a file that is no more; one that stays so is an error."""
    path = tmp_path / "table.csv"
    path.write_text("a\n1\n")
    stale = [OSError(errno.ESTALE, os.strerror(errno.ESTALE))] * times
    actual = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda self: _raise(stale.pop()) if stale else actual(self))
    if times == 1:
        assert read(path) == (b"a\n1\n" if read is read_listed else [{"a": "1"}])
    else:
        with pytest.raises(OSError, match="Stale file handle"):
            read(path)
    assert read(tmp_path / "none.csv") == (None if read is read_listed else [])


def _raise(error):
    raise error
