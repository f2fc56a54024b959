"""A population is divided where a part of the machine has nothing else to do. Its members come to the same."""

import signal

import pytest
from members import assert_as_undisturbed, continued

from sweeping import eventually, figures, run_folders, start, sweep
from trainlab.results import Result
from trainlab.sweep.divide import can_be_divided, divided
from trainlab.sweep.plan import CONTINUE, RUN, Job

JOBS = (
    *("data._target_=faults.SlowShapes", "trainer.precision=64-true", "name=study", "optim=adam"),
    *("trainer.max_epochs=1,5", "seed=1,2,3", "sweep.jobs=2"),
)
SLOW = {"FAULTS_SLEEP": "0.05", "WORTH_S": "0"}  # a step, so that an epoch takes a second
TOLD = "nothing else waits: 3 that are trained together go on in 2 parts"


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    done = sweep(*JOBS, f"output_dir={folder}")
    assert (done.returncode, done.stderr) == (0, "")
    assert "nothing else waits" not in done.stdout  # it is not worth it in a minute
    return figures(folder / "study")


def test_an_idle_slot_takes_half_and_members_come_to_the_same(undisturbed, tmp_path):
    done = sweep(*JOBS, f"output_dir={tmp_path}", **SLOW)
    assert (done.returncode, done.stderr) == (0, "")
    assert TOLD in done.stdout.splitlines()
    assert len(continued(tmp_path)) >= 3
    assert_as_undisturbed(tmp_path, undisturbed)
    ends = [line for line in done.stdout.splitlines() if line.endswith(("completed", "interrupted"))]
    assert len(ends) == 6, "a line for each that has come to its end, and none for those that went on"
    found = [Result.read(folder) for folder in run_folders(tmp_path / "study")]
    assert [result.time["population"]["members"] for result in found] == [3] * 6
    last = max(found, key=lambda result: result.metrics["epochs"])
    assert last.time["population"]["wall_s"] > last.metrics["epochs"], "of the population and its part"


def test_ctrl_c_while_it_is_divided_is_like_any_other(undisturbed, tmp_path):
    process = start(*JOBS, f"output_dir={tmp_path}", FAULTS_SLEEP="0.2", WORTH_S="0")
    assert eventually(lambda: TOLD in process.output())
    process.send(signal.SIGINT)
    stopped = process.finish()
    assert stopped.returncode == 130
    told = "interrupted: 6 jobs: 3 completed, 3 interrupted; the same command goes on from here"
    assert stopped.stderr.splitlines()[-1] == told
    assert len(set(continued(tmp_path))) == 0

    assert sweep(*JOBS, f"output_dir={tmp_path}").returncode == 0
    assert len(continued(tmp_path)) == 3
    assert_as_undisturbed(tmp_path, undisturbed)


def job(number, folder, epochs=1, **more):
    (folder / str(number)).mkdir()
    (folder / str(number) / "metrics.csv").write_text("epoch\n" + "".join(f"{epoch}\n" for epoch in range(epochs)))
    return Job(number, (), folder / str(number), "f", RUN, **more)


def test_who_has_made_an_epoch_on_the_processor_can_be_divided_after_a_minute(tmp_path):
    jobs = [job(number, tmp_path) for number in range(3)]
    assert can_be_divided(jobs, 60)
    assert not can_be_divided(jobs, 59)
    assert not can_be_divided(jobs[:1], 60)
    assert not can_be_divided([*jobs, job(3, tmp_path, epochs=0)], 60)
    assert not can_be_divided([*jobs, job(4, tmp_path, on_gpu=True)], 60)


@pytest.mark.parametrize(
    "count, parts, expected",
    [(5, 2, [[0, 2, 4], [1, 3]]), (5, 3, [[0, 3], [1, 4], [2]]), (2, 4, [[0], [1]]), (1, 2, [[0]])],
)
def test_parts_are_nearly_equal_and_go_on(count, parts, expected, tmp_path):
    items = divided([job(number, tmp_path) for number in range(count)], parts)
    assert [[one.number for one in item.jobs] for item in items] == expected
    assert {one.todo for item in items for one in item.jobs} == {CONTINUE}
