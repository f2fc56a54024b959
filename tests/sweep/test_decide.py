"""Sweeps with `seed=auto`: seeds are added until all is decided, also by several commands; they resume as others do."""

import json
import re
import shutil
import signal

import pytest

from sweeping import FAULT, eventually, figures, results, run_folders, start, sweep
from trainlab.report.decisions import read_decisions

# A difference of 60 points matters: equivalent after five seeds. One of 0.001 points: undecided after any number.
STUDY = ("model=bn,selu", "seed=auto", "sweep.margin=60", "name=study")
OPEN = ("optim.lr=1e-3,1.1e-3", "seed=auto", "sweep.margin=0.001", "name=study", "trainer.max_epochs=1")


def without_margin(arguments):
    return [argument for argument in arguments if not argument.startswith("sweep.margin")]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    return folder / "study", sweep(*STUDY, f"output_dir={folder}", "sweep.jobs=2")


@pytest.mark.slow
def test_seeds_are_added_until_the_pair_is_decided(undisturbed):
    folder, done = undisturbed
    assert (done.returncode, done.stderr) == (0, "")
    names = {f"model={model},seed={seed}" for model in ("bn", "selu") for seed in range(1, 6)}
    assert {path.name for path in run_folders(folder)} == names
    (pair,) = read_decisions(folder).pairs
    assert (pair.is_equivalent, pair.decided_after, pair.ended) == (True, 5, [1, 2, 3, 4, 5])
    lines = done.stdout.splitlines()
    assert lines[1] == (
        "2 groups, 1 pair: seeds are added until all are decided, 30 at most; margin 60 points of validation accuracy"
    )
    assert "5 seeds: 1 of 1 pair decided" in lines
    assert pair.describe() in done.stdout
    assert "<h2>Decisions</h2>" in (folder / "report.html").read_text()


@pytest.mark.slow
def test_the_same_command_trains_nothing_and_another_margin_is_refused(undisturbed):
    folder, _ = undisturbed
    before = {path: path.stat().st_mtime_ns for path in folder.glob("*/result.json")}
    again = sweep(*STUDY, f"output_dir={folder.parent}")
    assert (again.returncode, again.stderr) == (0, "")
    refused = sweep(*without_margin(STUDY), "sweep.margin=50", f"output_dir={folder.parent}")
    assert refused.returncode == 2
    fixed = f"{folder} has the margin 60, fixed before the first seed, got 50"
    assert refused.stderr == f"error: {fixed}; set sweep.margin=60, or another name=\n"
    assert {path: path.stat().st_mtime_ns for path in folder.glob("*/result.json")} == before


@pytest.mark.slow
def test_runs_of_an_ordinary_sweep_are_from_before_the_margin_was_fixed(undisturbed, tmp_path):
    shutil.copytree(undisturbed[0], tmp_path / "study")
    (tmp_path / "study" / "decisions.json").unlink()
    refused = sweep(*STUDY, f"output_dir={tmp_path}")
    assert (refused.returncode, "from before the margin was fixed" in refused.stderr) == (2, True)


@pytest.mark.slow
def test_a_killed_sweep_goes_on_to_the_same_results(undisturbed, tmp_path):
    folder, _ = undisturbed
    first = start(*STUDY, f"output_dir={tmp_path}", "sweep.jobs=2")
    assert eventually(lambda: any(tmp_path.glob("study/*/result.json")) or first.poll() is not None)
    first.send(signal.SIGKILL)
    assert first.finish().returncode == -9
    assert "running" in {result["status"] for result in results(tmp_path / "study").values()}, "it came too late"
    assert len(json.loads((tmp_path / "study" / "decisions.json").read_text())["groups"]["bn"]["folders"]) == 5
    done = sweep(*STUDY, f"output_dir={tmp_path}", "sweep.jobs=2")
    assert done.returncode == 0, done.stderr
    assert figures(tmp_path / "study") == figures(folder)


@pytest.mark.slow
def test_an_open_pair_says_what_it_needs_and_more_seeds_just_go_on(tmp_path):
    done = sweep(*OPEN, "sweep.max_seeds=5", f"output_dir={tmp_path}")
    assert (done.returncode, done.stderr) == (0, "")
    assert "5 seeds: 0 of 1 pair decided" in done.stdout
    assert re.search(r"^  lr=\S+ .*: undecided after 5 seeds", done.stdout, re.M)
    assert "the same command with sweep.max_seeds=N adds seeds, up to N" in done.stdout
    before = figures(tmp_path / "study")
    more = sweep(*OPEN, "sweep.max_seeds=7", f"output_dir={tmp_path}")
    assert more.returncode == 0, more.stderr
    after = figures(tmp_path / "study")
    assert {name: after[name] for name in before} == before
    assert {name.rpartition("=")[2] for name in after.keys() - before.keys()} == {"6", "7"}
    (pair,) = read_decisions(tmp_path / "study").pairs
    assert len(pair.ended) == 7


@pytest.mark.slow
def test_where_every_seed_diverges_no_more_are_added(tmp_path):
    arguments = ("optim.lr=0.01,1e30", "seed=auto", "sweep.margin=1", "name=study", "trainer.max_epochs=1")
    done = sweep(*arguments, f"output_dir={tmp_path}")
    assert done.returncode == 1
    assert (
        done.stderr == "error: 10 jobs: 5 diverged; diverged runs are not retried; their messages say what to change\n"
    )
    assert len(results(tmp_path / "study")) == 10
    assert "no seed of 5 has completed in both (lr=1e30 lost 5 of 5 seeds, lr=0.01 none)" in done.stdout


@pytest.mark.slow
def test_a_failure_stops_it_if_it_is_to_and_failed_runs_are_retried(tmp_path):
    arguments = (FAULT, "+callbacks.fault.what=nothing,raise", "seed=auto", "sweep.margin=60", "name=study")
    done = sweep(*arguments, "sweep.on_failure=stop", "sweep.jobs=1", f"output_dir={tmp_path}")
    assert done.returncode == 1
    assert "a failure stopped the sweep; the same command resumes from here" in done.stderr
    again = sweep(*arguments, "sweep.retry_failed=true", f"output_dir={tmp_path}", FAULTS="off")
    assert (again.returncode, again.stderr) == (0, "")
    assert len(results(tmp_path / "study")) == 10  # without the fault both groups are the same
    assert "nothing is decided, as all 5 differences are equal" in again.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("more", "message"),
    [
        (
            ["hydra/sweeper=optuna", "optim.lr=interval(1e-4,1e-2)"],
            "a search tries settings with one seed, got seed=a",
        ),
        (["hydra/launcher=basic", "sweep.margin=1"], "seed=auto needs hydra/launcher=trainlab"),
        (["debug=fast", "sweep.margin=1"], "seed=auto compares results of trainings; leave out debug="),
        (["sweep.margin=1", "model.depth=0"], "depth must be"),
    ],
)
def test_what_cannot_be_compared_is_an_error_before_anything_is_trained(more, message, tmp_path):
    done = sweep("model=bn,selu", "seed=auto", *more, f"output_dir={tmp_path}/x", "name=y")
    assert done.returncode == 2
    assert done.stderr.startswith("error: ") and message in done.stderr and len(done.stderr.splitlines()) <= 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_dry_run_shows_the_first_batch_and_writes_nothing(tmp_path):
    done = sweep(*STUDY, "sweep.dry_run=true", f"output_dir={tmp_path}/x")
    assert (done.returncode, done.stderr) == (0, "")
    assert "10 jobs: 10 new" in done.stdout
    ordinary = ("seed=1,2", "sweep.margin=1", "sweep.dry_run=true", f"output_dir={tmp_path}/x")
    assert sweep(*ordinary).stderr == "warning: sweep.margin=1 would need seed=auto, and has no effect\n"
    assert list(tmp_path.iterdir()) == []
