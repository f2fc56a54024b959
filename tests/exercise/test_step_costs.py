"""What a training step costs: timed of networks that are trained in no time, and told of figures that are made up."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from trainlab.exercise import step_costs
from trainlab.report.groups import group_runs
from trainlab.report.runs import find_runs

MS = {"a": [2.0, 2.02, 2.0], "b": [3.0, 3.0, 3.0], "c": [2.01, 2.0, 2.0]}


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
    assert min(found["deep"]) > max(found["shallow"])


@pytest.mark.parametrize(("old", "new", "dearer"), [("a", "b", True), ("b", "a", False), ("a", "c", None)])
def test_dearer_is_what_the_interval_says(old: str, new: str, dearer: bool | None):
    assert step_costs.is_dearer(step_costs.compared(MS, old, new)) is dearer


def test_what_was_not_measured_is_not_compared():
    assert step_costs.compared(MS, "a", "z") is None
    assert step_costs.is_dearer(None) is None
    assert step_costs.told(MS, ("a", "ELU"), ("z", "SELU")) == "What a step of SELU costs was not measured."


def test_a_sentence_has_ratio_interval_and_times():
    assert step_costs.told(MS, ("a", "ELU"), ("b", "batch norm")) == (
        "A training step of batch norm takes 1.50 times as long as one of ELU (95 % over 3 rounds, in turn: 1.47 to "
        "1.52): 3.0 against 2.0 ms of processor time."
    )
    assert step_costs.told(MS, ("a", "ELU"), ("c", "SELU")).endswith("processor time; no difference is shown.")
