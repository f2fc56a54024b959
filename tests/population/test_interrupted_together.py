"""Sweeps of populations that are interrupted, killed or fail. The same command resumes them to the same results."""

import os
import shutil
import signal

import pytest
from members import assert_as_undisturbed, continued

from conftest import STEPS, cases
from sweeping import Script, are_held, eventually, figures, holding, in_session, release, results, start, sweep
from trainlab.runs.files import read_rows

pytestmark = pytest.mark.slow

EPOCHS = 3
SETTINGS = (
    *("data._target_=faults.SlowShapes", "trainer.precision=64-true", f"trainer.max_epochs={EPOCHS}", "name=study"),
    "optim=adam",
)
JOBS = (*SETTINGS, "optim.lr=1e-3,5e-4", "seed=1,2")
SECOND, THIRD = STEPS + 5, 2 * STEPS + 5  # batches in the middle of the second and the third epoch


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    done = sweep(*JOBS, f"output_dir={folder}")
    assert (done.returncode, done.stderr) == (0, "")
    assert all(result["time"]["population"]["members"] == 4 for result in results(folder / "study").values())
    return figures(folder / "study")


def epochs_of(folder):
    return {path.parent.name: len(read_rows(path)) for path in folder.glob("study/*/metrics.csv")}


def start_and_hold(folder, *arguments, at=(SECOND,)) -> Script:
    return start(*arguments, f"output_dir={folder}", **holding(folder, *at))


def trainer_of(process: Script) -> int:
    (found,) = (pid for pid in in_session(process.pid) if pid != process.pid)
    return found


@pytest.mark.parametrize("killed", cases(["the process that trains", "the launcher"], "the launcher"))
def test_a_population_killed_in_an_epoch_loses_that_epoch_alone(killed, undisturbed, tmp_path):
    arguments = (*JOBS, f"output_dir={tmp_path}")
    process = start_and_hold(tmp_path, *JOBS)
    assert are_held(tmp_path, SECOND)
    if killed == "the launcher":
        process.send(signal.SIGKILL)
        process.finish()
        statuses, more = {"running"}, []
    else:
        os.kill(trainer_of(process), signal.SIGKILL)
        done = process.finish()
        assert done.returncode == 1
        assert "4 jobs: 4 failed" in done.stderr
        found = results(tmp_path / "study").values()
        usual = "killed by signal 9 (SIGKILL); out of memory is the usual reason"
        assert {result["error"]["message"] for result in found} == {usual}
        statuses, more = {"failed"}, ["sweep.retry_failed=true"]
    assert {result["status"] for result in results(tmp_path / "study").values()} == statuses
    assert list(epochs_of(tmp_path).values()) == [1] * 4

    assert sweep(*arguments, *more).returncode == 0
    assert continued(tmp_path) == ["1"] * 4
    assert_as_undisturbed(tmp_path, undisturbed)


@pytest.mark.slow
def test_members_at_different_epochs_resume_together_and_solo(undisturbed, tmp_path):
    arguments = (*JOBS, f"output_dir={tmp_path}")
    process = start_and_hold(tmp_path, *JOBS, at=(SECOND, THIRD))
    assert are_held(tmp_path, SECOND)
    folders = sorted(tmp_path.glob("study/*/checkpoints"))
    older = {folder: (folder / "last.ckpt").read_bytes() for folder in folders}
    release(tmp_path, SECOND)
    assert are_held(tmp_path, THIRD)
    process.send(signal.SIGKILL)
    process.finish()
    (folders[0] / "last.ckpt").unlink()
    (folders[1] / "last.ckpt").write_bytes(older[folders[1]])
    shutil.copytree(tmp_path, tmp_path / "copy")

    assert sweep(*arguments).returncode == 0
    assert continued(tmp_path) == ["1", "2", "2"]
    assert_as_undisturbed(tmp_path, undisturbed)
    assert sweep(*JOBS, f"output_dir={tmp_path / 'copy'}", "sweep.population=off").returncode == 0
    assert continued(tmp_path / "copy") == ["1", "2", "2"]
    assert_as_undisturbed(tmp_path / "copy", undisturbed)


@pytest.mark.slow
def test_solo_jobs_resume_as_a_population(undisturbed, tmp_path):
    process = start_and_hold(tmp_path, *JOBS, "sweep.population=off", "sweep.jobs=4")
    assert are_held(tmp_path, SECOND, processes=4)
    process.send(signal.SIGKILL)
    process.finish()
    assert sweep(*JOBS, f"output_dir={tmp_path}").returncode == 0
    found = results(tmp_path / "study").values()
    assert all(result["time"]["population"]["members"] == 4 for result in found)
    assert_as_undisturbed(tmp_path, undisturbed)


def test_ctrl_c_lets_all_members_end_their_epoch(undisturbed, tmp_path):
    process = start_and_hold(tmp_path, *JOBS)
    assert are_held(tmp_path, SECOND)
    process.send(signal.SIGINT)
    assert eventually(lambda: "stopping: running jobs are saved after their epoch" in process.output())
    release(tmp_path, SECOND)
    stopped = process.finish()
    assert stopped.returncode == 130
    message = "interrupted: 4 jobs: 4 interrupted; the same command resumes from here"
    assert stopped.stderr.splitlines()[-1] == message
    found = results(tmp_path / "study").values()
    assert [(r["status"], r["metrics"]["epochs"], r["metrics"]["stop_reason"]) for r in found] == [
        ("interrupted", 2, "interrupted")
    ] * 4
    assert list(epochs_of(tmp_path).values()) == [2] * 4
    resumed = sweep(*JOBS, f"output_dir={tmp_path}")
    assert (resumed.returncode, resumed.stderr) == (0, "")
    assert continued(tmp_path) == ["2"] * 4
    assert_as_undisturbed(tmp_path, undisturbed)


@pytest.mark.slow
def test_a_second_ctrl_c_ends_all_members_at_once(undisturbed, tmp_path):
    process = start_and_hold(tmp_path, *JOBS)
    assert are_held(tmp_path, SECOND)
    for announced in ("stopping: running jobs are saved after their epoch", "stopping now"):
        process.send(signal.SIGINT)
        assert eventually(lambda announced=announced: announced in process.output())
    release(tmp_path, SECOND)
    stopped = process.finish()
    assert stopped.returncode == 130
    assert {result["status"] for result in results(tmp_path / "study").values()} == {"interrupted"}
    assert list(epochs_of(tmp_path).values()) == [1] * 4
    assert sweep(*JOBS, f"output_dir={tmp_path}").returncode == 0
    assert_as_undisturbed(tmp_path, undisturbed)


@pytest.mark.slow
def test_trouble_of_one_member_is_its_own(undisturbed, tmp_path):
    """Where its last checkpoint should lie there is a folder."""
    name = sorted(undisturbed)[1]
    (tmp_path / "study" / name / "checkpoints" / "last.ckpt" / "in the way").mkdir(parents=True)
    done = sweep(*JOBS, f"output_dir={tmp_path}")
    assert done.returncode == 1
    assert "4 jobs: 3 completed, 1 failed" in done.stderr
    found = figures(tmp_path / "study")
    assert {other: status for other, (status, *_) in found.items()} == {
        other: "failed" if other == name else "completed" for other in undisturbed
    }
    (failed,) = (result for result in results(tmp_path / "study").values() if result["status"] == "failed")
    assert failed["error"]["type"] == "IsADirectoryError"
    shutil.rmtree(tmp_path / "study" / name / "checkpoints")
    assert sweep(*JOBS, f"output_dir={tmp_path}", "sweep.retry_failed=true").returncode == 0
    assert_as_undisturbed(tmp_path, undisturbed)


@pytest.mark.slow
def test_an_error_in_the_steps_is_that_of_all_members(undisturbed, tmp_path):
    arguments = (*JOBS, f"output_dir={tmp_path}")
    done = sweep(*arguments, FAULTS_BREAK=str(STEPS + 5))  # in the second epoch
    assert done.returncode == 1
    assert "4 jobs: 4 failed" in done.stderr
    found = results(tmp_path / "study").values()
    errors = {(result["error"]["type"], result["error"]["message"]) for result in found}
    assert errors == {("RuntimeError", "the dog ate the batch")}
    assert [result["metrics"]["epochs"] for result in found] == [1] * 4
    for path in tmp_path.glob("study/*/traceback.txt"):
        assert "in gather" in path.read_text()
    assert sweep(*arguments, "sweep.retry_failed=true").returncode == 0
    assert_as_undisturbed(tmp_path, undisturbed)
