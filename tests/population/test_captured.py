"""The step that a GPU captures, called on the CPU as it is: solo and in populations, the results of eager solo runs."""

import pytest
import torch
from members import alone, assert_same_run, together
from test_compiled import CASES

from conftest import cases
from trainlab.training.cuda_graph import GraphedCallable
from trainlab.training.fused_step import FusedStep


@pytest.mark.parametrize("case", cases(CASES, "batch normalization, clipped by norm"))
def test_members_and_solo_runs_are_those_of_eager_runs(case, monkeypatch, tmp_path):
    common, own = CASES[case]
    works = [[*common, *settings, "trainer.max_epochs=1"] for settings in own[:2]]
    for i, work in enumerate(works):
        assert not isinstance(alone(tmp_path / f"eager_{i}", *work), BaseException)
    calls: list[torch.Tensor] = []
    step = FusedStep.__call__
    monkeypatch.setattr(FusedStep, "__call__", lambda self, *batch: calls.append(batch[1]) or step(self, *batch))
    monkeypatch.setattr(GraphedCallable, "captures", staticmethod(lambda device: True))
    for result in [
        alone(tmp_path / "captured", *works[0]),
        *together({tmp_path / f"together_{i}": work for i, work in enumerate(works)}),
    ]:
        assert not isinstance(result, BaseException), result
    assert len(calls) == 48  # of 50: the first step and that of the smaller last batch are torch's own
    assert_same_run(tmp_path / "captured", tmp_path / "eager_0")
    for i in range(len(works)):
        assert_same_run(tmp_path / f"together_{i}", tmp_path / f"eager_{i}")
