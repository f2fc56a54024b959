"""Trainings with each optimizer of torch.optim, and with a user's own, against a plain loop with torch's."""

import inspect
from typing import ClassVar

import pytest
import torch
from test_module import DOUBLE, assert_same_weights, last_weights, plain_loop
from torch.optim import Optimizer

from conftest import cases, first
from faults import PressCtrlC
from same_runs import assert_same_run
from trainlab.config.build import build
from trainlab.runs.checkpoints import load_checkpoint
from trainlab.runs.errors import Interrupted
from trainlab.training.muon import Muon

# Their options, and what differs from torch's defaults there. Rates at which all weights move.
CASES = {
    "Adadelta": (["optim.weight_decay=0.01"], {"weight_decay": 0.01}),
    "Adafactor": ([], {}),
    "Adagrad": (["optim.lr_decay=0.01"], {"lr_decay": 0.01}),
    "Adam": (["optim.lr=2e-3", "optim.amsgrad=true"], {"lr": 2e-3, "amsgrad": True}),
    "Adamax": ([], {}),
    "AdamW": (["optim.lr=2e-3"], {"lr": 2e-3}),
    "ASGD": (["optim.t0=5", "optim.lambd=0.1"], {"t0": 5, "lambd": 0.1}),
    # A line search compares losses, so that a last bit can lead elsewhere; steps of a given length depend smoothly.
    "LBFGS": (["optim.line_search_fn=null", "optim.max_iter=3", "optim.lr=0.1"], {"max_iter": 3, "lr": 0.1}),
    "NAdam": (["optim.lr=2e-3"], {"lr": 2e-3}),
    "RAdam": (["optim.weight_decay=0.1"], {"weight_decay": 0.1}),
    "RMSprop": (["optim.lr=1e-3", "optim.momentum=0.5"], {"lr": 1e-3, "momentum": 0.5}),
    "Rprop": (["optim.lr=1e-4"], {"lr": 1e-4}),
    "SGD": (["optim.nesterov=true"], {"lr": 1e-2, "momentum": 0.9, "nesterov": True}),
}
NOT_FOR_ALL_NETWORKS = {"Muon", "SparseAdam"}  # matrices, sparse gradients
OF_SGD = ("~optim.momentum", "~optim.dampening", "~optim.nesterov", "~optim.weight_decay")


# `test_flat_parameters` has a fast test of each elementwise one.
@pytest.mark.parametrize("name", cases(CASES, "Adafactor"))
def test_a_training_equals_a_plain_loop_with_torchs_own(name, train):
    overrides, settings = CASES[name]
    weights, _ = plain_loop((getattr(torch.optim, name), settings), torch.float64)
    _, folder = train(f"optim={name.lower()}", *overrides, "trainer.precision=64-true")
    assert_same_weights(last_weights(folder), weights, DOUBLE)


def test_every_optimizer_of_torch_is_in_these_tests():
    found = {name for name, kind in inspect.getmembers(torch.optim, inspect.isclass) if issubclass(kind, Optimizer)}
    assert found - {"Optimizer"} == {*CASES, *NOT_FOR_ALL_NETWORKS}


class Lion(Optimizer):
    """By the signs of an average (Chen and others, 2023); none of torch's, with no more than an optimizer must have."""

    def __init__(self, params, lr=1e-4, beta=0.9):
        super().__init__(params, {"lr": lr, "beta": beta})

    @torch.no_grad()
    def step(self, closure=None):
        loss = closure() if closure else None
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    average = self.state[p].setdefault("average", torch.zeros_like(p))
                    p.sub_(group["lr"] * average.lerp_(p.grad, 1 - group["beta"]).sign() * p.norm())
        return loss


def decaying_matrices(params, lr=1e-3):
    """A function that looks at the shapes of the parameters."""
    matrices, others = [p for p in params if p.ndim > 1], [p for p in params if p.ndim < 2]
    groups = [{"params": matrices, "weight_decay": 0.5}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW([group for group in groups if group["params"]], lr=lr)


def with_rate_by_size(params, lr=1e-3):
    """One group of an optimizer of torch's, whose rate a vector of all parameters would change."""
    return torch.optim.SGD(params, lr=lr / max(p.ndim for p in params) ** 3)


class SharpnessAware(torch.optim.SGD):
    """With the gradient at weights where the loss is larger (Foret and others, 2021): two evaluations a step."""

    @torch.no_grad()
    def step(self, closure):
        loss, (group,) = torch.enable_grad()(closure)(), self.param_groups
        moves = [0.1 * p.grad for p in group["params"]]
        torch._foreach_add_(group["params"], moves)
        torch.enable_grad()(closure)()
        torch._foreach_sub_(group["params"], moves)
        super().step()
        return loss


@pytest.mark.parametrize("kind", first(1, [Lion, decaying_matrices, with_rate_by_size, SharpnessAware]))
def test_a_training_equals_a_plain_loop_with_an_optimizer_of_the_users_own(kind, train):
    target = f"optim._target_={__name__}.{kind.__name__}"
    weights, _ = plain_loop((lambda p, **settings: kind(list(p), **settings), {"lr": 1e-2}), torch.float64)
    _, folder = train("optim=sgd", target, "optim.lr=1e-2", *OF_SGD, "trainer.precision=64-true")
    assert_same_weights(last_weights(folder), weights, DOUBLE)


def muon_and_adamw(params, lr):
    """Two optimizers of torch's, stepped and scheduled together."""
    params = list(params)
    muon = torch.optim.Muon([p for p in params if p.ndim == 2], lr=lr, adjust_lr_fn="match_rms_adamw")
    adamw = torch.optim.AdamW([p for p in params if p.ndim != 2], lr=lr / 2, weight_decay=0.1)

    class Both(Optimizer):
        def step(self, closure=None):
            muon.step()
            adamw.step()

    return Both(params, {"lr": lr})


def test_muon_trains_matrices_and_adamw_the_rest(train):
    weights, _ = plain_loop((muon_and_adamw, {"lr": 2e-3}), torch.float64)
    rates = ["optim.lr=2e-3", "optim.adamw_lr_multiplier=0.5"]
    _, folder = train("optim=muon", *rates, "trainer.precision=64-true")
    assert_same_weights(last_weights(folder), weights, DOUBLE)


def test_muon_has_a_group_of_each_kind_for_each_group_given():
    matrix, head, bias = (torch.nn.Parameter(torch.ones(*shape)) for shape in ((2, 3), (3, 2), (3,)))
    given = [{"params": [matrix, bias]}, {"params": [head], "muon": False, "lr": 0.02, "lr_multiplier": 2.0}]
    optimizer = Muon(given, lr=0.01, adamw_lr_multiplier=0.1)
    found = [(g["params"], g["muon"], g["lr"], g["lr_multiplier"]) for g in optimizer.param_groups[1:]]
    assert optimizer.param_groups[0]["params"] == [matrix]
    assert [(p, muon) for p, muon, *_ in found] == [([bias], False), ([head], False)]
    assert [numbers for _, _, *numbers in found] == [pytest.approx([0.001, 0.1]), pytest.approx([0.002, 0.2])]
    with pytest.raises(ValueError, match="needs a parameter of two dimensions, got none; choose another optim"):
        Muon([bias])
    with pytest.raises(ValueError, match="adamw_lr_multiplier must be positive, got 0"):
        Muon([matrix], adamw_lr_multiplier=0)


RESUMED = {
    "muon": ["optim=muon", "scheduler=one_cycle", "optim.groups=[{pattern:output.*,muon:false,lr_multiplier:0.5}]"],
    "lbfgs": ["optim=lbfgs", "optim.max_iter=3", "optim.history_size=4"],
    "adafactor": ["optim=adafactor", "scheduler=cosine"],
    "own": ["optim=sgd", f"optim._target_={__name__}.Lion", "optim.lr=1e-3", *OF_SGD],
    "groups": ["optim=adamw", "optim.groups=[{max_ndim:1,weight_decay:0.0,lr_multiplier:0.5}]", "scheduler=cosine"],
}


@pytest.mark.parametrize("case", cases(RESUMED, "muon"))
def test_a_run_resumes_to_the_bit(case, train):
    _, whole = train(*RESUMED[case], "trainer.max_epochs=3", name="whole")
    with pytest.raises(Interrupted):
        train(*RESUMED[case], "trainer.max_epochs=3", name="cut", callbacks=(PressCtrlC(1),))
    _, resumed = train(*RESUMED[case], "trainer.max_epochs=3", name="cut")
    assert_same_run(resumed, whole)


def test_schedules_move_both_rates_of_muon_and_both_momenta(train):
    _, folder = train("optim=muon", "optim.adamw_lr_multiplier=0.1", "scheduler=one_cycle", "trainer.max_epochs=2")
    muon, adamw = load_checkpoint(folder / "checkpoints" / "last.ckpt")["optimizer_states"][0]["param_groups"]
    assert muon["lr"] == pytest.approx(10 * adamw["lr"], rel=1e-9)
    assert muon["lr"] < 1e-5, "the end of the cycle"
    assert muon["betas"][0] == adamw["betas"][0] == pytest.approx(0.95, rel=1e-3)


REFUSED = {
    "SparseAdam": "SparseAdam needs sparse gradients, .* are dense; set optim=adam",
    "Muon": r"Muon only supports 2D parameters .*; choose optim=muon, which trains the others by AdamW",
}


@pytest.mark.parametrize("name", REFUSED)
def test_an_optimizer_that_cannot_train_the_network_is_refused(name, compose_config):
    with pytest.raises(ValueError, match=f"^{REFUSED[name]}$"):
        build(compose_config("optim=sgd", f"optim._target_=torch.optim.{name}", *OF_SGD))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("trainer.accumulate_grad_batches=2", "each time on one batch, got 2; set trainer.accumulate_grad_batches=1"),
        ("trainer.devices=2", "each process on other images, got 2 processes; set trainer.devices=1"),
        (
            "optim.groups=[{max_ndim:1,lr_multiplier:2}]",
            "LBFGS doesn't support per-parameter options .*; leave out optim.groups$",
        ),
    ],
)
def test_what_lbfgs_cannot_do_is_refused(settings, message, compose_config):
    with pytest.raises(ValueError, match=message):
        build(compose_config("optim=lbfgs", settings))


class Evaluations(torch.optim.LBFGS):
    """Counts them."""

    counted: ClassVar[list[int]] = []

    def step(self, closure):
        result = super().step(closure)
        self.counted.append(self.state[self._params[0]]["func_evals"])
        return result


def test_lbfgs_evaluates_the_loss_several_times_a_step(train):
    target = f"optim._target_={__name__}.Evaluations"
    _, folder = train("optim=lbfgs", "optim.max_iter=5", target, "data.batch_size=100", "trainer.max_epochs=1")
    assert Evaluations.counted[1:] == [6, 12, 18], (
        "after a trial: five iterations, and the loss that a step starts from"
    )
    assert load_checkpoint(folder / "checkpoints" / "last.ckpt")["global_step"] == 3
