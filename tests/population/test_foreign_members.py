"""Networks of other packages as members of a population, by torch.func, and those that cannot be."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from members import assert_same_run, config
from torch import nn

from conftest import cases
from foreign_networks import Noisy, Recurrent, ResidualMLP, ViT, convolutional
from trainlab.config.build import build
from trainlab.models.image_network import wrap
from trainlab.population.eligibility import ineligible_reason
from trainlab.population.grouping import comparable, kind_of
from trainlab.population.runner import Population
from trainlab.population.vmapped import vmap_problem
from trainlab.run import run

SHAPE = (3, 32, 32)
SHORT = ("trainer.max_epochs=2", "data.image_size=32", "data.num_train=420")
MODELS = {
    "residual": {"_target_": "foreign_networks.ResidualMLP"},
    "vit": {"_target_": "foreign_networks.ViT"},
}
# Each has its own seed, rate and length.
OWN = (["seed=1", "optim.lr=1e-3"], ["seed=2", "optim.lr=5e-4", "trainer.max_epochs=1", "task.label_smoothing=0.1"])


def foreign(folder, model, *overrides):
    given = {o.partition("=")[0]: o for o in (*SHORT, *overrides)}
    cfg = config(folder, *given.values())
    return replace(cfg, settings=cfg.settings | {"model": model}, references=dict(cfg.references) | {"model": model})


@pytest.mark.parametrize("model", cases(MODELS, "vit"))
def test_a_member_equals_its_solo_run(model, tmp_path):
    together = {tmp_path / f"together_{i}": own for i, own in enumerate(OWN)}
    works = [partial(run, foreign(folder, MODELS[model], *own)) for folder, own in together.items()]
    for outcome in Population(works).run():
        assert not isinstance(outcome, BaseException), outcome
    for i, own in enumerate(OWN):
        run(foreign(tmp_path / f"alone_{i}", MODELS[model], *own))
        assert_same_run(tmp_path / f"together_{i}", tmp_path / f"alone_{i}")


class OddAttribute(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.head, self.scales = nn.Linear(3 * 32 * 32, num_classes), np.array([1, 2]).view(OddArray)

    def forward(self, x):
        return self.head(x.flatten(1))


class OddArray(np.ndarray):
    def __array_function__(self, *_):
        raise RuntimeError("not comparable\nat all")


def test_an_error_in_the_trial_of_a_network_makes_its_run_solo(tmp_path):
    cfg = foreign(tmp_path, {"_target_": "test_foreign_members.OddAttribute"})
    reason = ineligible_reason(cfg.settings, 1, build(cfg).data)
    assert reason == (
        "the trial of test_foreign_members.OddAttribute as members of a population failed (not comparable)"
    )


class Branching(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.head = nn.Linear(3 * 32 * 32, num_classes)

    def forward(self, x):
        logits = self.head(x.flatten(1))
        return logits if logits.mean() > 0 else 2 * logits


class Unused(ResidualMLP):
    def __init__(self, num_classes):
        super().__init__(SHAPE, num_classes)
        self.spare = nn.Linear(3, 3)


class KeepsDraws(Branching):
    def __init__(self, num_classes):
        super().__init__(num_classes)
        self.scales = {"output": np.random.rand(num_classes)}


class Averages(Branching):
    """Assigns a new tensor to a buffer, which a function of its tensors cannot."""

    def __init__(self, num_classes):
        super().__init__(num_classes)
        self.register_buffer("mean", torch.zeros(num_classes))

    def forward(self, x):
        logits = self.head(x.flatten(1))
        if self.training:
            self.mean = 0.9 * self.mean + 0.1 * logits.detach().mean(0)
        return logits - self.mean


class Counts(Branching):
    """Counts its training steps, in an attribute that is new in the first one."""

    def forward(self, x):
        if self.training:
            self.steps = getattr(self, "steps", 0) + 1
        return self.head(x.flatten(1)) * (1 + 0.01 * getattr(self, "steps", 0))


class Tied(ResidualMLP):
    def __init__(self, num_classes):
        super().__init__(SHAPE, num_classes)
        self.blocks[1].up.weight = self.blocks[0].up.weight


class Extracts(Branching):
    def forward(self, x):
        return self.head(x.flatten(1)) * x.sum().item()


def _normed(norm):
    return nn.Sequential(nn.Flatten(), norm(nn.Linear(3 * 32 * 32, 4)), nn.Linear(4, 10))


def _hooked():
    network = ResidualMLP(SHAPE, 10)
    network.register_forward_hook(lambda module, inputs, output: 2 * output)
    return network


_NOT_BATCHED = "cannot be batched by torch.func.vmap"
REASONS = {
    "tied": (
        lambda: Tied(10),
        "blocks.0.up.weight and blocks.1.up.weight of Tied are the same parameter",
    ),
    "item": (lambda: Extracts(10), f"Extracts {_NOT_BATCHED} (it takes the value of a tensor, as .item() does)"),
    "weight norm": (
        lambda: _normed(nn.utils.parametrizations.weight_norm),
        f"Sequential {_NOT_BATCHED} (torch has no batching rule for aten::_weight_norm)",
    ),
    "hook": (_hooked, ""),
    "residual": (lambda: ResidualMLP(SHAPE, 10), ""),
    "vit": (lambda: ViT(10), ""),
    "dropout": (lambda: ResidualMLP(SHAPE, 10, dropout=0.1), "ResidualMLP draws random numbers in a training step"),
    "numpy": (lambda: Noisy(10), "Noisy draws random numbers in a training step"),
    "branches": (lambda: Branching(10), f"Branching {_NOT_BATCHED} (its control flow depends on values of a tensor)"),
    "unused": (lambda: Unused(10), "spare.weight of Unused gets no gradient"),
    "attribute": (lambda: KeepsDraws(10), "KeepsDraws keeps scales, which depends on the seed"),
    "counter": (lambda: Counts(10), "Counts keeps steps, which a step changes"),
    "buffer": (lambda: Averages(10), "Averages has another mean after a step"),
    "convolution": (lambda: convolutional(10), "batching runs does not speed up convolutional networks"),
    "gru": (lambda: Recurrent(10, "GRU"), f"Recurrent {_NOT_BATCHED} (torch has no batching rule for aten::"),
    "lstm": (lambda: Recurrent(10, "LSTM"), f"Recurrent {_NOT_BATCHED} (torch has no batching rule for aten::"),
    "frozen": (lambda: _frozen(ResidualMLP(SHAPE, 10)), ""),
}


def _frozen(network):
    network.stem.requires_grad_(False)
    return network


@pytest.mark.parametrize("case", REASONS)
def test_what_cannot_be_batched_says_why(case):
    make, reason = REASONS[case]
    state = torch.get_rng_state(), np.random.get_state()[1].tolist()
    found = vmap_problem(*[wrap(make, SHAPE, 10, seed=seed) for seed in (1, 2)])
    assert found.startswith(reason) and bool(found) == bool(reason), found
    assert torch.equal(torch.get_rng_state(), state[0]) and np.random.get_state()[1].tolist() == state[1]


def test_arguments_of_foreign_networks_are_never_mixed_in_a_group(tmp_path):
    models = [{"_target_": "foreign_networks.ResidualMLP", "dropout": rate} for rate in (0.1, 0.2, 0.1)]
    jobs = [foreign(tmp_path / str(i), model, f"seed={i}").settings for i, model in enumerate(models)]
    kinds = [kind_of(comparable(job)) for job in jobs]
    assert kinds[0] == kinds[2] != kinds[1]
