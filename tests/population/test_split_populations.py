"""A population is split when cores are idle. The results of its members do not change."""

import re
import signal
from pathlib import Path

import pytest
from members import assert_as_undisturbed, continued

from conftest import STEPS
from sweeping import eventually, figures, holding, release, run_folders, start, sweep
from trainlab.runs.files import read_rows
from trainlab.runs.result import Result
from trainlab.sweep.plan import CONTINUE, RUN, Job
from trainlab.sweep.rebalance import can_be_split, split

JOBS = (
    *("data._target_=faults.SlowShapes", "trainer.precision=64-true", "name=study", "optim=adam"),
    *("trainer.max_epochs=1,5", "seed=1,2,3,4", "sweep.jobs=2", "callbacks.early_stopping=null"),
)
WORTH_IT = {"WORTH_S": "0", "OMP_NUM_THREADS": "2"}
SLOW = WORTH_IT | {"FAULTS_SLEEP": "0.05"}  # a step, so that an epoch takes a second
TOLD = "no jobs are waiting: the population of 4 continues in parts after this epoch"


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    done = sweep(*JOBS, f"output_dir={folder}")
    assert (done.returncode, done.stderr) == (0, "")
    assert "no jobs are waiting" not in done.stdout  # it is not worth it in a minute
    return figures(folder / "study")


@pytest.mark.slow
def test_an_idle_slot_takes_half_and_members_come_to_the_same(undisturbed, tmp_path):
    done = sweep(*JOBS, f"output_dir={tmp_path}", **SLOW)
    assert (done.returncode, done.stderr) == (0, "")
    assert TOLD in done.stdout.splitlines()
    assert len(continued(tmp_path)) == 4
    assert_as_undisturbed(tmp_path, undisturbed)
    ends = [line for line in done.stdout.splitlines() if re.match(r"[1-8]/8 .* (completed|interrupted)$", line)]
    assert len(ends) == 8, "a line for each that has come to its end, and none for those that went on"
    found = [Result.read(folder) for folder in run_folders(tmp_path / "study")]
    assert [result.time["population"]["members"] for result in found] == [4] * 8
    last = max(found, key=lambda result: result.metrics["epochs"])
    assert last.time["population"]["wall_s"] > last.metrics["epochs"], "of the population and its part"


def epochs_of(folder):
    return sorted(len(read_rows(path)) for path in folder.glob("study/*/metrics.csv"))


@pytest.mark.slow
def test_ctrl_c_while_it_is_divided_is_like_any_other(undisturbed, tmp_path):
    second = STEPS + 5  # a batch in the second epoch, which four have
    process = start(*JOBS, f"output_dir={tmp_path}", **WORTH_IT, **holding(tmp_path, second))
    assert eventually(lambda: TOLD in process.output(), 200)
    process.send(signal.SIGINT)
    assert eventually(lambda: "stopping: running jobs are saved after their epoch" in process.output())
    release(tmp_path, second)
    stopped = process.finish()
    assert stopped.returncode == 130
    message = "interrupted: 8 jobs: 4 completed, 4 interrupted; the same command resumes from here"
    assert stopped.stderr.splitlines()[-1] == message
    assert epochs_of(tmp_path) == [1] * 4 + [2] * 4, "the epoch that was under way"
    assert continued(tmp_path) == []

    assert sweep(*JOBS, f"output_dir={tmp_path}").returncode == 0
    assert continued(tmp_path) == ["2"] * 4
    assert_as_undisturbed(tmp_path, undisturbed)


def jobs(count, **more):
    return [Job(number, (), Path("nowhere"), "f", RUN, **more) for number in range(count)]


@pytest.mark.parametrize(
    "left, epochs, begun, seconds, expected",
    [
        (jobs(4), [3, 3, 3, 3], [0, 0, 0, 0], 60, True),
        (jobs(3), [3, 3, 3], [0, 0, 0], 60, False),  # parts are of two
        (jobs(4), [3, 3, 3, 3], [0, 0, 0, 0], 59, False),
        (jobs(4), [3, 3, 3, 0], [0, 0, 0, 0], 60, False),  # one has not made an epoch
        (jobs(4), [3, 3, 3, 2], [0, 0, 0, 2], 60, False),  # nor this one, since it was started
        (jobs(4, on_gpu=True), [3, 3, 3, 3], [0, 0, 0, 0], 60, False),
        (jobs(4, max_epochs=7), [3, 3, 3, 3], [0, 0, 0, 0], 60, True),  # 80 seconds to come
        (jobs(4, max_epochs=6), [3, 3, 3, 3], [0, 0, 0, 0], 60, False),  # as long as it takes to be worth it
        (jobs(4, max_epochs=6), [3, 3, 3, 2], [0, 0, 0, 0], 60, True),
        (jobs(4, settings={"compile": True}), [3, 3, 3, 3], [0, 0, 0, 0], 299, False),
        (jobs(4, settings={"compile": True}), [3, 3, 3, 3], [0, 0, 0, 0], 300, True),
        (jobs(4, settings={"trainer.min_epochs": 4}), [3, 3, 3, 3], [0, 0, 0, 0], 60, False),
        (jobs(4, settings={"trainer.min_epochs": 3}), [3, 3, 3, 3], [0, 0, 0, 0], 60, True),
    ],
)
def test_when_it_is_worth_it(left, epochs, begun, seconds, expected):
    assert can_be_split(left, epochs, begun, seconds) == expected


@pytest.mark.parametrize(
    "count, parts, expected",
    [(5, 2, [[0, 2, 4], [1, 3]]), (7, 3, [[0, 3, 6], [1, 4], [2, 5]]), (4, 4, [[0, 2], [1, 3]]), (1, 2, [[0]])],
)
def test_parts_are_nearly_equal_and_continue(count, parts, expected):
    items = split(jobs(count), parts)
    assert [[one.number for one in item.jobs] for item in items] == expected
    assert {one.todo for item in items for one in item.jobs} == {CONTINUE}
