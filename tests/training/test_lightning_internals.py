"""What is relied on of Lightning's private state, against the Lightning that is installed: one test for each touch."""

import shutil
import signal
import warnings
from functools import partial

import lightning
import pytest
import torch
from lightning.fabric.utilities.distributed import DistributedSamplerWrapper
from lightning.pytorch.callbacks import Callback, DeviceStatsMonitor, OnExceptionCheckpoint
from lightning.pytorch.loggers import CSVLogger
from torch.utils.data import DataLoader, DistributedSampler, Sampler

from sweeping import figures, sweep
from trainlab.config.build import build
from trainlab.runs.checkpoints import load_checkpoint
from trainlab.training.lightning_internals import (
    FastHookNames,
    WatchedLauncher,
    batches_trained,
    continue_epoch,
    count_epoch,
    count_step,
    detects_anomalies,
    lacks_psutil,
    logged_in_epoch,
    make_trainer,
    on_death,
    reopen_epoch,
    replace_callbacks,
    seed_batches,
    set_up_batches,
    step_plateau_schedules,
    validate_after,
)

BATCHES = 5  # an epoch

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


@pytest.mark.slow
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


class Plain(lightning.LightningModule):
    """A module of nobody's, with manual optimization, that notes what Lightning does with it."""

    def __init__(self):
        super().__init__()
        self.automatic_optimization = False
        self.network = torch.nn.Linear(1, 1)
        self.batches, self.validated_at = [], []

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)

    def train_dataloader(self):
        return DataLoader(torch.ones(BATCHES, 1))

    def val_dataloader(self):
        return DataLoader(torch.ones(1, 1))

    def training_step(self, batch, batch_idx):
        self.batches.append(batch_idx)
        self.make_steps(batch, batch_idx)

    def make_steps(self, batch, batch_idx):
        self.manual_backward(self.network(batch).sum())
        self.optimizers().step()

    def on_validation_start(self):
        self.validated_at.append(self.trainer.global_step)

    def validation_step(self, batch, batch_idx):
        pass


def trainer_of(*callbacks, **settings):
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "num_sanity_val_steps": 0}
    quiet |= {"enable_model_summary": False, "accelerator": "cpu", "devices": 1, "max_epochs": 2}
    return make_trainer(partial(lightning.Trainer, callbacks=list(callbacks), **quiet | settings))


def fit(module, *callbacks, ckpt_path=None, **settings):
    trainer = trainer_of(*callbacks, **settings)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*num_workers.*")
        warnings.filterwarnings("ignore", message=".*`isinstance.treespec")
        trainer.fit(module, ckpt_path=ckpt_path)
    return trainer


def test_global_step_counts_the_progress_of_manual_optimization():
    class Counted(Plain):
        def make_steps(self, batch, batch_idx):
            count_step(self.trainer)

    stepped, counted = Plain(), Counted()
    ours, theirs = fit(counted), fit(stepped)
    assert ours.global_step == theirs.global_step == 2 * BATCHES
    assert ours.fit_loop.state_dict() == theirs.fit_loop.state_dict()


def test_an_epoch_that_is_counted_at_once_leaves_the_counts_of_one_that_was_made_step_by_step():
    class AtOnce(Plain):
        def on_train_batch_start(self, batch, batch_idx):
            count_epoch(self.trainer, BATCHES, True)

        def make_steps(self, batch, batch_idx):
            pass

    module, stepped = AtOnce(), Plain()
    ours, theirs = fit(module), fit(stepped)
    assert (module.batches, stepped.batches) == ([0, 0], [*range(BATCHES)] * 2)
    assert module.validated_at == stepped.validated_at == [BATCHES, 2 * BATCHES]
    assert ours.global_step == 2 * BATCHES
    assert ours.fit_loop.state_dict() == theirs.fit_loop.state_dict()


def test_an_epoch_that_max_steps_ends_is_counted_at_once_as_step_by_step():
    class AtOnce(Plain):
        def on_train_batch_start(self, batch, batch_idx):
            steps = min(BATCHES, self.trainer.max_steps - self.trainer.global_step)
            count_epoch(self.trainer, steps, steps == BATCHES)

        def make_steps(self, batch, batch_idx):
            pass

    limits = {"max_steps": BATCHES + 2}
    ours, theirs = fit(AtOnce(), **limits), fit(Plain(), **limits)
    assert ours.global_step == theirs.global_step == BATCHES + 2
    assert ours.fit_loop.state_dict() == theirs.fit_loop.state_dict()


def test_an_epoch_that_max_steps_ended_is_reopened_and_continued(tmp_path):
    class Loader:
        start = 0

        def __len__(self):
            return BATCHES

        def __iter__(self):
            start, self.start = self.start, 0
            yield from torch.ones(BATCHES - start, 1)

    class Continued(Plain):
        begun = 0

        def train_dataloader(self):
            self.loader = Loader()
            return self.loader

        def on_train_epoch_end(self):
            if self.trainer.global_step == 3:
                self.trainer.save_checkpoint(tmp_path / "inside.ckpt", weights_only=False)

        def on_load_checkpoint(self, checkpoint):
            reopen_epoch(checkpoint["loops"]["fit_loop"])
            self.begun = 3

        def on_train_epoch_start(self):
            if self.begun:
                self.loader.start, self.begun = self.begun, 0
                continue_epoch(self.trainer)

    fit(first := Continued(), max_steps=3)
    assert first.batches == [0, 1, 2]
    trainer = fit(second := Continued(), ckpt_path=tmp_path / "inside.ckpt", max_steps=-1)
    assert second.batches == [3, 4, *range(BATCHES)]
    assert (trainer.current_epoch, trainer.global_step) == (2, 2 * BATCHES)


def test_a_run_with_max_steps_ends_an_epoch_once():
    class Ends(Plain):
        ends = 0

        def on_train_epoch_end(self):
            self.ends += 1

    fit(module := Ends(), max_steps=BATCHES)
    assert module.ends == 1


def test_validation_comes_after_the_batch_that_it_is_set_to():
    class Validated(Plain):
        def on_train_epoch_start(self):
            validate_after(self.trainer, 3)

    fit(module := Validated(), max_epochs=1)
    assert module.validated_at == [3]


def test_batches_are_counted_when_the_optimizer_is_made():
    class Scheduled(Plain):
        def configure_optimizers(self):
            set_up_batches(self.trainer)
            self.counted = self.trainer.num_training_batches
            return super().configure_optimizers()

    fit(module := Scheduled())
    assert module.counted == BATCHES


def test_callbacks_are_those_that_replace_others():
    class Noted(Callback):
        seen = 0

        def on_train_start(self, trainer, pl_module):
            self.seen += 1

    before, after = Noted(), Noted()
    trainer = trainer_of(before, max_epochs=1)
    replace_callbacks(trainer, [after])
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*num_workers.*")
        warnings.filterwarnings("ignore", message=".*`isinstance.treespec")
        trainer.fit(Plain())
    assert (before.seen, after.seen) == (0, 1)


def test_the_hook_that_lightning_is_in_is_noted_past_torch(monkeypatch):
    class Fast(FastHookNames, Plain):
        pass

    by_torch, assign = [], torch.nn.Module.__setattr__

    def noted(self, name, value):
        by_torch.append(name)
        assign(self, name, value)

    monkeypatch.setattr(torch.nn.Module, "__setattr__", noted)
    fit(Plain(), max_epochs=1)
    assert by_torch.count("_current_fx_name") > 2 * BATCHES  # else the mixin gains nothing any more
    by_torch.clear()
    fit(Fast(), max_epochs=1)
    assert "_current_fx_name" not in by_torch


@pytest.mark.parametrize("setting", [True, False])
def test_whether_anomalies_are_detected_follows_from_the_setting(setting):
    assert detects_anomalies(trainer_of(detect_anomaly=setting)) is setting


def test_statistics_of_the_cpu_need_psutil(monkeypatch, tmp_path):
    monkeypatch.setattr("trainlab.training.lightning_internals._PSUTIL_AVAILABLE", False)
    wanted = [
        lacks_psutil(DeviceStatsMonitor(cpu_stats=s), on_cpu=c) for s in (None, True, False) for c in (True, False)
    ]
    assert wanted == [True, False, True, True, False, False]
    with pytest.raises(ModuleNotFoundError, match="psutil"):  # Lightning says it when the training has begun
        monkeypatch.setattr("lightning.pytorch.accelerators.cpu._PSUTIL_AVAILABLE", False)
        fit(Plain(), DeviceStatsMonitor(cpu_stats=True), logger=CSVLogger(str(tmp_path)), log_every_n_steps=1)


def test_processes_of_other_devices_are_started_by_a_launcher_that_watches_them():
    trainer = trainer_of(devices=2, strategy="ddp")
    launcher, seen = trainer.strategy.launcher, []
    assert type(launcher) is WatchedLauncher
    on_death(trainer, seen.append)

    class Dead:
        def poll(self):
            return -9

    launcher.procs = [Dead()]  # Lightning fills it when it starts them; `test_ddp.py` has real ones die
    launcher._call_children_scripts = lambda: None
    with pytest.raises(ChildProcessError, match="process 2 of 2 was killed by signal 9"):
        launcher.launch(lost_connection)


def lost_connection():
    raise RuntimeError("[gloo] Connection closed by peer")


class Shuffled(lightning.LightningModule):
    """Notes the points that it gets and the states of its schedule; its loader shuffles by torch's global generator."""

    def __init__(self, workers=0):
        super().__init__()
        self.network, self.seen, self.workers = torch.nn.Linear(1, 1), [], workers

    def train_dataloader(self):
        return DataLoader(torch.arange(8.0)[:, None], 4, shuffle=True, num_workers=self.workers)

    def val_dataloader(self):
        return DataLoader(torch.ones(2, 1))

    def training_step(self, batch, batch_idx):
        self.seen.append(batch[:, 0].tolist())
        self.log("of_training", 1.0, on_epoch=True)
        return self.network(batch).sum()

    def validation_step(self, batch, batch_idx):
        self.log("of_validation", 2.0)

    def configure_optimizers(self):
        optimizer = torch.optim.SGD(self.parameters(), lr=0.01)
        watch = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": watch, "monitor": "of_validation"}}


class SaveAtTheEnd(Callback):
    def on_train_epoch_end(self, trainer, pl_module):
        trainer.save_checkpoint(f"{trainer.default_root_dir}/{trainer.current_epoch}.ckpt")


def fit_shuffled(folder, seeds, epochs, ckpt_path=None):
    trainer, module, places = trainer_of(SaveAtTheEnd(), max_epochs=epochs, default_root_dir=folder), Shuffled(), []

    def seed(place, epoch):
        places.append((place, epoch))
        torch.manual_seed(epoch)

    if seeds:
        seed_batches(trainer, seed, 0)
    torch.manual_seed(7 + epochs)  # what has been drawn before differs between processes
    trainer.fit(module, ckpt_path=ckpt_path)
    return module.seen, places


@pytest.mark.parametrize("seeds", [True, False])
def test_loaders_are_seeded_just_before_they_draw_also_in_the_first_epoch_of_a_process(seeds, tmp_path):
    whole, places = fit_shuffled(tmp_path, seeds, 3)
    resumed, _ = fit_shuffled(tmp_path, seeds, 4, tmp_path / "0.ckpt")
    assert (resumed[:4] == whole[2:]) is seeds
    expected = [(place, epoch) for epoch in range(3) for place in ("train", "validation")]
    assert places == (expected if seeds else [])


class Own(Sampler):
    """The order of a user's, drawn from a generator of its own or from the global one."""

    def __init__(self, generator):
        self.generator = generator

    def __len__(self):
        return 8

    def __iter__(self):
        return iter(torch.randperm(8, generator=self.generator).tolist())


SAMPLERS = {
    "of torch": lambda **part: DistributedSampler(range(8), **part),
    "own": lambda **part: DistributedSamplerWrapper(Own(None), **part),
    "own with a generator": lambda **part: DistributedSamplerWrapper(Own(torch.Generator()), **part),
}


@pytest.mark.parametrize("kind", SAMPLERS)
def test_processes_divide_one_order_which_depends_on_the_seed_and_the_epoch(kind):
    def epochs(rank, order):
        loader = DataLoader(torch.arange(8.0)[:, None], 4, sampler=SAMPLERS[kind](num_replicas=2, rank=rank))
        loader.sampler.shuffle = kind == "of torch"
        trainer, module = trainer_of(max_epochs=2), Shuffled()
        module.train_dataloader = lambda: loader
        seed_batches(trainer, lambda place, epoch: torch.manual_seed(rank), order)
        torch.manual_seed(rank)
        trainer.fit(module)
        return module.seen

    (first, second), (others, more) = epochs(0, 1), epochs(1, 1)
    assert sorted(first + others) == sorted(second + more) == [*range(8)]
    assert first != second and epochs(0, 2) != [first, second]
    assert epochs(0, 1) == [first, second]


class StepSchedules(Callback):
    def setup(self, trainer, pl_module, stage):
        self.step, self.seen = step_plateau_schedules(trainer), []

    def on_train_epoch_end(self, trainer, pl_module):
        before = trainer.lr_scheduler_configs[0].scheduler.last_epoch
        self.step()
        self.seen.append((before, trainer.lr_scheduler_configs[0].scheduler.last_epoch))


def test_a_schedule_that_watches_a_metric_is_stepped_once_an_epoch_and_before_the_checkpoint():
    steps = StepSchedules()
    trainer_of(steps, max_epochs=3).fit(Shuffled())
    assert steps.seen == [(0, 1), (1, 2), (2, 3)]


class Logged(Callback):
    def __init__(self):
        self.seen = []

    def on_train_batch_end(self, trainer, *_):
        self.seen.append(batches_trained(trainer))

    def on_validation_end(self, trainer, pl_module):
        self.seen.append(set(logged_in_epoch(trainer)))

    def on_train_epoch_end(self, trainer, pl_module):
        self.seen.append(({name for name in logged_in_epoch(trainer) if "step" not in name}, batches_trained(trainer)))


def test_metrics_of_training_and_validation_are_kept_apart_and_batches_counted():
    logged = Logged()
    trainer_of(logged, max_epochs=1).fit(Shuffled())
    first, last, validated, trained = logged.seen
    assert (first, last) == ((1, False), (2, True))
    assert validated == {"of_validation"}
    assert trained == ({"of_training", "of_training_epoch"}, (2, True))
