"""Measurements of question 6 on runs that were trained, at tiny size."""

from pathlib import Path
from typing import Any

import pytest

from exercise.questions.sparsity import measuring as m
from exercise.questions.sparsity.points import points_of
from exercise.questions.sparsity.sections import answer
from exercise.store import Evidence
from exercise.trainings import Setting
from trainlab import load_data, load_network


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
    points = {(point.method, point.setting): point for point in points_of(evidence)}
    assert {method for method, _ in points} == {
        *(m.DENSE, m.PLAIN, m.TUNED, m.L1, m.SCHEDULE, m.LOW_RANK, m.ACTIVE, m.INT8, m.TUNED_INT8),
        *(m.TAUGHT, m.UNTAUGHT),
    }
    assert all(point.seeds.keys() == {1, 2} for point in points.values())
    dense, pruned = points[m.DENSE, m.AS_TRAINED], points[m.TUNED, "90 %"]
    for seed, run in evidence.group(m.START).runs.items():
        assert run.result is not None
        # of the network that the run itself tested
        assert dense.of("val_acc")[seed] == pytest.approx(run.result.metrics["val_acc"])
        assert dense.of("test_acc")[seed] == pytest.approx(run.result.metrics["test_acc"])
    weights = 3072 * 16 + 2 * 16 * 16 + 16 * 10
    assert dense.summary("weights").mean == weights and dense.summary("zeros").mean == 0
    assert dense.summary("bytes").mean > 4 * weights
    assert pruned.summary("zeros").mean == pytest.approx(0.9, abs=1 / weights)
    assert pruned.summary("bytes").mean < 0.25 * dense.summary("bytes").mean
    assert answer(evidence).figures


def test_a_network_whose_weights_are_not_finite_has_no_figures(train: Any, tmp_path: Path):
    train("model.standardize=true", name="one")
    network, data = load_network(tmp_path / "one"), load_data(tmp_path / "one")
    next(network.parameters()).data.fill_(float("nan"))
    assert m.figures(network, data) == {}
