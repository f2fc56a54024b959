import math
import re
import signal
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from rich.console import Console
from torch import nn
from torch.optim import SGD

from conftest import STEPS
from trainlab.callbacks import BestAndLast, EarlyStopping, ProgressBar, StopOnInterrupt
from trainlab.callbacks.figures import confusion_matrix, image_grid
from trainlab.training.module import TaskModule
from trainlab.training.schedules import constant
from trainlab.training.step_report import VARIABLE, read_position


class Trainer:
    """What the callbacks see of Lightning's trainer."""

    should_stop = False
    training = True
    is_global_zero = True
    num_training_batches = 4
    max_epochs, max_steps, accumulate_grad_batches = 3, -1, 1

    def __init__(self):
        self.current_epoch = 0
        self.saved, self.fast_dev_run = [], False
        self.strategy = SimpleNamespace(reduce_boolean_decision=lambda decision, all: decision)

    def save_checkpoint(self, path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(str(self.current_epoch))
        self.saved.append((self.current_epoch, path.name))


def follow(keeper, values, monitor="val/loss"):
    """Epochs at which the best checkpoint was written, for these values of the metric."""
    trainer, module = Trainer(), TaskModule(nn.Linear(1, 1), SGD, constant)
    trainer.lightning_module = module
    for epoch, value in enumerate(values):
        trainer.current_epoch = epoch
        module.val_metrics = {monitor: value}
        keeper.on_train_epoch_end(trainer, module)
        assert keeper.last_path.read_text() == str(epoch)
    return [epoch for epoch, name in trainer.saved if name == "best.ckpt"]


@pytest.mark.parametrize(
    ("mode", "values", "best_at"),
    [
        ("min", [3.0, 1.0, 2.0, 0.5], [0, 1, 3]),
        ("max", [3.0, 1.0, 2.0, 3.5], [0, 3]),
        ("min", [1.0, 1.0, 1.0], [0]),
        ("max", [1.0, 1.0, 1.0], [0]),
        ("min", [math.nan, 2.0, math.nan, 1.0], [1, 3]),
        ("max", [math.inf, 2.0, math.nan, 3.0], [1, 3]),
        ("min", [-math.inf, math.nan], []),
    ],
)
def test_the_best_is_the_first_of_the_best_finite_values(mode, values, best_at, tmp_path):
    monitor = {"min": "val/loss", "max": "val/acc"}[mode]
    keeper = BestAndLast(str(tmp_path), monitor)
    assert follow(keeper, values, monitor) == best_at
    if best_at:
        assert keeper.best == {"epoch": best_at[-1], monitor: values[best_at[-1]]}
    else:
        assert keeper.best == {}


def test_without_the_metric_there_is_no_best(tmp_path):
    assert follow(BestAndLast(str(tmp_path)), [1.0, 0.5], "val/acc") == []


def test_the_best_so_far_is_taken_over_with_its_checkpoint_only(tmp_path):
    keeper = BestAndLast(str(tmp_path / "run"))
    follow(keeper, [1.0])
    resumed = BestAndLast(str(tmp_path / "run"))
    resumed.load_state_dict(keeper.state_dict())
    assert follow(resumed, [2.0, 0.5]) == [1]
    elsewhere = BestAndLast(str(tmp_path / "other"))
    elsewhere.load_state_dict(keeper.state_dict())
    assert follow(elsewhere, [2.0]) == [0]


@pytest.mark.parametrize(
    ("make", "rule"),
    [
        (
            lambda: BestAndLast("", mode="most"),
            "mode must be min, max or null, got 'most'; set callbacks.check",
        ),
        (
            lambda: BestAndLast("", "val/acc", "min"),
            "mode must be max for monitor=val/acc, got 'min'; set callbacks.checkpoint.mode=null or another",
        ),
        (lambda: BestAndLast("", "loss"), "mode must be given for monitor='loss', min or max, got null; set callbacks"),
        (lambda: EarlyStopping("val/acc", mode="min"), "mode must be max for monitor=val/acc"),
        (lambda: EarlyStopping("val/loss", patience=-1), "patience must be at least 0, got -1; set callbacks.early"),
        (lambda: EarlyStopping("val/loss", min_delta=-0.1), "min_delta must be at least 0, got -0.1"),
        (lambda: EarlyStopping("val/loss", min_delta=math.nan), "min_delta must be at least 0, got"),
        (lambda: ProgressBar(0), "refresh_rate must be at least 1, got 0; set callbacks.progress.refresh_rate"),
    ],
)
def test_settings_out_of_range_are_refused(make, rule):
    with pytest.raises(ValueError, match=re.escape(rule)):
        make()


@pytest.fixture
def handled():
    """Ctrl-C with a handler of the test's own, put back afterwards."""
    seen = []

    def handler(number, frame):
        seen.append(number)

    previous = signal.signal(signal.SIGINT, handler)
    yield seen, handler
    signal.signal(signal.SIGINT, previous)


def test_the_first_ctrl_c_stops_after_the_epoch_and_the_second_goes_through(handled, capsys):
    seen, handler = handled
    interrupt, trainer = StopOnInterrupt(), Trainer()
    interrupt.on_fit_start(trainer, None)
    interrupt.on_train_epoch_end(trainer, None)
    assert not trainer.should_stop

    signal.raise_signal(signal.SIGINT)
    assert (interrupt.interrupted, seen, trainer.should_stop) == (True, [], False)
    assert "Ctrl-C again" in capsys.readouterr().err
    interrupt.on_train_epoch_end(trainer, None)
    assert trainer.should_stop

    signal.raise_signal(signal.SIGINT)
    assert seen == [signal.SIGINT]
    interrupt.give_back()
    assert signal.getsignal(signal.SIGINT) is handler


def test_another_process_s_interrupt_stops_this_one(handled):
    interrupt, trainer = StopOnInterrupt(), Trainer()
    trainer.strategy.reduce_boolean_decision = lambda decision, all: True
    interrupt.on_train_epoch_end(trainer, None)
    assert interrupt.interrupted
    assert trainer.should_stop


def test_ctrl_c_is_given_back(handled):
    interrupt, trainer = StopOnInterrupt(), Trainer()
    interrupt.give_back()
    assert signal.getsignal(signal.SIGINT) is handled[1]
    interrupt.on_fit_start(trainer, None)
    assert signal.getsignal(signal.SIGINT) is not handled[1]
    interrupt.give_back()
    assert signal.getsignal(signal.SIGINT) is handled[1]


def show_bar(callback):
    trainer = Trainer()
    callback.on_train_epoch_start(trainer, None)
    for i in range(4):
        callback.on_train_batch_end(trainer, None, torch.tensor(0.25 * i), None, i)
    callback.on_validation_start(trainer, None)
    callback.on_train_epoch_end(trainer, None)


def test_the_bar_is_silent_without_a_terminal(capsys):
    show_bar(ProgressBar(refresh_rate=1))
    assert capsys.readouterr() == ("", "")


def test_the_bar_moves_on_a_terminal(capsys, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setattr("trainlab.console.console", Console(stderr=True))
    show_bar(ProgressBar(refresh_rate=1))
    out, err = capsys.readouterr()
    assert "epoch 1 of 3" in err
    assert "4/4" in err
    assert re.search(r"loss 0.75, \d+ s left", err)
    assert out == ""


def test_the_time_left_is_without_the_first_step_which_warms_up(monkeypatch):
    monkeypatch.setattr("trainlab.callbacks.progress.on_terminal", lambda: True)
    seconds, shown = iter([100.0, 101.0, 102.0, 103.0]), []
    monkeypatch.setattr("trainlab.callbacks.progress.time", SimpleNamespace(monotonic=lambda: next(seconds)))
    bar = SimpleNamespace(steps=0, update=lambda steps, detail: shown.append(detail()), close=lambda: None)
    monkeypatch.setattr("trainlab.callbacks.progress.Bar", lambda *_, **__: bar)
    show_bar(ProgressBar())
    assert shown == ["loss 0", "loss 0.25, 10 s left", "loss 0.5, 9 s left", "loss 0.75, 8 s left", "validating"]


def test_steps_are_reported_to_a_sweep_without_a_progress_bar(train, tmp_path, monkeypatch):
    report = tmp_path / "report"
    monkeypatch.setenv(VARIABLE, str(report))
    train("callbacks.progress=null")
    position = read_position(report)
    assert (position.epoch, position.batch, position.batches) == (1, STEPS, STEPS)


def test_a_confusion_matrix_of_many_classes_has_no_numbers(monkeypatch):
    drawn = []
    monkeypatch.setattr("PIL.ImageDraw.ImageDraw.text", lambda self, xy, text, *_, **__: drawn.append(text))
    for count, numbers in ((10, 10), (100, 0)):
        drawn.clear()
        confusion_matrix(torch.eye(count), [chr(192 + i) for i in range(count)])
        assert (drawn.count("100"), drawn.count("0")) == (numbers, 9 * numbers)


def test_a_grid_shows_images_pixel_by_pixel_in_rows_of_four():
    images = torch.arange(5 * 8 * 8, dtype=torch.uint8).view(5, 1, 8, 8)
    grid = image_grid(images, list("abcde"), [True] * 4 + [False])
    assert grid.size == (4 * (96 + 20), 2 * (96 + 34))
    pixels = np.asarray(grid)
    assert (pixels[130:226:12, 10:106:12, 0] == images[4, 0].numpy()).all()
    assert ((pixels[96:130] == 0).all(-1).any(), (pixels[226:] == (220, 20, 60)).all(-1).any()) == (True, True)  # text
