"""Lightning neither starts from files that it finds, nor queues jobs again, nor warns of a machine that has SLURM."""

import shutil
import signal
import warnings

import pytest
from lightning.pytorch.callbacks import Callback, OnExceptionCheckpoint

from sweeping import figures, sweep
from trainlab.config.build import build
from trainlab.runs.checkpoints import load_checkpoint

IN_A_JOB_OF_SLURM = {
    **{"SLURM_NTASKS": "1", "SLURM_JOB_ID": "1", "SLURM_JOB_NAME": "x", "SLURM_NODELIST": "localhost"},
    **{"SLURM_LOCALID": "0", "SLURM_PROCID": "0"},
}


class NoteHandler(Callback):
    """What SIGUSR1 does during the training."""

    def on_train_epoch_start(self, trainer, pl_module):
        self.handler = signal.getsignal(signal.SIGUSR1)


@pytest.fixture
def slurm(monkeypatch):
    for name, value in IN_A_JOB_OF_SLURM.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def plant(train, tmp_path):
    """Leave the checkpoint of a run with another seed, as Lightning would name it, in folders."""
    _, folder = train("seed=7", "trainer.max_epochs=1", name="other")

    def planted(*folders):
        for place in folders:
            place.mkdir(parents=True, exist_ok=True)
            shutil.copy(folder / "checkpoints" / "last.ckpt", place / "hpc_ckpt_1.ckpt")

    return planted


def test_a_checkpoint_of_slurm_is_neither_read_nor_written(train, plant, tmp_path, monkeypatch, request):
    undisturbed, _ = train(name="undisturbed")
    request.getfixturevalue("slurm")
    monkeypatch.chdir(tmp_path)
    plant(tmp_path, tmp_path / "run")
    note = NoteHandler()
    result, _ = train("+trainer.default_root_dir=" + str(tmp_path), callbacks=(note,))
    assert result.metrics == undisturbed.metrics
    assert note.handler is signal.SIG_DFL


def test_jobs_of_a_sweep_start_from_no_checkpoint_of_slurm(plant, tmp_path):
    plant(tmp_path)
    planted = [f"+trainer.default_root_dir={tmp_path}"]
    arguments = [f"output_dir={tmp_path / 'outputs'}", "seed=1,2", "trainer.max_epochs=1"]
    done = sweep(*arguments, *planted, "name=slurm", **IN_A_JOB_OF_SLURM)
    assert done.returncode == 0, done.stderr
    done = sweep(*arguments, *planted, "name=elsewhere")
    assert done.returncode == 0, done.stderr
    slurm, elsewhere = (figures(tmp_path / "outputs" / name) for name in ("slurm", "elsewhere"))
    assert len(slurm) == 2
    assert slurm == elsewhere


def test_a_checkpoint_of_a_run_that_failed_is_not_the_start_of_another(train, tmp_path):
    undisturbed, _ = train(name="undisturbed", callbacks=(OnExceptionCheckpoint(str(tmp_path / "failures")),))
    _, other = train("seed=7", "trainer.max_epochs=1", name="other")
    (tmp_path / "failures").mkdir(exist_ok=True)
    shutil.copy(other / "checkpoints" / "last.ckpt", tmp_path / "failures" / "on_exception.ckpt")
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        result, _ = train(callbacks=(OnExceptionCheckpoint(str(tmp_path / "failures")),))
    assert result.metrics == undisturbed.metrics


def test_a_machine_that_has_srun_is_no_reason_to_warn(compose_config, train, tmp_path, monkeypatch):
    srun = tmp_path / "bin" / "srun"
    srun.parent.mkdir()
    srun.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(srun.parent))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        build(compose_config())
        result, folder = train("trainer.max_epochs=1")
    assert result.status == "completed"
    assert load_checkpoint(folder / "checkpoints" / "last.ckpt")["epoch"] == 0
