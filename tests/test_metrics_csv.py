import pytest

from trainlab.metrics_csv import MetricsCSV, read_rows


def log(folder, *epochs, **more):
    logger = MetricsCSV(str(folder))
    for epoch in epochs:
        logger.log_metrics({"epoch": epoch, "val/loss": epoch / 3, **more}, step=10 * (epoch + 1))


def test_a_row_an_epoch_with_numbers_that_read_back_exactly(tmp_path):
    log(tmp_path, 0, 1, 2)
    lines = (tmp_path / "metrics.csv").read_text().splitlines()
    assert lines[:2] == ["epoch,step,val/loss", "0,10,0.0"]
    assert [float(row["val/loss"]) for row in read_rows(tmp_path / "metrics.csv")] == [0, 1 / 3, 2 / 3]
    assert [p.name for p in tmp_path.iterdir()] == ["metrics.csv"]


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
