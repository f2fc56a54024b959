"""Groups of parameters with settings of their own, freezing, and parameters that get no gradient."""

import copy
from functools import partial

import pytest
import torch
from test_flat_parameters import OPTIMIZERS, build_network
from test_module import DOUBLE, assert_same_weights, last_weights, plain_loop
from torch import nn
from torch.nn import functional

from conftest import cases, first
from faults import PressCtrlC
from same_runs import assert_same_run
from trainlab.config.build import build
from trainlab.models import MLP, image_network
from trainlab.population.eligibility import ineligible_reason
from trainlab.randomness import generator
from trainlab.runs.checkpoints import load_checkpoint
from trainlab.runs.errors import Interrupted
from trainlab.runs.files import read_rows
from trainlab.training import schedules
from trainlab.training.flat_parameters import FlatParameters, SeparateParameters, build_optimizer
from trainlab.training.fused_step import FusedStep
from trainlab.training.muon import Muon
from trainlab.training.optimizers import ELEMENTWISE, clip_norm
from trainlab.training.parameter_groups import check_rules, freeze, group_parameters

NO_DECAY = {"max_ndim": 1, "weight_decay": 0.0}
HEAD = {"pattern": "output.*", "lr_multiplier": 0.1}
RULES = "optim.groups=[{max_ndim:1,weight_decay:0.0},{pattern:output.*,lr_multiplier:0.1}]"


def names_of(network, groups):
    names = {p: name for name, p in network.named_parameters()}
    return [([names[p].removeprefix("module.") for p in group.parameters], dict(group.settings)) for group in groups]


def test_parameters_are_grouped_by_the_settings_of_all_rules_that_select_them():
    network = image_network(MLP, depth=1, width=4, batch_norm=True)
    assert names_of(network, group_parameters(network, [NO_DECAY, HEAD])) == [
        (["linear_1.weight"], {}),  # those without settings of their own are the first
        (["norm_1.weight", "norm_1.bias"], {"weight_decay": 0.0}),
        (["output.weight"], {"lr_multiplier": 0.1}),
        (["output.bias"], {"weight_decay": 0.0, "lr_multiplier": 0.1}),
    ]
    both = [HEAD, {"pattern": "*", "max_ndim": 1, "lr_multiplier": 3}]
    assert names_of(network, group_parameters(network, both))[1:] == [
        (["norm_1.weight", "norm_1.bias", "output.bias"], {"lr_multiplier": 3}),  # the last one holds
        (["output.weight"], {"lr_multiplier": 0.1}),
    ]
    assert names_of(network, group_parameters(network)) == [
        (["linear_1.weight", "norm_1.weight", "norm_1.bias", "output.weight", "output.bias"], {})
    ]


def test_names_are_those_of_the_users_network():
    class Inner(nn.Module):
        def __init__(self):
            super().__init__()
            self.module = nn.Linear(2, 2)

    class Wrapper(nn.Module):
        def __init__(self):
            super().__init__()
            self.module = Inner()

    with pytest.raises(ValueError, match=r"such as module.weight, module.bias, got 'weight'; set optim.groups"):
        group_parameters(Wrapper(), [{"pattern": "weight", "weight_decay": 0}])
    assert len(group_parameters(Wrapper(), [{"pattern": "module.weight", "weight_decay": 0}])) == 2


WRONG = {
    "{pattern:ouput.*,weight_decay:0}": "such as output.bias, output.weight, linear_1.weight, .*, got 'ouput.*'",
    "{pattern:head.*,weight_decay:0}": "such as linear_1.weight, .*linear_2.bias and 4 more, got 'head.*'",
    "{max_ndim:0,weight_decay:0}": "max_ndim=0 leaves none of linear_1.weight, .* have 1 dimensions or more",
    "{weight_decay:0}": "needs pattern or max_ndim, got {'weight_decay': 0}",
    "{pattern:'*'}": "needs a setting such as weight_decay, got",
    "{pattern:1,weight_decay:0}": "pattern must be a text such as '\\*.bias', got 1",
    "{max_ndim:-1,weight_decay:0}": "max_ndim must be a whole number of at least 0, got -1",
    "{pattern:'*',lr:0.1}": "a multiple of optim.lr, got lr=0.1; ",
    "{pattern:'*',lr_multiplier:0}": "lr_multiplier must be positive and finite, got 0",
    "{pattern:'*',decay:0.1}": "groups of NAdam can set betas, eps, weight_decay, .*, lr_multiplier, got decay",
    "{pattern:'*',weight_decay:-1}": r"NAdam cannot have {'weight_decay': -1} \(Invalid weight_decay value: -1\)",
}


@pytest.mark.parametrize("rule", first(4, WRONG))
def test_a_wrong_rule_is_refused_before_the_run(rule, compose_config):
    with pytest.raises(ValueError, match=f"^.*{WRONG[rule]}.*set .*optim.groups$"):
        build(compose_config(f"optim.groups=[{rule}]"))


def test_rules_are_a_list_of_mappings():
    for rules in ({"pattern": "*"}, ["*"], "*"):
        with pytest.raises(ValueError, match="groups must be a list such as"):
            check_rules(rules)


# The layers of `build_network`.
SETTINGS = [{"max_ndim": 1, "lr_multiplier": 0.25}, {"pattern": "2.*", "lr_multiplier": 0.5}]


def torch_groups(network, lr):
    first, last = network[0], network[2]
    rates = {1.0: [first.weight], 0.25: [first.bias], 0.5: [last.weight, last.bias]}
    return [{"params": parameters, "lr": lr * rate} for rate, parameters in rates.items()]


def loss_of(network, x, y):
    return (network(x) - y).square().mean()


def batches(count):
    draws = generator(0, "data")
    return [[torch.randn(8, n, generator=draws, dtype=torch.float64) for n in (5, 3)] for _ in range(count)]


@pytest.mark.parametrize("kind", ELEMENTWISE)
def test_steps_with_groups_equal_those_of_torch(kind):
    network, reference = build_network(), build_network()
    settings = {"lr": 1e-2, **OPTIMIZERS[kind]}
    trained, optimizer = build_optimizer(partial(kind, **settings), network, SETTINGS)
    assert isinstance(trained, FlatParameters)
    assert [vector.numel() for vector in trained.vectors] == [35, 7, 24]
    theirs = kind(torch_groups(reference, 1e-2), **settings)
    for x, y in batches(20):
        trained.zero_grad()
        loss_of(network, x, y).backward()
        assert trained.gather_gradients()
        trained.clip_gradients(partial(clip_norm, limit=0.5))
        optimizer.step()
        theirs.zero_grad()
        loss_of(reference, x, y).backward()
        nn.utils.clip_grad_norm_(reference.parameters(), 0.5)
        theirs.step()
    # The same arithmetic an element; kernels may group operations differently, 20 steps of a few 1e-16.
    for own, its in zip(network.parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(own, its, rtol=1e-11, atol=1e-13)


FUSED = {kind: OPTIMIZERS[kind] for kind in (torch.optim.NAdam, torch.optim.SGD, torch.optim.RMSprop)}


@pytest.mark.parametrize("kind", FUSED)
def test_fused_steps_with_groups_equal_those_of_torch(kind):
    network, reference = build_network(), build_network()
    settings = {"lr": 1e-2, **FUSED[kind]}
    flat, optimizer = build_optimizer(partial(kind, **settings), network, SETTINGS)
    theirs = kind(torch_groups(reference, 1e-2), **settings)

    def objective(logits, labels):
        return (logits - labels).square().mean(), torch.zeros(())

    step = FusedStep(network, objective, flat, optimizer, None, compile=False)
    for number, (x, y) in enumerate(batches(20)):
        assert step.ready == (number > 0)
        if step.ready:
            step(x, y)
        else:
            loss_of(network, x, y).backward()
            flat.gather_gradients()
            optimizer.step()
            flat.zero_grad()
        theirs.zero_grad()
        loss_of(reference, x, y).backward()
        theirs.step()
    for own, its in zip(network.parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(own, its, rtol=1e-11, atol=1e-13)
    torch_state = [theirs.state[reference[2].bias], optimizer.state[flat.vectors[2]]]
    for name, value in torch_state[0].items():
        torch.testing.assert_close(torch_state[1][name].flatten()[-value.numel() :], value.flatten())


def by_shape_and_name(params, lr, weight_decay, kind=torch.optim.AdamW):
    weights, biases = [p for p in params if p.ndim > 1], [p for p in params if p.ndim < 2]
    head = {"lr": 0.1 * lr}
    plain = {"weight_decay": 0.0}
    groups = [{"params": weights[:-1]}, {"params": biases[:-1]} | plain]
    groups += [{"params": weights[-1:]} | head, {"params": biases[-1:]} | plain | head]
    return kind(groups, lr=lr, weight_decay=weight_decay)


OF_RUNS = {
    "nadam": (torch.optim.NAdam, ["optim=nadam"]),
    "adafactor": (torch.optim.Adafactor, ["optim=adafactor"]),
    "compiled": (torch.optim.AdamW, ["optim=adamw", "compile=true"]),
}


@pytest.mark.parametrize("case", cases(OF_RUNS, "nadam"))
def test_a_training_with_groups_equals_a_plain_loop(case, train):
    kind, overrides = OF_RUNS[case]

    def make(params, **settings):
        return by_shape_and_name(list(params), kind=kind, **settings)

    weights, _ = plain_loop((make, {"lr": 2e-3, "weight_decay": 0.2}), torch.float64)
    _, folder = train(
        *overrides, "optim.lr=2e-3", "optim.weight_decay=0.2", RULES, "trainer.precision=64-true", name="run"
    )
    assert_same_weights(last_weights(folder), weights, DOUBLE)
    assert [float(row["lr"]) for row in read_rows(folder / "metrics.csv")] == [2e-3, 2e-3]


SCHEDULES = {
    "one_cycle": (schedules.one_cycle, {}),
    "cosine": (schedules.cosine, {"warmup_steps": 5, "min_lr": 1e-3}),
    "plateau": (schedules.plateau, {"patience": 0, "min_lr": 1e-3}),
    "triangular": (schedules.triangular, {}),
}


@pytest.mark.parametrize("kind", ["NAdam", "Muon"])
@pytest.mark.parametrize("name", SCHEDULES)
def test_the_rates_of_groups_keep_their_ratio(name, kind):
    build_schedule, settings = SCHEDULES[name]
    network = build_network()
    build = {
        "NAdam": partial(torch.optim.NAdam, lr=0.1),
        "Muon": partial(Muon, lr=0.1, adamw_lr_multiplier=0.5),
    }
    _, optimizer = build_optimizer(build[kind], network, SETTINGS)
    scheduler = build_schedule(optimizer, 40, **settings)["scheduler"]
    multipliers = [group.get("lr_multiplier", 1.0) for group in optimizer.param_groups]
    assert len(set(multipliers)) > 2
    seen = []
    for _ in range(39):
        rates = [group["lr"] / m for group, m in zip(optimizer.param_groups, multipliers, strict=True)]
        seen.append(rates[0])
        assert rates == pytest.approx([rates[0]] * len(rates), rel=1e-12)
        optimizer.step()
        scheduler.step(*([1.0] if name == "plateau" else []))
    assert max(seen) == pytest.approx(0.1)
    assert min(seen) < 0.01


def test_frozen_parameters_are_neither_moved_nor_decayed(train):
    frozen = "freeze=[linear_1.*,'*.bias']"

    def make(params, **settings):
        params = list(params)
        for number, parameter in enumerate(params):
            parameter.requires_grad_(number >= 2 and parameter.ndim > 1)
        return torch.optim.AdamW([p for p in params if p.requires_grad], **settings)

    weights, _ = plain_loop((make, {"lr": 2e-3, "weight_decay": 0.2}), torch.float64)
    settings = [frozen, "optim=adamw", "optim.lr=2e-3", "optim.weight_decay=0.2", "trainer.precision=64-true"]
    _, folder = train(*settings, "callbacks.layer_statistics.every_n_epochs=1")
    found, start = last_weights(folder), image_network(MLP, seed=1, depth=3, width=16).double().state_dict()
    assert_same_weights(found, weights, DOUBLE)
    still = {name for name in found if torch.equal(found[name], start[name])}
    assert still == {name for name in found if "linear_1" in name or "bias" in name}
    norms = [(row["layer"], row["gradient_norm"]) for row in read_rows(folder / "layer_statistics.csv")]
    assert {layer for layer, norm in norms if norm in ("", "nan")} == {"linear_1"}
    with pytest.raises(ValueError, match=r"optimizer and schedule.*freeze: .*linear_1.*, now not set"):
        train(*settings[1:], "ckpt_path=last", "trainer.max_epochs=3")


def test_statistics_of_frozen_batch_normalization_still_follow_the_images(train):
    _, folder = train("model=bn", "freeze=['norm_*']", "trainer.max_epochs=1")
    found = last_weights(folder)
    assert torch.equal(found["module.norm_1.weight"], torch.ones(16))
    assert found["module.norm_1.running_mean"].any()


WRONG_TO_FREEZE = {
    "freeze=[features.*]": r"such as linear_1.weight, .* and 4 more, got 'features.\*'; set freeze",
    "freeze=linear_1": r"such as \['linear_1.\*'\] or {pattern: .*, from_epoch: 3}, got 'linear_1'; set freeze",
    "freeze=['*']": "must have trainable parameters, got none; set another model or freeze less",
    "freeze=[{pattern:linear_1.*}]": r"pattern and from_epoch, got {'pattern': 'linear_1.\*'}; set freeze",
    "freeze=[{pattern:linear_1.*,from_epoch:-1}]": "whole number of at least 0, got -1; set freeze",
}


@pytest.mark.parametrize("setting", WRONG_TO_FREEZE)
def test_what_cannot_be_frozen_is_refused_before_the_run(setting, compose_config):
    with pytest.raises(ValueError, match=f"^.*{WRONG_TO_FREEZE[setting]}$"):
        build(compose_config(setting))


def test_runs_with_groups_or_frozen_parameters_train_alone(compose_config):
    reasons = {
        RULES: "optim.groups is set, and batched steps have one group of parameters",
        "freeze=[linear_1.*]": "freeze is set, and members train all parameters",
        "optim.lookahead.every_n_steps=5": "optim.lookahead is set, and batched steps do not average weights",
        "seed=2": "",
    }
    for setting, reason in reasons.items():
        assert ineligible_reason(compose_config(setting).settings, 1) == reason


def test_frozen_parameters_are_no_part_of_a_group():
    network = build_network()
    freeze(network, ["0.*"])
    with pytest.raises(ValueError, match=r"such as 2.weight, 2.bias, got '0.\*'; set optim.groups"):
        group_parameters(network, [{"pattern": "0.*", "weight_decay": 0}])


@pytest.mark.parametrize("kind", first(4, ELEMENTWISE))
@pytest.mark.parametrize("rules", [(), SETTINGS], ids=["one group", "groups"])
def test_a_parameter_that_gets_no_gradient_from_some_step_on_is_left_alone(kind, rules):
    network, reference = build_network(), build_network()
    settings = {"lr": 1e-2, **OPTIMIZERS[kind]}
    trained, optimizer = build_optimizer(partial(kind, **settings), network, rules)
    theirs = kind(torch_groups(reference, 1e-2) if rules else reference.parameters(), **settings)
    for number, (x, y) in enumerate(batches(20)):
        if number == 8:
            before = copy.deepcopy(network[2])
        for own, its in ((trained, network), (theirs, reference)):
            own.zero_grad()
            head = nn.Linear(7, 3).double()
            head.load_state_dict(its[2].state_dict())
            used = its if number < 8 or number >= 16 else nn.Sequential(its[0], its[1], head)
            loss_of(used, x, y).backward()
        if not trained.gather_gradients():
            assert number == 8
            trained = trained.separate(optimizer)
        optimizer.step()
        theirs.step()
        if number == 15:
            assert all(torch.equal(a, b) for a, b in zip(before.parameters(), network[2].parameters(), strict=True))
    assert isinstance(trained, SeparateParameters)
    for own, its in zip(network.parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(own, its, rtol=1e-11, atol=1e-13)
        for name, value in theirs.state[its].items():
            torch.testing.assert_close(optimizer.state[own][name], value, rtol=1e-9, atol=1e-13)
    assert [len(g["params"]) for g in optimizer.param_groups] == [len(g["params"]) for g in theirs.param_groups]


@pytest.mark.parametrize("settings", [{"batch_norm": True, "batch_norm_input": True}, {"bias_initializer": "zeros"}])
def test_every_parameter_of_the_networks_of_a_population_gets_a_gradient(settings):
    """A population has gradients of all parameters in one matrix, where one that is missing would be zero."""
    network = image_network(MLP, depth=2, width=4, activation="prelu", **settings)
    images = torch.randint(256, (8, 3, 32, 32), generator=generator(0, "images")).to(torch.uint8)
    network(images).logsumexp(1).mean().backward()
    assert [name for name, parameter in network.named_parameters() if parameter.grad is None] == []


def test_a_sparse_gradient_is_not_taken_for_a_dense_one():
    network = nn.Embedding(5, 2, sparse=True)
    flat = FlatParameters(network)
    network(torch.tensor([1])).sum().backward()
    assert not flat.gather_gradients()


def skips(always):
    """The second layer of an MLP is skipped, always or for half of the batches."""

    def forward(self, x):
        for name, layer in self.named_children():
            skipped = name == "linear_2" and (always or int((x > 0.1).sum()) % 2)
            x = x if skipped else layer(x)
        return x

    return forward


OF_SKIPPING = {
    "adamw, never": (True, torch.optim.AdamW, {"lr": 2e-3, "weight_decay": 0.3}, []),
    "adamw, sometimes": (False, torch.optim.AdamW, {"lr": 2e-3, "weight_decay": 0.3}, []),
    "sgd, sometimes": (False, torch.optim.SGD, {"lr": 1e-2, "weight_decay": 0.1, "momentum": 0.9}, []),
    "sgd, compiled": (True, torch.optim.SGD, {"lr": 1e-2, "weight_decay": 0.1, "momentum": 0.0}, ["compile=true"]),
}


@pytest.mark.parametrize("case", cases(OF_SKIPPING, "adamw, sometimes"))
def test_a_training_leaves_parameters_without_gradient_alone_and_resumes_to_the_bit(case, train, monkeypatch, caplog):
    always, kind, settings, overrides = OF_SKIPPING[case]
    monkeypatch.setattr(MLP, "forward", skips(always))
    overrides = [*overrides, f"optim={kind.__name__.lower()}", *(f"optim.{k}={v}" for k, v in settings.items())]
    overrides.append("trainer.precision=64-true")
    weights, _ = plain_loop((kind, settings), torch.float64, epochs=3)
    with caplog.at_level("INFO", "trainlab"):
        _, whole = train(*overrides, "trainer.max_epochs=3", name="whole")
    message = "no gradient for linear_2.weight, linear_2.bias: the optimizer now updates each parameter separately"
    assert caplog.text.count(message) == 1
    found = last_weights(whole)
    assert_same_weights(found, weights, DOUBLE)
    start = image_network(MLP, seed=1, depth=3, width=16).double().state_dict()
    name = "module.linear_2.weight"
    assert torch.equal(found[name], start[name]) == always, "not even decayed"
    with pytest.raises(Interrupted):
        train(*overrides, "trainer.max_epochs=3", name="cut", callbacks=(PressCtrlC(1),))
    _, resumed = train(*overrides, "trainer.max_epochs=3", name="cut")
    assert_same_run(resumed, whole)
    assert load_checkpoint(whole / "checkpoints" / "last.ckpt")["separate_parameters"]


def test_a_step_is_fused_only_once_all_parameters_are_known_to_get_gradients():
    network = build_network()
    flat, optimizer = build_optimizer(partial(torch.optim.SGD, lr=0.1), network)
    step = FusedStep(network, lambda logits, labels: functional.mse_loss(logits, labels), flat, optimizer, None, False)
    assert not step.ready, "although the optimizer needs no state"
    loss_of(network, *batches(1)[0]).backward()
    flat.gather_gradients()
    assert step.ready


@pytest.mark.parametrize("compiled", ["auto", pytest.param("true", marks=pytest.mark.slow)])
def test_parameters_can_be_frozen_from_an_epoch_on(compiled, train):
    settings = ("optim=sgd", "optim.lr=0.02", "optim.weight_decay=0.1", f"compile={compiled}")
    settings = (*settings, "freeze=[{pattern:linear_2.bias,from_epoch:1},linear_1.weight]")
    train(*settings, "trainer.max_epochs=1", name="once")
    _, whole = train(*settings, "trainer.max_epochs=3", name="whole")
    start = image_network(MLP, seed=1, depth=3, width=16).state_dict()
    first, last = last_weights(whole.parent / "once"), last_weights(whole)
    still = [{key for key in a if torch.equal(a[key], b[key])} for a, b in ((start, first), (first, last))]
    assert still == [{"module.linear_1.weight"}, {"module.linear_1.weight", "module.linear_2.bias"}]
    with pytest.raises(Interrupted):
        train(*settings, "trainer.max_epochs=3", name="cut", callbacks=(PressCtrlC(1),))
    _, cut = train(*settings, "trainer.max_epochs=3", name="cut")
    assert_same_run(cut, whole)
