"""Plans, shares of the machine and estimates: arithmetic, without processes."""

import time
from pathlib import Path

import pytest
from rich.console import Console

from trainlab.sweep.execute import Share, State, carry_out, share_of
from trainlab.sweep.outcome import Outcome
from trainlab.sweep.plan import CONTINUE, KEEP, RETRY, RUN, Item, Job, labels, plan
from trainlab.sweep.progress import LiveTable, seconds_left, shown_jobs, summary


def job(number, todo=RUN, folder=Path("nowhere"), **more):
    return Job(number, ("model=bn", f"seed={number}"), folder / str(number), "f", todo, **more)


def test_what_has_ended_is_in_no_item():
    jobs = [job(0, KEEP), job(1, RUN), job(2, CONTINUE), job(3, RETRY), job(4, KEEP)]
    assert [[j.number for j in item.jobs] for item in plan(jobs)] == [[1], [2], [3]]


def test_a_job_is_called_by_what_sets_it_apart():
    assert labels([["name=a", "model=bn", "seed=1"], ["name=a", "model=bn", "seed=2"]]) == ["seed=1", "seed=2"]
    assert labels([["name=a", "model=bn"]]) == ["model=bn"]
    assert labels([["name=a"]]) == ["default"]
    assert labels([["model=bn"], ["model=bn"]]) == ["model=bn", "model=bn"]


@pytest.mark.parametrize(
    "slots, of, cards, share",
    [
        (1, 1, [], Share(None, None)),  # alone on the machine
        (1, 2, [], Share(4, None)),  # 8 threads
        (2, 4, [], Share(4, None)),
        (1, 16, [], Share(1, None)),
        (1, 2, [1], Share(4, "1")),
        (2, 4, [0, 3], Share(4, "0,3")),
    ],
)
def test_jobs_at_once_share_threads_and_gpus(slots, of, cards, share, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "8")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert share_of(slots, of, cards) == share


def test_gpus_are_those_that_the_sweep_may_see(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,7")
    assert [share_of(1, 2, [card]).gpus for card in (0, 1)] == ["5", "7"]


def test_a_job_has_as_many_gpus_as_devices_and_no_other_job_has_them_meanwhile(tmp_path, monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    devices = [1, 2, 1, 1, 3]
    items = [Item((job(i, folder=tmp_path, devices=d, on_gpu=True),)) for i, d in enumerate(devices)]
    log = tmp_path / "log"

    def work(item, share):
        for event in ("start", "end"):
            with log.open("a") as file:
                file.write(f"{event} {item.jobs[0].number} {share.gpus}\n")
            time.sleep(0.2)

    class Quiet:
        tick = ended = say = lambda *_: None

    state = State([item.jobs[0] for item in items], slots=4)
    assert not carry_out(items, work, state, gpus=3, stop_early=False, watch=Quiet())
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
    state.outcomes[0], state.seconds[0] = Outcome("completed", {}), 100.0
    state.started[1] = 1000.0
    # 100 s a job: 60 left of the one that runs, three to come, two at a time.
    assert seconds_left(state, 1040.0) == (60 + 300) / 2
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "metrics.csv").write_text("epoch\n0\n1\n")
    # two of ten epochs in 40 s: 160 left
    assert seconds_left(state, 1040.0) == (160 + 300) / 2


@pytest.mark.parametrize("height", [12, 24, 40])
def test_a_table_of_a_thousand_jobs_fits_the_screen(height, tmp_path):
    state = state_of(tmp_path, 1000, slots=4)
    for number in range(500):
        failed = number % 50 == 0
        state.outcomes[number] = Outcome("failed" if failed else "completed", {}, reason="a reason" * failed)
        state.seconds[number] = 1.0
    state.started = dict.fromkeys(range(500, 504), 0.0)
    shown = [j.number for j in shown_jobs(state, height - 8)]
    assert set(shown) >= set(range(500, 504))
    assert len(shown) <= height - 8
    assert shown == sorted(shown)
    if height == 40:
        assert {450, 400} <= set(shown) and 499 in shown and 504 in shown
    console = Console(width=80, height=height, force_terminal=True, file=(tmp_path / "screen").open("w"))
    table = LiveTable(state, console)
    with console.capture() as capture:
        console.print(table._picture(state))
    table.close()
    console.file.close()
    assert len(capture.get().splitlines()) < height
    assert "490 of 1000 done, 4 running, 496 waiting, 10 failed" in capture.get()
    assert summary(state) == "1000 jobs: 490 completed, 10 failed, 500 waiting"
