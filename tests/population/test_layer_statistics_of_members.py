"""Layer statistics of a member equal those of its solo run, and do not change its results."""

from pathlib import Path

import pytest
from members import TOLERANCE, alone, assert_same_run, deviations, together

from conftest import cases
from trainlab.runs.files import read_rows

pytestmark = pytest.mark.slow

ON = ("callbacks.layer_statistics.every_n_epochs=1", "callbacks.layer_statistics.num_images=50", "trainer.max_epochs=2")
MODELS = {
    "bn": ("model=bn", "model.dropout=0.2", "model.dropout_kind=standard", "model.dropout_after=every"),
    "alpha_dropout": ("model=alpha_dropout", "model.dropout=0.1", "data.flip=true"),
}


def recorded(folder: Path) -> list[dict[str, float | str]]:
    return [
        {k: v if k == "layer" else float(v) for k, v in row.items()}
        for row in read_rows(folder / "layer_statistics.csv")
    ]


@pytest.mark.parametrize("model", cases(MODELS, "bn"))
def test_a_member_has_the_layer_statistics_of_its_solo_run(tmp_path, model):
    works = [[*MODELS[model], *ON, f"optim.lr={lr}", f"seed={seed}"] for lr, seed in ((1e-3, 1), (5e-4, 2))]
    for result in together({tmp_path / f"member_{i}": work for i, work in enumerate(works)}):
        assert not isinstance(result, BaseException), result
    for i, work in enumerate(works):
        assert not isinstance(alone(tmp_path / f"alone_{i}", *work), BaseException)
        ours, theirs = recorded(tmp_path / f"member_{i}"), recorded(tmp_path / f"alone_{i}")
        assert len(ours) == 3 * 6  # before and after two epochs; five layers and the output
        far = [one for one in deviations(ours, theirs) if not one[0] <= TOLERANCE]
        assert not far, far
        assert_same_run(tmp_path / f"member_{i}", tmp_path / f"alone_{i}")
    assert recorded(tmp_path / "member_0") != recorded(tmp_path / "member_1")


def test_layer_statistics_change_no_member_by_a_bit(tmp_path):
    works = [[*MODELS["bn"], "trainer.max_epochs=2", f"optim.lr={lr}", "seed=1"] for lr in (1e-3, 5e-4)]
    together({tmp_path / f"plain_{i}": work for i, work in enumerate(works)})
    together({tmp_path / f"probed_{i}": [*work, *ON] for i, work in enumerate(works)})
    for i in range(2):
        assert_same_run(tmp_path / f"probed_{i}", tmp_path / f"plain_{i}", tolerance=0)
        assert recorded(tmp_path / f"probed_{i}")
