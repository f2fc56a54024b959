"""Jobs with more than one device, beside those with one."""

import signal

import pytest

from sweeping import FAULT, eventually, figures, in_session, results, run_folders, start, sweep
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


@pytest.mark.slow
def test_single_and_multi_device_jobs_mix(tmp_path):
    arguments = ("trainer.devices=2,1", "data.batch_size=32", f"output_dir={tmp_path}", "name=study")
    # What another launcher has left in the environment must not reach the jobs.
    done = sweep(*arguments, LOCAL_RANK="0", WORLD_SIZE="7", MASTER_PORT="1")
    assert (done.returncode, done.stderr) == (0, "")
    check_folders(tmp_path, "study", 2)
    found = results(tmp_path / "study")
    assert {name: result["status"] for name, result in found.items()} == {
        "trainer.devices=2": "completed",
        "trainer.devices=1": "completed",
    }
    # 300 images: two processes with batches of 32 make 5 steps an epoch, one makes 10.
    steps = {read_rows(path)[-1]["step"] for path in tmp_path.glob("study/*/metrics.csv")}
    assert steps == {"10", "20"}

    again = sweep(*arguments)
    assert (again.returncode, again.stdout.splitlines()[1]) == (0, "2 jobs: 2 completed at the start")


@pytest.mark.slow
def test_jobs_of_two_processes(tmp_path):
    arguments = ("model=bn,selu", "trainer=cpu", "trainer.devices=2", f"output_dir={tmp_path}")
    done = sweep(*arguments, "name=study")
    assert (done.returncode, done.stderr) == (0, "")
    check_folders(tmp_path, "study", 2)
    assert {result["status"] for result in results(tmp_path / "study").values()} == {"completed"}
    assert {read_rows(path)[-1]["step"] for path in tmp_path.glob("study/*/metrics.csv")} == {"20"}
    assert len({str(metrics) for _, metrics, _ in figures(tmp_path / "study").values()}) == 2


@pytest.mark.slow
def test_a_killed_process_fails_its_job_within_a_minute_and_not_the_sweep(tmp_path):
    arguments = (FAULT, "+callbacks.fault.what=rank,nothing", "trainer.devices=2", f"output_dir={tmp_path}")
    process = start(*arguments, "+callbacks.fault.step=12", "name=study")
    done = process.finish()
    found = {"rank" if "what=rank" in name else "nothing": r for name, r in results(tmp_path / "study").items()}
    assert {what: result["status"] for what, result in found.items()} == {"rank": "failed", "nothing": "completed"}
    assert (
        found["rank"]["error"]["message"].startswith("killed by signal 9 (SIGKILL)")
        or "traceback" in (found["rank"]["error"])
    )
    seconds = int(next(line for line in done.stdout.splitlines() if "1/2 " in line).rpartition(" s   ")[0].split()[-1])
    assert seconds < 60
    assert done.returncode == 1


@pytest.mark.slow
def test_ctrl_c_reaches_all_processes_of_a_job_and_it_resumes(tmp_path):
    arguments = (FAULT, "trainer.devices=2", "seed=1", "trainer.max_epochs=3", "name=study")
    assert sweep(*arguments, f"output_dir={tmp_path / 'whole'}").returncode == 0
    process = start(*arguments, f"output_dir={tmp_path / 'cut'}", FAULTS_SLEEP="0.2")
    assert eventually(lambda: list(tmp_path.glob("cut/study/*/metrics.csv")))
    assert len(in_session(process.pid)) == 4  # the sweep, who waits, and two who train
    process.send(signal.SIGINT)
    assert process.finish().returncode == 130
    (result,) = results(tmp_path / "cut" / "study").values()
    assert (result["status"], result["metrics"]["epochs"]) == ("interrupted", 2)
    assert sweep(*arguments, f"output_dir={tmp_path / 'cut'}").returncode == 0
    assert figures(tmp_path / "cut" / "study") == figures(tmp_path / "whole" / "study")
