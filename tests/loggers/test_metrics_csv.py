import math

import pytest

from conftest import STEPS, cases
from trainlab.loggers.metrics_csv import MetricsCSV, read_rows


def log(folder, *epochs, **more):
    logger = MetricsCSV(str(folder))
    for epoch in epochs:
        logger.log_metrics({"epoch": epoch, "val/loss": epoch / 3, "epoch_s": 0.5, **more}, step=10 * (epoch + 1))


def test_a_row_an_epoch_with_numbers_that_read_back_exactly(tmp_path):
    log(tmp_path, 0, 1, 2)
    lines = (tmp_path / "metrics.csv").read_text().splitlines()
    assert lines[:2] == ["epoch,step,val/loss,epoch_s", "0,10,0.0,0.5"]
    assert [float(row["val/loss"]) for row in read_rows(tmp_path / "metrics.csv")] == [0, 1 / 3, 2 / 3]
    assert [p.name for p in tmp_path.iterdir()] == ["metrics.csv"]


def test_what_lightning_logs_of_a_step_is_no_row(tmp_path):
    log(tmp_path, 0, 1)
    before = (tmp_path / "metrics.csv").read_bytes()
    MetricsCSV(str(tmp_path)).log_metrics({"epoch": 0, "train_loss_step": 1.0}, step=5)
    assert (tmp_path / "metrics.csv").read_bytes() == before


def test_a_resumed_run_replaces_the_rows_from_its_first_epoch_on(tmp_path):
    log(tmp_path, 0, 1, 2, 3, source=1)
    log(tmp_path, 2, source=2)
    rows = read_rows(tmp_path / "metrics.csv")
    assert [(row["epoch"], row["source"]) for row in rows] == [("0", "1"), ("1", "1"), ("2", "2")]


def test_a_column_that_comes_later_is_empty_before(tmp_path):
    log(tmp_path, 0)
    log(tmp_path, 1, lr=0.1)
    assert [row["lr"] for row in read_rows(tmp_path / "metrics.csv")] == ["", "0.1"]


def test_there_are_no_rows_without_a_file(tmp_path):
    assert read_rows(tmp_path / "metrics.csv") == []


def test_a_full_disk_leaves_the_rows_there_were(tmp_path, monkeypatch):
    log(tmp_path, 0)

    def fail(*args):
        raise OSError("disk full")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        log(tmp_path, 1)
    assert [row["epoch"] for row in read_rows(tmp_path / "metrics.csv")] == ["0"]


@pytest.mark.parametrize("every", cases([1, 2], 2))
def test_rate_and_momentum_are_those_of_the_last_step_of_the_epoch(every, train):
    """By the formula of 1cycle's fall, from step 0.3 n - 1 to step n - 1."""
    steps = -(-STEPS // every)
    settings = ("optim=sgd", "optim.lr=0.05", "scheduler=one_cycle", f"trainer.accumulate_grad_batches={every}")
    _, folder = train(*settings)
    least, top = 0.05 / 25 / 1e4, 0.3 * 2 * steps - 1
    expected = []
    for step in (steps - 1, 2 * steps - 1):
        height = (1 + math.cos(math.pi * (step - top) / (2 * steps - 1 - top))) / 2
        expected += [least + (0.05 - least) * height, 0.95 - 0.1 * height]
    rows = read_rows(folder / "metrics.csv")
    assert [float(row[key]) for row in rows for key in ("lr", "momentum")] == pytest.approx(expected)
