import math
import re
from functools import partial

import numpy as np
import pytest
import torch
from torch.optim.lr_scheduler import ExponentialLR, ReduceLROnPlateau

from trainlab.config.build import build as build_parts
from trainlab.training.schedules import check_scheduler, constant, cosine, one_cycle, plateau, triangular

LR = 0.4


def sgd() -> torch.optim.SGD:
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=LR, momentum=0.9)


def trace(optimizer, config, steps, key="lr"):
    """The value that each of the optimizer's steps used."""
    values = []
    for _ in range(steps):
        values.append(optimizer.param_groups[0][key])
        optimizer.step()
        config["scheduler"].step()
    return values


def test_constant_is_no_scheduler():
    assert constant(sgd(), 10) is None


def test_one_cycle_rises_to_lr_and_falls_to_almost_nothing():
    optimizer = sgd()
    config = one_cycle(optimizer, 100, pct_start=0.3, div_factor=20, final_div_factor=50)
    lrs = trace(optimizer, config, 100)
    assert config["interval"] == "step"
    assert lrs[0] == pytest.approx(LR / 20)
    assert lrs[29] == pytest.approx(LR)
    assert max(lrs) == lrs[29]
    assert lrs[99] == pytest.approx(LR / 20 / 50)
    assert lrs[:30] == sorted(lrs[:30])
    assert lrs[29:] == sorted(lrs[29:], reverse=True)


def test_one_cycle_moves_momentum_the_other_way():
    optimizer = sgd()
    config = one_cycle(optimizer, 100, pct_start=0.3, base_momentum=0.8, max_momentum=0.9)
    momenta = trace(optimizer, config, 100, "momentum")
    assert [momenta[0], momenta[29], momenta[99]] == pytest.approx([0.9, 0.8, 0.9])


def test_one_cycle_moves_beta1_of_adam():
    optimizer = torch.optim.NAdam([torch.nn.Parameter(torch.zeros(1))], lr=LR, betas=(0.7, 0.99))
    config = one_cycle(optimizer, 100, pct_start=0.3)
    betas = trace(optimizer, config, 100, "betas")
    assert [betas[i][0] for i in (0, 29, 99)] == pytest.approx([0.95, 0.85, 0.95])
    assert {beta2 for _, beta2 in betas} == {0.99}


def test_one_cycle_can_leave_momentum_alone():
    optimizer = sgd()
    config = one_cycle(optimizer, 10, cycle_momentum=False)
    assert set(trace(optimizer, config, 10, "momentum")) == {0.9}


def test_one_cycle_is_half_a_cosine_or_a_line_on_each_side():
    for strategy, share in {"cos": (1 - math.cos(math.pi * 0.25)) / 2, "linear": 0.25}.items():
        optimizer = sgd()
        # The rise spans steps 0 to 40, so that step 10 is a quarter of it.
        config = one_cycle(optimizer, 82, pct_start=0.5, div_factor=4, anneal_strategy=strategy)
        assert trace(optimizer, config, 11)[10] == pytest.approx(LR / 4 + (LR - LR / 4) * share)


@pytest.mark.parametrize("warmup", [0, 1, 5])
def test_cosine_follows_its_formula(warmup):
    optimizer = sgd()
    config = cosine(optimizer, 25, warmup_steps=warmup, min_lr=0.1)
    lrs = trace(optimizer, config, 25)
    rise = [LR * (t + 1) / (warmup + 1) for t in range(warmup)]
    length = 25 - warmup
    fall = [0.1 + (LR - 0.1) * (1 + math.cos(math.pi * t / length)) / 2 for t in range(length)]
    assert config["interval"] == "step"
    assert lrs == pytest.approx(rise + fall)


def test_plateau_halves_when_patience_runs_out():
    optimizer = sgd()
    config = plateau(optimizer, 100, patience=2)
    lrs = []
    for loss in [1.0, 0.5, 0.6, 0.5, 0.7, 0.8]:  # best in the second epoch, then four without improvement
        config["scheduler"].step(loss)
        lrs.append(optimizer.param_groups[0]["lr"])
    assert lrs == [LR, LR, LR, LR, LR / 2, LR / 2]
    assert (config["interval"], config["monitor"]) == ("epoch", "val/loss")


def test_plateau_can_watch_an_accuracy():
    optimizer = sgd()
    config = plateau(optimizer, 100, monitor="val/acc", patience=0, factor=0.1)
    for accuracy in [0.5, 0.6, 0.55]:
        config["scheduler"].step(accuracy)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(LR / 10)


@pytest.mark.parametrize("steps", [-1, 2])
def test_one_cycle_needs_three_steps(steps):
    with pytest.raises(ValueError, match=rf"got {steps}; set trainer\.max_epochs or trainer\.max_steps"):
        one_cycle(sgd(), steps)


@pytest.mark.parametrize("steps", [-1, 0])
def test_cosine_needs_a_known_number_of_steps(steps):
    with pytest.raises(ValueError, match=rf"got {steps}; set trainer\.max_epochs or trainer\.max_steps"):
        cosine(sgd(), steps)


@pytest.mark.parametrize("warmup", [-1, 10])
def test_cosine_warms_up_for_less_than_the_run(warmup):
    with pytest.raises(ValueError, match=rf"\[0, 10\).* got {warmup}; set scheduler\.warmup_steps"):
        cosine(sgd(), 10, warmup_steps=warmup)


@pytest.mark.parametrize(
    ("settings", "rule"),
    [
        ({"patience": -1}, "patience must be at least 0, got -1"),
        ({"min_lr": math.inf}, "min_lr must be at least 0, got inf"),
        ({"threshold": -1e-4}, "threshold must be at least 0"),
        ({"cooldown": -1}, "cooldown must be at least 0"),
        ({"factor": 1.0}, r"factor must be in \(0, 1\), got 1.0; set scheduler\.factor"),
        ({"monitor": "val/acc", "mode": "min"}, "mode must be max for monitor=val/acc"),
    ],
)
def test_settings_of_plateau_out_of_range_are_refused(settings, rule):
    with pytest.raises(ValueError, match=rule):
        plateau(sgd(), 100, **settings)


def exponential(optimizer, total_steps, **entries):
    return {"scheduler": ExponentialLR(optimizer, 0.5), "interval": "epoch", **entries}


def by_metric(optimizer, total_steps, mode="min", **entries):
    return {"scheduler": ReduceLROnPlateau(optimizer, mode), "interval": "epoch", "monitor": "val/loss", **entries}


IS_A_FUNCTION = "scheduler must be a function (optimizer, total_steps) that returns "


@pytest.mark.parametrize(
    ("build", "rule"),
    [
        (partial(exponential, interval="steps"), "interval of scheduler must be 'step' or 'epoch', got 'steps'"),
        (partial(exponential, frequency=2), "frequency of scheduler must be 1, got 2"),
        (partial(exponential, strict=True), "may have scheduler, interval, monitor, frequency, got 'strict'"),
        (partial(exponential, monitor="val/loss"), "ExponentialLR watches no metric, got monitor='val/loss'"),
        (partial(by_metric, monitor=None), "monitor must be one of val/loss, val/acc, got None"),
        (partial(by_metric, monitor="loss"), "monitor must be one of val/loss, val/acc, got 'loss'"),
        (partial(by_metric, mode="max"), "mode must be min for monitor=val/loss, got 'max'"),
        (partial(by_metric, interval="step"), "interval must be 'epoch' for ReduceLROnPlateau, got 'step'"),
        (partial(ExponentialLR), f'{IS_A_FUNCTION}{{"scheduler": ..., "interval": "step" or "epoch"}} or None, got'),
        (lambda optimizer: None, IS_A_FUNCTION),
        (lambda optimizer, steps: ExponentialLR(optimizer, 0.5), IS_A_FUNCTION),
        (lambda optimizer, steps: {"interval": "step"}, IS_A_FUNCTION),
    ],
)
def test_what_would_be_ignored_of_a_schedule_of_ones_own_is_refused(build, rule):
    with pytest.raises(ValueError, match=re.escape(rule)):
        check_scheduler(build, sgd(), 10)


@pytest.mark.parametrize("build", [exponential, partial(exponential, frequency=1, interval="step"), by_metric, plateau])
def test_schedules_of_ones_own_that_work(build):
    check_scheduler(build, sgd(), 10)


def test_1cycle_names_the_setting_for_an_optimizer_without_momentum():
    optimizer = torch.optim.Adagrad([torch.nn.Parameter(torch.zeros(1))])
    with pytest.raises(ValueError, match=r"got Adagrad; set scheduler\.cycle_momentum=false"):
        one_cycle(optimizer, 10)
    one_cycle(optimizer, 10, cycle_momentum=False)


def test_a_scheduler_class_of_torch_is_refused_before_the_run(compose_config):
    with pytest.raises(ValueError, match=r"scheduler must be a function .*ExponentialLR; set scheduler\._target_"):
        build_parts(compose_config("scheduler._target_=torch.optim.lr_scheduler.ExponentialLR"))


@pytest.mark.parametrize(("steps", "pct_start"), [(426, 0.23), (10, 0.0), (7, 1.0)])
def test_triangular_is_two_lines(steps, pct_start):
    optimizer = sgd()
    config = triangular(optimizer, steps, start_factor=0.2, pct_start=pct_start, end_factor=0.07)
    corners = [0, int(pct_start * steps), steps], [0.2, 1, 0.07]
    if pct_start == 0:
        corners = [0, steps], [1, 0.07]
    expected = [LR * np.interp(step, *corners) for step in range(steps)]
    assert trace(optimizer, config, steps) == pytest.approx(expected)
    assert config["interval"] == "step"


def test_triangular_needs_a_known_number_of_steps():
    with pytest.raises(ValueError, match=r"needs a known number of steps, at least 1, got 0; set trainer.max_epochs"):
        triangular(sgd(), 0)
    with pytest.raises(ValueError, match=r"^pct_start must be in \[0, 1\], got 1.5; set scheduler.pct_start$"):
        triangular(sgd(), 10, pct_start=1.5)
