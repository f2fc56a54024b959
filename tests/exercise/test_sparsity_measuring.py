"""Bytes of tensors by hand, and the measurements of question 6 on runs that were trained, at tiny size."""

from pathlib import Path
from typing import Any

import pytest
import torch

from exercise.questions.sparsity import sections as m
from exercise.questions.sparsity.methods import round_weight
from exercise.questions.sparsity.sections import answer, mean, points_of, values
from exercise.store import Evidence
from exercise.trainings import Setting
from trainlab import load_data, load_network


def matrix(zeros: int) -> torch.Tensor:
    """100 x 100, with so many zeros; not what 8 bits stand for."""
    weights = torch.rand(10_000, generator=torch.Generator().manual_seed(0)) + 0.1
    weights[:zeros] = 0
    return weights.view(100, 100)


@pytest.mark.parametrize(
    ("tensor", "size"),
    [
        (matrix(0), 40_000),
        (matrix(5_000), 1_250 + 5_000 * 4),  # a bit each
        (matrix(9_900), 400 + 100 * 6),  # rows of columns and values
        (round_weight(matrix(0)), 10_000 + 200),
        (round_weight(matrix(9_900)), 400 + 100 * 3 + 200),
        (torch.ones(7), 28),
        (torch.tensor(3), 8),
    ],
)
def test_a_tensor_takes_the_smallest_form(tensor: torch.Tensor, size: int):
    assert m.stored_bytes(tensor) == size


@pytest.fixture
def evidence(train: Any, tmp_path: Path) -> Evidence:
    """Two seeds of the start, and all that is measured of them."""
    for seed in (1, 2):
        train("model.batch_norm=true", "model.standardize=true", f"seed={seed}", name=f"{m.START.name}/{seed}")
    found = Evidence(tmp_path, Setting(quick=True, overrides=("seed=1,2",)))
    for measurement in m.MEASUREMENTS:
        found.keep(measurement.name, measurement.take(found))
    return found


@pytest.mark.slow
def test_every_method_is_measured_for_every_seed(evidence: Evidence):
    points = points_of(evidence)
    assert {method for method, _ in points} == {
        *(m.DENSE, m.INT8, m.ZEROED, m.TUNED, m.TUNED_INT8, m.L1, m.GRADUAL, m.LOW_RANK, m.ACTIVE, m.TAUGHT),
        m.UNTAUGHT,
    }
    assert all(values(point, "val_acc").keys() == {1, 2} for point in points.values())
    dense, pruned = points[m.DENSE, m.AS_TRAINED], points[m.TUNED, "90%"]
    for seed, run in evidence.group(m.START).runs.items():
        # of the network that the run itself tested
        assert values(dense, "val_acc", 1)[seed] == pytest.approx(run.result.metrics["val_acc"])
        assert values(dense, "test_acc", 1)[seed] == pytest.approx(run.result.metrics["test_acc"])
    weights = 3072 * 16 + 2 * 16 * 16 + 16 * 10
    assert mean(dense, "weights", 1).mean == weights and mean(dense, "zeros").mean == 0
    widths = [mean(points[method, "50"], "weights", 1).mean for method in (m.TAUGHT, m.UNTAUGHT)]
    assert widths == [3072 * 50 + 2 * 50 * 50 + 50 * 10] * 2
    assert mean(pruned, "zeros", 1).mean == pytest.approx(0.9, abs=1 / weights)
    l1 = [values(point, "zeros") for (method, _), point in points.items() if method == m.L1]
    assert values(points[m.ZEROED, m.AS_L1], "zeros") == values(points[m.TUNED, m.AS_L1], "zeros") == l1[-1]
    assert len(answer(evidence).claims) == 4


def test_a_network_whose_weights_are_not_finite_has_no_figures(train: Any, tmp_path: Path):
    train("model.standardize=true", name="one")
    network, data = load_network(tmp_path / "one"), load_data(tmp_path / "one")
    next(network.parameters()).data.fill_(float("nan"))
    assert m.figures(network, data) == {}
