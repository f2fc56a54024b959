"""What SLURM does to jobs of a sweep: preemption, memory, cancellation, a lost node. Nothing is lost or done twice."""

import shutil
import subprocess
import time

import pytest

from sweeping import FAULT, eventually, figures, results, start, sweep
from trainlab.runs.files import read_rows
from trainlab.runs.result import Result

pytestmark = pytest.mark.cluster
SETTINGS = (FAULT, "seed=1,2", "name=study", "trainer.max_epochs=4", "sweep.jobs=2")
SLOW = {"FAULTS_SLEEP": "0.4"}  # a step; 19 of them an epoch
EXECUTOR = ("sweep/executor=slurm", "sweep.executor.mem_gb=1.5")


def ask(*words):
    return subprocess.run(words, capture_output=True, text=True, timeout=60).stdout.strip()


@pytest.fixture(autouse=True)
def _slurm():
    if shutil.which("sinfo") is None or subprocess.run(["sinfo"], capture_output=True).returncode:
        pytest.skip("no SLURM answers to sinfo")
    pytest.importorskip("submitit")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    done = sweep(*SETTINGS, f"output_dir={folder}")
    assert (done.returncode, done.stderr) == (0, "")
    return figures(folder / "study")


def begun(folder):
    """Epochs of each run so far."""
    return [len(read_rows(path)) for path in folder.glob("study/*/metrics.csv")]


def hasten(name):
    """Let requeued jobs start now, and not two minutes later."""
    for line in ask("squeue", "--noheader", "--array", f"--name={name}", "--states=PENDING", "--format=%i").split():
        ask("scontrol", "update", f"JobId={line}", "StartTime=now")


@pytest.mark.parametrize(
    ("partition", "limit", "saved"),
    [
        ("low", [], "saving inside the epoch"),  # SIGKILL comes 5 s after SIGTERM
        ("grace", ["sweep.executor.time_min=60"], "stopping after this epoch"),  # 30 s, in which an epoch fits
    ],
)
def test_preempted_jobs_are_saved_and_continue_to_the_bit(partition, limit, saved, undisturbed, tmp_path):
    chosen = [*EXECUTOR, f"sweep.executor.partition={partition}", *limit]
    process = start(*SETTINGS, *chosen, f"output_dir={tmp_path}", **SLOW)
    assert eventually(lambda: sorted(begun(tmp_path)) >= [2, 2], 180)
    high = ask("sbatch", "--parsable", "--partition=high", "-N2", "--exclusive", "--output=/dev/null", "--wrap=sleep 5")
    assert eventually(lambda: "BeginTime" in ask("squeue", "-h", "--name=study", "--format=%r"), 90)
    assert eventually(lambda: not ask("squeue", "-h", f"--jobs={high}", "--format=%i"), 90)
    hasten("study")
    done = process.finish()
    assert (done.returncode, done.stderr) == (0, "")
    assert figures(tmp_path / "study") == undisturbed
    logs = [path.read_text() for path in tmp_path.glob("study/*/train.log")]
    assert len(logs) == 2 and all(saved in log and "continuing" in log for log in logs)


def test_a_job_over_its_memory_has_failed_for_that_reason(tmp_path):
    chosen = ("sweep/executor=slurm", "sweep.executor.mem_gb=0.2", "sweep.executor.partition=high")
    done = sweep("seed=1", "name=study", f"output_dir={tmp_path}", *chosen)
    assert done.returncode == 1
    (result,) = results(tmp_path / "study").values()
    assert result["status"] == "failed"
    assert result["error"]["message"].endswith("was killed for its memory; set sweep.executor.mem_gb above 0.2")


def test_a_cancelled_job_is_saved_and_left_until_the_same_command(undisturbed, tmp_path):
    arguments = (*SETTINGS, *EXECUTOR, "sweep.executor.partition=high", f"output_dir={tmp_path}")
    process = start(*arguments, **SLOW)
    assert eventually(lambda: sorted(begun(tmp_path)) >= [1, 1], 180)
    ask("scancel", ask("squeue", "-h", "--array", "--name=study", "--states=RUNNING", "--format=%i").split()[0])
    done = process.finish()
    assert done.returncode == 1
    assert "2 jobs: 1 completed, 1 interrupted; the same command resumes from here" in done.stderr
    assert "was cancelled" in done.stdout
    again = sweep(*arguments)
    assert (again.returncode, again.stderr) == (0, "")
    assert figures(tmp_path / "study") == undisturbed


def test_jobs_of_a_lost_node_continue(undisturbed, tmp_path):
    process = start(*SETTINGS, *EXECUTOR, "sweep.executor.partition=high", f"output_dir={tmp_path}", **SLOW)
    assert eventually(lambda: sorted(begun(tmp_path)) >= [1, 1], 180)
    node = ask("squeue", "-h", "--array", "--name=study", "--states=RUNNING", "--format=%N").split()[0]
    ask("scontrol", "update", f"NodeName={node}", "State=DOWN", "Reason=test")
    try:
        assert eventually(lambda: ask("squeue", "-h", "--name=study", "--states=PENDING", "--format=%i"), 60)
    finally:
        time.sleep(6)  # what ran there is killed
        ask("scontrol", "update", f"NodeName={node}", "State=RESUME")
    hasten("study")
    done = process.finish()
    assert (done.returncode, done.stderr) == (0, "")
    assert figures(tmp_path / "study") == undisturbed
    assert {Result.read(path.parent).status for path in tmp_path.glob("study/*/result.json")} == {"completed"}
