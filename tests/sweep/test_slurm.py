"""What SLURM does to jobs of a sweep. Each has an outcome with a reason; nothing is lost or done twice."""

import json
import os
import shutil
import signal
import subprocess
import time
from functools import partial
from pathlib import Path

import pytest

from slurm_clusters import ON_SLURM, require_slurm
from sweeping import FAULT, eventually, figures, results, start
from trainlab.runs.files import read_rows
from trainlab.sweep.items import is_process

pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("slurm"), pytest.mark.timeout(1500)]
SETTINGS = (FAULT, "seed=1,2", "name=study", "trainer.max_epochs=3", "sweep.jobs=2")
# A step; 19 of them are an epoch. Jobs run at the same time even if one of them takes 20 s longer to start.
SLOW = {"FAULTS_SLEEP": "0.6"}
LIMIT_S = 800.0  # of a sweep, on a machine that is busy: each start of a job imports PyTorch
eventually_in_slurm = partial(eventually, limit_s=180, every_s=0.5)  # each look starts a command of SLURM
TWO_DEVICES = (FAULT, "seed=1", "name=study", "trainer.max_epochs=3", "trainer.devices=2")
DAEMONS = Path(os.environ.get("SLURM_CONF", "/etc/slurm/slurm.conf")).parent / "run"  # files with their process ids


def ask(*words):
    return subprocess.run(words, capture_output=True, text=True, timeout=60).stdout.strip()


def jobs(*words):
    """What squeue lists of the jobs of the sweep."""
    return ask("squeue", "--noheader", "--array", "--name=study", *words).split()


@pytest.fixture(autouse=True)
def _slurm():
    require_slurm()
    pytest.importorskip("submitit")
    # SLURM drains a node that is resumed before all of its processes have ended, as in a test before this one.
    for node in ask("sinfo", "--noheader", "--Node", "--partition=high", "--states=drain,down", "--format=%N").split():
        ask("scontrol", "update", f"NodeName={node}", "State=RESUME")
    yield
    assert eventually_in_slurm(lambda: not ask("squeue", "--noheader", "--me")), "a job is left"


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    done = start(*SETTINGS, f"output_dir={folder}").finish(LIMIT_S)
    assert (done.returncode, done.stderr) == (0, "")
    return figures(folder / "study")


@pytest.fixture(scope="module")
def on_two_devices(tmp_path_factory):
    folder = tmp_path_factory.mktemp("two-devices")
    done = start(*TWO_DEVICES, f"output_dir={folder}").finish(LIMIT_S)
    assert (done.returncode, done.stderr) == (0, "")
    return figures(folder / "study")


def begun(folder):
    """Epochs of each run so far."""
    return sorted(len(read_rows(path)) for path in folder.glob("study/*/metrics.csv"))


def starts(folder):
    """How often each run was started."""
    return sorted(len(path.read_text().splitlines()) for path in folder.glob("study/*/.starts"))


def hasten():
    """Let requeued jobs start now, and not two minutes later, also those that SLURM holds."""
    listed = ask("squeue", "--noheader", "--array", "--name=study", "--states=PENDING", "--format=%i %r")
    for job, _, reason in (line.partition(" ") for line in listed.splitlines()):
        if "held" in reason.lower():
            ask("scontrol", "release", job)
        ask("scontrol", "update", f"JobId={job}", "StartTime=now")


def finish(process):
    """The end of a sweep, whose requeued jobs do not wait."""
    end = time.monotonic() + LIMIT_S
    while process.poll() is None and time.monotonic() < end:
        hasten()
        time.sleep(1)
    return process.finish(1)


def sweep(*arguments, **environment):
    return finish(start(*arguments, **environment))


def preempt():
    """Have a job of another partition take both nodes, until those of the sweep are to start again; they do so."""
    high = ask("sbatch", "--parsable", "--partition=high", "-N2", "--exclusive", "--output=/dev/null", "--wrap=sleep 2")
    assert eventually_in_slurm(lambda: "BeginTime" in jobs("--format=%r"))
    assert eventually_in_slurm(lambda: not ask("squeue", "-h", f"--jobs={high}", "--format=%i"))
    hasten()


def end_daemon(name, number=signal.SIGTERM):
    pid = int((DAEMONS / f"{name}.pid").read_text())
    os.kill(pid, number)
    assert eventually(lambda: not Path(f"/proc/{pid}").exists(), 120)


def begin_controller():
    subprocess.run(["slurmctld"], check=True, capture_output=True)
    assert eventually_in_slurm(lambda: subprocess.run(["sinfo"], capture_output=True).returncode == 0)


@pytest.mark.parametrize(
    ("partition", "limit", "saved"),
    [
        ("low", [], "saving inside the epoch"),  # SIGKILL comes 5 s after SIGTERM
        ("grace", ["sweep.executor.time_min=60"], "stopping after this epoch"),  # 30 s, in which an epoch fits
    ],
)
def test_preempted_jobs_are_saved_and_continue_to_the_bit(partition, limit, saved, undisturbed, tmp_path):
    chosen = [*ON_SLURM[:2], f"sweep.executor.partition={partition}", *limit]
    process = start(*SETTINGS, *chosen, f"output_dir={tmp_path}", **SLOW)
    assert eventually(lambda: begun(tmp_path) >= [1, 1], 300)
    preempt()
    done = finish(process)
    assert (done.returncode, done.stderr) == (0, "")
    assert figures(tmp_path / "study") == undisturbed
    logs = [path.read_text() for path in tmp_path.glob("study/*/train.log")]
    assert len(logs) == 2 and all(saved in log and "continuing" in log for log in logs)


def test_jobs_that_are_preempted_before_they_can_save_start_again(undisturbed, tmp_path):
    process = start(*SETTINGS, *ON_SLURM[:2], "sweep.executor.partition=low", f"output_dir={tmp_path}", **SLOW)
    assert eventually_in_slurm(lambda: len(jobs("--states=RUNNING", "--format=%i")) == 2)
    assert begun(tmp_path) == []
    preempt()
    done = finish(process)
    assert (done.returncode, done.stderr) == (0, "")
    assert figures(tmp_path / "study") == undisturbed


def test_jobs_that_reach_their_time_limit_are_continued(undisturbed, tmp_path):
    """SLURM sends the warning up to 30 s earlier than its settings say, and looks at limits every 30 s.

    Where Python takes as long to start, there are starts in which nothing is trained.
    """
    limits = ("sweep.executor.time_min=1", "sweep.executor.warning_s=10", "sweep.executor.restarts=20")
    done = sweep(*SETTINGS, *ON_SLURM, *limits, f"output_dir={tmp_path}", FAULTS_SLEEP="0.9")
    assert (done.returncode, done.stderr) == (0, "")
    assert figures(tmp_path / "study") == undisturbed
    assert starts(tmp_path) >= [2, 2]


@pytest.mark.parametrize("accounting", [True, False])
def test_a_job_over_its_memory_has_failed_for_that_reason(accounting, undisturbed, tmp_path):
    if not accounting:  # and squeue forgets a job at its end
        states = "${@/--states=all/--states=PENDING,RUNNING,COMPLETING}"
        for name, line in (("sacct", "exit 1"), ("squeue", f'exec {shutil.which("squeue")} "{states}"')):
            (tmp_path / name).write_text(f"#!/bin/bash\n{line}\n")
            (tmp_path / name).chmod(0o755)
    path = os.pathsep.join([str(tmp_path), os.environ["PATH"]])
    arguments = (*SETTINGS, f"output_dir={tmp_path}", "sweep/executor=slurm", "sweep.executor.partition=high")
    done = sweep(*arguments, "sweep.executor.mem_gb=0.2", PATH=path)
    assert done.returncode == 1
    killed = results(tmp_path / "study").values()
    assert [result["status"] for result in killed] == ["failed", "failed"]
    for result in killed:
        assert result["error"]["message"].endswith("was killed for its memory; set sweep.executor.mem_gb above 0.2")
    again = sweep(*arguments, "sweep.executor.mem_gb=3", "sweep.retry_failed=true", PATH=path)
    assert (again.returncode, again.stderr) == (0, "")
    assert figures(tmp_path / "study") == undisturbed


def test_a_job_whose_setup_fails_has_failed_after_some_starts(tmp_path):
    setup = ("sweep.executor.setup=['set -e','false']", "sweep.executor.restarts=1")
    done = sweep("seed=1", "name=study", f"output_dir={tmp_path}", *ON_SLURM, *setup)
    assert done.returncode == 1
    (result,) = results(tmp_path / "study").values()
    assert result["status"] == "failed"
    assert "ended before its program began; see " in result["error"]["message"]
    assert result["error"]["message"].endswith("; it was started 2 times without a new checkpoint")


def test_a_cancelled_job_is_saved_and_left_until_the_same_command(undisturbed, tmp_path):
    arguments = (*SETTINGS, *ON_SLURM, f"output_dir={tmp_path}")
    process = start(*arguments, **SLOW)
    assert eventually(lambda: begun(tmp_path) >= [1, 1], 300)
    ask("scancel", jobs("--states=RUNNING", "--format=%i")[0])
    done = finish(process)
    assert done.returncode == 1
    assert "2 jobs: 1 completed, 1 interrupted; the same command resumes from here" in done.stderr
    assert "was cancelled" in done.stdout
    again = sweep(*arguments)
    assert (again.returncode, again.stderr) == (0, "")
    assert figures(tmp_path / "study") == undisturbed


def test_jobs_of_a_lost_node_continue(undisturbed, tmp_path):
    process = start(*SETTINGS, *ON_SLURM, f"output_dir={tmp_path}", **SLOW)
    assert eventually(lambda: begun(tmp_path) >= [1, 1], 300)
    node = jobs("--states=RUNNING", "--format=%N")[0]
    started = [json.loads(path.read_text()) for path in tmp_path.glob("study/.items/*/started.json")]
    ask("scontrol", "update", f"NodeName={node}", "State=DOWN", "Reason=test")
    try:
        assert eventually_in_slurm(lambda: jobs("--states=PENDING", "--format=%i"))
        assert eventually(lambda: not any(map(is_process, started)), 120), "what ran there is killed"
        time.sleep(2)  # until SLURM has seen that; where it has not, it holds the jobs, which are then released
    finally:
        ask("scontrol", "update", f"NodeName={node}", "State=RESUME")
    done = finish(process)
    assert (done.returncode, done.stderr) == (0, "")
    assert figures(tmp_path / "study") == undisturbed


@pytest.mark.parametrize("requeues", [True, False])
def test_jobs_whose_slurmd_is_lost_while_they_live_are_not_trained_twice(requeues, undisturbed, tmp_path):
    options = [] if requeues else ["+sweep.executor.options.no_requeue=true"]
    process = start(*SETTINGS, *ON_SLURM, *options, f"output_dir={tmp_path}", FAULTS_SLEEP="2.0")
    assert eventually(lambda: begun(tmp_path) >= [1, 1], 300)
    node = jobs("--states=RUNNING", "--format=%N")[0]
    end_daemon(f"slurmd-{node}", signal.SIGKILL)
    ask("scontrol", "update", f"NodeName={node}", "State=DOWN", "Reason=test")  # as SLURM does after SlurmdTimeout
    try:
        if requeues:
            assert eventually_in_slurm(lambda: jobs("--states=PENDING", "--format=%i"))
        done = finish(process)
    finally:
        subprocess.run(["slurmd", "-N", node], check=True)
        ask("scontrol", "update", f"NodeName={node}", "State=RESUME")
    assert (done.returncode, done.stderr) == (0, "")
    assert figures(tmp_path / "study") == undisturbed
    assert (" is held by process " in done.stdout, "though its job has ended" in done.stdout) == (
        requeues,
        not requeues,
    )


def test_a_controller_that_is_away_for_a_minute_is_waited_for(undisturbed, tmp_path):
    """A job ends meanwhile, and no other one can be submitted. After that it is away at Ctrl-C."""
    arguments = (*SETTINGS[:-1], "sweep.jobs=1", *ON_SLURM, f"output_dir={tmp_path}")
    process = start(*arguments, FAULTS_SLEEP="1.2")
    assert eventually(lambda: begun(tmp_path) == [1], 300)
    end_daemon("slurmctld", signal.SIGKILL)
    away_until = time.monotonic() + 60
    try:
        assert eventually(lambda: "SLURM does not answer; waiting for it" in process.output(), 180)
        assert eventually(lambda: begun(tmp_path) == [3], 180)
        time.sleep(max(0.0, away_until - time.monotonic()))
    finally:
        begin_controller()
    assert eventually(lambda: begun(tmp_path) == [1, 3], 300), process.output()
    assert "SLURM answers again" in process.output()
    assert starts(tmp_path) == [1, 1]
    end_daemon("slurmctld")
    try:
        process.send(signal.SIGINT)
        assert eventually(lambda: "stopping: " in process.output(), 180)
    finally:
        begin_controller()
    stopped = finish(process)
    assert stopped.returncode == 130
    assert "interrupted: 2 jobs: 1 completed, 1 interrupted" in stopped.stderr
    done = sweep(*arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert figures(tmp_path / "study") == undisturbed
    assert starts(tmp_path) == [1, 2]


@pytest.fixture
def limits():
    """A user may have one job, and an array one job."""
    conf = DAEMONS.parent / "slurm.conf"
    before = conf.read_text()
    end_daemon("slurmctld")
    conf.write_text(f"{before}AccountingStorageEnforce=limits\nMaxArraySize=1\n")
    begin_controller()
    ask("sacctmgr", "-i", "modify", "user", "root", "set", "maxsubmitjobs=1")
    yield
    ask("sacctmgr", "-i", "modify", "user", "root", "set", "maxsubmitjobs=-1")
    end_daemon("slurmctld")
    conf.write_text(before)
    begin_controller()


def test_as_many_jobs_are_submitted_as_slurm_takes(limits, undisturbed, tmp_path):
    array = subprocess.run(["sbatch", "--array=0-1", "--wrap=true"], capture_output=True, text=True, timeout=60)
    assert "Invalid job array specification" in array.stderr
    done = sweep(*SETTINGS, *ON_SLURM, f"output_dir={tmp_path}")
    assert (done.returncode, done.stderr) == (0, "")
    assert "no more jobs are taken at present (" in done.stdout
    assert "Batch job submission failed: " in done.stdout
    assert figures(tmp_path / "study") == undisturbed
    assert starts(tmp_path) == [1, 1]


def test_a_folder_that_is_removed_while_its_jobs_run_is_that_of_the_next_sweep(undisturbed, tmp_path):
    arguments = (*SETTINGS, *ON_SLURM, f"output_dir={tmp_path}")
    process = start(*arguments, **SLOW)
    assert eventually(lambda: begun(tmp_path) >= [1, 1], 300)
    process.send(signal.SIGKILL)
    process.finish(leaves=True)
    shutil.rmtree(tmp_path / "study")
    done = sweep(*arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert figures(tmp_path / "study") == undisturbed
    assert not (tmp_path / "study" / ".items").exists()


@pytest.mark.parametrize(
    "executor",
    [(ON_SLURM[0], "sweep.executor.mem_gb=6", ON_SLURM[2]), ("sweep/executor=slurm_local",)],
    ids=["slurm", "slurm_local"],
)
def test_ctrl_c_reaches_all_processes_of_a_job_with_several_devices(executor, on_two_devices, tmp_path):
    arguments = (*TWO_DEVICES, *executor, f"output_dir={tmp_path}")
    process = start(*arguments, FAULTS_SLEEP="1.0")
    assert eventually(lambda: begun(tmp_path) == [1], 300)
    process.send(signal.SIGINT)
    stopped = finish(process)
    assert stopped.returncode == 130
    assert "interrupted: 1 jobs: 1 interrupted" in stopped.stderr
    (log,) = [path.read_text() for path in tmp_path.glob("study/*/train.log")]
    assert "stopping after this epoch" in log
    done = sweep(*arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert figures(tmp_path / "study") == on_two_devices
