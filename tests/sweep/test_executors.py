"""What all executors of sweeps have in common, on sweeps of real processes."""

import json
import signal
import sys

import pytest

from ray_clusters import ray_cluster
from slurm_clusters import ON_SLURM, require_slurm
from sweeping import FAULT, eventually, figures, results, run_folders, start

EXECUTORS = ("local", "ray", "slurm_local", "slurm", "ray_cluster")
OUTLIVE = EXECUTORS[2:]  # the command that has submitted their jobs
TRAINED = ("model=elu_he,bn", "seed=1,2", "name=study", "sweep.jobs=2")  # a population of two for each model
# FAULTS_SLEEP is that of a step, and 19 of them are an epoch: two jobs run at the same time even if one starts later,
# and still run when the next command has composed and checked its own.
SLOW = (FAULT, "model=elu_he", "seed=1,2,3", "name=study", "trainer.max_epochs=4", "sweep.jobs=2")
START_S, LIMIT_S = 300.0, 600.0  # until jobs train, and of a sweep, on a machine that is busy
pytestmark = pytest.mark.timeout(1200)


def sweep(*arguments, **environment):
    return start(*arguments, **environment).finish(LIMIT_S)


def marked(names):
    """As parameters; tests that use the same cluster are run by one worker, one after another."""
    groups = {name: pytest.mark.xdist_group(name.removesuffix("_cluster")) for name in names}
    return [
        pytest.param(name, marks=pytest.mark.slow if name == "local" else [pytest.mark.cluster, groups[name]])
        for name in names
    ]


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
        require_slurm()
        return [*ON_SLURM]
    return [f"sweep/executor={name}"]


@pytest.fixture(scope="module")
def ray_address(tmp_path_factory):
    """Address of a Ray cluster of two cores."""
    with ray_cluster(tmp_path_factory.mktemp("ray") / "log", "--num-cpus=2") as address:
        yield address


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
    process = start(*arguments, FAULTS_SLEEP="0.5")
    assert eventually(lambda: len(epochs(tmp_path)) == 2, START_S)
    process.send(signal.SIGINT)
    stopped = process.finish(LIMIT_S)
    assert stopped.returncode == 130
    assert "interrupted: 3 jobs: 2 interrupted, 1 waiting; the same command resumes from here" in stopped.stderr
    assert {result["status"] for result in results(tmp_path / "study").values()} == {"interrupted"}
    assert not (tmp_path / "study" / ".items").exists()
    resumed = sweep(*arguments)
    assert (resumed.returncode, resumed.stderr) == (0, "")
    assert figures(tmp_path / "study") == undisturbed[SLOW]


def test_a_sweep_that_was_killed_continues_by_the_same_command(executor, undisturbed, tmp_path):
    arguments = (*SLOW, *executor, f"output_dir={tmp_path}")
    process = start(*arguments, FAULTS_SLEEP="0.3")
    assert eventually(lambda: len(epochs(tmp_path)) == 2, START_S)
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
    first = start(*arguments, "sweep.detach=true", FAULTS_SLEEP="0.6").finish(leaves=True)
    assert (first.returncode, first.stderr) == (0, "")
    assert "the same command shows how far they are, with sweep.detach=false until they end" in first.stdout
    assert eventually(lambda: len(epochs(tmp_path)) == 2, START_S)
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


def test_a_job_has_the_threads_that_it_asks_for(outliving, tmp_path):
    large = ("model=elu_he", "model.width=400", "data.batch_size=100")  # steps that are worth a second thread
    arguments = (*large, "seed=1", "name=study", "trainer.max_epochs=1", f"output_dir={tmp_path}")
    done = sweep(*arguments, *outliving, "sweep.executor.cpus=2")
    assert (done.returncode, done.stderr) == (0, "")
    assert [result["num_threads"] for result in results(tmp_path / "study").values()] == [2]


def test_ctrl_c_leaves_or_cancels_jobs_as_asked(outliving, undisturbed, tmp_path):
    arguments = (*SLOW, *outliving, f"output_dir={tmp_path}")
    process = start(*arguments, "sweep.executor.on_interrupt=leave", FAULTS_SLEEP="1.0")
    assert eventually(lambda: len(epochs(tmp_path)) == 2, START_S)
    process.send(signal.SIGINT)
    left = process.finish(leaves=True)
    assert left.returncode == 130
    assert "interrupted: 3 jobs: 2 running, 1 waiting; the same command shows how far they are" in left.stderr
    process = start(*arguments, "sweep.executor.on_interrupt=cancel", FAULTS_SLEEP="0.1")
    assert eventually(lambda: "2 jobs were submitted before" in process.output(), START_S)
    process.send(signal.SIGINT)
    assert process.finish(LIMIT_S).returncode == 130
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
    pytest.importorskip("submitit")
    sweep("seed=1,2", "name=study", f"output_dir={tmp_path}", "trainer.max_epochs=1")
    other = ("sweep/executor=slurm_local", "sweep.executor.cpus=1")
    done = sweep("seed=1,2", "name=study", f"output_dir={tmp_path}", "trainer.max_epochs=1", *other)
    assert "2 jobs: 2 completed at the start" in done.stdout
    assert sorted(path.name for path in run_folders(tmp_path / "study")) == ["seed=1", "seed=2"]
    assert json.loads((tmp_path / "study" / "seed=1" / "result.json").read_text())["status"] == "completed"
