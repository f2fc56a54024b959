"""Members that resume from checkpoints: at different epochs, after a solo start, or as a solo run."""

import shutil
from dataclasses import replace
from functools import partial

import pytest
import torch
from members import STEPS, alone, assert_same_run, config, together

from trainlab.data.shapes import Shapes
from trainlab.population.runner import Population
from trainlab.run import run
from trainlab.runs.checkpoints import batches_begun, load_checkpoint
from trainlab.runs.result import Result
from trainlab.training.module import TaskModule

CASES = {
    "nadam": ["optim=nadam", "optim.lr=1e-3"],
    "bn, one cycle": ["model=bn", "optim=sgd", "optim.lr=5e-3", "scheduler=one_cycle"],
    "dropout, plateau": [
        *("model=alpha_dropout", "optim=adam", "optim.lr=1e-3", "data.flip=true"),
        *("scheduler=plateau", "scheduler.patience=0", "scheduler.threshold=0.5"),
    ],
}
SEEDS = (1, 1, 2)


def resumed(*names):
    """Runs of these cases; each kind of state is resumed in several ways."""
    return pytest.mark.parametrize("works", names, indirect=True)


def cut_short(works, epochs):
    """Train together; each member fails at the start of its own epoch of ``epochs``."""

    class Cut:
        def __init__(self, steps, epoch):
            self.steps, self.epoch = steps, epoch

        def train_epoch(self, module):
            if module.current_epoch == self.epoch:
                raise RuntimeError("power cut")
            self.steps.train_epoch(module)

    def work(cfg, epoch, context):
        return run(cfg, replace(context, epoch_steps=Cut(context.epoch_steps, epoch)))

    pairs = zip(works.items(), epochs, strict=True)
    results = Population([partial(work, config(f, *o), epoch) for (f, o), epoch in pairs]).run()
    assert [str(result) for result in results] == ["power cut"] * len(epochs)
    assert [Result.read(folder).metrics["epochs"] for folder in works] == list(epochs)


@pytest.fixture
def works(request, tmp_path):
    """Overrides of three runs by folder."""
    common = CASES[request.param]
    return {tmp_path / str(i): [*common, f"seed={s}", f"task.label_smoothing=0.{i}"] for i, s in enumerate(SEEDS)}


def assert_same_as_undisturbed(works):
    for folder, overrides in works.items():
        whole = folder.with_name(f"{folder.name}_alone")
        assert not isinstance(alone(whole, *overrides), BaseException)
        assert_same_run(folder, whole)


@pytest.mark.slow
@resumed("bn, one cycle", "dropout, plateau")
def test_members_at_different_epochs_resume_together(works):
    cut_short(works, (1, 2, 3))
    for result in together(works):
        assert not isinstance(result, BaseException)
    assert_same_as_undisturbed(works)


@pytest.mark.slow
def test_members_at_different_epochs_have_their_own_steps_left_to_max_steps(tmp_path):
    limit = f"trainer.max_steps={2 * STEPS + 7}"
    works = {tmp_path / str(i): [*CASES["nadam"], limit, f"seed={i}"] for i in (1, 2)}
    cut_short(works, (1, 2))
    assert [result.metrics["stop_reason"] for result in together(works)] == ["max_steps"] * 2
    assert_same_as_undisturbed(works)


@resumed("dropout, plateau", pytest.param("nadam", marks=pytest.mark.slow))
def test_a_member_resumes_solo(works):
    works = dict([*works.items()][1:])
    cut_short(works, (1, 2))
    for folder, overrides in works.items():
        assert not isinstance(alone(folder, *overrides), BaseException)
    assert_same_as_undisturbed(works)


@pytest.mark.slow
@resumed("nadam", "bn, one cycle")
def test_solo_runs_resume_together(works, monkeypatch):
    start = TaskModule.on_train_epoch_start
    for (folder, overrides), epoch in zip(works.items(), (1, 3, 2), strict=True):

        def cut(self, epoch=epoch):
            if self.current_epoch == epoch:
                raise RuntimeError("power cut")
            start(self)

        with monkeypatch.context() as patch:
            patch.setattr(TaskModule, "on_train_epoch_start", cut)
            assert str(alone(folder, *overrides)) == "power cut"
    for result in together(works):
        assert not isinstance(result, BaseException)
    assert_same_as_undisturbed(works)


def test_members_do_not_continue_on_other_images(tmp_path, monkeypatch):
    works = {tmp_path / str(i): ["optim=nadam", f"seed={i}"] for i in (1, 2)}
    cut_short(works, (1, 1))
    files = [path for path in tmp_path.rglob("*") if path.name == "result.json" or path.suffix in (".csv", ".ckpt")]
    before = [path.read_bytes() for path in files]
    draw = Shapes._draw

    def inverted(self, part, count):
        images, labels = draw(self, part, count)
        return 255 - images, labels

    monkeypatch.setattr(Shapes, "_draw", inverted)
    for folder, error in zip(works, together(works), strict=True):
        assert str(error).startswith(f"the images have changed since {folder / 'checkpoints' / 'last.ckpt'} was saved")
    assert [path.read_bytes() for path in files] == before


@pytest.mark.slow
def test_a_member_that_was_killed_has_its_time_and_its_population(tmp_path, monkeypatch):
    works = {tmp_path / str(i): ["optim=nadam", f"seed={i}", "trainer.max_epochs=2"] for i in (1, 2)}
    start, killed = TaskModule.on_train_epoch_start, tmp_path / "killed"

    def copy_folder(self):
        folder = self.trainer.checkpoint_callback.best_path.parents[1]
        if self.current_epoch == 1 and folder.name == "1":
            shutil.copytree(folder, killed)
        start(self)

    monkeypatch.setattr(TaskModule, "on_train_epoch_start", copy_folder)
    together(works)
    epoch_s = load_checkpoint(killed / "checkpoints" / "last.ckpt")["callbacks"]["EpochLog"]["epoch_s"]
    result = alone(killed, *works[tmp_path / "1"])
    assert result.time["total_s"] > sum(epoch_s) > 0
    assert result.time["population"]["members"] == 2
    assert result.time["population"]["wall_s"] >= result.time["total_s"]


@pytest.mark.slow
def test_a_finished_run_takes_more_epochs_as_a_member(tmp_path):
    works = {tmp_path / str(i): ["optim=nadam", "optim.lr=1e-3", f"seed={i}"] for i in (1, 2)}
    together({folder: [*overrides, "trainer.max_epochs=2"] for folder, overrides in works.items()})
    together({folder: [*overrides, "ckpt_path=last"] for folder, overrides in works.items()})
    for folder, overrides in works.items():
        alone(tmp_path / f"{folder.name}_alone", *overrides)
        assert_same_run(folder, tmp_path / f"{folder.name}_alone")


@pytest.mark.slow
def test_an_error_of_one_members_own_leaves_the_others_what_they_would_be(tmp_path):
    works = {tmp_path / str(i): ["optim=nadam", f"seed={i}", "trainer.max_epochs=2"] for i in range(3)}
    (tmp_path / "1" / "metrics.csv" / "in the way").mkdir(parents=True)
    results = together(works)
    assert isinstance(results[1], IsADirectoryError)
    assert Result.read(tmp_path / "1").status == "failed"
    for i in (0, 2):
        alone(tmp_path / f"{i}_alone", *works[tmp_path / str(i)])
        assert_same_run(tmp_path / str(i), tmp_path / f"{i}_alone")


@pytest.mark.slow
def test_members_keep_the_number_of_threads(tmp_path, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS")
    works = {tmp_path / str(i): [*CASES["nadam"], f"seed={i}"] for i in (1, 2)}
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        cut_short(works, (1, 1))
        torch.set_num_threads(1)
        works[tmp_path / "new"] = [*CASES["nadam"], "seed=3"]
        together(works)
        assert [Result.read(folder).num_threads for folder in works] == [2, 2, 2]
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


@pytest.mark.slow
@resumed("dropout, plateau", "bn, one cycle")
def test_members_that_were_saved_inside_an_epoch_resume_together(works):
    """As where the end of their process is announced, and the epoch does not fit into what is left of it."""
    steps = []

    def announce(members):
        steps.append(members)
        if len(steps) == STEPS + 11:
            population._end_in_time(0.0)

    population = Population([partial(run, config(f, *o)) for f, o in works.items()], before_step=announce)
    assert all(isinstance(outcome, KeyboardInterrupt) for outcome in population.run())
    for folder in works:
        saved = load_checkpoint(folder / "checkpoints" / "last.ckpt")
        assert (saved["epoch"], batches_begun(saved), Result.read(folder).status) == (1, 10, "interrupted")
    for result in together(works):
        assert not isinstance(result, BaseException)
    assert_same_as_undisturbed(works)
