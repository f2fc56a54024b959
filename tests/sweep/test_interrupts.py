"""Sweeps that are interrupted, killed or started twice. Results are kept, and the same command resumes."""

import random
import re
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from conftest import STEPS
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
from trainlab.runs.result import Result

JOBS = (FAULT, "model=elu_he,bn", "seed=1,2", "name=study", "trainer.max_epochs=3")
SLOW = {"FAULTS_SLEEP": "0.03"}  # a step; 19 of them an epoch


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    done = sweep(*JOBS, f"output_dir={folder}", "sweep.jobs=2")
    assert (done.returncode, done.stderr) == (0, "")
    found = figures(folder / "study")
    assert len(found) == 4
    assert {status for status, *_ in found.values()} == {"completed"}
    return found


def epochs_of(folder):
    return [len(read_rows(path)) for path in folder.glob("study/*/metrics.csv")]


@pytest.mark.slow
def test_ctrl_c_stops_the_sweep_and_nobody_else_gets_into_its_folder_meanwhile(undisturbed, tmp_path):
    arguments, step = (*JOBS, f"output_dir={tmp_path}"), STEPS + 5  # in the second epoch
    hold = holding(tmp_path, step)
    first, second = start(*arguments, **hold), start(*arguments, **hold)  # the same second, the same folder
    try:
        assert eventually(lambda: first.poll() is not None or second.poll() is not None)
        (loser, winner) = (first, second) if first.poll() is not None else (second, first)
        refused = loser.finish()
        assert refused.returncode == 2
        assert refused.stderr == (
            f"error: another sweep is running in {tmp_path / 'study'}; wait for it, or set another name=\n"
        )
        assert re.fullmatch(r"checking \d+ jobs?(: .*)?\n", refused.stdout)
        assert are_held(tmp_path, step)
        winner.send(signal.SIGINT)
        assert eventually(lambda: "stopping: running jobs are saved after their epoch" in winner.output())
        release(tmp_path, step)
        stopped = winner.finish()
    finally:
        first.send(signal.SIGKILL), second.send(signal.SIGKILL)
    assert stopped.returncode == 130
    message = "interrupted: 4 jobs: 1 interrupted, 3 waiting; the same command resumes from here"
    assert stopped.stderr.splitlines()[-1] == message
    assert "stopping: running jobs are saved after their epoch; press Ctrl-C again to stop now" in stopped.stdout
    ((name, result),) = results(tmp_path / "study").items()
    assert (name, result["status"]) == ("model=elu_he seed=1", "interrupted")
    assert result["metrics"]["epochs"] == 2
    assert epochs_of(tmp_path) == [2]

    resumed = sweep(*arguments)
    assert (resumed.returncode, resumed.stderr) == (0, "")
    assert figures(tmp_path / "study") == undisturbed
    logs = [path.read_text() for path in tmp_path.glob("study/*/train.log")]
    assert sum("last.ckpt after epoch 2" in log for log in logs) == 1


@pytest.mark.slow
def test_a_second_ctrl_c_stops_at_once(tmp_path):
    process = start(*JOBS, f"output_dir={tmp_path}", "sweep.jobs=2", FAULTS_SLEEP="1")
    assert eventually(lambda: len(list(tmp_path.glob("study/*/result.json"))) == 2)
    time.sleep(1)  # so that they train, and hold on to their epoch
    process.send(signal.SIGINT)
    time.sleep(1)
    process.send(signal.SIGINT)
    began = time.monotonic()
    stopped = process.finish()
    assert time.monotonic() - began < 10  # an epoch takes 19 seconds
    assert stopped.returncode == 130
    assert {result["status"] for result in results(tmp_path / "study").values()} == {"interrupted"}
    assert "4 jobs: 2 interrupted, 2 waiting; the same command resumes from here" in stopped.stderr


def test_jobs_end_with_a_launcher_that_is_killed(tmp_path):
    process = start(*JOBS, f"output_dir={tmp_path}", "sweep.jobs=2", FAULTS_SLEEP="1")  # 57 s a job
    assert eventually(lambda: len(list(tmp_path.glob("study/*/result.json"))) == 2)
    assert len(in_session(process.pid)) == 3
    process.send(signal.SIGKILL)
    assert eventually(lambda: in_session(process.pid) == [], 20)
    process.finish()


def killed(arguments, kills, draw):
    """Start a sweep and kill it, again and again. How many times it was still running when it was killed."""
    hit = 0
    for _ in range(kills):
        process = start(*arguments, **SLOW)
        time.sleep(draw.uniform(0, 5))
        hit += process.poll() is None
        process.send(signal.SIGKILL)
        process.finish()
    return hit


def test_a_sweep_killed_at_any_moment_and_resumed_has_the_same_results(undisturbed, tmp_path):
    arguments = (*JOBS, f"output_dir={tmp_path}", "sweep.jobs=2")
    assert killed(arguments, 2, random.Random(3)) > 0
    assert sweep(*arguments).returncode == 0
    assert figures(tmp_path / "study") == undisturbed
    for run in run_folders(tmp_path / "study"):
        assert Result.read(run).status == "completed"


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_sweeps_killed_at_six_moments_and_resumed_have_the_same_results(undisturbed, tmp_path):
    """Two sweeps at the same time, asleep most of it, each killed three times."""

    def killed_and_resumed(number):
        arguments = (*JOBS, f"output_dir={tmp_path / str(number)}", "sweep.jobs=2")
        hit = killed(arguments, 3, random.Random(number))
        assert sweep(*arguments).returncode == 0
        assert figures(tmp_path / str(number) / "study") == undisturbed
        return hit

    with ThreadPoolExecutor(2) as pool:
        assert sum(pool.map(killed_and_resumed, (1, 2))) >= 3, "most had ended before; the test shows little"
