"""What a training's length settings say is checked before it starts."""

import math
import re

import pytest

from conftest import first
from trainlab.config.build import build
from trainlab.training.length import count_steps, one_batch_notes

ONE_CYCLE = ("scheduler=one_cycle", "optim=sgd")


@pytest.mark.parametrize(
    ("overrides", "rule"),
    first(
        8,
        [
            (
                ["trainer.max_epochs=0"],
                "max_epochs must be at least 1, or -1 for no limit, got 0; set trainer.max_epochs",
            ),
            (["trainer.max_steps=0"], "max_steps must be at least 1, or -1 for no limit, got 0; set trainer.max_steps"),
            (
                ["trainer.max_epochs=-3"],
                "max_epochs must be at least 1, or -1 for no limit, got -3; set trainer.max_epochs",
            ),
            (
                ["trainer.max_steps=-5"],
                "max_steps must be at least 1, or -1 for no limit, got -5; set trainer.max_steps",
            ),
            (["trainer.limit_train_batches=0"], "limit_train_batches must be above 0, got 0; set trainer.limit_train_"),
            (["trainer.limit_train_batches=0.0"], "limit_train_batches must be above 0, got 0.0"),
            (["trainer.limit_train_batches=0.01"], "limit_train_batches=0.01 is less than one batch of an epoch"),
            (["trainer.limit_val_batches=0.01"], "limit_val_batches=0.01 is less than one batch of an epoch"),
            (["trainer.overfit_batches=0.01"], "overfit_batches=0.01 is less than one batch"),
            (["trainer.max_time=00:00:00:00"], "max_time must be above 0, got 00:00:00:00; set trainer.max_time"),
            (["trainer.max_time={minutes:0}"], "max_time must be above 0, got {'minutes': 0}"),
            ([*ONE_CYCLE, "scheduler.pct_start=1.5"], "pct_start must be in [0, 1], got 1.5; set scheduler.pct_start"),
            (["trainer.max_time=0"], "max_time must be DD:HH:MM:SS in quotes"),
            (
                ["trainer.max_epochs=null"],
                "max_epochs must be given, -1 for no limit, got null; set trainer.max_epochs",
            ),
            (["trainer.num_sanity_val_steps=-2"], "num_sanity_val_steps must be at least -1, got -2"),
            (["+trainer.log_every_n_steps=-1"], "log_every_n_steps must be at least 0, got -1"),
            (
                ["data.crop_padding=33"],
                "crop_padding must be at most the image size, 32, got 33; set data.crop_padding",
            ),
            (["trainer.min_epochs=5"], "min_epochs must be at most max_epochs, 2, got 5; set trainer.min_epochs or"),
            (["trainer.min_epochs=-1"], "min_epochs must be at least 0 or null, got -1"),
            (["+trainer.min_steps=5", "trainer.max_steps=4"], "min_steps must be at most max_steps, 4, got 5"),
            (["+trainer.check_val_every_n_epoch=0"], "check_val_every_n_epoch must be an integer of at least 1, got 0"),
            (
                ["+trainer.check_val_every_n_epoch=null"],
                "check_val_every_n_epoch must be an integer of at least 1, got None",
            ),
            (["+trainer.val_check_interval=0.25"], "validation is at the end of an epoch, got val_check_interval=0.25"),
            (["+trainer.val_check_interval=1"], "validation is at the end of an epoch, got val_check_interval=1;"),
            (["+trainer.val_check_interval=00:00:01:00"], "validation is at the end of an epoch"),
            (
                ["trainer.gradient_clip_val=inf"],
                "gradient_clip_val must be finite, got inf; set trainer.gradient_clip_val",
            ),
            (["optim.weight_decay=inf"], "weight_decay must be finite, got inf; set optim.weight_decay"),
            # 10 steps, of which the rate would rise in 1; and in all 10.
            (
                [*ONE_CYCLE, "trainer.max_steps=10", "scheduler.pct_start=0.1"],
                "pct_start must leave each phase of the cycle",
            ),
            (
                [*ONE_CYCLE, "trainer.max_steps=10", "scheduler.pct_start=1.0"],
                "got 1.0 of 10 steps; set scheduler.pct_start",
            ),
            ([*ONE_CYCLE, "trainer.max_steps=2"], "scheduler=one_cycle needs at least 3 steps, got 2"),
            ([*ONE_CYCLE, "scheduler.div_factor=0"], "div_factor must be above 0, got 0; set scheduler.div_factor"),
            ([*ONE_CYCLE, "scheduler.max_momentum=1.0"], "max_momentum must be in [0, 1), got 1.0"),
            (
                ["scheduler=cosine", "scheduler.warmup_steps=38"],
                "warmup_steps must be in [0, 38), the steps of the run, got 38",
            ),
            (["scheduler=cosine", "trainer.max_epochs=-1"], "scheduler=cosine needs a known number of steps"),
        ],
    ),
)
def test_an_invalid_length_is_refused_before_anything_is_built(overrides, rule, compose_config):
    with pytest.raises(ValueError, match=re.escape(rule)):
        build(compose_config(*overrides))


def test_steps_of_a_run():
    assert count_steps(19, 1, 2, -1) == 38
    assert count_steps(19, 4, 2, -1) == 2 * math.ceil(19 / 4)
    assert count_steps(19, 4, 2, 7) == 7
    assert count_steps(19, 4, 2, 100) == 10
    assert count_steps(19, 1, -1, 100) == 100
    assert count_steps(19, 1, -1, -1) == 0


@pytest.mark.parametrize(
    "overrides",
    first(
        2,
        [
            ["trainer.max_steps=25"],
            ["trainer.accumulate_grad_batches=4"],
            ["trainer.limit_train_batches=0.5"],
            ["trainer.overfit_batches=3"],
        ],
    ),
)
def test_a_schedule_is_checked_for_the_steps_that_it_then_has(overrides, train, monkeypatch):
    seen = []

    def schedule(optimizer, total_steps):
        seen.append(total_steps)

    monkeypatch.setattr("trainlab.training.schedules.constant", schedule)
    train(*overrides)
    assert len(seen) == 2
    assert seen[0] == seen[1] > 0


def test_one_batch_and_all_batches_are_distinguished():
    notes = one_batch_notes({"limit_train_batches": 1, "limit_val_batches": 1.0, "overfit_batches": 0.0})
    assert notes == ["trainer.limit_train_batches=1 is one batch; 1.0 is all of them"]
