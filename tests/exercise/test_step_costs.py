"""What a training step costs: timed for networks that train in no time."""

import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.functional import cross_entropy

from exercise import step_costs
from exercise.step_costs import random_batch, training_step
from trainlab.models import MLP, Dropout, image_network
from trainlab.report.groups import group_runs
from trainlab.report.runs import find_runs


def test_a_step_is_that_of_the_run(leave: Callable[..., Path], tmp_path: Path):
    drop = {"dropout": 0.1, "dropout_kind": "alpha"}
    leave("runs/one", [2.0], [0.1], activation="selu", initializer="lecun_normal", standardize=True, **drop)
    (group,) = group_runs(find_runs([tmp_path / "runs"]))
    shallow = replace(group, settings=group.settings | {"model.depth": 2})
    sgd = {"optim._target_": "torch.optim.SGD", "optim.momentum": 0.9}
    settings = {k: v for k, v in shallow.settings.items() if k not in ("optim.betas", "optim.eps")} | sgd
    groups = {"deep": group, "shallow": shallow, "sgd": replace(shallow, settings=settings)}
    found = step_costs.step_times(groups | {"none": replace(group, runs={})}, rounds=3, times=1)
    assert found.keys() == groups.keys()
    assert {len(times) for times in found.values()} == {3}
    assert min(found["deep"]) > min(found["shallow"])  # others on the machine only add


def test_what_a_training_warned_of_is_not_said_again(leave: Callable[..., Path], tmp_path: Path):
    leave("one", [2.0], [0.1], activation="elu", dropout=0.1, dropout_kind="alpha")
    (group,) = group_runs(find_runs([tmp_path]))
    with pytest.warns(UserWarning, match="alpha dropout will not keep"):
        image_network(MLP, activation="elu", dropout=0.1, dropout_kind="alpha")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert step_costs.step_times({"one": group}, rounds=1, times=1).keys() == {"one"}


@pytest.mark.parametrize(
    ("network", "make"),
    [
        ({"batch_norm": True}, partial(torch.optim.NAdam, lr=1e-2, weight_decay=3e-3)),
        (
            {"dropout": 0.5, "dropout_after": "every", "activation": "selu", "initializer": "lecun_normal"},
            partial(torch.optim.SGD, lr=1e-1, momentum=0.9, nesterov=True),
        ),
    ],
)
def test_a_timed_step_is_the_one_that_trains(network: dict[str, Any], make: Callable[..., torch.optim.Optimizer]):
    """The same steps by torch's optimizer over the parameters one by one, with the masks of a training's steps."""
    timed, plain = (image_network(MLP, seed=1, depth=3, standardize=True, **network) for _ in range(2))
    images, labels = random_batch(16)
    step = training_step(timed, make, images, labels)
    plain.scaling.load_state_dict(timed.scaling.state_dict())
    optimizer = make(plain.parameters())
    for count in range(1, 4):
        step()
        for module in plain.modules():
            if isinstance(module, Dropout):
                module.draws.step.fill_(count)
        optimizer.zero_grad()
        cross_entropy(plain(images), labels).backward()
        optimizer.step()
    torch.testing.assert_close(timed.state_dict(), plain.state_dict())


def test_nothing_is_timed_where_nothing_was_completed(leave: Callable[..., Path], tmp_path: Path):
    leave("one", [2.0], [0.1])
    (group,) = group_runs(find_runs([tmp_path]))
    assert step_costs.step_times({"none": replace(group, runs={})}, rounds=3) == {}
