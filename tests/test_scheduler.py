import math

import pytest
import torch

from trainlab.scheduler import constant, cosine, one_cycle, plateau

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
