"""Runs that only try whether everything works: recorded as such, and counted nowhere."""

import pytest
from lightning.pytorch.callbacks import Callback

from conftest import first
from recording import LOGGER, recorded
from sweeping import results, sweep
from trainlab.report.findings import analyze, best_run
from trainlab.report.runs import find_runs
from trainlab.runs.result import Result

DEBUG = {
    "fast": ["debug=fast", "data.val_size=40"],
    "overfit": ["debug=overfit", "trainer.max_epochs=2"],
    "profile": ["debug=profile"],
    "fast_dev_run": ["+trainer.fast_dev_run=true"],
    "batches": ["+trainer.fast_dev_run=3"],
    "overfit_batches": ["trainer.overfit_batches=4"],
}


class CountEpochs(Callback):
    def __init__(self):
        self.epochs = 0

    def on_train_epoch_start(self, trainer, pl_module):
        self.epochs += 1


@pytest.mark.parametrize("settings", first(1, DEBUG.values()), ids=DEBUG)
def test_a_debug_run_has_a_status_of_its_own_and_no_figures_and_is_run_again(settings, train):
    result, folder = train(*settings, LOGGER)
    assert (result.status, Result.read(folder)) == ("debug", result)
    assert result.metrics.keys() == {"epochs", "stop_reason"}
    fast = any("fast_dev_run" in setting for setting in settings)
    assert (folder / "checkpoints").exists() != fast
    assert (folder / "metrics.csv").exists() != fast
    assert (folder / "recorded").exists() != fast
    if not fast:
        assert recorded(folder / "recorded")[-1] == ["finalize", "success"]
    count = CountEpochs()
    again, _ = train(*settings, LOGGER, callbacks=(count,))
    assert again.status == "debug"
    assert count.epochs == result.metrics["epochs"] > 0


@pytest.mark.slow
def test_a_run_and_a_debug_run_do_not_share_a_folder(train):
    result, folder = train("debug=fast", name="x")
    message = (
        rf"^{folder} holds a debug run and cannot be that of another run; set another name=, or remove the folder$"
    )
    for settings in ([], ["ckpt_path=last"], ["trainer.max_epochs=1"]):
        with pytest.raises(ValueError, match=message):
            train(*settings, name="x")
    Result("interrupted", result.fingerprint, []).write(folder)
    with pytest.raises(ValueError, match=message):
        train("ckpt_path=last", name="x")
    done, other = train("trainer.max_epochs=1", name="y")
    with pytest.raises(ValueError, match=rf"^{other} holds another run and cannot be that of a debug run; set another"):
        train("debug=fast", "ckpt_path=last", name="y")
    assert Result.read(other) == done


def test_reports_count_debug_runs_nowhere(leave, tmp_path):
    leave("a", [1.0], [0.5], seed=1)
    leave("b", [0.1], [0.9], seed=2, status="debug")
    runs = find_runs([tmp_path])
    findings = analyze([tmp_path], runs)
    (group,) = findings.groups
    assert [run.folder.name for run in [*group.runs.values(), *group.others]] == ["a"]
    assert "1 of 2 runs is a debug run and is left out of means and tests." in findings.warnings
    assert not any("did not complete" in warning for warning in findings.warnings)
    assert best_run(runs).folder.name == "a"


@pytest.mark.slow
def test_debug_runs_of_a_sweep_are_no_failures_and_are_run_again(tmp_path):
    arguments = ["debug=fast", "trainer.max_epochs=1", "seed=1,2", f"output_dir={tmp_path}", "name=sweep"]
    for _ in range(2):
        done = sweep(*arguments)
        assert done.returncode == 0, done.stderr
        assert sum(line.endswith(" debug") for line in done.stdout.splitlines() if line[:2] in ("1/", "2/")) == 2
    assert [result["status"] for result in results(tmp_path / "sweep").values()] == ["debug", "debug"]


def test_a_search_over_debug_runs_is_refused(tmp_path):
    search = ["hydra/sweeper=optuna", "optim.lr=interval(1e-4,1e-2)", f"output_dir={tmp_path}", "name=search"]
    done = sweep(*search, "debug=fast")
    assert done.returncode == 1
    assert done.stderr.startswith("error: a search cannot use debug runs, which have no results; leave out debug=")
    assert not (tmp_path / "search").exists()
