"""Plans, shares of the machine and estimates: arithmetic, without processes."""

import io
import os
import re
import time
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from run_folders import outcome
from trainlab.runs.result import Result
from trainlab.sweep.executors.executor import Program
from trainlab.sweep.executors.local import LocalExecutor, limits
from trainlab.sweep.folder import positions_folder
from trainlab.sweep.plan import (
    CONTINUE,
    KEEP,
    OTHER_THREADS,
    RETRY,
    RUN,
    UNMATCHED,
    Item,
    Job,
    labels,
    labels_by_number,
    plan,
    slots_for,
)
from trainlab.sweep.progress import Lines, LiveTable, shown_jobs, summary
from trainlab.sweep.resources import Memory
from trainlab.sweep.run_items import run_items
from trainlab.sweep.state import State
from trainlab.sweep.time_left import seconds_left
from trainlab.tasks.metrics import Metric
from trainlab.tasks.reported import TaskMetrics
from trainlab.training.step_report import VARIABLE, StepReport, read_position


def job(number, todo=RUN, folder=Path("nowhere"), **more):
    return Job(number, ("model=bn", f"seed={number}"), folder / str(number), "f", todo, **more)


def test_what_has_ended_is_in_no_item():
    jobs = [job(0, KEEP), job(1, RUN), job(2, CONTINUE), job(3, RETRY), job(4, KEEP)]
    assert [[j.number for j in item.jobs] for item in plan(jobs)] == [[1], [2], [3]]


GIB = 2**30


def members(count, width=100, first=0, **more):
    """Jobs that can be trained together, of 1 GiB each."""
    return [
        job(number, settings={"seed": number, "model.width": width}, member_bytes=GIB, **more)
        for number in range(first, first + count)
    ]


def numbers(items):
    return [[j.number for j in item.jobs] for item in items]


def sizes(items):
    return [len(item.jobs) for item in items]


def test_off_is_one_by_one():
    assert plan(members(3), most=1) == [Item((j,), "sweep.population is off") for j in members(3)]


def test_jobs_go_together_whatever_is_to_be_done_with_them():
    jobs = [job(i, todo, settings={"seed": i}) for i, todo in enumerate((KEEP, RUN, CONTINUE, RETRY, KEEP))]
    assert plan(jobs, most=None) == [Item(tuple(jobs[1:4]))]


def test_items_are_in_the_order_of_their_first_jobs_and_those_alone_say_why():
    jobs = [*members(2), *members(2, width=50, first=2), *members(1, width=20, first=4), *members(2, first=5)]
    jobs[3] = replace(jobs[3], ineligible_reason="trainer.max_steps is set")
    items = plan(jobs, most=None)
    assert numbers(items) == [[0, 1, 5, 6], [2], [3], [4]]
    assert [item.reason for item in items] == ["", UNMATCHED, "trainer.max_steps is set", UNMATCHED]


@pytest.mark.parametrize(
    "most, free, slots, gpus, on_gpu, expected",
    [
        (None, None, 1, 0, False, [12]),
        (5, None, 1, 0, False, [4, 4, 4]),
        (None, 10, 1, 0, False, [4, 4, 4]),  # half of 10 GiB hold 5 jobs of 1 GiB: three nearly equal groups
        (None, 24, 1, 0, False, [12]),
        (None, 23, 1, 0, False, [6, 6]),
        (None, 48, 2, 0, False, [6, 6]),  # would form one population, but two run at once
        (None, 16, 2, 0, False, [4, 4, 4]),  # half, and of that a half for each
        (3, 16, 2, 0, False, [3, 3, 3, 3]),
        (None, 3, 1, 0, False, [1] * 12),
        (None, 1, 1, 0, False, [1] * 12),  # too little even for one, which is tried all the same
        (None, None, 3, 0, False, [3, 3, 6]),
        (None, None, 20, 0, False, [1] * 12),
        (None, 24, 3, 1, True, [12]),  # one GPU carries out one item at a time
        (None, 24, 2, 2, True, [6, 6]),  # each has the memory of a GPU for itself
        (None, 24, 2, 8, True, [6, 6]),
    ],
)
def test_groups_have_room_in_memory_and_leave_no_slot_empty(most, free, slots, gpus, on_gpu, expected):
    free = None if free is None else free * GIB
    memory = Memory(gpu=free, host=1) if on_gpu else Memory(host=free, gpu=1)
    items = plan(members(12, on_gpu=on_gpu), most, memory, slots, gpus)
    assert sorted(sizes(items)) == expected
    assert [n for part in numbers(items) for n in part] == list(range(12))  # neighbours stay together
    assert all(bool(item.reason) == (len(item.jobs) == 1) for item in items)


def test_runs_that_were_begun_with_other_numbers_of_threads_are_apart_and_new_ones_follow_some():
    jobs = [replace(one, num_threads=threads) for one, threads in zip(members(5), (None, 2, 1, 2, None), strict=True)]
    items = plan(jobs, most=None)
    assert numbers(items) == [[1, 3, 0, 4], [2]]
    assert [item.reason for item in items] == ["", OTHER_THREADS]


def test_the_reason_of_a_job_that_was_split_off():
    assert [item.reason for item in plan(members(3), most=2)] == ["at most 2 runs per population", ""]
    assert {item.reason for item in plan(members(3), None, Memory(host=2 * GIB))} == {
        "there is not enough memory for two"
    }
    assert {item.reason for item in plan(members(3), None, slots=3)} == {"3 run at once"}


@pytest.mark.parametrize(
    "count, free, threads, gpus, on_gpu, expected",
    [
        (12, None, 4, 0, False, 4),  # a thread each
        (3, None, 4, 0, False, 3),
        (12, 7, 4, 0, False, 3),  # half of 7 GiB hold what three processes take besides their members
        (12, 1, 4, 0, False, 1),
        (1, None, 4, 0, False, 1),
        (12, 1, 4, 2, True, 2),  # a GPU each
        (1, None, 4, 2, True, 1),
        (12, None, 4, 0, True, 1),  # an accelerator that is not counted
    ],
)
def test_how_many_run_at_once_where_nobody_says_it(count, free, threads, gpus, on_gpu, expected):
    memory = Memory(host=None if free is None else free * GIB)
    assert slots_for(members(count, on_gpu=on_gpu), memory, threads, gpus) == expected


def test_resumed_items_keep_their_threads():
    jobs = [replace(one, todo=KEEP) for one in members(3)] + members(2, first=3)
    assert slots_for(jobs, Memory(), 8, 0) == slots_for(members(5), Memory(), 8, 0) == 5
    assert slots_for([replace(one, on_gpu=True) for one in jobs], Memory(), 8, 4) == 2


def test_a_job_of_two_devices_counts_for_two():
    jobs = [*members(6), job(6, devices=2, ineligible_reason="trainer.devices is 2")]
    assert sizes(plan(jobs, None, slots=3)) == [6, 1]
    assert sizes(plan(jobs, None, slots=4)) == [3, 3, 1]


def test_a_job_is_called_by_what_sets_it_apart():
    assert labels([["name=a", "model=bn", "seed=1"], ["name=a", "model=bn", "seed=2"]]) == ["seed=1", "seed=2"]
    assert labels([["name=a", "model=bn"]]) == ["model=bn"]
    assert labels([["name=a"]]) == ["default"]
    assert labels([["model=bn"], ["model=bn"]]) == ["model=bn", "model=bn"]


@pytest.mark.parametrize(
    "slots, of, cards, processes, expected",
    [
        (1, 1, [], 1, {}),  # alone on the machine
        (1, 2, [], 1, {"OMP_NUM_THREADS": "4"}),  # of 8 threads
        (2, 4, [], 1, {"OMP_NUM_THREADS": "4"}),
        (2, 4, [], 2, {"OMP_NUM_THREADS": "2"}),
        (1, 16, [], 1, {"OMP_NUM_THREADS": "1"}),
        (1, 2, [1], 1, {"OMP_NUM_THREADS": "4", "CUDA_VISIBLE_DEVICES": "1"}),
        (2, 4, [0, 3], 2, {"OMP_NUM_THREADS": "2", "CUDA_VISIBLE_DEVICES": "0,3"}),
    ],
)
def test_jobs_at_once_share_threads_and_gpus(slots, of, cards, processes, expected, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "8")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert limits(slots, of, cards, processes) == expected


def test_gpus_are_those_that_the_sweep_may_see(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,7")
    assert [limits(1, 2, [card], 1)["CUDA_VISIBLE_DEVICES"] for card in (0, 1)] == ["5", "7"]


def test_a_job_has_as_many_gpus_as_devices_and_no_other_job_has_them_meanwhile(tmp_path, monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    devices = [1, 2, 1, 1, 3]
    items = [Item((job(i, folder=tmp_path, devices=d, on_gpu=True),)) for i, d in enumerate(devices)]
    log = tmp_path / "log"

    def work(item):
        for event in ("start", "end"):
            with log.open("a") as file:
                file.write(f"{event} {item.jobs[0].number} {os.environ['CUDA_VISIBLE_DEVICES']}\n")
            time.sleep(0.2)

    class Quiet:
        tick = ended = say = lambda *_: None

    state = State([item.jobs[0] for item in items], slots=4)
    executor = LocalExecutor()
    with executor.opened(Program(tmp_path, work), 4, gpus=3) as notices:
        assert not run_items(items, executor, state, notices, stop_early=False, watch=Quiet())
    taken: set[str] = set()
    most, counts = 0, {}
    for line in log.read_text().splitlines():
        event, number, gpus = line.split()
        cards = set(gpus.split(","))
        counts[int(number)] = len(cards)
        if event == "start":
            assert not taken & cards
            taken |= cards
        else:
            taken -= cards
        most = max(most, len(taken))
    assert (most, [counts[i] for i in range(5)]) == (3, devices)


def state_of(folder, count, slots=1):
    return State([job(number, folder=folder, max_epochs=10) for number in range(count)], slots)


def test_the_time_left_is_that_of_what_is_still_to_come(tmp_path):
    state = state_of(tmp_path, 5, slots=2)
    assert seconds_left(state, 0) is None
    state.outcomes[0], state.seconds[0] = outcome("completed", {}), 100.0
    state.started[1] = 1000.0
    # 100 s a job: 60 left of the one that runs, three to come, two at a time.
    assert seconds_left(state, 1040.0) == (60 + 300) / 2
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "metrics.csv").write_text("epoch\n0\n1\n")
    # two of ten epochs in 40 s: 160 left
    assert seconds_left(state, 1040.0) == (160 + 300) / 2


def together(folder, *sizes, slots=1):
    """State of a sweep of items of so many jobs."""
    jobs = [job(number, folder=folder, max_epochs=10) for number in range(sum(sizes))]
    ends = [sum(sizes[: i + 1]) for i in range(len(sizes))]
    items = [Item(tuple(jobs[end - size : end])) for end, size in zip(ends, sizes, strict=True)]
    return State(jobs, slots, items)


def test_jobs_that_run_together_take_their_time_at_once(tmp_path):
    state = together(tmp_path, 3, 3, 3)
    for number in range(3):
        state.outcomes[number], state.seconds[number] = outcome("completed", {}), 100.0
    state.started = dict.fromkeys(range(3, 6), 1000.0)
    # 100 s an item: 60 left of the one that runs, and another to come.
    assert seconds_left(state, 1040.0) == 60 + 100
    for number, epochs in ((3, 2), (4, 4), (5, 1)):  # two have stopped early; 4 of 10 epochs are done
        (tmp_path / str(number)).mkdir()
        rows = "".join(f"{epoch}\n" for epoch in range(epochs))
        (tmp_path / str(number) / "metrics.csv").write_text(f"epoch\n{rows}")
    assert seconds_left(state, 1040.0) == 60 + 100
    state.started = dict.fromkeys(range(3, 6), 960.0)
    assert seconds_left(state, 1040.0) == 120 + 100  # 4 of 10 in 80 s


def test_earlier_epochs_do_not_count_for_resumed_items(tmp_path):
    """Of 10 epochs 6 were made before; the next two took 100 s, so two more take as long."""
    state = state_of(tmp_path, 1)
    path = state.jobs[0].folder / "metrics.csv"
    path.parent.mkdir()
    path.write_text("epoch\n" + "".join(f"{epoch}\n" for epoch in range(6)))
    state.start(state.items[0], 1000.0)
    path.write_text("epoch\n" + "".join(f"{epoch}\n" for epoch in range(8)))
    assert seconds_left(state, 1100.0) == pytest.approx(100.0)


def test_an_item_of_another_size_takes_as_much_a_job(tmp_path):
    state = together(tmp_path, 4, 1, 1)
    for number in range(4):
        state.outcomes[number], state.seconds[number] = outcome("completed", {}), 100.0
    assert seconds_left(state, 0.0) == 25 + 25
    state.outcomes[4], state.seconds[4] = outcome("completed", {}), 70.0
    assert seconds_left(state, 0.0) == 70  # now there is one of its size


def test_jobs_that_are_added_have_rows_and_lines_and_count_in_the_time_left(tmp_path, capsys):
    """A search of five, of which two are known."""
    jobs = [job(number, folder=tmp_path) for number in range(3)]
    state = State(jobs[:1], 2, total=5)
    lines, console = (
        Lines(state),
        Console(width=80, height=24, force_terminal=True, file=(tmp_path / "screen").open("w")),
    )
    table = LiveTable(state, console)
    table.tick(state)
    state.add(jobs[1:], [Item((one,)) for one in jobs[1:]])
    for number in (1, 2):
        state.outcomes[number], state.seconds[number] = outcome("completed", {}), 100.0
        lines.ended(jobs[number], state)
    assert re.findall(r"(\d/\d) (seed=\d)", capsys.readouterr().out) == [("2/5", "seed=1"), ("3/5", "seed=2")]
    assert seconds_left(state, 0.0) == (100 + 2 * 100) / 2
    with console.capture() as capture:
        console.print(table.render(state))
    table.close()
    console.file.close()
    shown = [" ".join(line.split()) for line in re.sub(r"\x1b[^m]*m", "", capture.get()).splitlines()]
    assert {"0 - - waiting", "1 - - 2 min completed"} < {*shown}
    assert "2 of 5 done, 1 waiting; about 2 min left" in shown


def test_times_are_wall_time_and_the_share_of_a_population_is_named(tmp_path, capsys):
    state = together(tmp_path, 2, 1)
    state.start(state.items[0], 1000.0)
    assert state.took(0, 1090.0) == 90.0
    state.started.clear()
    member = {"total_s": 7.0, "population": {"members": 2, "wall_s": 95.0}}
    for number, of_result in ((0, member), (1, {}), (2, {"total_s": 7.0})):
        state.outcomes[number], state.seconds[number] = Result("completed", "", [], time=of_result), 100.0
        assert state.took(number, 1200.0) == 100.0
    Lines(state).ended(state.jobs[0], state)
    Lines(state).ended(state.jobs[2], state)
    assert capsys.readouterr().out.splitlines()[1::2] == [
        "1/3 seed=0   2 min elapsed (7 s share of joint time)   completed",
        "3/3 seed=2   2 min   completed",
    ]


def test_the_time_of_a_job_goes_on_where_its_population_continues_in_parts(tmp_path):
    state = together(tmp_path, 2)
    (item,) = state.items
    state.start(item, 1000.0)
    for number in range(2):
        state.started.pop(number)
        state.seconds[number] = 100.0
    parts = [Item((job,)) for job in item.jobs]
    state.replace(item, parts)
    state.start(parts[0], 1101.0)
    assert state.took(0, 1111.0) == 110.0


def test_the_line_of_a_failed_job_names_the_exception_and_its_traceback(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    state = together(tmp_path, 1)
    error = {"type": "KeyError", "message": "'weight'", "traceback": str(tmp_path / "study" / "traceback.txt")}
    state.outcomes[0], state.seconds[0] = Result("failed", "", [], error=error), 2.0
    Lines(state).ended(state.jobs[0], state)
    assert capsys.readouterr().out.endswith("   2 s   failed: KeyError: 'weight'; see study/traceback.txt\n")


def test_what_was_done_in_an_earlier_sweep_took_what_is_on_record(tmp_path):
    state = together(tmp_path, 1)
    state.outcomes[0] = outcome("completed", {}, 12.0)
    assert state.took(0, 0.0) == 12.0
    state.outcomes[0] = Result("completed", "", [], time={"total_s": 2.0, "population": {"members": 9, "wall_s": 15.0}})
    assert state.took(0, 0.0) == 15.0


@pytest.mark.parametrize("height", [12, 24, 40])
def test_a_table_has_room_for_others_where_hundreds_run(height, tmp_path):
    state = together(tmp_path, 400, *(1 for _ in range(100)))
    for number in range(450, 500):
        state.outcomes[number], state.seconds[number] = outcome("completed", {}), 1.0
    state.outcomes[460] = outcome("failed", {}, reason="a reason")
    state.started = dict.fromkeys(range(400), 0.0)
    shown = [j.number for j in shown_jobs(state, height - 8)]
    assert len(shown) == height - 8
    assert sum(number < 400 for number in shown) == (height - 8) // 2
    assert {400, 460} <= set(shown) and shown[0] == 0  # running ones first; what comes next, what failed
    everything_runs = together(tmp_path, 400)
    everything_runs.started = dict.fromkeys(range(400), 0.0)
    assert len(shown_jobs(everything_runs, height - 8)) == height - 8


def test_the_end_of_an_item_is_reported_when_none_of_its_jobs_runs(tmp_path):
    state = together(tmp_path, 3)
    seen = []

    class Watch:
        tick = say = lambda *_: None

        def ended(self, job, state):
            seen.append((job.number, dict(state.started), sorted(state.seconds)))

    for one in state.jobs:
        one.folder.mkdir()
    executor = LocalExecutor()
    with executor.opened(Program(tmp_path, lambda item, share: None), 1, gpus=0) as notices:
        assert not run_items(state.items, executor, state, notices, stop_early=False, watch=Watch())
    assert seen == [(number, {}, [0, 1, 2]) for number in range(3)]


@pytest.mark.parametrize("height", [12, 24, 40])
def test_a_table_of_a_thousand_jobs_fits_the_screen(height, tmp_path):
    state = state_of(tmp_path, 1000, slots=4)
    for number in range(500):
        failed = number % 50 == 0
        state.outcomes[number] = outcome("failed" if failed else "completed", {}, reason="a reason" * failed)
        state.seconds[number] = 1.0
    state.started = dict.fromkeys(range(500, 504), 0.0)
    shown = [j.number for j in shown_jobs(state, height - 8)]
    assert set(shown) >= set(range(500, 504))
    assert len(shown) <= height - 8
    assert shown[:4] == [500, 501, 502, 503]
    if height > 12:
        assert {450, 400} <= {*shown[4:]} and shown[-1] > 503
    console = Console(width=80, height=height, force_terminal=True, file=(tmp_path / "screen").open("w"))
    table = LiveTable(state, console)
    with console.capture() as capture:
        console.print(table.render(state))
    table.close()
    console.file.close()
    assert len(capture.get().splitlines()) < height
    assert "490 completed" in capture.get()
    assert "500 of 1000 done, 4 running, 496 waiting, 10 failed" in capture.get()
    assert summary(state) == "1000 jobs: 490 completed, 10 failed, 500 waiting"


R2 = Metric("max", "validation r2", "val_r2", ".3f")
LOSS = Metric("min", "validation loss", "val_loss", ".1f")


def test_progress_shows_the_metrics_of_the_jobs_and_the_best_in_their_direction(tmp_path, capsys):
    jobs = [job(number, folder=tmp_path, metrics=TaskMetrics.of(R2, R2, [LOSS])) for number in range(2)]
    state = State(jobs, 2)
    state.outcomes[0], state.seconds[0] = outcome("completed", {"val_r2": 0.9, "val_loss": 5.0}), 1.0
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "metrics.csv").write_text("epoch,val/loss,val/r2\n0,2.0,0.3\n1,3.0,0.5\n2,1.0,0.4\n")
    state.started = {1: 0.0}
    Lines(state).ended(jobs[0], state)
    assert "seed=0   val r2 0.900, val loss 5.0   1 s" in capsys.readouterr().out
    console = Console(width=80, height=24, force_terminal=True, file=(tmp_path / "screen").open("w"))
    table = LiveTable(state, console)
    with console.capture() as capture:
        console.print(table.render(state))
    table.close()
    console.file.close()
    shown = [" ".join(line.split()) for line in re.sub(r"\x1b[^m]*m", "", capture.get()).splitlines()]
    assert "seed val r2 val loss elapsed status" in shown
    assert any(re.fullmatch(r"1 0.500 3.0 .* starting", line) for line in shown)
    assert "best val r2 0.900: seed=0" in shown


def test_the_best_run_is_the_one_that_reports_rank_first(tmp_path):
    state = state_of(tmp_path, 2)
    state.outcomes[0] = outcome("completed", {"val_loss": 1.0, "val_acc": 0.4})
    state.outcomes[1] = outcome("completed", {"val_loss": 2.0, "val_acc": 0.5})
    assert shown_on(80, state)[-1] == "best val acc 50.00 %: seed=1"


def test_jobs_are_named_as_reports_name_runs():
    overrides = [["optim.lr=0.001", "model=elu_he", f"seed={seed}", "name=x"] for seed in (1, 2)]
    jobs = [Job(n, (*o, f"+lr_search.lr={n}"), Path(str(n)), "f", RUN) for n, o in enumerate(overrides)]
    assert labels_by_number(jobs) == {0: "seed=1 lr=0", 1: "seed=2 lr=1"}
    more = [*jobs, Job(2, ("optim.lr=3e-4", "model=bn", "model.dropout=null"), Path("2"), "f", RUN)]
    assert labels_by_number(more)[0] == "elu_he optim.lr=1e-3 seed=1 lr_search.lr=0"
    assert labels_by_number(more)[2] == "bn optim.lr=3e-4 dropout=null"


SWEPT = [(model, seed, lr) for model in ("elu_he", "alpha_dropout") for seed in (1, 2) for lr in ("1.5e-4", "1e-3")]


def shown_on(columns, state):
    """The table on a terminal of so many columns, as lines."""
    console = Console(width=columns, height=40, force_terminal=True, file=io.StringIO())
    table = LiveTable(state, console)
    with console.capture() as capture:
        console.print(table.render(state))
    table.close()
    return [line.rstrip() for line in re.sub(r"\x1b[^m]*m", "", capture.get()).splitlines()]


@pytest.mark.parametrize("columns", [80, 160])
def test_a_job_is_a_row_of_whole_values(columns, tmp_path):
    overrides = [("data=shapes", f"model={m}", f"seed={s}", f"optim.lr={float(lr)}", "name=x") for m, s, lr in SWEPT]
    jobs = [Job(n, o, tmp_path / str(n), "f", RUN, max_epochs=100) for n, o in enumerate(overrides)]
    state = State(jobs, 1, [Item(tuple(jobs[:4])), Item(tuple(jobs[4:]))])
    report = tmp_path / "report"
    report.write_text(f"11 30 100 {time.monotonic()} 0.5\n")
    state.start(state.items[0], time.monotonic() - 600, report)
    (tmp_path / "3").mkdir()
    (tmp_path / "3" / "metrics.csv").write_text("epoch,val/loss,val/acc\n0,2.0,0.3\n")
    lines = shown_on(columns, state)
    assert max(map(len, lines)) <= columns
    assert lines[1].split("  ") and lines[1].split()[:3] == ["model", "seed", "lr"]
    rows = [line.split() for line in lines[3:11]]
    assert [tuple(row[:3]) for row in rows] == [(model, str(seed), lr) for model, seed, lr in SWEPT]
    assert rows[3][3:] == ["30.00", "%", "2.0000", "10", "min", "epoch", "12/100", "30%"]
    assert rows[4][3:] == ["-", "-", "waiting"]
    long = {"type": "Diverged", "message": "the loss is not finite at step 1, and much more about the reason of it" * 2}
    state.outcomes[4] = Result("diverged", "", [], error=long)
    rows = [line.split() for line in shown_on(columns, state)[3:11]]
    assert rows[4][:5] == ["alpha_dropout", "1", "1.5e-4", "-", "-"]
    if columns == 80:  # a few characters of the reason say nothing
        assert rows[4][5:] == ["diverged"]
    else:
        assert rows[4][5:8] == ["diverged:", "the", "loss"] and rows[4][-1].endswith("…")
    assert rows[5][:3] == ["alpha_dropout", "1", "1e-3"]
    state.outcomes[4] = Result("waiting", "", [])
    # 88.7 epochs of 100 steps of 0.5 s; the other population takes as long as this one, with the 600 s so far
    assert lines[-2] == "0 of 8 done, 4 running, 4 waiting; about 2.6 h left"
    assert lines[-1] == "best val acc 30.00 %: elu_he seed=2 lr=1e-3"


def test_long_values_take_the_place_of_metrics(tmp_path):
    model = "a" * 30
    overrides = [(f"model={model}{n}", f"experiment={'b' * 10}{n}") for n in range(2)]
    jobs = [Job(n, o, tmp_path / str(n), "f", RUN) for n, o in enumerate(overrides)]
    lines = shown_on(80, State(jobs, 1))
    assert lines[1].split() == ["model", "experiment", "elapsed", "status"]
    assert [line.split()[:2] for line in lines[3:5]] == [[f"{model}{n}", f"{'b' * 10}{n}"] for n in range(2)]


def test_a_line_above_the_table_leaves_the_table_as_it_is(tmp_path):
    state = state_of(tmp_path, 2)
    state.start(state.items[0], time.monotonic())
    screen = io.StringIO()
    table = LiveTable(state, Console(width=80, height=24, force_terminal=True, file=screen))
    table.tick(state)
    long = f"see {'/folder' * 20} [of] it"
    table.say(long)
    table.close()
    assert f"{long}\n" in screen.getvalue()
    assert screen.getvalue().count("starting") > 1 and "[cyan]" not in screen.getvalue()


def test_without_a_terminal_a_line_a_minute_tells_how_far_all_are(tmp_path, capsys, monkeypatch):
    state = together(tmp_path, 2)
    report = tmp_path / "report"
    report.write_text(f"2 50 100 {time.monotonic()} 0.1\n")
    state.start(state.items[0], time.monotonic(), report)
    watch, now = Lines(state), time.monotonic()
    watch.tick(state)
    capsys.readouterr()
    monkeypatch.setattr(time, "monotonic", lambda: now + 61)
    watch.tick(state)
    watch.tick(state)
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == 1 and re.fullmatch(
        r"0 of 2 done, 2 running; about \d+ s left; running: epoch 3/10  50%", printed[0]
    )


def test_without_positions_inside_epochs_whole_ones_are_counted(tmp_path):
    state = state_of(tmp_path, 1)
    state.start(state.items[0], time.monotonic())
    assert shown_on(80, state)[3].split()[-1] == "starting"
    (tmp_path / "0").mkdir()
    (tmp_path / "0" / "metrics.csv").write_text("epoch,val/loss,val/acc\n0,2.0,0.3\n")
    assert shown_on(80, state)[3].endswith("epoch 1/10 done")


def test_what_a_killed_sweep_has_left_of_positions_is_removed(tmp_path):
    with positions_folder(tmp_path) as first:
        (first / "0_1").write_text("0 1 10 1.0 0.0\n")
        with positions_folder(tmp_path) as second:  # as after a kill
            assert (second, [*second.iterdir()]) == (first, [])
    assert [*tmp_path.iterdir()] == []


def test_positions_are_written_once_a_second_and_at_the_end_of_an_epoch(tmp_path, monkeypatch):
    path = tmp_path / "report"
    monkeypatch.setenv(VARIABLE, str(path))
    report, clock = StepReport(), [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    assert read_position(path) is None
    for batch, written in ((1, 1), (2, 1), (3, 3), (4, 3), (10, 10)):
        report.made(0, batch, 10)
        position = read_position(path)
        assert position.batch == written
        clock[0] += 0.6
    assert position.step_s == pytest.approx(1.2 / 7)  # from the second report on, at the third batch
    assert position.epochs == 1.0
    monkeypatch.setenv(VARIABLE, str(tmp_path / "gone" / "report"))
    report = StepReport()
    report.made(0, 10, 10), report.made(1, 10, 10)  # the training continues
    monkeypatch.delenv(VARIABLE)
    StepReport().made(0, 1, 10)
