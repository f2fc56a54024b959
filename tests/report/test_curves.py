from pathlib import Path

import numpy as np
import pytest

from trainlab.report.curves import Curve, band, read_curve
from trainlab.tasks.metrics import METRICS

LOSS = METRICS["val/loss"]


def curve(losses: list[float], epoch_s: float = 1.0) -> Curve:
    n = len(losses)
    values = {name: np.array(losses) for name in ("train/loss", "train/acc", "val/loss", "val/acc")}
    return Curve(np.arange(1.0, n + 1), epoch_s * np.arange(1.0, n + 1), values)


def test_epochs_count_from_one_and_seconds_add_up(tmp_path: Path):
    path = tmp_path / "metrics.csv"
    path.write_text("epoch,step,val/loss,epoch_s\n0,10,1.5,2.0\n1,20,,3.0\n2,30,1.2,4.0\n")
    found = read_curve(path)
    assert found.epochs.tolist() == [1, 2, 3]
    assert found.seconds.tolist() == [2, 5, 9]
    assert found.by_name["val/loss"][[0, 2]].tolist() == [1.5, 1.2]
    assert np.isnan(found.by_name["val/loss"][1])
    assert np.isnan(found.of("val_acc")).all()
    assert found.best(LOSS) == 1.2


def test_nan_and_inf_are_values_of_a_curve_but_never_its_best(tmp_path: Path):
    path = tmp_path / "metrics.csv"
    path.write_text("epoch,val/loss,epoch_s\n0,1.5,1\n1,inf,1\n2,nan,1\n3,-inf,1\n")
    assert read_curve(path).best(LOSS) == 1.5


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "metrics.csv is missing"),
        (b"", "metrics.csv has no column epoch"),
        (b"epoch,step\n0,1\n", "metrics.csv has no column epoch_s"),
        (b"epoch,epoch_s\n", "metrics.csv has no rows"),
        (b"epoch,epoch_s\n0,1.0\n1,abc\n", "metrics.csv is damaged in line 3"),
        (b"epoch,epoch_s\n0,1.0\n1\n", "metrics.csv is damaged in line 3"),
        (b"\xff\xfe\x00", "metrics.csv cannot be read"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(tmp_path: Path, content: bytes | None, said: str):
    path = tmp_path / "metrics.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=said):
        read_curve(path)


def test_a_band_is_mean_lowest_and_highest_and_knows_where_runs_stop():
    found = band([curve([3.0, 2.0, 1.0]), curve([5.0, 4.0])], "val/loss")
    assert found.x.tolist() == [1, 2, 3]
    assert found.mean.tolist() == [4, 3, 1]
    assert found.low.tolist() == [3, 2, 1]
    assert found.high.tolist() == [5, 4, 1]
    assert found.whole == 2


def test_in_seconds_runs_are_averaged_at_the_same_second_as_far_as_all_run():
    # one falls from 2 to 0 between the 1st and the 3rd second, the other between the 2nd and the 6th
    fast, slow = curve([2.0, 1.0, 0.0], 1.0), curve([2.0, 1.0, 0.0], 2.0)
    found = band([fast, slow], "val/loss", against_seconds=True)
    assert (found.x[0], found.x[-1]) == (2, 3)
    assert found.mean[0] == pytest.approx((1 + 2) / 2)
    assert found.whole == len(found.x)
    assert found.mean == pytest.approx(((3 - found.x) + (3 - found.x / 2)) / 2)
    assert len(band([curve([2.0, 1.0], 1.0), curve([2.0, 1.0], 9.0)], "val/loss", against_seconds=True).x) == 0


def test_values_that_are_not_finite_are_left_out_of_a_band():
    found = band([curve([3.0, float("inf"), 1.0]), curve([5.0, float("nan"), 3.0])], "val/loss")
    assert found.x.tolist() == [1, 3]
    assert found.mean.tolist() == [4, 2]
    assert len(band([curve([float("nan")])], "val/loss").x) == 0
