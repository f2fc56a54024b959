"""One run in several tasks of the real SLURM that SLURM_CONF names; it has two nodes, which see the same files."""

import os
import signal
import subprocess
import sys
import time

import pytest
import torch

from conftest import TINY, with_defaults
from slurm_clusters import require_slurm
from sweeping import FAULT, HERE, results
from trainlab.config.resolvers import PROJECT
from trainlab.runs.checkpoints import load_checkpoint, network_weights
from trainlab.runs.result import Result

pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("slurm"), pytest.mark.timeout(1200)]
TRAIN = [sys.executable, str(PROJECT / "src" / "train.py")]
TWO_NODES = ("-N2", "--ntasks-per-node=1")
FLAGS = ("--mem-per-cpu=3000", "-p", "high")  # see `slurm_clusters.ON_SLURM`


@pytest.fixture(scope="module", autouse=True)
def slurm():
    """Skip where no SLURM answers."""
    require_slurm()


def start(command, **environment):
    given = {**os.environ, "PYTHONPATH": f"{PROJECT / 'src'}:{HERE}", **environment}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([*map(str, command)], env=given, start_new_session=True, **pipes)


def ended(process, timeout_s=500):
    """Exit status and all that was printed."""
    try:
        output = "".join(process.communicate(timeout=timeout_s))
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    return process.returncode, output


def start_tasks(flags, *words, **environment):
    """``python src/train.py`` with tiny settings, by srun."""
    return start(["srun", *FLAGS, *flags, *TRAIN, *with_defaults(TINY, *words)], **environment)


def srun(flags, *words, **environment):
    return ended(start_tasks(flags, *words, **environment))


def wait_for(path, process):
    """Until there is a file, which a process makes."""
    while not path.exists():
        assert process.poll() is None or path.exists()
        time.sleep(0.2)


def own_lines(output):
    return [line for line in output.splitlines() if line.startswith(("error: ", "epoch ", "already ", "warning: "))]


def weights(folder):
    return network_weights(load_checkpoint(folder / "checkpoints" / "last.ckpt"))


def same_weights(folder, other):
    ours, theirs = weights(folder), weights(other)
    return ours.keys() == theirs.keys() and all(torch.equal(value, theirs[key]) for key, value in ours.items())


@pytest.fixture(scope="module")
def one_node(tmp_path_factory):
    """The run that two processes of this node train, which Lightning starts."""
    folder = tmp_path_factory.mktemp("one")
    words = with_defaults(TINY, FAULT, f"output_dir={folder}", "name=run", "trainer.devices=2")
    status, output = ended(start([*TRAIN, *words]))
    assert status == 0, output
    return folder / "run"


FILES = {"config.yaml", "metrics.csv", "result.json", "train.log", "checkpoints", "confusion.json", ".hydra"}


@pytest.mark.parametrize(
    ("flags", "settings"),
    [
        (TWO_NODES, ("trainer.devices=1", "trainer.num_nodes=2")),
        (("-N1", "-n2"), ("trainer.devices=2",)),
    ],
    ids=["two nodes", "one node"],
)
def test_tasks_train_one_run(flags, settings, one_node, tmp_path):
    status, output = srun(flags, FAULT, f"output_dir={tmp_path}", *settings)
    assert status == 0, output
    (folder,) = tmp_path.iterdir()  # named after the time
    assert {path.name for path in folder.iterdir()} - {".lock", ".lease"} == FILES
    assert len(own_lines(output)) == 2, "two epochs, said by one process"
    assert output.count("completed in ") == 1
    result, expected = Result.read(folder), Result.read(one_node)
    assert (result.status, result.metrics) == ("completed", expected.metrics)
    assert result.num_threads == expected.num_threads == 1
    assert same_weights(folder, one_node)

    status, output = srun(flags, FAULT, f"output_dir={tmp_path}", f"name={folder.name}", *settings)
    assert status == 0 and output.count("already completed") == 1, output


@pytest.mark.parametrize(
    ("what", "number", "reason"),
    [
        ("rank", 2, "has given no sign of life for "),
        ("first", 1, "was killed, or its node was lost"),
        ("freeze", 2, "has given no sign of life for "),
        ("fail", 2, "failed: RuntimeError: the mouse ate the cable"),
    ],
)
def test_a_lost_process_ends_the_run_with_a_reason_and_the_same_command_resumes(
    what, number, reason, one_node, tmp_path
):
    words = ("trainer.num_nodes=2", f"output_dir={tmp_path}", "name=run", FAULT, "+callbacks.fault.step=12")
    lost = tmp_path / "lost"
    process = start_tasks(TWO_NODES, *words, f"+callbacks.fault.what={what}", FAULTS_BEGUN=str(lost))
    wait_for(lost, process)
    assert (tmp_path / "run" / "checkpoints" / "last.ckpt").exists(), "of the first epoch"
    begun = time.monotonic()
    if what == "freeze":  # srun waits for the one that is stopped, which nothing but a kill ends
        while Result.read(tmp_path / "run").status == "running" and time.monotonic() < begun + 60:
            time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)
    status, output = ended(process)
    assert status != 0 and time.monotonic() - begun < 60
    result = Result.read(tmp_path / "run")
    assert result.status == "failed"
    assert result.error["message"].startswith(f"process {number} of 2 on ") and reason in result.error["message"]
    assert own_lines(output)[1:] == [f"error: {result.error['message']}"]
    if what in ("fail", "freeze"):
        return

    status, output = srun(TWO_NODES, *words, f"+callbacks.fault.what={what}", FAULTS="off")
    assert status == 0, output
    assert Result.read(tmp_path / "run").metrics == Result.read(one_node).metrics
    assert same_weights(tmp_path / "run", one_node)


def test_processes_that_slurm_has_suspended_go_on(one_node, tmp_path):
    words = (FAULT, f"output_dir={tmp_path}", "name=run", "trainer.num_nodes=2")
    process = start_tasks((*TWO_NODES, "--job-name=suspended"), *words, FAULTS_SLEEP="1.5")
    wait_for(tmp_path / "run" / "checkpoints" / "last.ckpt", process)
    named = ["squeue", "-h", "--me", "--name=suspended", "--format=%A"]
    (job,) = subprocess.run(named, capture_output=True, text=True).stdout.split()
    subprocess.run(["scontrol", "suspend", job], check=True)
    time.sleep(25)  # above SILENCE_S, after which a process is lost
    subprocess.run(["scontrol", "resume", job], check=True)
    status, output = ended(process)
    assert status == 0, output
    assert same_weights(tmp_path / "run", one_node)


@pytest.mark.parametrize(
    ("flags", "words", "message"),
    [
        (TWO_NODES, (), "srun has started 2 processes (1 on each of 2 nodes), got trainer.devices=1"),
        (("-N1", "-n2"), ("trainer.num_nodes=2",), "srun has started 2 processes (2 on each of 1 nodes)"),
        (("-N1", "-n2"), ("-m", "seed=1,2"), "a sweep is one process that starts its jobs itself, got 2 processes"),
        (("-N1", "-n2"), ("trainer.devices=2", "model.depth=x"), "depth must be an integer, got 'x'"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing(flags, words, message, tmp_path):
    status, output = srun(flags, *words, f"output_dir={tmp_path / 'out'}")
    assert status == 2
    errors = own_lines(output)
    assert len(errors) == 1 and errors[0].startswith(f"error: {message}"), output
    assert list(tmp_path.iterdir()) == []


def batch(tmp_path, flags, command, **environment):
    """Run a command in the script of a job, and wait for its end. Returns what it printed."""
    log = tmp_path / "log"
    script = f"#!/bin/bash\ncd {tmp_path}\n{' '.join(map(str, command))}\n"
    words = ["sbatch", "--wait", *FLAGS, "-o", log, *flags]
    given = {**os.environ, "PYTHONPATH": f"{PROJECT / 'src'}:{HERE}", **environment}
    done = subprocess.run([*map(str, words)], input=script, text=True, capture_output=True, env=given, timeout=600)
    return done.returncode, log.read_text()


def test_a_sweep_in_a_job_of_two_tasks_starts_processes_for_devices_itself(one_node, tmp_path):
    """SLURM_NTASKS is 2, for which Lightning would take the processes of each job for started."""
    planted = tmp_path / "hpc_ckpt_1.ckpt"
    planted.write_bytes(b"of another job")
    words = with_defaults(TINY, f"output_dir={tmp_path / 'out'}", "name=study", "seed=1,2", "trainer.devices=2")
    # Memory for a sweep, what its processes are forked from, and two of them.
    status, output = batch(tmp_path, ["-N1", "-n2", "--mem-per-cpu=3000"], [*TRAIN, "-m", *words])
    assert status == 0, output
    assert {result["status"] for result in results(tmp_path / "out" / "study").values()} == {"completed"}
    assert same_weights(tmp_path / "out" / "study" / "seed=1", one_node)
    assert planted.read_bytes() == b"of another job"
    assert not [*(tmp_path / "out").rglob("hpc_ckpt*")]


CORES = "from trainlab.processes import count_cores; print(count_cores())"


@pytest.mark.parametrize(
    ("flags", "cores"), [(["-n1"], "1"), (["-n1", "-c2"], "2"), (["-N1", "-n2"], "2")], ids=["-n1", "-c2", "-n2"]
)
def test_a_job_has_the_cores_that_it_was_given(flags, cores, tmp_path):
    """On nodes that do not bind processes to cores."""
    assert batch(tmp_path, flags, [sys.executable, "-c", f"'{CORES}'"]) == (0, f"{cores}\n")
    status, output = ended(start(["srun", *FLAGS, *flags, sys.executable, "-c", CORES]))
    each = "1" if flags[-1] == "-n2" else cores
    assert (status, output.split()) == (0, [each] * (2 if flags[-1] == "-n2" else 1))


def test_a_sweep_in_a_job_plans_for_its_cores(tmp_path):
    words = with_defaults(TINY, f"output_dir={tmp_path / 'out'}", "name=study", "model=bn,selu", "sweep.dry_run=true")
    for flags, plan in ((["-n1"], "plan: 2 solo jobs\n"), (["-n1", "-c2"], "plan: 2 solo jobs, 2 at once\n")):
        status, output = batch(tmp_path, flags, [*TRAIN, "-m", *words], OMP_NUM_THREADS="")
        assert status == 0 and plan in output, output
