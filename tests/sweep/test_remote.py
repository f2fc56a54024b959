"""Executors whose jobs outlive the sweep, on given replies of their schedulers."""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from dataclasses import replace
from types import SimpleNamespace

import pytest

from elsewhere import Elsewhere
from trainlab.processes import THREADS
from trainlab.runs import heartbeat
from trainlab.runs.folder import LAST
from trainlab.runs.lease import acquire
from trainlab.runs.result import Result
from trainlab.runs.starts import note_start
from trainlab.sweep import run_items as run_loop
from trainlab.sweep.executors import remote, slurm_local, slurm_queue
from trainlab.sweep.executors.executor import QUEUED, RUNNING, Ended, Program
from trainlab.sweep.executors.remote import NotTaken
from trainlab.sweep.executors.remote_item import Remote
from trainlab.sweep.executors.slurm import SlurmExecutor
from trainlab.sweep.items import ItemFolder, items_of, process_of
from trainlab.sweep.plan import RUN, Item, Job, plan
from trainlab.sweep.resources import Memory
from trainlab.sweep.run_items import run_items
from trainlab.sweep.state import State


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """A `SlurmExecutor` whose commands print what ``answers`` has; None where they fail."""
    pytest.importorskip("submitit")
    executor = SlurmExecutor()
    executor.answers, executor.said = {"squeue": "", "sacct": ""}, []
    executor.folder, executor._program = tmp_path, Program(tmp_path, print, say=executor.said.append)
    monkeypatch.setattr(slurm_queue, "_run", lambda command, *_, **__: executor.answers[command])
    monkeypatch.setattr(slurm_queue, "_ASK_S", -1.0)
    return executor


def submitted(folder):
    return Remote(Item(()), {}, folder, ItemFolder(folder), "7_1", RUNNING)


@pytest.mark.parametrize(
    ("state", "seen"),
    [
        ("PENDING", QUEUED),
        ("COMPLETING", RUNNING),
        ("CANCELLED", Ended(130, reason="SLURM job 7_1 was cancelled")),
        ("TIMEOUT", Ended(130, reason="SLURM job 7_1: its time limit was reached", again=True)),
        ("SPECIAL_EXIT", Ended(1, reason="SLURM job 7_1 is held (SPECIAL_EXIT); `scancel 7_1` removes it")),
        ("NODE_FAIL", Ended(130, reason="SLURM job 7_1: its node was lost", again=True)),
    ],
)
@pytest.mark.parametrize("knows", ["squeue", "sacct"])
def test_states_of_slurm_and_of_its_accounting_are_outcomes_with_a_reason(knows, state, seen, slurm, tmp_path):
    slurm.answers[knows] = {"squeue": f"7_0 RUNNING\n7_1 {state}\n", "sacct": f"7_0|FAILED\n7_1|{state} by 0\n"}[knows]
    assert slurm.look(submitted(tmp_path)) == seen


def test_a_job_that_slurm_has_forgotten_without_accounting_has_ended(slurm, tmp_path):
    one = submitted(tmp_path)
    assert slurm.look(one).again  # its program has not begun
    one.files.write_started()
    found = slurm.look(one)
    assert (found.status, found.again, "SLURM knows no more of it" in found.reason) == (1, False, True)
    one.files.write_saved()
    assert slurm.look(one).again
    (tmp_path / "submitit").mkdir()
    (tmp_path / "submitit" / "7_1_0_log.out").write_text("slurmstepd: error: Exceeded job memory limit\n")
    assert slurm.look(one) == Ended(
        -9, reason="SLURM job 7_1 was killed for its memory; set sweep.executor.mem_gb above what the partition gives"
    )


def test_that_a_job_is_held_is_said_once(slurm, tmp_path):
    slurm.answers["squeue"] = "7_0 PENDING Priority\n7_1 PENDING launch failed requeued held\n"
    assert [slurm.look(submitted(tmp_path)) for _ in range(2)] == [QUEUED, QUEUED]
    assert slurm.said == ["SLURM job 7_1 is held (launch failed requeued held); `scontrol release 7_1` has it start"]


def test_why_jobs_wait_is_said_once_if_it_may_not_end(slurm, tmp_path):
    slurm.answers["squeue"] = "7_1 PENDING Priority\n"
    slurm.look(submitted(tmp_path))
    assert slurm.said == []
    slurm.answers["squeue"] = "7_1 PENDING PartitionTimeLimit\n7_2 PENDING PartitionTimeLimit\n"
    for id_ in ("7_1", "7_2", "7_1"):
        assert slurm.look(Remote(Item(()), {}, tmp_path, ItemFolder(tmp_path), id_)) == QUEUED
    assert slurm.said == ["SLURM job 7_1 waits (PartitionTimeLimit)"]


def test_one_question_to_accounting_is_for_all_jobs_and_without_an_answer_they_are_as_before(
    slurm, tmp_path, monkeypatch
):
    monkeypatch.setattr(slurm_queue, "_ASK_S", 60.0)
    slurm._live = [Remote(Item(()), {}, tmp_path, ItemFolder(tmp_path), f"7_{n}", RUNNING) for n in range(100)]
    calls = []

    def run(*command, **_):
        calls.append(command[0])
        return slurm.answers[command[0]]

    monkeypatch.setattr(slurm_queue, "_run", run)
    slurm.answers["sacct"] = None
    assert [slurm.look(one) for one in slurm._live] == [RUNNING] * 100
    assert (calls, slurm.said) == (["squeue", "sacct"], ["the accounting of SLURM does not answer; waiting for it"])
    slurm.answers["sacct"] = "".join(f"7_{n}|CANCELLED by 0\n" for n in range(100))
    monkeypatch.setattr(time, "monotonic", lambda now=time.monotonic: now() + 61)
    assert {slurm.look(one).status for one in slurm._live} == {130}
    assert calls == ["squeue", "sacct"] * 2
    monkeypatch.setattr(slurm, "_live", slurm._live * 1000)
    monkeypatch.setattr(time, "monotonic", lambda now=time.monotonic: now() + 61)
    slurm.look(slurm._live[0])
    assert calls == ["squeue", "sacct"] * 2, "of many jobs it is asked less often"


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("echo 'sacct: error: Problem talking to the database: Connection refused' >&2; exit 1", None),
        ("echo 'Slurm accounting storage is disabled' >&2; exit 1", ""),
        ("echo '7|FAILED'", "7|FAILED\n"),
    ],
)
def test_a_cluster_without_accounting_is_told_from_one_whose_accounting_does_not_answer(
    line, answer, tmp_path, monkeypatch
):
    (tmp_path / "sacct").write_text(f"#!/bin/sh\n{line}\n")
    (tmp_path / "sacct").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert slurm_queue._run("sacct", may_lack=True) == answer
    assert slurm_queue._run("squeue") is None


def test_a_controller_that_does_not_answer_is_waited_for(slurm, tmp_path):
    slurm.answers["squeue"] = None
    assert [slurm.look(submitted(tmp_path)) for _ in range(2)] == [RUNNING, RUNNING]
    slurm.answers["squeue"] = "7_1 RUNNING\n"
    assert slurm.look(submitted(tmp_path)) == RUNNING
    assert slurm.said == ["SLURM does not answer; waiting for it", "SLURM answers again"]


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """An executor of that kind, opened with three slots."""
    monkeypatch.setattr(remote, "_POLL_S", 0.0)
    monkeypatch.setattr(remote, "_POLL_EACH_S", 0.0)
    monkeypatch.setattr(remote, "_PATIENCE_S", 0.0)
    executor, said = Elsewhere(), []
    executor.said = said
    executor.program = Program(tmp_path, print, say=said.append)
    with executor.opened(executor.program, 3, 0):
        yield executor


def jobs_of(folder, *fingerprints):
    return [Job(n, (), folder / f"run-{n}", text, RUN) for n, text in enumerate(fingerprints)]


def test_jobs_that_were_submitted_with_other_settings_are_not_taken_for_those_asked_for(elsewhere, tmp_path):
    elsewhere.submit([Item((job,)) for job in jobs_of(tmp_path, "10 epochs", "10 epochs")])
    again = Elsewhere()
    assert len(again.attach(elsewhere.program, jobs_of(tmp_path, "10 epochs"))) == 1
    with pytest.raises(
        ValueError, match=r"the job of .*run-1 was submitted with other settings \(as id-1\); set those"
    ):
        Elsewhere().attach(elsewhere.program, jobs_of(tmp_path, "10 epochs", "20 epochs"))


@pytest.mark.parametrize("starts", [True, False])
def test_an_item_that_starts_while_it_is_taken_back_is_attached(starts, elsewhere, tmp_path, monkeypatch):
    """The sweep was killed before it could record that the item was taken."""
    jobs = jobs_of(tmp_path, "a")
    (one,) = elsewhere.submit([Item((job,)) for job in jobs])
    (one.files.path / "submitted.json").unlink()
    forbid = ItemFolder.forbid
    monkeypatch.setattr(ItemFolder, "forbid", lambda files: (forbid(files), starts and files.write_started()))
    again = Elsewhere()
    attached = again.attach(elsewhere.program, jobs)
    assert (len(attached), one.files.path.exists()) == (starts, starts)
    assert not starts or not one.files.is_forbidden


def test_a_password_in_a_setting_is_for_the_owner_alone(elsewhere, tmp_path, monkeypatch):
    """The job needs it; what results name does not."""
    setting = "logger.mlflow.tracking_uri=https://me:h4mster@host"
    monkeypatch.setattr(sys, "orig_argv", ["python", "src/train.py", "-m", setting])
    (job,) = jobs_of(tmp_path, "a")
    (one,) = elsewhere.submit([Item((replace(job, overrides=(setting,)),))])
    about = one.files.describe()
    assert about["jobs"][0]["overrides"] == [setting]
    assert about["command"] == ["python", "src/train.py", "-m", setting.replace("h4mster", "***")]
    files = [path for path in (tmp_path / ".items").rglob("*") if path.is_file()]
    kept = [path for path in files if "h4mster" in path.read_text()]
    assert {path: stat.S_IMODE(path.stat().st_mode) for path in kept} == {one.files.path / "item.json": 0o600}


def submit_all(executor, items):
    taken = 0
    while more := executor.submit(items[taken:]):
        taken += len(more)
    return taken


@pytest.mark.parametrize("after", ["an end", "a minute"])
def test_a_refused_submission_leaves_as_many_jobs_as_are_taken_and_is_tried_again(
    after, elsewhere, tmp_path, monkeypatch
):
    items = [Item((job,)) for job in jobs_of(tmp_path, *"abcdef")]
    elsewhere.room = 2
    monkeypatch.setattr(remote, "_REFUSED_S", 60.0 if after == "an end" else 0.0)
    assert submit_all(elsewhere, items) == 2
    assert submit_all(elsewhere, items[2:]) == 0
    assert elsewhere.said == ["no more jobs are taken at present (the limit is reached); others follow as these end"]
    elsewhere.room = 100
    if after == "an end":
        elsewhere.seen = Ended(0)
        elsewhere.poll(elsewhere._live[0])
    assert submit_all(elsewhere, items[2:]) == 1, "up to what is taken, or to the number of slots"


def test_a_submission_that_is_refused_while_nothing_runs_is_an_error(elsewhere, tmp_path):
    elsewhere.room = 0
    with pytest.raises(ValueError, match=r"^the limit is reached; set sweep\.executor$"):
        elsewhere.submit([Item((job,)) for job in jobs_of(tmp_path, *"abc")])
    assert [path.name for path in (tmp_path / ".items").iterdir()] == []


def test_a_refusal_right_after_the_end_of_a_job_is_tried_again(elsewhere, tmp_path, monkeypatch):
    items = [Item((job,)) for job in jobs_of(tmp_path, *"ab")]
    (one,) = elsewhere.submit(items[:1])
    one.files.write_started()
    one.files.write_ended(0, {})
    assert elsewhere.poll(one) == Ended(0)
    elsewhere.room = 0  # it still counts
    assert (elsewhere.submit(items[1:]), elsewhere.is_settled) == ([], False)
    monkeypatch.setattr(remote.time, "monotonic", lambda now=time.monotonic: now() + 5)
    elsewhere.room = 1
    assert len(elsewhere.submit(items[1:])) == 1


def test_a_submission_that_does_not_reach_the_scheduler_is_tried_again(elsewhere, tmp_path, monkeypatch):
    items = [Item((job,)) for job in jobs_of(tmp_path, *"abc")]
    elsewhere.room, elsewhere.refuses = 0, remote.Silent
    assert (elsewhere.submit(items), elsewhere.is_settled) == ([], False)
    elsewhere.room = 100
    assert elsewhere.submit(items) == [], "after a while"
    monkeypatch.setattr(remote.time, "monotonic", lambda now=time.monotonic: now() + 5)
    assert (len(elsewhere.submit(items)), elsewhere.is_settled) == (3, True)


def test_jobs_of_a_submission_that_is_taken_without_an_answer_find_no_files(elsewhere, tmp_path, monkeypatch):
    item, folders = Item((jobs_of(tmp_path, "a")[0],)), []
    start = elsewhere.start

    def take(items, commands):
        folders.extend(one.files.path for one in items)
        if len(folders) == 1:
            raise remote.Silent("Socket timed out")
        return start(items, commands)

    monkeypatch.setattr(elsewhere, "start", take)
    assert elsewhere.submit([item]) == []
    monkeypatch.setattr(remote.time, "monotonic", lambda now=time.monotonic: now() + 5)
    assert len(elsewhere.submit([item])) == 1
    assert [folder.exists() for folder in folders] == [False, True]


@pytest.mark.parametrize(
    ("squeue", "said", "is_silent"),
    [
        (None, "sbatch: error: Batch job submission failed", True),
        ("", "Unable to contact slurm controller (connect failure)", True),
        ("", "sbatch: error: invalid partition specified: lov", False),
    ],
)
def test_a_controller_that_is_away_during_a_submission_is_told_from_a_refusal(
    squeue, said, is_silent, slurm, tmp_path, monkeypatch
):
    calls = []

    def refuse(*_):
        calls.append(1)
        raise NotTaken(said)

    one = submitted(tmp_path)
    one.item, slurm._slots = Item((jobs_of(tmp_path, "a")[0],)), 1
    scheduler = SimpleNamespace(SlurmExecutor=lambda _: SimpleNamespace(update_parameters=lambda **_: None))
    monkeypatch.setattr(slurm, "_submitit", scheduler)
    monkeypatch.setattr(slurm, "submit_all", refuse)
    slurm.answers["squeue"] = squeue
    with pytest.raises(NotTaken) as caught:
        slurm.start([one], [["true"]])
    assert isinstance(caught.value, remote.Silent) == is_silent
    if squeue is None:
        assert slurm.said == ["SLURM does not answer; waiting for it"]
        with pytest.raises(remote.Silent):
            slurm.start([one], [["true"]])
        assert len(calls) == 1, "it is not submitted until SLURM answers"


@pytest.mark.parametrize(
    ("count", "size", "slots", "at_once"),
    [(25, 10, 16, [6, 6, 4]), (3, 10, 16, [16]), (5, 1, 3, [1, 1, 1])],
)
def test_arrays_of_a_detached_sweep_share_its_slots(count, size, slots, at_once, slurm, tmp_path, monkeypatch):
    asked = []
    scheduler = SimpleNamespace(update_parameters=asked.append)
    scheduler.update_parameters = lambda **settings: asked.append(settings.get("array_parallelism"))
    monkeypatch.setattr(slurm, "_submitit", SimpleNamespace(SlurmExecutor=lambda _: scheduler))
    monkeypatch.setattr(slurm, "submit_all", lambda _, words: [SimpleNamespace(job_id="7")] * len(words))
    slurm.array_size = size
    items = [Item((job,)) for job in jobs_of(tmp_path, *("a" * count))]
    with slurm.opened(Program(tmp_path, print, detach=True), slots, 0):
        taken = submit_all(slurm, items)
    assert ([n for n in asked if n], taken) == (at_once, min(count, slots * size))


def test_what_a_job_could_not_be_told_is_told_again(elsewhere, tmp_path):
    elsewhere.tells = False
    (one,) = elsewhere.submit([Item((job,)) for job in jobs_of(tmp_path, "a")])
    elsewhere.poll(one)
    elsewhere.ask_to_stop(one)
    elsewhere.poll(one)
    elsewhere.kill(one)
    elsewhere.tells = True
    elsewhere.poll(one)
    elsewhere.poll(one)
    assert elsewhere.requests == [("interrupt", "id-0")] * 2 + [("cancel", "id-0")] * 2


def test_jobs_are_told_nothing_while_slurm_does_not_answer(slurm, tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(slurm_queue, "_run", lambda command, *_: calls.append(command))
    assert [slurm.interrupt(submitted(tmp_path)), slurm.cancel(submitted(tmp_path))] == [False, False]
    assert calls == ["scancel", "squeue"]
    monkeypatch.setattr(slurm_queue, "_run", lambda *_, **__: "")
    slurm.look(submitted(tmp_path))
    assert slurm.cancel(submitted(tmp_path))


class Watch:
    tick = ended = lambda *_: None

    def __init__(self):
        self.said = []

    def say(self, text):
        self.said.append(text)


def test_a_detached_sweep_says_how_many_jobs_are_not_submitted(elsewhere, tmp_path):
    jobs, watch = jobs_of(tmp_path, *"abcde"), Watch()
    notices = tmp_path / ".items" / "notices"
    run_items([Item((job,)) for job in jobs], elsewhere, State(jobs, 3), notices, False, watch, detach=True)
    assert watch.said == ["2 jobs are not submitted yet; the same command submits them as others end"]


def test_the_end_of_an_item_is_kept_until_the_outcomes_of_its_jobs_are_recorded(elsewhere, tmp_path, monkeypatch):
    (job,) = jobs_of(tmp_path, "a")
    job.folder.mkdir()
    submit = elsewhere.submit

    def end_at_once(items):
        taken = submit(items)
        for one in taken:
            one.files.write_started()
            one.files.write_ended(1, {str(job.folder): {"type": "E", "message": "no", "traceback": "line 1"}})
        return taken

    record, kept = run_loop.record_outcome, []
    monkeypatch.setattr(elsewhere, "submit", end_at_once)
    monkeypatch.setattr(
        run_loop,
        "record_outcome",
        lambda *given: (kept.extend(one.ended()["status"] for one in items_of(tmp_path)), record(*given))[1],
    )
    state, notices = State([job], 3), tmp_path / ".items" / "notices"
    run_items([Item((job,))], elsewhere, state, notices, stop_early=False, watch=Watch())
    assert (kept, items_of(tmp_path)) == ([1], [])
    assert Result.read(job.folder).error["message"] == "no"


@pytest.mark.parametrize("named", [True, False])
def test_logs_are_kept_while_a_result_names_them(named, tmp_path):
    log = tmp_path / ".items" / "submitit" / "7_0_log.out"
    log.parent.mkdir(parents=True)
    log.write_text("why")
    error = {"type": "Exit", "message": f"see {log}" if named else "no reason"}
    Result("failed", "a", [], error=error).write(tmp_path / "run-0")
    with Elsewhere().opened(Program(tmp_path, print), 1, 0):
        pass
    assert log.exists() == named


def test_a_third_ctrl_c_leaves_jobs_that_cannot_be_ended(elsewhere, tmp_path, monkeypatch):
    jobs, said, looks = jobs_of(tmp_path, "a"), [], iter(range(100))

    def look(_):
        if next(looks) < 3:
            signal.raise_signal(signal.SIGINT)
        return RUNNING

    class Watch:
        tick = ended = lambda *_: None
        say = staticmethod(said.append)

    elsewhere.look, elsewhere.tells = look, False
    notices = tmp_path / ".items" / "notices"
    assert run_items([Item((jobs[0],))], elsewhere, State(jobs, 1), notices, stop_early=False, watch=Watch())
    assert next(looks) < 10
    assert said[-1] == "jobs that have not ended are left; the same command shows how far they are"


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_the_shell_above_a_local_job_is_another_process_in_bash_too():
    line = " && ".join([*slurm_local._SETUP, "cat /proc/self/stat"])
    with subprocess.Popen(["bash", "-c", line], stdout=subprocess.PIPE, text=True) as process:
        found = process.stdout.read().split()
    assert (int(found[0]) != process.pid, int(found[3])) == (True, process.pid)


def test_jobs_that_use_a_gpu_are_refused_by_the_executor_that_gives_them_none(tmp_path):
    pytest.importorskip("submitit")
    executor, (job,) = slurm_local.SlurmLocalExecutor(), jobs_of(tmp_path, "a")
    executor.capacity([job], Memory(), 0)
    with pytest.raises(ValueError, match="slurm_local trains on the CPU, got jobs that use a GPU; set trainer=cpu"):
        executor.capacity([job, replace(job, on_gpu=True)], Memory(), 1)


def test_another_process_with_the_id_of_a_job_is_not_taken_for_it(tmp_path):
    pytest.importorskip("submitit")
    executor, one = slurm_local.SlurmLocalExecutor(), submitted(tmp_path)
    executor.folder = tmp_path
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as process:
        about = process_of(process.pid)
        for name, host in (("submitted.json", {"executor": "slurm_local", "id": "7_1"}), ("started.json", {})):
            (tmp_path / name).write_text(json.dumps(about | host))
        assert executor.look(one) == RUNNING
        for name in ("submitted.json", "started.json"):
            (tmp_path / name).write_text(json.dumps(about | {"begun": "1"}))  # which has ended since
        assert executor.look(one).status == -9
        assert executor.interrupt(one) and executor.cancel(one)
        assert process.poll() is None
        (tmp_path / "started.json").write_text(json.dumps(about | {"where": "the same host before it was restarted"}))
        assert executor.look(one) == Ended(130, reason="this machine was restarted", again=True)
        (tmp_path / "started.json").write_text(json.dumps(about))
        assert executor.cancel(one)
        assert process.wait(20) == -9
    assert executor.look(one).status == -9


def test_jobs_of_this_machine_are_not_sought_on_another(elsewhere, tmp_path):
    pytest.importorskip("submitit")
    elsewhere.name = "slurm_local"
    elsewhere.about = lambda _: process_of(os.getpid()) | {"host": "node-2"}
    jobs = jobs_of(tmp_path, "a")
    elsewhere.submit([Item((job,)) for job in jobs])
    with pytest.raises(ValueError, match=rf"^jobs of this sweep were submitted on node-2, got {socket.gethostname()};"):
        slurm_local.SlurmLocalExecutor().attach(elsewhere.program, jobs)


@pytest.mark.parametrize("beats", [True, False])
def test_a_job_that_its_scheduler_has_given_up_has_ended_when_its_heartbeat_has(
    beats, elsewhere, tmp_path, monkeypatch
):
    (job,) = jobs_of(tmp_path, "a")
    (one,) = elsewhere.submit([Item((job,))])
    assert elsewhere.poll(one) == RUNNING
    monkeypatch.setattr(heartbeat, "TTL_S", 0.6)
    with monkeypatch.context() as patch:
        patch.setattr(heartbeat, "where", lambda: "there")
        patch.setattr(heartbeat.platform, "node", lambda: "node-2")
        held = acquire(job.folder, "process is training")
    elsewhere.seen = Ended(130, reason="its node was lost", again=True)
    begun = time.monotonic()
    while elsewhere.poll(one) == RUNNING and time.monotonic() < begun + 2:
        time.sleep(0.02)
        if beats:
            held.beat()
    if beats:
        assert time.monotonic() > begun + 2
        who = f"process {os.getpid()} on node-2"
        assert elsewhere.said == [f"{who} still trains in {job.folder}, though its job has ended; waiting for it"]
    else:
        assert (time.monotonic() >= begun + 0.6, elsewhere.said) == (True, [])
        acquire(job.folder, "process is training", on_wait=elsewhere.said.append)
        assert elsewhere.said == [], "it was waited for before"


def test_the_latest_process_of_an_item_records_its_end(tmp_path):
    files = ItemFolder(tmp_path)
    files.write_ended(0, {})
    assert files.ended() is None, "it has not started, or its files were removed"
    files.write_started()
    own = json.loads((tmp_path / "started.json").read_text())
    (tmp_path / "started.json").write_text(json.dumps(own | {"begun": "1"}))
    files.write_ended(0, {})
    files.leave_to_another()
    files.write_saved()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["started.json"]
    files.write_started()
    files.write_ended(3, {})
    assert files.ended()["status"] == 3


def test_a_job_that_waits_again_after_its_earlier_process_has_ended_it_is_cancelled(elsewhere, tmp_path):
    (one,) = elsewhere.submit([Item((job,)) for job in jobs_of(tmp_path, "a")])
    one.files.write_started()
    for elsewhere.seen in (RUNNING, QUEUED, QUEUED):
        elsewhere.poll(one)
    one.files.write_ended(0, {})
    assert (elsewhere.poll(one), elsewhere.requests) == (Ended(0), [("cancel", "id-0")])


def begun(folder, times, saved):
    """A run that was started some times, and has saved since, or never."""
    for _ in range(times):
        note_start(folder)
    if saved:
        (folder / LAST).parent.mkdir()
        (folder / LAST).write_bytes(b"")


def test_starts_of_members_that_have_ended_do_not_count(elsewhere, tmp_path):
    jobs = jobs_of(tmp_path, *"ab")
    (one,) = elsewhere.submit([Item(tuple(jobs))])
    one.files.write_started()
    begun(jobs[0].folder, 9, saved=False)
    begun(jobs[1].folder, 2, saved=False)
    Result("diverged", "a", []).write(jobs[0].folder)
    elsewhere.seen = Ended(130, reason="its time limit was reached", again=True)
    assert elsewhere.poll(one) == elsewhere.seen


@pytest.mark.parametrize(
    ("saves", "ended", "goes_on"),
    [(True, False, True), (False, True, True), (False, False, False)],
)
def test_an_item_is_given_up_after_starts_in_which_no_run_of_it_got_further(
    saves, ended, goes_on, tmp_path, monkeypatch
):
    from hydra_plugins.trainlab import _item

    folder, files = tmp_path / "run-0", ItemFolder(tmp_path / "item")
    files.path.mkdir()
    (files.path / "item.json").write_text("{}")
    begun(folder, 3, saved=False)
    announced = SimpleNamespace(at_s=None, by_user_signal=False, heeded_by=lambda _: contextlib.nullcontext())

    def work(*_):
        announced.at_s = 1.0
        if saves:
            begun(folder, 0, saved=True)
        if ended:
            Result("diverged", "a", []).write(folder)
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "setsid", lambda: None)
    monkeypatch.setattr(_item.torch, "set_num_threads", lambda _: None)
    monkeypatch.setattr(_item, "ending", announced)
    monkeypatch.setattr(_item, "Jobs", lambda *_: SimpleNamespace(sweep_dir=tmp_path))
    monkeypatch.setattr(_item, "run_jobs", work)
    monkeypatch.setattr(_item.slurm_job, "job_id", lambda: None)
    job = {"number": 0, "overrides": [], "folder": str(folder), "fingerprint": "a", "devices": 1, "settings": []}
    about = {"jobs": [job], "before": {str(folder): None}, "environment": {THREADS: "1"}, "restarts": 3}
    assert _item.run_item(files, about, None, None, None) == 130
    record = files.ended()
    assert (record["cut_short"], record["reason"].startswith("started 4 times")) == (goes_on, not goes_on)


@pytest.mark.parametrize(
    ("here", "mem_gb", "sizes"),
    [(False, None, [4] * 2), (True, None, [1] * 8), (False, 1, [2] * 4), (True, 2, [4] * 2)],
)
@pytest.mark.parametrize("on_gpu", [False, True])
def test_items_elsewhere_have_the_same_memory_whatever_this_machine_has(on_gpu, here, mem_gb, sizes, tmp_path):
    """Members take 1/4 GiB, and may take half of the memory: four of 2 GiB, two of 1, one of 1 GiB for two items.

    Of a GPU's 8 GiB elsewhere, all eight take a quarter; of this machine's they may take half of 1 GiB.
    """
    executor = Elsewhere()
    executor.is_here, executor.mem_gb = here, mem_gb
    _, memory, _ = executor.capacity([], Memory(host=2**30, gpu=2**30), 0)
    like = {"member_bytes": 2**28, "on_gpu": on_gpu, "settings": {"a": 1}}
    jobs = [replace(job, **like) for job in jobs_of(tmp_path, *"aaaaaaaa")]
    on_cards = [2] * 4 if here else [4] * 2  # by memory, by slots
    assert [len(item.jobs) for item in plan(jobs, None, memory, slots=2)] == (on_cards if on_gpu else sizes)


SCRIPTS = {"srun": "", "sbatch": 'cp "$1" "$(dirname "$0")/../submitted"; echo Submitted batch job 7'}


@pytest.fixture
def commands(tmp_path, monkeypatch):
    """Makes shell scripts the commands of SLURM, by their names."""

    def make(scripts):
        (tmp_path / "bin").mkdir()
        for name, text in scripts.items():
            (tmp_path / "bin" / name).write_text(f"#!/bin/sh\n{text}\n")
            (tmp_path / "bin" / name).chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")

    return make


def test_what_sbatch_says_of_a_refusal_is_in_the_message_alone(slurm, commands, tmp_path, capfd):
    said = ("QOSMaxSubmitJobPerUserLimit", "Batch job submission failed: Job violates accounting/QOS policy")
    lines = "; ".join(f"echo 'sbatch: error: {line}' >&2" for line in said)
    commands(SCRIPTS | {"sbatch": f"{lines}; exit 1"})
    one = submitted(tmp_path)
    one.item, slurm._slots = Item((jobs_of(tmp_path, "a")[0],)), 1
    with pytest.raises(NotTaken, match=f"^{'; '.join(said)}$"):
        slurm.start([one], [["true"]])
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("gpus", "on_gpu", "devices", "asked"),
    [(0, False, 2, {"cpus": "6"}), (1, False, 1, {"cpus": "3", "gpus": "1"}), (0, True, 2, {"cpus": "6", "gpus": "2"})],
)
def test_the_script_of_a_slurm_job_asks_for_what_its_item_needs(gpus, on_gpu, devices, asked, commands, tmp_path):
    pytest.importorskip("submitit")
    commands(SCRIPTS)
    executor = SlurmExecutor(cpus=3, gpus=gpus)
    executor.folder, executor._program, executor._slots = tmp_path, Program(tmp_path, print, name="study"), 2
    (job,) = jobs_of(tmp_path, "a")
    one = submitted(tmp_path)
    one.item = Item((replace(job, on_gpu=on_gpu, devices=devices),))
    assert executor.start([one], [["true"]]) == ["7"]
    script = (tmp_path / "submitted").read_text()
    assert dict(re.findall(r"^#SBATCH --(cpus|gpus)-per-\w+=(\d+)$", script, re.MULTILINE)) == asked
    assert re.search(r"^srun .*--ntasks=1 ", script, re.MULTILINE), "also on a node that the job has for itself"
