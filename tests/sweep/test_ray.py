"""What a Ray cluster does to jobs of a sweep: lost workers and nodes, several devices, parts of GPUs."""

import json
import os
import signal
from importlib.util import find_spec
from pathlib import Path

import pytest

from ray_clusters import lose, ray_cluster, ray_node
from sweeping import FAULT, eventually, figures, in_session, results, start, sweep
from trainlab.sweep.items import is_process

pytestmark = [
    *(pytest.mark.cluster, pytest.mark.xdist_group("ray"), pytest.mark.timeout(1200)),
    pytest.mark.skipif(find_spec("ray") is None, reason="needs ray"),  # its import takes too long to be tried
]
START_S, LIMIT_S = 300.0, 600.0  # until jobs train, and of a sweep, on a machine that is busy
SETTINGS = (FAULT, "model=elu_he", "name=study", "trainer.max_epochs=4")
THREE = (*SETTINGS, "seed=1,2,3", "sweep.jobs=2")
ON_TWO_DEVICES = (*SETTINGS, "seed=1", "trainer.devices=2", "data.batch_size=32")


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """Of a cluster that is told to have eight cores and two GPUs."""
    with ray_cluster(tmp_path_factory.mktemp("ray") / "log", "--num-cpus=8", "--num-gpus=2") as found:
        yield found


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """Figures of the sweeps by their arguments, from the local executor."""
    found = {}
    for arguments in (THREE, ON_TWO_DEVICES):
        folder = tmp_path_factory.mktemp("undisturbed")
        done = sweep(*arguments, f"output_dir={folder}")
        assert (done.returncode, done.stderr) == (0, "")
        found[arguments] = figures(folder / "study")
    return found


def on(address, *more):
    return ("sweep/executor=ray", f"sweep.executor.address={address}", *more)


def epochs(folder):
    """Runs that have trained an epoch."""
    return [path for path in folder.glob("study/*/metrics.csv") if path.read_text().count("\n") > 1]


def started(folder):
    """Processes of running items."""
    return [json.loads(path.read_text()) for path in folder.glob("study/.items/*/started.json")]


def pids(folder):
    return [one["pid"] for one in started(folder)]


def parent_of(pid):
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def starts(folder):
    return sorted(len(path.read_text().splitlines()) for path in folder.glob("study/*/.starts"))


def test_jobs_of_a_cluster_that_ends_with_the_sweep_are_not_left(tmp_path):
    for override, reason in {
        "sweep.detach=true": "sweep.detach needs a Ray cluster that outlives the sweep",
        "sweep.executor.on_interrupt=leave": "on_interrupt must be stop or cancel where the cluster ends",
        "sweep.executor.gpus=1.5": "gpus must be a fraction of one or a whole number",
        "sweep.executor.address=localhost:1": "no Ray cluster answers at localhost:1",
    }.items():
        done = sweep("seed=1,2", "name=study", f"output_dir={tmp_path}", "sweep/executor=ray", override)
        assert (done.returncode, reason in done.stderr) == (2, True)


def test_a_lost_worker_is_replaced(address, undisturbed, tmp_path):
    process = start(*THREE, *on(address), f"output_dir={tmp_path}", FAULTS_SLEEP="0.3")
    assert eventually(lambda: len(epochs(tmp_path)) == 2, START_S)
    one = started(tmp_path)[0]
    os.kill(parent_of(one["pid"]), signal.SIGKILL)
    assert eventually(lambda: not is_process(one), 60)  # it ends with the worker
    done = process.finish(LIMIT_S)
    assert (done.returncode, done.stderr) == (0, "")
    assert "(pid=" not in done.stdout and "raylet" not in done.stdout
    assert figures(tmp_path / "study") == undisturbed[THREE]
    assert starts(tmp_path) == [1, 1, 2]


def test_a_lost_node_is_replaced_by_those_that_are_left(undisturbed, tmp_path):
    with (
        ray_cluster(tmp_path / "head.log", "--num-cpus=1") as address,
        ray_node(tmp_path / "node.log", address, "--num-cpus=1") as session,
    ):
        process = start(*THREE, *on(address), f"output_dir={tmp_path}", FAULTS_SLEEP="0.3")
        assert eventually(lambda: len(epochs(tmp_path)) == 2, START_S)
        (there,) = (one for one in started(tmp_path) if parent_of(one["pid"]) in in_session(session))
        lose(session)
        assert eventually(lambda: not is_process(there), 60)
        done = process.finish(LIMIT_S)
    assert (done.returncode, done.stderr) == (0, "")
    assert figures(tmp_path / "study") == undisturbed[THREE]
    assert starts(tmp_path) == [1, 1, 2]


def test_ctrl_c_and_the_end_of_a_worker_reach_all_processes_of_a_job(address, undisturbed, tmp_path):
    arguments = (*ON_TWO_DEVICES, *on(address), f"output_dir={tmp_path}")
    process = start(*arguments, FAULTS_SLEEP="1.0")
    assert eventually(lambda: epochs(tmp_path), START_S)
    (pid,) = pids(tmp_path)
    assert len(in_session(pid)) == 3  # who waits, and two who train
    process.send(signal.SIGINT)
    assert process.finish(LIMIT_S).returncode == 130
    assert [result["status"] for result in results(tmp_path / "study").values()] == ["interrupted"]
    assert eventually(lambda: in_session(pid) == [], 60)
    process = start(*arguments, FAULTS_SLEEP="1.0")
    assert eventually(lambda: pids(tmp_path) and len(in_session(pids(tmp_path)[0])) == 3, START_S)
    (pid,) = pids(tmp_path)
    os.kill(parent_of(pid), signal.SIGKILL)
    assert eventually(lambda: in_session(pid) == [], 60)
    done = process.finish(LIMIT_S)
    assert (done.returncode, done.stderr) == (0, "")
    assert figures(tmp_path / "study") == undisturbed[ON_TWO_DEVICES]
    assert starts(tmp_path) == [3]


def test_jobs_get_the_threads_and_the_parts_of_gpus_that_they_ask_for(address, tmp_path):
    asked = ("sweep.executor.cpus=2", "sweep.executor.gpus=0.5", "sweep.jobs=4")
    large = ("model.width=400", "data.batch_size=100")  # steps that are worth a second thread
    arguments = (*SETTINGS, *large, "seed=1,2,3,4", *on(address, *asked), f"output_dir={tmp_path}")
    process = start(*arguments, FAULTS_SLEEP="4.0")
    assert eventually(lambda: len(epochs(tmp_path)) == 4, START_S)  # all at once, on two GPUs
    environments = [Path(f"/proc/{pid}/environ").read_bytes().split(b"\0") for pid in pids(tmp_path)]
    names = (b"CUDA_VISIBLE_DEVICES=0", b"CUDA_VISIBLE_DEVICES=1")
    assert [sum(name in own for own in environments) for name in names] == [2, 2]
    assert process.finish(LIMIT_S).returncode == 0
    found = results(tmp_path / "study").values()
    assert [(result["status"], result["num_threads"]) for result in found] == [("completed", 2)] * 4
