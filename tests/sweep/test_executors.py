"""What all executors of sweeps have in common, on sweeps of real processes."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from sweeping import FAULT, eventually, figures, in_session, results, run_folders, start, sweep
from trainlab.processes import THREADS
from trainlab.runs.folder import LAST
from trainlab.runs.result import Result
from trainlab.runs.starts import note_start
from trainlab.sweep.executors import remote
from trainlab.sweep.executors import slurm as slurm_module
from trainlab.sweep.executors.executor import QUEUED, RUNNING, Ended, Program
from trainlab.sweep.executors.remote import NotTaken, Remote, RemoteExecutor, is_alive
from trainlab.sweep.executors.slurm import SlurmExecutor
from trainlab.sweep.items import ItemFolder
from trainlab.sweep.plan import RUN, Item, Job
from trainlab.sweep.resources import Memory
from trainlab.sweep.run_items import run_items
from trainlab.sweep.state import State

EXECUTORS = ("local", "ray", "slurm_local", "slurm", "ray_cluster")
OUTLIVE = EXECUTORS[2:]  # the command that has submitted their jobs
TRAINED = ("model=elu_he,bn", "seed=1,2", "name=study", "sweep.jobs=2")  # a population of two for each model
SLOW = (FAULT, "model=elu_he", "seed=1,2,3", "name=study", "trainer.max_epochs=4", "sweep.jobs=2")


def marked(names):
    return [pytest.param(name, marks=pytest.mark.slow if name == "local" else pytest.mark.cluster) for name in names]


@pytest.fixture(params=marked(EXECUTORS))
def executor(request):
    """Overrides that choose it."""
    return chosen(request)


@pytest.fixture(params=marked(OUTLIVE))
def outliving(request):
    return chosen(request)


def chosen(request):
    name = request.param
    if name.startswith("ray"):
        pytest.importorskip("ray")
        address = request.getfixturevalue("ray_address") if name == "ray_cluster" else "local"
        return ["sweep/executor=ray", f"sweep.executor.address={address}"]
    if name != "local":
        pytest.importorskip("submitit")
    if name == "slurm":
        if shutil.which("sinfo") is None or subprocess.run(["sinfo"], capture_output=True).returncode:
            pytest.skip("no SLURM answers to sinfo")
        return ["sweep/executor=slurm", "sweep.executor.partition=high", "sweep.executor.mem_gb=1.5"]
    return [f"sweep/executor={name}"]


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@pytest.fixture(scope="module")
def ray_address(tmp_path_factory):
    """Address of a Ray cluster of two cores."""
    folder = Path(tempfile.mkdtemp(prefix="ray-"))  # below a short path, as there are sockets in it
    options = (
        "--node-ip-address=127.0.0.1",
        "--num-cpus=2",
        "--object-store-memory=83886080",
        "--include-dashboard=false",
        "--disable-usage-stats",
        f"--ray-client-server-port={free_port()}",
    )
    command = [Path(sys.executable).parent / "ray", "start", "--head", "--block", "--port=0", f"--temp-dir={folder}"]
    log = (tmp_path_factory.mktemp("ray") / "log").open("w+")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "disabled")  # as the cluster and the sweeps share no token
        process = subprocess.Popen([*command, *options], stdout=log, stderr=log, start_new_session=True)
        try:
            assert eventually(lambda: "Ray runtime started" in Path(log.name).read_text(), 200)
            yield (folder / "ray_current_cluster").read_text().strip()
        finally:
            process.terminate()
            process.wait(60)
            assert eventually(lambda: in_session(process.pid) == [], 60)
            shutil.rmtree(folder)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """Figures of the sweeps by their arguments, from the local executor."""
    found = {}
    for arguments in (TRAINED, SLOW):
        folder = tmp_path_factory.mktemp("undisturbed")
        done = sweep(*arguments, f"output_dir={folder}")
        assert (done.returncode, done.stderr) == (0, "")
        found[arguments] = figures(folder / "study")
    return found


def starts(folder):
    """How often each run was started, by the folders of the runs."""
    return {path.parent.name: len(path.read_text().splitlines()) for path in folder.glob("study/*/.starts")}


def epochs(folder):
    return [path for path in folder.glob("study/*/metrics.csv") if path.read_text().count("\n") > 1]


def test_populations_have_the_results_of_the_local_executor(executor, undisturbed, tmp_path):
    done = sweep(*TRAINED, *executor, f"output_dir={tmp_path}")
    assert (done.returncode, done.stderr) == (0, "")
    assert figures(tmp_path / "study") == undisturbed[TRAINED]
    assert "plan: 4 jobs in 2 populations, 2 at once" in done.stdout
    assert f"report: {tmp_path / 'study' / 'report.html'}" in done.stdout
    for result in results(tmp_path / "study").values():
        assert result["time"]["population"]["members"] == 2
        assert "hydra/sweeper=item" not in result["provenance"]["command"]  # it is that of the sweep
    assert not (tmp_path / "study" / ".items").exists()


def test_failures_are_on_record_and_retried_on_demand(executor, tmp_path):
    arguments = (FAULT, "seed=1", "+callbacks.fault.what=nothing,raise,kill", "name=study", f"output_dir={tmp_path}")
    done = sweep(*arguments, *executor)
    assert done.returncode == 1
    assert "3 jobs: 1 completed, 2 failed; the same command with sweep.retry_failed=true" in done.stderr
    found = {name.rpartition("=")[2]: result for name, result in results(tmp_path / "study").items()}
    assert {name: result["status"] for name, result in found.items()} == {
        "nothing": "completed",
        "raise": "failed",
        "kill": "failed",
    }
    assert found["raise"]["error"]["message"] == "the cat pulled the plug\nand ran"
    assert any(word in found["kill"]["error"]["message"] for word in ("killed", "ended without a record"))
    done = sweep(*arguments, *executor, "sweep.retry_failed=true", FAULTS="off")
    assert (done.returncode, done.stderr) == (0, "")
    assert {result["status"] for result in results(tmp_path / "study").values()} == {"completed"}


def test_ctrl_c_stops_jobs_after_their_epoch_and_the_same_command_resumes(executor, undisturbed, tmp_path):
    arguments = (*SLOW, *executor, f"output_dir={tmp_path}")
    process = start(*arguments, FAULTS_SLEEP="0.1")
    assert eventually(lambda: len(epochs(tmp_path)) == 2, 120)
    process.send(signal.SIGINT)
    stopped = process.finish()
    assert stopped.returncode == 130
    assert "interrupted: 3 jobs: 2 interrupted, 1 waiting; the same command resumes from here" in stopped.stderr
    assert {result["status"] for result in results(tmp_path / "study").values()} == {"interrupted"}
    assert not (tmp_path / "study" / ".items").exists()
    resumed = sweep(*arguments)
    assert (resumed.returncode, resumed.stderr) == (0, "")
    assert figures(tmp_path / "study") == undisturbed[SLOW]


def test_a_sweep_that_was_killed_continues_by_the_same_command(executor, undisturbed, tmp_path):
    arguments = (*SLOW, *executor, f"output_dir={tmp_path}")
    process = start(*arguments, FAULTS_SLEEP="0.1")
    assert eventually(lambda: len(epochs(tmp_path)) == 2, 120)
    process.send(signal.SIGKILL)
    assert process.finish(leaves=True).returncode == -signal.SIGKILL
    done = sweep(*arguments, FAULTS_SLEEP="0.1")
    assert (done.returncode, done.stderr) == (0, "")
    assert figures(tmp_path / "study") == undisturbed[SLOW]
    if executor[-1] not in ("sweep/executor=local", "sweep.executor.address=local"):
        assert "2 jobs were submitted before" in done.stdout
        assert set(starts(tmp_path).values()) == {1}  # nothing was started twice


def test_a_sweep_is_detached_and_asked_later(outliving, undisturbed, tmp_path):
    arguments = (*SLOW, *outliving, f"output_dir={tmp_path}")
    first = start(*arguments, "sweep.detach=true", FAULTS_SLEEP="0.1").finish(leaves=True)
    assert (first.returncode, first.stderr) == (0, "")
    assert "the same command shows how far they are, with sweep.detach=false until they end" in first.stdout
    assert eventually(lambda: len(epochs(tmp_path)) == 2, 120)
    then = start(*arguments, "sweep.detach=true", FAULTS_SLEEP="0.1").finish(leaves=True)
    assert (then.returncode, then.stderr) == (0, "")
    assert "3 jobs: 2 running, 1 waiting" in then.stdout
    other = sweep(*SLOW, f"output_dir={tmp_path}")
    assert other.returncode == 2
    assert "jobs of this sweep were submitted by " in other.stderr
    done = sweep(*arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert figures(tmp_path / "study") == undisturbed[SLOW]
    assert set(starts(tmp_path).values()) == {1}


def test_ctrl_c_leaves_or_cancels_jobs_as_asked(outliving, undisturbed, tmp_path):
    arguments = (*SLOW, *outliving, f"output_dir={tmp_path}")
    process = start(*arguments, "sweep.executor.on_interrupt=leave", FAULTS_SLEEP="0.5")
    assert eventually(lambda: len(epochs(tmp_path)) == 2, 120)
    process.send(signal.SIGINT)
    left = process.finish(leaves=True)
    assert left.returncode == 130
    assert "interrupted: 3 jobs: 2 running, 1 waiting; the same command shows how far they are" in left.stderr
    process = start(*arguments, "sweep.executor.on_interrupt=cancel", FAULTS_SLEEP="0.1")
    assert eventually(lambda: "2 jobs were submitted before" in process.output(), 120)
    process.send(signal.SIGINT)
    assert process.finish().returncode == 130
    assert {result["status"] for result in results(tmp_path / "study").values()} == {"interrupted"}
    done = sweep(*arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert figures(tmp_path / "study") == undisturbed[SLOW]


@pytest.mark.parametrize(
    ("package", "target", "name"),
    [("submitit", "slurm.SlurmExecutor", "slurm"), ("ray", "ray.RayExecutor", "ray")],
)
def test_without_a_package_the_error_says_how_to_install_it(package, target, name, monkeypatch):
    from trainlab.config.construct import construct

    monkeypatch.setitem(sys.modules, package, None)
    settings = {"_target_": f"trainlab.sweep.executors.{target}"}
    with pytest.raises(
        ValueError, match=rf"sweep/executor={name} needs {package} .*; pip install 'trainlab\[{name}\]'"
    ):
        construct({"sweep": {"executor": settings}}, "sweep.executor")


@pytest.mark.cluster
def test_jobs_of_a_ray_cluster_that_ends_with_the_sweep_are_not_left(tmp_path):
    pytest.importorskip("ray")
    for override, reason in {
        "sweep.detach=true": "sweep.detach needs a Ray cluster that outlives the sweep",
        "sweep.executor.on_interrupt=leave": "on_interrupt must be stop or cancel where the cluster ends",
        "sweep.executor.gpus=1.5": "gpus must be a fraction of one or a whole number",
        "sweep.executor.address=localhost:1": "no Ray cluster answers at localhost:1",
    }.items():
        done = sweep("seed=1,2", "name=study", f"output_dir={tmp_path}", "sweep/executor=ray", override)
        assert (done.returncode, reason in done.stderr) == (2, True)


@pytest.mark.cluster
def test_a_lost_ray_worker_is_replaced(ray_address, undisturbed, tmp_path):
    arguments = (*SLOW, "sweep/executor=ray", f"sweep.executor.address={ray_address}", f"output_dir={tmp_path}")
    process = start(*arguments, FAULTS_SLEEP="0.1")
    assert eventually(lambda: len(epochs(tmp_path)) == 2, 200)
    started = json.loads(next(tmp_path.glob("study/.items/*/started.json")).read_text())
    parent = int(Path(f"/proc/{started['pid']}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(parent, signal.SIGKILL)
    assert eventually(lambda: not is_alive(started["pid"]), 20)  # it ends with the worker
    done = process.finish()
    assert (done.returncode, done.stderr) == (0, "")
    assert "(pid=" not in done.stdout and "raylet" not in done.stdout
    assert figures(tmp_path / "study") == undisturbed[SLOW]
    assert sorted(starts(tmp_path).values()) == [1, 1, 2]


@pytest.mark.slow
def test_local_jobs_end_with_their_sweep(tmp_path):
    for override, reason in {
        "sweep.detach=true": "sweep.detach needs jobs that outlive the sweep",
        "sweep.executor.on_interrupt=leave": "on_interrupt must be stop or cancel",
    }.items():
        done = sweep("seed=1,2", "name=study", f"output_dir={tmp_path}", override)
        assert (done.returncode, reason in done.stderr) == (2, True)
    assert not (tmp_path / "study").exists()


@pytest.mark.slow
def test_an_executor_decides_about_no_folder_and_no_fingerprint(tmp_path):
    sweep("seed=1,2", "name=study", f"output_dir={tmp_path}", "trainer.max_epochs=1")
    done = sweep("seed=1,2", "name=study", f"output_dir={tmp_path}", "trainer.max_epochs=1", "sweep/executor=local")
    assert "2 jobs: 2 completed at the start" in done.stdout
    assert sorted(path.name for path in run_folders(tmp_path / "study")) == ["seed=1", "seed=2"]
    assert json.loads((tmp_path / "study" / "seed=1" / "result.json").read_text())["status"] == "completed"


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """A `SlurmExecutor` whose commands print what ``answers`` has; None where they fail."""
    pytest.importorskip("submitit")
    executor = SlurmExecutor()
    executor.answers, executor.said = {"squeue": "", "sacct": None}, []
    executor.folder, executor._program = tmp_path, Program(tmp_path, print, say=executor.said.append)
    monkeypatch.setattr(executor, "_run", lambda command, *_: executor.answers[command])
    monkeypatch.setattr("trainlab.sweep.executors.slurm._ASK_S", -1.0)
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
        ("NODE_FAIL", Ended(130, reason="SLURM job 7_1: its node was lost", again=True)),
    ],
)
@pytest.mark.parametrize("knows", ["squeue", "sacct"])
def test_states_of_slurm_and_of_its_accounting_are_outcomes_with_a_reason(knows, state, seen, slurm, tmp_path):
    slurm.answers[knows] = {"squeue": f"7_0 RUNNING\n7_1 {state}\n", "sacct": f"{state} by 0\n"}[knows]
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


def test_a_controller_that_does_not_answer_is_waited_for(slurm, tmp_path):
    slurm.answers["squeue"] = None
    assert [slurm.look(submitted(tmp_path)) for _ in range(2)] == [RUNNING, RUNNING]
    slurm.answers["squeue"] = "7_1 RUNNING\n"
    assert slurm.look(submitted(tmp_path)) == RUNNING
    assert slurm.said == ["SLURM does not answer; waiting for it", "SLURM answers again"]


class Elsewhere(RemoteExecutor):
    """Takes as many command lines as ``room`` has, and has nobody run them."""

    name = "elsewhere"

    def __init__(self, **settings):
        super().__init__(1, None, 0, settings.pop("restarts", 5), "stop")
        self.room, self.refuses, self.seen, self.tells, self.told = 100, NotTaken, RUNNING, True, []

    def start(self, items, commands):
        if len(self._live) + len(items) > self.room:
            raise self.refuses("the limit is reached")
        return [f"id-{one.item.jobs[0].number}" for one in items]

    def look(self, submitted):
        return self.seen

    def interrupt(self, submitted):
        self.told.append(("interrupt", submitted.id))
        return self.tells

    def cancel(self, submitted):
        self.told.append(("cancel", submitted.id))
        return self.tells


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


def test_a_submission_that_does_not_reach_the_scheduler_is_tried_again(elsewhere, tmp_path, monkeypatch):
    items = [Item((job,)) for job in jobs_of(tmp_path, *"abc")]
    elsewhere.room, elsewhere.refuses = 0, remote.Silent
    assert (elsewhere.submit(items), elsewhere.is_settled) == ([], False)
    elsewhere.room = 100
    assert elsewhere.submit(items) == [], "after a while"
    monkeypatch.setattr(remote.time, "monotonic", lambda now=time.monotonic: now() + 5)
    assert (len(elsewhere.submit(items)), elsewhere.is_settled) == (3, True)


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
    monkeypatch.setattr(slurm, "_submit_all", refuse)
    slurm.answers["squeue"] = squeue
    with pytest.raises(NotTaken) as caught:
        slurm.start([one], [["true"]])
    assert isinstance(caught.value, remote.Silent) == is_silent
    if squeue is None:
        assert slurm.said == ["SLURM does not answer; waiting for it"]
        with pytest.raises(remote.Silent):
            slurm.start([one], [["true"]])
        assert len(calls) == 1, "it is not submitted until SLURM answers"


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
    assert elsewhere.told == [("interrupt", "id-0")] * 2 + [("cancel", "id-0")] * 2


def test_jobs_are_told_nothing_while_slurm_does_not_answer(slurm, tmp_path):
    calls = []
    slurm._run = lambda command, *_: calls.append(command)
    assert [slurm.interrupt(submitted(tmp_path)), slurm.cancel(submitted(tmp_path))] == [False, False]
    assert calls == ["scancel", "squeue"]
    slurm._run = lambda command, *_: ""
    slurm.look(submitted(tmp_path))
    assert slurm.cancel(submitted(tmp_path))


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
    line = " && ".join([*slurm_module._SETUP, "cat /proc/self/stat"])
    with subprocess.Popen(["bash", "-c", line], stdout=subprocess.PIPE, text=True) as process:
        found = process.stdout.read().split()
    assert (int(found[0]) != process.pid, int(found[3])) == (True, process.pid)


def test_jobs_that_use_a_gpu_are_refused_by_the_executor_that_gives_them_none(tmp_path):
    pytest.importorskip("submitit")
    executor, (job,) = slurm_module.SlurmLocalExecutor(), jobs_of(tmp_path, "a")
    executor.capacity([job], Memory(), 0)
    with pytest.raises(ValueError, match="slurm_local trains on the CPU, got jobs that use a GPU; set trainer=cpu"):
        executor.capacity([job, replace(job, on_gpu=True)], Memory(), 1)


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
