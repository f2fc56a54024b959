"""Searches as users start them."""

import json
import os
import re
import signal
import statistics
import subprocess
import sys

import pytest
from optuna.study import load_study

from conftest import TINY, with_defaults
from sweeping import FAULT, eventually, figures, run_folders, start, sweep
from trainlab.config.overrides import folder_name
from trainlab.config.resolvers import PROJECT
from trainlab.runs.files import read_rows
from trainlab.runs.fingerprint import training_overrides
from trainlab.runs.optuna_storage import STUDY, open_journal

SEARCH = ("hydra/sweeper=optuna", "optim=sgd", "name=study")
SPACE = ("optim.lr=interval(1e-4,1e-1)", "model=elu_he,bn", "trainer.max_epochs=3")
PRUNED = (*SEARCH, *SPACE, "sweep.trials=14", "sweep.batch=7", "sweep.pruner=median", "sweep.sampler=random")


def summary(folder):
    return json.loads((folder / "study.json").read_text())


def without_times(folder):
    """Results of a search, without times."""
    return summary(folder), figures(folder)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("outputs")
    return folder / "study", sweep(*PRUNED, f"output_dir={folder}", FIGURES="blank")


@pytest.mark.slow
def test_a_batch_is_trained_as_populations(study):
    folder, done = study
    assert (done.returncode, done.stderr) == (0, "")
    plans = [line for line in done.stdout.splitlines() if line.startswith("plan: ")]
    assert plans == ["plan: 7 jobs in 2 populations"] * 2
    assert done.stdout.count("; they differ in optim.lr\n") == 4
    found = [json.loads(path.read_text()) for path in folder.glob("*/result.json")]
    assert len(found) == 14
    assert all(result["time"]["population"]["members"] > 1 for result in found)


@pytest.mark.slow
def test_runs_end_where_their_best_loss_is_above_the_median_of_the_batch_before(study):
    folder, _ = study
    trials = summary(folder)["trials"]
    curves = [[float(row["val/loss"]) for row in read_rows(folder / t["folder"] / "metrics.csv")] for t in trials]
    assert [trial["status"] for trial in trials[:7]] == ["completed"] * 7
    for trial, curve in zip(trials[7:], curves[7:], strict=True):
        above = [min(curve[: e + 1]) > statistics.median(c[e] for c in curves[:7]) for e in range(min(2, len(curve)))]
        pruned = any(above)
        assert trial["status"] == ("pruned" if pruned else "completed")
        assert len(curve) == (above.index(True) + 1 if pruned else 3)
    assert {trial["status"] for trial in trials[7:]} == {"pruned", "completed"}, "the test shows nothing"


@pytest.mark.slow
def test_the_best_trial_is_reported_with_the_command_that_repeats_it(study):
    folder, done = study
    best = min((t for t in summary(folder)["trials"] if t["status"] == "completed"), key=lambda t: t["val_loss"])
    lines = done.stdout.splitlines()[-3:]
    assert lines[0] == f"best: trial {best['number']}, validation loss {best['val_loss']:.4f}"
    assert lines[1] == f"  in {folder / best['folder']}"
    result = json.loads((folder / best["folder"] / "result.json").read_text())
    assert result["metrics"]["val_loss"] == best["val_loss"]
    assert lines[2].startswith("  again: python src/train.py ")
    shared = {*training_overrides(TINY), "optim=sgd", "trainer.max_epochs=3"} - {"trainer.max_epochs=2"}
    assert set(lines[2].split()[3:]) == shared | {f"{key}={value}" for key, value in best["params"].items()}


@pytest.mark.slow
def test_a_line_a_batch_says_how_far_it_is(study):
    _, done = study
    lines = [line for line in done.stdout.splitlines() if line.startswith("search: ")]
    assert len(lines) == 2
    assert re.fullmatch(r"search: 7 of 14 trials: 7 completed; best validation loss [\d.]+ \(trial \d: .*\)", lines[0])
    assert lines[1].startswith("search: 14 of 14 trials: ")


@pytest.mark.slow
def test_folders_and_fingerprints_know_nothing_of_the_study(study):
    folder, _ = study
    trials = summary(folder)["trials"]
    assert {path.name for path in run_folders(folder)} == {trial["folder"] for trial in trials}
    for trial in trials:
        result = json.loads((folder / trial["folder"] / "result.json").read_text())
        values = {f"{key}={value}" for key, value in trial["params"].items()}
        (about,) = (o for o in result["overrides"] if o.startswith("sweep.trial="))
        assert f"number:{trial['number']}," in about
        assert values < set(training_overrides(result["overrides"]))
        assert trial["folder"] == folder_name([o for o in result["overrides"] if o.split("=")[0] in trial["params"]])


@pytest.mark.slow
def test_the_report_has_the_search(study):
    folder, _ = study
    page = (folder / "report.html").read_text()
    assert "<h2>The search</h2>" in page
    for name in ("search_history", "search_importance", "search_slices"):
        assert f'<figure id="{name}">' in page
        assert (folder / "figures" / f"{name}.png").exists()


@pytest.mark.slow
def test_the_same_command_trains_nothing_and_more_trials_are_added(study):
    folder, _ = study
    before = without_times(folder)
    again = sweep(*PRUNED, f"output_dir={folder.parent}")
    assert (again.returncode, again.stderr) == (0, "")
    assert "plan:" not in again.stdout
    assert without_times(folder) == before
    more = [argument.replace("trials=14", "trials=16") for argument in PRUNED]
    assert sweep(*more, f"output_dir={folder.parent}").returncode == 0
    found, _ = without_times(folder)
    assert found["trials"][:14] == before[0]["trials"]
    assert len(found["trials"]) == 16


@pytest.mark.slow
def test_a_killed_search_resumes_to_the_bit(tmp_path):
    arguments = (*SEARCH, *SPACE[:1], FAULT, "sweep.trials=4", "sweep.batch=2", "sweep.pruner=median", "sweep.jobs=2")
    undisturbed = sweep(*arguments, f"output_dir={tmp_path / 'a'}")
    assert (undisturbed.returncode, undisturbed.stderr) == (0, "")

    process = start(*arguments, f"output_dir={tmp_path / 'b'}", FAULTS_SLEEP="0.05")
    second = tmp_path / "b" / "study"
    assert eventually(lambda: len(list(second.glob("*/metrics.csv"))) > 2)  # in the middle of the second batch
    process.send(signal.SIGKILL)
    assert process.finish().returncode == -signal.SIGKILL
    statuses = [result["status"] for result in results_of(second)]
    assert "running" in statuses, "it was through before it was killed; the test shows nothing"
    assert len(summary(second)["trials"]) == 2

    resumed = sweep(*arguments, f"output_dir={tmp_path / 'b'}")
    assert (resumed.returncode, resumed.stderr) == (0, "")
    assert without_times(second) == without_times(tmp_path / "a" / "study")
    assert "2/2" in resumed.stdout and resumed.stdout.count("search: ") == 1


def results_of(folder):
    return [json.loads(path.read_text()) for path in folder.glob("*/result.json")]


@pytest.mark.slow
def test_ctrl_c_keeps_what_it_has_and_nobody_else_gets_in_meanwhile(tmp_path):
    trials = ("sweep.trials=4", "sweep.batch=2", "trainer.max_epochs=8")
    arguments = (*SEARCH, *SPACE[:1], FAULT, *trials, f"output_dir={tmp_path}")
    process = start(*arguments, FAULTS_SLEEP="0.1")
    folder = tmp_path / "study"
    assert eventually(lambda: len(list(folder.glob("*/metrics.csv"))) == 1)
    refused = sweep(*arguments)
    assert refused.returncode == 2
    assert refused.stderr == f"error: another search is running in {folder}; wait for it, or set another name=\n"
    process.send(signal.SIGINT)
    stopped = process.finish()
    assert stopped.returncode == 130
    assert "the same command resumes from here" in stopped.stderr
    assert [trial["status"] for trial in summary(folder)["trials"]].count("running") >= 1
    assert sweep(*arguments).returncode == 0
    assert [trial["status"] for trial in summary(folder)["trials"]] == ["completed"] * 4


@pytest.mark.slow
def test_trials_that_diverge_are_part_of_a_search(tmp_path):
    done = sweep(*SEARCH, "optim.lr=0.01,1e30", "sweep.trials=9", f"output_dir={tmp_path}")
    assert (done.returncode, done.stderr) == (0, "")  # the space has no more than two
    found = {trial["params"]["optim.lr"]: trial["status"] for trial in summary(tmp_path / "study")["trials"]}
    assert found == {"0.01": "completed", "1e+30": "diverged"}
    assert (
        "search: 2 of 9 trials: 1 completed, 1 diverged; all combinations of the values have been tried" in done.stdout
    )


@pytest.mark.slow
def test_a_search_in_which_all_diverge_has_failed(tmp_path):
    done = sweep(*SEARCH, "optim.lr=1e29,1e30", "sweep.trials=2", f"output_dir={tmp_path}")
    assert done.returncode == 1
    assert done.stderr == ("error: no trial was completed; search over lower values of optim.lr\n")


@pytest.mark.slow
def test_trials_that_raise_are_reported_and_retried(tmp_path):
    arguments = (*SEARCH, FAULT, "+callbacks.fault.what=nothing,raise,kill", "sweep.trials=3", f"output_dir={tmp_path}")
    done = sweep(*arguments)
    assert done.returncode == 1
    assert done.stderr.startswith("error: 2 of 3 trials failed (trial ")
    assert "the cat pulled the plug" in done.stderr and "killed by signal 9" in done.stderr
    assert done.stderr.endswith("; the same command with sweep.retry_failed=true retries them\n")
    again = sweep(*arguments, "sweep.retry_failed=true", FAULTS="off")
    assert (again.returncode, again.stderr) == (0, "")
    assert sorted(result["status"] for result in results_of(tmp_path / "study")) == ["completed"] * 3
    assert [trial["status"] for trial in summary(tmp_path / "study")["trials"]] == ["completed"] * 3


@pytest.mark.slow
def test_on_failure_stop_ends_the_search_at_the_first(tmp_path):
    faults = (FAULT, "+callbacks.fault.what=raise,exit", "sweep.batch=1", "sweep.trials=2", "sweep.on_failure=stop")
    done = sweep(*SEARCH, *faults, f"output_dir={tmp_path}")
    assert done.returncode == 1
    assert done.stderr == "error: a failure stopped the search; the same command resumes from here\n"
    assert [trial["status"] for trial in summary(tmp_path / "study")["trials"]] == ["failed"]


def test_a_search_without_validation_is_refused_before_its_first_trial(tmp_path):
    done = sweep(*SEARCH, SPACE[0], "trainer.limit_val_batches=0", "sweep.trials=2", f"output_dir={tmp_path}")
    assert done.returncode == 2
    assert done.stderr == "error: a search needs validation for its val/loss; set trainer.limit_val_batches=1.0\n"
    assert not (tmp_path / "study" / "study.journal").exists()


def test_a_search_by_accuracy_keeps_the_highest_and_another_objective_is_another_search(tmp_path):
    arguments = (*SEARCH, SPACE[0], "sweep.trials=3", "trainer.max_epochs=1", f"output_dir={tmp_path}")
    done = sweep(*arguments, "sweep.objective=val/acc")
    assert (done.returncode, done.stderr) == (0, "")
    found = summary(tmp_path / "study")
    best = max(found["trials"], key=lambda trial: trial["val_acc"])
    assert f"best: trial {best['number']}, validation accuracy {best['val_acc']:.2%}".replace("%", " %") in done.stdout
    done = sweep(*arguments)
    assert "holds a search by val/acc; this one is by val/loss" in done.stderr


@pytest.mark.slow
@pytest.mark.ddp
def test_a_trial_of_two_processes_tells_its_losses_once(tmp_path):
    devices = ("trainer.devices=2", "sweep.trials=1", "sweep.pruner=median", f"output_dir={tmp_path}")
    done = sweep(*SEARCH, SPACE[0], *devices)
    assert (done.returncode, done.stderr) == (0, "")
    folder = tmp_path / "study"
    (trial,) = load_study(study_name=STUDY, storage=open_journal(folder / "study.journal")).trials
    (kept,) = summary(folder)["trials"]
    rows = read_rows(folder / kept["folder"] / "metrics.csv")
    assert trial.intermediate_values == {int(row["epoch"]) + 1: float(row["val/loss"]) for row in rows}
    assert len(rows) == 2


@pytest.mark.slow
def test_an_invalid_value_fails_only_its_trial(tmp_path):
    """The ends of a range are checked before anything starts; what lies between them, when it is drawn."""
    arguments = ("data.batch_size=range(16,31,7)", "model=bn", "sweep.trials=3", f"output_dir={tmp_path}")
    done = sweep(*SEARCH, *arguments)
    assert done.returncode == 1
    assert re.match(r"error: 1 of 3 trials failed \(trial \d: batch_size 23 leaves a last batch of one", done.stderr)
    found = {trial["params"]["data.batch_size"]: trial["status"] for trial in summary(tmp_path / "study")["trials"]}
    assert found == {16: "completed", 23: "failed", 30: "completed"}


MORE_MISTAKES = [
    (("model=bn",), "a search needs a key to search over, such as"),
]


@pytest.mark.parametrize(
    "arguments, message",
    [
        (
            ("optim.lr=interval(1e-2,1e-5)",),
            "an interval must go from a number to a higher one, got interval(0.01, 1e-05); set optim.lr",
        ),
        pytest.param(
            ("optim.lr=interval(0,1e-2)",),
            "lr must be positive and finite, got 0.0; set optim.lr",
            marks=pytest.mark.slow,
        ),
        pytest.param(("model=bn,selux",), "selux", marks=pytest.mark.slow),
        pytest.param(
            ("model=bn,selu", "sweep.trials=0"),
            "trials must be an integer of at least 1, got 0; set sweep.trials",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            ("model=bn,selu", "sweep.sampler=tpa"),
            "sampler must be tpe or random, got 'tpa'; set sweep.sampler",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            ("model=bn,selu", "sweep.pruner=x"),
            "pruner must be none, median or hyperband, got 'x'; set sweep.pruner",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            ("model=bn,selu", "sweep.batch=0"),
            "batch must be auto or an integer of at least 1, got 0; set sweep.batch",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            ("model=bn,selu", "sweep.seed=-1"),
            "seed must be an integer of at least 0, got -1; set sweep.seed",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            ("model=bn,selu", "sweep.pruner=hyperband", "trainer.max_epochs=-1"),
            "the pruner hyperband divides the epochs of a trial; set trainer.max_epochs to a limit",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            ("model=bn,selu", "hydra/launcher=basic"),
            "needs hydra/launcher=trainlab; leave out hydra/launcher=",
            marks=pytest.mark.slow,
        ),
        *(pytest.param(*case, marks=pytest.mark.slow) for case in MORE_MISTAKES),
    ],
)
def test_mistakes_are_reported_before_anything_starts(arguments, message, tmp_path):
    done = sweep(*SEARCH, *arguments, f"output_dir={tmp_path}")
    assert done.returncode in (1, 2)
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "study").exists()


def test_an_interval_without_a_search_says_what_is_missing(tmp_path):
    done = sweep("optim.lr=interval(1e-5,1e-2)", f"output_dir={tmp_path}")
    assert done.returncode == 2
    assert done.stderr == (
        "error: a sweep needs values, got the interval optim.lr=interval(1e-5,1e-2); set hydra/sweeper=optuna to "
        "search it, or give values\n"
    )


def run_with(folder, *arguments):
    """`train.py` with modules of ``folder`` in the place of installed ones."""
    environment = {k: v for k, v in os.environ.items() if k not in ("HYDRA_FULL_ERROR", "TRAINLAB_EXPLAINS")}
    command = [sys.executable, str(PROJECT / "src" / "train.py"), "-m", *with_defaults(TINY, *arguments)]
    environment["PYTHONPATH"] = str(folder)
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize(
    "module, reason",
    [
        ("raise ModuleNotFoundError(\"No module named 'optuna'\")", "needs Optuna (No module named 'optuna')"),
        pytest.param("__version__ = '4.6.0'", "needs Optuna 5, got 4.6.0", marks=pytest.mark.slow),
    ],
)
def test_without_optuna_the_error_names_the_command_that_installs_it(module, reason, tmp_path):
    (tmp_path / "optuna.py").write_text(module + "\n")
    done = run_with(tmp_path, *SEARCH, *SPACE, f"output_dir={tmp_path / 'outputs'}")
    assert done.returncode == 1
    assert done.stderr == f"error: hydra/sweeper=optuna {reason}; pip install 'trainlab[optuna]'\n"
    assert not (tmp_path / "outputs").exists()


@pytest.mark.slow
def test_everything_else_works_without_optuna(tmp_path):
    (tmp_path / "optuna.py").write_text("raise ModuleNotFoundError('optuna')\n")
    done = run_with(tmp_path, "seed=1,2", "trainer.max_epochs=1", f"output_dir={tmp_path / 'outputs'}")
    assert (done.returncode, done.stderr) == (0, "")


def test_hydra_finds_the_sweeper_without_importing_optuna_or_torch():
    code = "import hydra.core.plugins as p, sys; p.Plugins.instance(); print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": str(PROJECT / "src")}, capture_output=True, text=True
    )
    modules = done.stdout.split()
    assert "hydra_plugins.trainlab.optuna_sweeper" in modules
    assert not {"optuna", "torch"} & set(modules)
