"""Leases: one process writes to a folder, others see whether it is alive, and one that was given up writes no more."""

import contextlib
import errno
import os
import platform
import shutil
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest

from sweeping import eventually
from trainlab.runs import heartbeat, lease
from trainlab.runs.errors import Held, LeaseLost
from trainlab.runs.files import read_listed, write_atomically, write_in_place
from trainlab.runs.heartbeat import OF_RUN, Watch
from trainlab.runs.lease import acquire, discard, held, lease_of, take

TRAINING = "process is training"
HOLD = """
import sys, time
from pathlib import Path
from trainlab.runs.lease import acquire
lease = acquire(Path(sys.argv[1]), "process is training")
print(lease.number, flush=True)
time.sleep(60)
"""


@pytest.fixture
def elsewhere(monkeypatch):
    """A context on another host; a holder there is dead after 0.4 s."""
    monkeypatch.setattr(heartbeat, "TTL_S", 0.4)
    monkeypatch.setattr(lease, "_POLL_S", 0.02)

    @contextlib.contextmanager
    def on_another_host():
        with monkeypatch.context() as patch:
            patch.setattr(heartbeat, "where", lambda: "there")
            patch.setattr(platform, "node", lambda: "node-2")
            yield

    return on_another_host


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_one_process_holds_a_folder_and_the_number_grows(tmp_path):
    with held(tmp_path, TRAINING) as first:
        assert (first.number, Watch(tmp_path).is_alive()) == (1, True)
        message = f"another process is training in {tmp_path}; wait for it, or set another name="
        with pytest.raises(Held) as caught:
            acquire(tmp_path, TRAINING)
        assert str(caught.value) == message
    assert Watch(tmp_path).is_alive() is False
    with held(tmp_path, TRAINING) as second:
        assert (second.number, names(tmp_path / OF_RUN)) == (2, ["2"])
    assert names(tmp_path / OF_RUN / "2") == ["released"]
    assert take(tmp_path, OF_RUN, 2) is None, "a number is used once"


def test_the_lease_of_a_process_that_was_killed_here_is_free_at_once(tmp_path):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "1\n"
        with pytest.raises(Held):
            acquire(tmp_path, TRAINING)
        process.kill()
    said = []
    assert acquire(tmp_path, TRAINING, on_wait=said.append).number == 2
    assert said == [], "it was waited for"


def test_a_holder_elsewhere_is_alive_while_its_heartbeat_changes(tmp_path, elsewhere, monkeypatch):
    monkeypatch.setattr(heartbeat, "BEAT_S", 0.05)
    with contextlib.ExitStack() as stack:
        with elsewhere():
            stack.enter_context(held(tmp_path, TRAINING))
        with pytest.raises(Held, match=rf"in {tmp_path} \(process {os.getpid()} on node-2\); wait for it"):
            acquire(tmp_path, TRAINING)


def test_a_holder_elsewhere_without_a_heartbeat_is_replaced_after_its_time_to_live(tmp_path, elsewhere):
    with elsewhere():
        old = acquire(tmp_path, TRAINING)
    begun, said = time.monotonic(), []
    new = acquire(tmp_path, TRAINING, on_wait=said.append)
    assert time.monotonic() - begun >= 0.4
    assert (new.number, names(tmp_path / OF_RUN)) == (2, ["2"])
    assert [text.startswith(f"{tmp_path} is held by process {os.getpid()} on node-2: waiting up to") for text in said]
    with pytest.raises(LeaseLost, match=rf"{tmp_path} was taken over by process {os.getpid()} on "):
        old.check()
    new.check()


def test_many_runs_of_a_dead_host_are_waited_for_once(tmp_path, elsewhere):
    folders = [tmp_path / name for name in "abc"]
    with elsewhere():
        for folder in folders:
            acquire(folder, TRAINING)
    begun, said = time.monotonic(), []
    heartbeat.wait_for(folders, on_wait=said.append)
    assert time.monotonic() - begun >= 0.4
    assert [text.partition(" is held by ")[0] for text in said] == [f"{folders[0]} (and 2 more)"]
    assert [acquire(folder, TRAINING, on_wait=said.append).number for folder in folders] == [2, 2, 2]
    assert len(said) == 1


def test_a_holder_that_is_alive_is_waited_for_on_demand(tmp_path, monkeypatch):
    monkeypatch.setattr(heartbeat, "_POLL_S", 0.02)
    with held(tmp_path, TRAINING) as first:
        heartbeat.wait_for([tmp_path])
        begun = time.monotonic()
        threading.Timer(0.3, first.release).start()
        heartbeat.wait_for([tmp_path], for_ends=True)
        assert time.monotonic() - begun >= 0.3
    assert acquire(tmp_path, TRAINING).number == 2


def test_time_in_which_nobody_looks_does_not_make_a_holder_dead(tmp_path, elsewhere, monkeypatch):
    with elsewhere():
        acquire(tmp_path, TRAINING)
    watch, clock = Watch(tmp_path), iter(range(0, 10_000, 1000))
    monkeypatch.setattr(heartbeat, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    assert [watch.is_alive() for _ in range(5)] == [None, None, None, None, False]


def test_who_is_replaced_in_the_middle_of_a_write_does_not_finish_it(tmp_path, monkeypatch):
    path, fsync = tmp_path / "checkpoints" / "last.ckpt", os.fsync

    def replaced_meanwhile(file):
        fsync(file)
        assert take(tmp_path, OF_RUN, 2)
        path.write_bytes(b"of the next")

    with held(tmp_path, TRAINING):
        write_atomically(path, b"first")
        assert (path.read_bytes(), names(tmp_path / OF_RUN / "1")) == (b"first", ["owner"])
        with monkeypatch.context() as patch, pytest.raises(LeaseLost):
            patch.setattr(os, "fsync", replaced_meanwhile)
            write_atomically(path, b"late")
        for write in (write_atomically, write_in_place):
            with pytest.raises(LeaseLost):
                write(path, b"later")
    assert (path.read_bytes(), names(path.parent)) == (b"of the next", ["last.ckpt"])
    assert Watch(tmp_path).is_alive(), "its end has not released the lease of the next"


def test_of_many_processes_one_gets_a_number_and_what_the_others_left_is_removed(tmp_path):
    (tmp_path / OF_RUN / "new-of-one-that-was-killed").mkdir(parents=True)
    start = threading.Barrier(8)

    def race(_):
        start.wait()
        return take(tmp_path, OF_RUN, 1)

    with ThreadPoolExecutor(8) as pool:
        found = [one for one in pool.map(race, range(8)) if one]
    assert len(found) == 1
    assert names(tmp_path / OF_RUN) == ["1"]


def test_a_process_that_comes_late_with_an_old_number_gets_none(tmp_path):
    third = take(tmp_path, OF_RUN, 3)
    assert take(tmp_path, OF_RUN, 1) is None
    assert names(tmp_path / OF_RUN) == ["3"]
    third.check()


def test_one_thread_renews_all_leases_and_notes_which_are_lost(tmp_path, monkeypatch):
    monkeypatch.setattr(heartbeat, "BEAT_S", 0.02)

    def threads():
        return [thread for thread in threading.enumerate() if thread.name == "heartbeat"]

    with contextlib.ExitStack() as stack:
        leases = [stack.enter_context(held(tmp_path / str(i), TRAINING)) for i in range(3)]
        owners = [one.path / "owner" for one in leases]
        before = [path.stat().st_mtime_ns for path in owners]
        assert len(threads()) == 1
        assert eventually(lambda: all(p.stat().st_mtime_ns > b for p, b in zip(owners, before, strict=True)))
        assert not any(one.lost for one in leases)
        assert take(tmp_path / "1", OF_RUN, 2)
        assert eventually(lambda: leases[1].lost)
        assert [one.lost for one in leases] == [False, True, False]
    assert eventually(lambda: threads() == [])


def test_a_folder_that_is_removed_is_lost(tmp_path):
    with held(tmp_path / "run", TRAINING):
        shutil.rmtree(tmp_path / "run")
        with pytest.raises(LeaseLost, match=f"{tmp_path / 'run'} was removed, or taken over"):
            write_atomically(tmp_path / "run" / "result.json", b"")
    assert names(tmp_path) == []


@pytest.mark.parametrize("meanwhile", ["before a write", "within a write"])
def test_a_folder_that_is_removed_and_made_anew_is_lost_although_its_number_comes_again(
    meanwhile, tmp_path, monkeypatch
):
    run, check, others = tmp_path / "run", lease.Lease.check, []

    def made_anew():
        shutil.rmtree(run)
        others.append(take(run, OF_RUN, 1))
        (run / "last.ckpt").write_bytes(b"of the next")

    def check_and_then(self):
        check(self)
        if not others:
            made_anew()

    with held(run, TRAINING) as one:
        if meanwhile == "before a write":
            made_anew()
            one.beat()
            assert one.lost
        else:
            monkeypatch.setattr(lease.Lease, "check", check_and_then)
        with pytest.raises(LeaseLost, match=f"{run} was taken over by process {os.getpid()}"):
            write_atomically(run / "last.ckpt", b"late")
    assert (run / "last.ckpt").read_bytes() == b"of the next"
    assert (others[0].number, names(others[0].path)) == (1, ["owner"]), "the end of the first has not released it"
    check(others[0])


def test_leases_are_discarded_unless_another_process_holds_one(tmp_path):
    with held(tmp_path / "run", TRAINING):
        discard(tmp_path / "run")
        assert names(tmp_path / "run") == []
    other = take(tmp_path / "run", OF_RUN, 1)
    discard(tmp_path / "run")
    other.check()


def test_the_innermost_lease_covers_a_file(tmp_path):
    with held(tmp_path, "sweep is running", ".sweep.lease") as outer, held(tmp_path / "run", TRAINING) as inner:
        assert lease_of(tmp_path / "run" / "checkpoints" / "last.ckpt") is inner
        assert lease_of(tmp_path / "report.html") is outer
        assert lease_of(tmp_path.with_name("other") / "report.html") is None


def test_a_folder_on_another_file_system_is_written_to(tmp_path, monkeypatch):
    replace = Path.replace

    def within_a_file_system(self, target):
        if self.parent != Path(target).parent:
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), str(self))
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", within_a_file_system)
    with held(tmp_path, TRAINING) as one:
        write_atomically(tmp_path / "checkpoints" / "last.ckpt", b"weights")
        assert names(one.path) == ["owner"]
    assert (tmp_path / "checkpoints" / "last.ckpt").read_bytes() == b"weights"


def test_a_file_is_read_where_its_folder_lists_it(tmp_path):
    assert read_listed(tmp_path / "run" / "result.json") is None
    assert read_listed(tmp_path / "result.json") is None
    (tmp_path / "result.json").write_bytes(b"{}")
    assert read_listed(tmp_path / "result.json") == b"{}"
