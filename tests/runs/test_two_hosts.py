"""Two hosts that share a file system, as processes with pid namespaces and host names of their own."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import TINY, with_defaults
from sweeping import FAULT, HERE, eventually, figures, sweep
from trainlab.config.resolvers import PROJECT
from trainlab.runs.files import read_rows
from trainlab.runs.heartbeat import newest_number

UNSHARE = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "--uts")
TRAIN = """
import socket, sys
socket.sethostname(sys.argv.pop(1))
import runpy
from trainlab.runs import heartbeat
heartbeat.BEAT_S, heartbeat.TTL_S = 0.5, 4.0
del sys.argv[0]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
JOBS = (FAULT, "model=elu_he", "seed=1,2", "name=study", "trainer.max_epochs=10", "sweep.jobs=2")


def can_unshare() -> bool:
    try:
        return subprocess.run([*UNSHARE, "true"], capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


def start(host, folder, sleep_s):
    """The sweep of ``JOBS`` on a host, each step of which takes ``sleep_s`` longer."""
    script, path = str(PROJECT / "src" / "train.py"), f"{PROJECT / 'src'}:{HERE}"
    words = ["-m", *with_defaults(TINY, *JOBS, f"output_dir={folder}")]
    return subprocess.Popen(
        [*UNSHARE, sys.executable, "-c", TRAIN, host, script, *words],
        env={**os.environ, "PYTHONPATH": path, "FAULTS_SLEEP": str(sleep_s)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def send(process, number):
    """Send a signal to all processes of a host."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    namespace = Path(f"/proc/{children[0]}/ns/pid").readlink()
    for path in Path("/proc").glob("[0-9]*/ns/pid"):
        try:
            if path.readlink() == namespace:
                os.kill(int(path.parts[2]), number)
        except OSError:
            continue  # it has ended


def epochs(folder):
    return [len(read_rows(path)) for path in folder.glob("study/*/metrics.csv")]


@pytest.mark.cluster
@pytest.mark.timeout(900)
@pytest.mark.skipif(not can_unshare(), reason="unshare is not permitted, so there are no two hosts")
def test_two_hosts_train_each_run_once_also_where_one_is_suspended_and_wakes(tmp_path):
    shared, hosts = tmp_path / "shared", []
    try:
        hosts.append(first := start("node-1", shared, 0.5))
        assert eventually(lambda: newest_number(shared / "study" / ".sweep.lease") == 1)
        hosts.append(refused := start("node-2", shared, 0))
        output, errors = refused.communicate(timeout=120)
        assert (refused.returncode, first.poll()) == (2, None), output + errors
        assert f"error: another sweep is running in {shared / 'study'} (process 1 on node-1); wait for it" in errors

        assert eventually(lambda: len(epochs(shared)) == 2 and min(epochs(shared)) >= 1)
        send(first, signal.SIGSTOP)
        assert max(epochs(shared)) < 10, "the runs ended too early; the test shows nothing"
        hosts.append(second := start("node-2", shared, 0.05))
        runs = [shared / "study" / path.parent.name for path in shared.glob("study/*/metrics.csv")]
        assert eventually(lambda: all(newest_number(run / ".lease") == 2 for run in runs), 120)
        send(first, signal.SIGCONT)  # while the second trains what it has taken over
        output, errors = first.communicate(timeout=120)
        assert first.returncode == 1, output + errors
        assert f"error: {shared / 'study'} was taken over by process 1 on node-2 while this one (process 1 on" in errors
        assert second.poll() is None, "it ended too early; the test shows nothing"
        output, errors = second.communicate(timeout=120)
        assert (second.returncode, errors) == (0, ""), output
        assert f"{shared / 'study'} is held by process 1 on node-1: waiting up to 4 s" in output
    finally:
        for process in hosts:
            process.kill()
            process.communicate()
    assert sweep(*JOBS, f"output_dir={tmp_path / 'alone'}").returncode == 0
    assert figures(shared / "study") == figures(tmp_path / "alone" / "study")
    assert len(figures(shared / "study")) == 2
