"""What a sweep finds in its folder and on its disk."""

import contextlib
import os
import pickle
import subprocess

import pytest
import yaml

from conftest import cases
from sweeping import figures, results, sweep
from trainlab.runs.result import Result


@pytest.fixture
def mine(tmp_path):
    """A folder of configuration with an option ``experiment=mine``, and a function to write it."""
    folder = tmp_path / "conf"
    (folder / "experiment").mkdir(parents=True)

    def write(label_smoothing):
        text = f"# @package _global_\ntask:\n  label_smoothing: {label_smoothing}\n"
        (folder / "experiment" / "mine.yaml").write_text(text)
        return f"--config-dir={folder}"

    return write


@pytest.mark.slow
def test_all_mistakes_are_reported_together_before_anything_starts(mine, tmp_path):
    """Among them a setting that has changed under a run, and a result that is cut in half."""
    where = (f"output_dir={tmp_path / 'out'}", "name=study", "experiment=mine")
    assert sweep(mine(0.0), *where, "seed=1,2,3").returncode == 0
    folder = tmp_path / "out" / "study"
    (half,) = (path for path in folder.glob("*/result.json") if "seed=2" in Result.read(path.parent).overrides)
    half.write_bytes(half.read_bytes()[: half.stat().st_size // 2])
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    done = sweep(mine(0.1), *where, "seed=1,2,abc,4", "model=elu_he,bn_")
    assert done.returncode == 2
    assert done.stdout == "checking 8 jobs: seed=1,2,abc,4 model=elu_he,bn_\n"
    lines = done.stderr.splitlines()
    assert lines[0] == "error: 5 of 8 jobs cannot be run, so none was started"
    by_job = dict(line.strip().split(": ", 1) for line in lines[1:])
    assert len(lines) == 1 + len(by_job)
    assert by_job["model=bn_ (4 jobs)"].startswith("model has no option 'bn_'; did you mean bn")
    assert by_job["seed=abc model=elu_he"] == "seed must be an integer, got 'abc'"
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before

    done = sweep(mine(0.1), *where, "seed=1,2,4")
    assert done.returncode == 2
    lines = done.stderr.splitlines()
    assert lines[0] == "error: 2 of 3 jobs cannot be run, so none was started"
    assert (
        "holds a run with other settings (task.label_smoothing: 0.0, now 0.1). Set another name=, or ckpt_path="
        in lines[1]
    )
    assert lines[1].startswith("  seed=1: ") and lines[2].startswith("  seed=2: ")
    assert f"{half} is damaged (" in lines[2] and lines[2].endswith("; remove it, or set another name=")
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before

    half.unlink()
    assert sweep(mine(0.0), *where, "seed=1,2,3").returncode == 0
    assert {result["status"] for result in results(folder).values()} == {"completed"}


def test_mistakes_leave_nothing(tmp_path):
    done = sweep("optim.lr=-1,0", f"output_dir={tmp_path / 'out'}", "sweep.jobs=2")
    assert done.returncode == 2
    assert [line.strip() for line in done.stderr.splitlines()[1:]] == [
        f"optim.lr={lr}: lr must be positive and finite, got {lr}; set optim.lr" for lr in (-1, 0)
    ]
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_mistake_of_all_jobs_is_reported_once_and_two_jobs_in_a_folder_are_one(tmp_path):
    done = sweep("model=bn,selv", "optim.lrr=1e-3,1e-4", f"output_dir={tmp_path / 'out'}")
    assert [line.strip().partition(":")[0] for line in done.stderr.splitlines()[1:]] == [
        "model=bn (2 jobs)",
        "model=selv (2 jobs)",
    ]
    assert "there is no setting 'optim.lrr'; did you mean optim.lr" in done.stderr and "lr=1e" not in done.stderr
    done = sweep("seed=1,2", "optim.lr=-1", f"output_dir={tmp_path / 'out'}")
    assert done.stderr == "error: lr must be positive and finite, got -1; set optim.lr\n"
    done = sweep("callbacks.progress=null,{_target_: trainlab.callbacks.ProgressBar}", f"output_dir={tmp_path / 'out'}")
    assert done.returncode == 2
    assert "has the folder of job 1, " in done.stderr
    assert not (tmp_path / "out").exists()


PICKLE = "+hydra.callbacks.pickle={_target_: hydra.experimental.callbacks.PickleJobInfoCallback}"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("setting", "reason"),
    [
        (PICKLE, "hydra.callbacks are called for one job of a process"),
        ("hydra.job.chdir=true", "hydra.job.chdir holds for a whole process"),
    ],
)
def test_what_holds_for_a_process_is_of_one_job_and_results_lie_in_its_folder(setting, reason, tmp_path):
    where = os.path.relpath(tmp_path)
    done = sweep("seed=1,2", setting, "trainer.max_epochs=1", "name=study", f"output_dir={where}")
    assert done.returncode == 0, done.stderr
    assert f"2 solo: {reason}: seed=1, seed=2\n" in done.stdout
    for seed in (1, 2):
        found = (path.parent for path in tmp_path.glob("study/*/result.json"))
        (folder,) = (path for path in found if f"seed={seed}" in Result.read(path).overrides)
        result = Result.read(folder)
        assert f"run_dir: {folder}\n" in (folder / "config.yaml").read_text()
        assert {"metrics.csv", "train.log", "checkpoints"} <= {path.name for path in folder.iterdir()}
        if setting == PICKLE:
            returned = pickle.loads((folder / ".hydra" / "job_return.pickle").read_bytes())
            assert returned.return_value == result.metrics["val_loss"]
            assert f"seed={seed}" in returned.overrides


@pytest.mark.slow
@pytest.mark.parametrize("start", cases([os.path.relpath, lambda path: f"~/{path.name}"], os.path.relpath))
def test_paths_hold_in_jobs_that_change_the_working_directory(start, train, tmp_path):
    _, folder = train("trainer.max_epochs=1", name="first")
    where = (f"ckpt_path={start(folder)}/checkpoints/last.ckpt", "name=study", f"output_dir={tmp_path}")
    done = sweep("optim.weight_decay=0", "hydra.job.chdir=true", *where, HOME=str(tmp_path))
    assert done.returncode == 0, done.stderr
    (result,) = results(tmp_path / "study").values()
    (part,) = result["provenance"]["continued_from"]
    assert part["path"] == str(folder / "checkpoints" / "last.ckpt")


@pytest.mark.slow
def test_an_override_belongs_to_the_option_that_its_job_chose(tmp_path):
    where = ("optim.momentum=0.8", "trainer.max_epochs=1", "name=study", f"output_dir={tmp_path}")
    done = sweep("optim=sgd,rmsprop", *where)
    assert done.returncode == 0, done.stderr
    found = [yaml.safe_load(path.read_text())["optim"] for path in tmp_path.glob("study/*/config.yaml")]
    assert {(optim["_target_"], optim["momentum"]) for optim in found} == {
        ("torch.optim.SGD", 0.8),
        ("torch.optim.RMSprop", 0.8),
    }


NAMES = ("ours", "theirs")


def figures_by_seed(folder):
    """Results of the runs of a sweep by the override that gives their seed, whatever their folders' names."""
    found = {}
    for name, run in figures(folder).items():
        (seed,) = (override for override in Result.read(folder / name).overrides if override.startswith("seed="))
        found[seed] = run
    return found


@pytest.mark.slow
def test_another_launcher_leaves_the_same_runs_and_resumes_them(tmp_path):
    arguments = ("seed=1,2", "name=study", "sweep.population=off")  # a population sums in another order
    assert sweep(*arguments, f"output_dir={tmp_path / 'ours'}").returncode == 0
    theirs = sweep(*arguments, f"output_dir={tmp_path / 'theirs'}", "hydra/launcher=basic")
    assert theirs.returncode == 0, theirs.stderr
    by_seed = [figures_by_seed(tmp_path / who / "study") for who in NAMES]
    assert by_seed[0] == by_seed[1] and by_seed[0].keys() == {"seed=1", "seed=2"}
    assert {*figures(tmp_path / "ours" / "study")} == {"seed=1", "seed=2"}
    ours = sweep("seed=1,2,3", *arguments[1:], f"output_dir={tmp_path / 'theirs'}")
    assert ours.returncode == 0, ours.stderr
    assert ours.stdout.partition("\n")[2].startswith("3 jobs: 2 completed, 1 waiting at the start\n")
    assert "seed=3" in figures(tmp_path / "theirs" / "study")
    for who in NAMES:
        before = {*(tmp_path / who / "study").glob("*/")}
        again = sweep(*arguments, f"output_dir={tmp_path / who}", "hydra/launcher=basic", "hydra/sweeper=basic")
        assert again.stdout.count("already completed, not trained again") == 2
        assert {*(tmp_path / who / "study").glob("*/")} == before


@pytest.mark.slow
def test_runs_are_named_by_what_is_swept_and_found_when_something_else_is(tmp_path):
    where = ("trainer.max_epochs=1", "name=study", f"output_dir={tmp_path}")
    folder = tmp_path / "study"
    assert sweep("seed=1,2", "model=bn", "optim.weight_decay=0", *where).returncode == 0
    assert figures(folder).keys() == {"seed=1", "seed=2"}
    before = {path: path.read_bytes() for path in folder.glob("seed=*/result.json")}
    more = sweep("optim.weight_decay=0", "model=bn,selu", "seed=1", *where)
    assert more.stdout.partition("\n")[2].startswith("2 jobs: 1 completed, 1 waiting at the start\n"), more.stderr
    other = sweep("seed=1,2", "model=bn", "optim.weight_decay=1e-4", *where)
    assert other.returncode == 0, other.stderr
    third = {f"seed={seed},optim.weight_decay=1e-4" for seed in (1, 2)}
    assert figures(folder).keys() == {"seed=1", "seed=2", "model=selu", *third}
    search = sweep("hydra/sweeper=optuna", "seed=1,2", "model=bn", "optim.weight_decay=0", "sweep.trials=2", *where)
    assert search.returncode == 0, search.stderr
    assert {path: path.read_bytes() for path in before} == before
    assert len(figures(folder)) == 5
    search = ("hydra/sweeper=optuna", "optim.weight_decay=0,0.5", "model=bn", "seed=1", "sweep.trials=2")
    assert sweep(*search, "trainer.max_epochs=1", "name=search", f"output_dir={tmp_path}").returncode == 0
    assert figures(tmp_path / "search").keys() == {"optim.weight_decay=0", "optim.weight_decay=0.5"}
    swept = sweep("optim.weight_decay=0,0.5,1", *search[2:4], "trainer.max_epochs=1", "name=search", where[2])
    assert swept.stdout.partition("\n")[2].startswith("3 jobs: 2 completed, 1 waiting at the start\n"), swept.stderr
    plan = sweep("seed=1,2,3", "model=bn", "optim.weight_decay=0", *where, "sweep.dry_run=true")
    assert plan.stdout.startswith("3 jobs: 2 kept, 1 new\n")


@pytest.mark.slow
def test_values_of_any_kind_are_found_again(tmp_path):
    faults = "+callbacks.fault={_target_: faults.Fault, what: 'no thing'},{_target_: faults.Fault, what: 'no=thing'}"
    arguments = (faults, "optim=adam", "optim.betas=[0.9,0.99],[0.8, 0.99]", "optim.weight_decay=${optim.lr}")
    arguments += ("~callbacks.figures", "trainer.max_epochs=1", "name=study", f"output_dir={tmp_path}")
    first = sweep(*arguments)
    assert first.returncode == 0, first.stderr
    before = {*(tmp_path / "study").glob("*/")}
    again = sweep(*reversed(arguments))
    assert again.stdout.partition("\n")[2].startswith("4 jobs: 4 completed at the start\n"), again.stderr
    assert {*(tmp_path / "study").glob("*/")} == before


@pytest.mark.slow
def test_a_run_of_a_sweep_that_was_resumed_alone_is_still_found(train, tmp_path):
    arguments = ("seed=1,2", "model=bn", "optim.lr=1e-3", "name=study", f"output_dir={tmp_path}")
    assert sweep(*arguments).returncode == 0
    path = tmp_path / "study" / "seed=2" / "result.json"
    path.write_text(path.read_text().replace('"completed"', '"interrupted"'))
    result, _ = train("optim.lr=1e-3", "seed=2", "model=bn", name="study/seed=2")
    assert result.status == "completed"
    assert "data=shapes" in result.overrides, "as the sweep has them"
    again = sweep(*arguments, "sweep.dry_run=true")
    assert again.stdout.startswith("2 jobs: 2 kept\n"), again.stderr


@contextlib.contextmanager
def mounted(folder, options):
    """A file system in memory at ``folder``, for root."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    if os.getuid() != 0 or subprocess.run(command, capture_output=True).returncode != 0:
        pytest.skip("only root can mount, and only outside a container that forbids it")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.slow
def test_a_full_disk_fails_its_jobs_with_the_reason_and_the_sweep_can_be_resumed(tmp_path):
    """Room for one run, with two checkpoints of 600 kB each, and not for two."""
    arguments = ("seed=1,2", "name=study", "sweep.population=off")
    assert sweep(*arguments, f"output_dir={tmp_path / 'roomy'}").returncode == 0
    with mounted(tmp_path / "disk", "size=2m") as disk:
        full = sweep(*arguments, f"output_dir={disk}")
        assert full.returncode == 1
        statuses = {name: result["status"] for name, result in results(disk / "study").items()}
        assert statuses["seed=1"] == "completed"
        assert statuses["seed=2"] == "failed"
        assert "No space left on device; make room there, or set output_dir" in full.stdout
        assert "error: 2 jobs: 1 completed, 1 failed" in full.stderr
        subprocess.run(["mount", "-o", "remount,size=16m", str(disk)], check=True)
        assert sweep(*arguments, f"output_dir={disk}", "sweep.retry_failed=true").returncode == 0
        assert figures(disk / "study") == figures(tmp_path / "roomy" / "study")


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path):
    with mounted(tmp_path / "disk", "size=1m,ro") as disk:
        done = sweep("seed=1,2", f"output_dir={disk}")
    assert done.returncode == 1
    assert (
        f"{disk}/" in done.stderr and "Read-only file system; allow it there, or set another output_dir" in done.stderr
    )
    assert len(done.stderr.splitlines()) == 1
