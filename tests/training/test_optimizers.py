"""The split steps against torch's own optimizers."""

from functools import partial

import pytest
import torch

from conftest import cases
from trainlab.randomness import generator
from trainlab.training.optimizer_checks import check_closure, try_optimizer
from trainlab.training.optimizers import clip_norm, clip_value, rule_for
from trainlab.training.parameter_groups import Group

CASES = {
    "sgd": (torch.optim.SGD, {"weight_decay": 1e-2}),
    "sgd momentum dampening": (torch.optim.SGD, {"momentum": 0.9, "dampening": 0.3, "weight_decay": 1e-2}),
    "sgd nesterov": (torch.optim.SGD, {"momentum": 0.9, "nesterov": True}),
    "adam": (torch.optim.Adam, {"weight_decay": 1e-2}),
    "adam amsgrad": (torch.optim.Adam, {"amsgrad": True, "betas": (0.8, 0.9)}),
    "adamw": (torch.optim.AdamW, {"weight_decay": 0.3}),
    "nadam": (torch.optim.NAdam, {"weight_decay": 1e-2}),
    "nadam decoupled": (torch.optim.NAdam, {"weight_decay": 0.3, "decoupled_weight_decay": True}),
    "rmsprop": (torch.optim.RMSprop, {"weight_decay": 1e-2}),
    "rmsprop centered momentum": (torch.optim.RMSprop, {"centered": True, "momentum": 0.9}),
}
STEPS = 300


def schedule(optimizer, step):
    """Move the rate, and beta1 or momentum, as 1cycle does."""
    (settings,) = optimizer.param_groups
    settings["lr"] = 1e-3 * (1 + step / 100)
    if "betas" in settings:
        settings["betas"] = (0.95 - step / 3000, settings["betas"][1])
    elif settings["momentum"]:
        settings["momentum"] = 0.95 - step / 3000


@pytest.mark.parametrize("case", CASES)
def test_hundreds_of_scheduled_steps_equal_torchs(case):
    kind, settings = CASES[case]
    start = torch.randn(50, generator=generator(0, "start"), dtype=torch.float64)
    ours, theirs = (torch.nn.Parameter(start.clone()) for _ in range(2))
    our_optimizer, their_optimizer = (kind([p], lr=1e-3, **settings) for p in (ours, theirs))
    rule = rule_for(our_optimizer)
    draws = generator(0, "gradients")
    for step in range(STEPS):
        gradient = torch.randn(50, generator=draws, dtype=torch.float64) + theirs.detach()
        for parameter, optimizer in ((ours, our_optimizer), (theirs, their_optimizer)):
            schedule(optimizer, step)
            parameter.grad = gradient.clone()
        their_optimizer.step()
        if step == 0:
            our_optimizer.step()
            continue
        (group,), state = our_optimizer.param_groups, our_optimizer.state[ours]
        scalars = torch.tensor(rule.scalars(group, state), dtype=torch.float64)
        tensors = {name: state[name] for name in rule.tensors(group)}
        with torch.no_grad():
            rule.update(ours, gradient, tensors, scalars)
    # 300 steps of a few roundings of 1e-16 in values near 1.
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)
    assert float((theirs.detach() - start).abs().min()) > 1e-3, "every element has moved"
    our_state, their_state = our_optimizer.state[ours], their_optimizer.state[theirs]
    assert our_state.keys() == their_state.keys()
    for name, value in their_state.items():
        torch.testing.assert_close(our_state[name], value, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    "case", cases(CASES, "sgd nesterov", "adam amsgrad", "adamw", "nadam", "rmsprop centered momentum")
)
def test_rows_with_numbers_of_their_own_equal_torchs(case):
    """Three members of a population: every number differs, the kind of optimizer does not."""
    kind, settings = CASES[case]

    def own(value, member):
        if isinstance(value, bool):
            return value
        if isinstance(value, tuple):
            return tuple(own(v, member) for v in value)
        return value * (1 - member / 10)

    start = torch.randn(3, 50, generator=generator(0, "start"), dtype=torch.float64)
    theirs = [torch.nn.Parameter(row.clone()) for row in start]
    optimizers = []
    for member, row in enumerate(theirs):
        numbers = {"eps": 1e-8, "betas": (0.9, 0.999), "alpha": 0.99, "momentum_decay": 4e-3, **settings}
        known = {k: own(v, member) for k, v in numbers.items() if k in kind([row], lr=1.0).defaults}
        optimizers.append(kind([row], lr=1e-3 * (member + 1), **known))
    rule, draws = rule_for(optimizers[0]), generator(0, "gradients")
    for step in range(STEPS):
        gradients = torch.randn(3, 50, generator=draws, dtype=torch.float64) + torch.stack([*map(torch.detach, theirs)])
        if step == 1:  # torch has made their first step; the rows go on from there by the rule
            rows = torch.stack([row.detach().clone() for row in theirs])
            states = [
                {k: v.clone() for k, v in o.state[row].items() if v is not None}
                for o, row in zip(optimizers, theirs, strict=True)
            ]
            names = rule.tensors(optimizers[0].param_groups[0])
            stacked = {name: torch.stack([state[name] for state in states]) for name in names}
        for optimizer, row, gradient in zip(optimizers, theirs, gradients, strict=True):
            schedule(optimizer, step)
            row.grad = gradient.clone()
            optimizer.step()
        if step:
            groups = [optimizer.param_groups[0] for optimizer in optimizers]
            scalars = [rule.scalars(group, state) for group, state in zip(groups, states, strict=True)]
            rule.update(rows, gradients, stacked, torch.tensor(scalars, dtype=torch.float64).t()[..., None])
    # As for a single one.
    torch.testing.assert_close(rows, torch.stack([row.detach() for row in theirs]), rtol=0, atol=1e-12)
    assert float((rows - start).abs().min()) > 1e-4, "every element has moved"


def test_rows_are_clipped_each_by_its_own():
    rows = torch.tensor([[3.0, -4.0], [30.0, -40.0]])
    limits = torch.tensor([[2.5], [100.0]])
    torch.testing.assert_close(clip_norm(rows, limits), torch.tensor([[1.5, -2.0], [30.0, -40.0]]), rtol=1e-6, atol=0)
    assert torch.equal(clip_value(rows, limits), torch.tensor([[2.5, -2.5], [30.0, -40.0]]))


def test_norm_and_value_are_clipped_as_torch_does():
    gradient = torch.tensor([3.0, -4.0])
    assert torch.equal(clip_value(gradient, 3.5), torch.tensor([3.0, -3.5]))
    for limit in (1.0, 5.1):
        parameter = torch.nn.Parameter(torch.zeros(2))
        parameter.grad = gradient.clone()
        torch.nn.utils.clip_grad_norm_([parameter], limit)
        torch.testing.assert_close(clip_norm(gradient, limit), parameter.grad, rtol=1e-7, atol=0)
    assert float(clip_norm(gradient, 1.0).norm()) == pytest.approx(1, abs=1e-6)


def test_unknown_optimizers_and_maximizing_are_refused():
    parameter = torch.nn.Parameter(torch.zeros(1))
    with pytest.raises(ValueError, match=r"knows the optimizers Adam, AdamW, NAdam, RMSprop, SGD, got Rprop; set"):
        rule_for(torch.optim.Rprop([parameter]))
    with pytest.raises(ValueError, match="maximize=true; set compile=false"):
        rule_for(torch.optim.SGD([parameter], lr=0.1, maximize=True))


class WithoutClosure(torch.optim.SGD):
    def step(self):
        super().step()


class WithoutRate(torch.optim.Optimizer):
    def __init__(self, params):
        super().__init__(params, {})

    def step(self, closure=None):
        pass


class SharpnessAware(torch.optim.SGD):
    """Evaluates the loss a second time, at other weights (Foret and others, 2021), as a widespread one does."""

    @torch.no_grad()
    def step(self, closure=None):
        (group,) = self.param_groups
        moves = [p.grad.clone() for p in group["params"]]
        torch._foreach_add_(group["params"], moves)
        closure()
        torch._foreach_sub_(group["params"], moves)
        return super().step()


IMPOSSIBLE = {
    "closure": (SharpnessAware, "SharpnessAware evaluates the loss itself, .* has no default; change that, or choose"),
    "capturable": (partial(torch.optim.NAdam, capturable=True), "capturable=true .*; leave out optim.capturable"),
    "differentiable": (
        partial(torch.optim.SGD, differentiable=True),
        "SGD cannot make a step with differentiable=true .*; leave out optim.differentiable",
    ),
    "sparse": (torch.optim.SparseAdam, "SparseAdam needs sparse gradients, .* are dense; set optim=adam"),
    "muon": (
        torch.optim.Muon,
        r"Muon only supports 2D parameters .*\[3\]\); choose optim=muon, which trains the",
    ),
    "no closure": (WithoutClosure, "WithoutClosure.step must take a closure, .*; choose another optim"),
    "no rate": (WithoutRate, "WithoutRate must keep its learning rate in param_groups as 'lr'; choose another optim"),
    "betas": (partial(torch.optim.Adam, betas=(2.0, 0.9)), r"beta.*2.0; set optim.\*"),
}


@pytest.mark.parametrize("case", IMPOSSIBLE)
def test_what_can_make_no_step_is_refused_before_the_run(case):
    build, message = IMPOSSIBLE[case]
    with pytest.raises(ValueError, match=f"^.*{message}.*$"):
        try_optimizer(build, [of_zeros((2, 3), (3,))], on_cpu=True)


def of_zeros(*shapes):
    return Group([torch.nn.Parameter(torch.zeros(*shape)) for shape in shapes], {})


def test_what_evaluates_the_loss_itself_needs_one_batch_and_process_a_step():
    parameters = [torch.nn.Parameter(torch.zeros(2))]
    check_closure(torch.optim.Adam(parameters), 2, 2, "16-mixed")
    lbfgs = torch.optim.LBFGS(parameters)
    check_closure(lbfgs, 1, 1, "bf16-mixed")
    for settings, key in [((2, 1), "accumulate_grad_batches=1"), ((1, 2), "devices=1")]:
        with pytest.raises(ValueError, match=f"^LBFGS evaluates the loss several times a step, .*; set trainer.{key}$"):
            check_closure(lbfgs, *settings, "32-true")
    with pytest.raises(ValueError, match=r"cannot undo the scaling of 16-mixed; set trainer\.precision=bf16-mixed"):
        check_closure(lbfgs, 1, 1, "16-mixed")


def test_a_trial_leaves_the_parameters_as_they_are():
    parameters = [torch.nn.Parameter(torch.ones(2, 3))]
    groups = [Group(parameters, {})]
    optimizer = try_optimizer(torch.optim.Adafactor, groups, on_cpu=True)
    assert optimizer.param_groups[0]["params"] == parameters
    assert torch.equal(parameters[0], torch.ones(2, 3))
    assert not optimizer.state
    assert try_optimizer(partial(torch.optim.Adam, capturable=True), groups, on_cpu=False)
    assert try_optimizer(partial(torch.optim.SGD, lr=1e200), groups, on_cpu=True), "a rate that float64 alone can hold"


def test_a_network_without_trainable_parameters_is_refused():
    with pytest.raises(ValueError, match="must have trainable parameters, got none"):
        try_optimizer(torch.optim.Adam, [], on_cpu=True)
