"""Jobs with more than one device, beside those with one."""

import re
import signal

import pytest

from sweeping import (
    FAULT,
    are_held,
    eventually,
    figures,
    holding,
    in_session,
    release,
    results,
    run_folders,
    start,
    sweep,
)
from trainlab.runs.files import read_rows

pytestmark = pytest.mark.ddp
FILES = {"config.yaml", "metrics.csv", "result.json", "train.log", ".lease", ".hydra", "checkpoints", "confusion.json"}


def check_folders(outputs, name, runs):
    """One folder a run and nothing beside it."""
    assert [path.name for path in outputs.iterdir()] == [name]
    folders = run_folders(outputs / name)
    assert len(folders) == runs
    for folder in folders:
        assert {path.name for path in folder.iterdir()} == FILES
        assert {path.name for path in (folder / "checkpoints").iterdir()} == {"best.ckpt", "last.ckpt"}


SETTINGS = ("data.batch_size=32", "trainer.max_epochs=3", FAULT, "name=study")
MIXED = ("model=bn,selu", "trainer.devices=2,1", "sweep.on_failure=continue", *SETTINGS)


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """Outputs of a sweep of jobs of two processes and of one, and how it ended."""
    folder = tmp_path_factory.mktemp("mixed")
    # What another launcher has left in the environment must not reach the jobs.
    return folder, sweep(*MIXED, f"output_dir={folder}", LOCAL_RANK="0", WORLD_SIZE="7", MASTER_PORT="1")


@pytest.mark.slow
def test_single_and_multi_device_jobs_mix(mixed):
    folder, done = mixed
    assert (done.returncode, done.stderr) == (0, "")
    check_folders(folder, "study", 4)
    assert [result["status"] for result in results(folder / "study").values()] == ["completed"] * 4
    # 300 images: two processes with batches of 32 make 5 steps an epoch, one makes 10.
    steps = {path.parent.name: read_rows(path)[-1]["step"] for path in folder.glob("study/*/metrics.csv")}
    assert {name: steps[name] for name in steps if name.endswith("devices=2")} == {
        "model=bn,trainer.devices=2": "15",
        "model=selu,trainer.devices=2": "15",
    }
    assert sorted(steps.values()) == ["15"] * 2 + ["30"] * 2
    assert len({str(metrics) for _, metrics, _ in figures(folder / "study").values()}) == 4
    logs = [path.read_text() for path in folder.glob("study/*devices=2/train.log")]
    assert len(logs) == 2 and not any("sweep.on_failure" in log for log in logs)  # of which a run would warn

    again = sweep(*MIXED, f"output_dir={folder}")
    assert (again.returncode, again.stdout.splitlines()[1]) == (0, "4 jobs: 4 completed at the start")


@pytest.mark.slow
def test_a_killed_process_fails_its_job_within_a_minute_and_not_the_sweep(tmp_path):
    # Only the second process of a job is killed, so nothing happens to the job of one.
    arguments = (FAULT, "+callbacks.fault.what=rank", "trainer.devices=2,1", f"output_dir={tmp_path}")
    process = start(*arguments, "+callbacks.fault.step=12", "name=study")
    done = process.finish()
    found = {name.partition("devices=")[2][:1]: result for name, result in results(tmp_path / "study").items()}
    assert {devices: result["status"] for devices, result in found.items()} == {"2": "failed", "1": "completed"}
    assert (
        found["2"]["error"]["message"].startswith("killed by signal 9 (SIGKILL)")
        or "traceback" in (found["2"]["error"])
    )
    (line,) = (line for line in done.stdout.splitlines() if "/2 " in line and "   failed: " in line)
    assert re.search(r"   \d+ s   failed: ", line)  # a minute is "1 min"
    assert done.returncode == 1


@pytest.mark.slow
def test_ctrl_c_reaches_all_processes_of_a_job_and_it_resumes(mixed, tmp_path):
    arguments = ("model=bn", "trainer.devices=2", *SETTINGS, f"output_dir={tmp_path}", "seed=1")
    second = 5 + 2  # of the steps of the second epoch
    process = start(*arguments, **holding(tmp_path, second))
    assert are_held(tmp_path, second, processes=2)
    assert len(in_session(process.pid)) == 4  # the sweep, who waits, and two who train
    process.send(signal.SIGINT)
    assert eventually(lambda: "stopping: running jobs are saved after their epoch" in process.output())
    release(tmp_path, second)
    assert process.finish().returncode == 130
    (result,) = results(tmp_path / "study").values()
    assert (result["status"], result["metrics"]["epochs"]) == ("interrupted", 2)
    assert sweep(*arguments).returncode == 0
    (resumed,) = figures(tmp_path / "study").values()
    assert resumed == figures(mixed[0] / "study")["model=bn,trainer.devices=2"]
