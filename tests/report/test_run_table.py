import sys
from pathlib import Path

import pytest

from run_folders import leave_run
from trainlab import load_runs


def leave_three(folder: Path) -> Path:
    leave_run(
        folder / "a", [2.0, 1.0], [0.3, 0.5], seed=1, activation="elu", overrides=("model.activation=elu", "seed=1")
    )
    leave_run(
        folder / "b", [2.0, 1.5], [0.3, 0.4], seed=2, activation="elu", overrides=("model.activation=elu", "seed=2")
    )
    leave_run(
        folder / "c", [2.0, 0.5], [0.3, 0.6], seed=1, activation="selu", overrides=("model.activation=selu", "seed=1")
    )
    (folder / "d").mkdir()
    (folder / "d" / "result.json").write_text('{"fingerprint": "f00d", "overrides": [')
    return folder


def test_a_row_has_the_group_the_setting_and_the_results_of_a_run(tmp_path: Path):
    table = load_runs(leave_three(tmp_path))
    assert [run.folder.name for run in table] == [row["folder"] for row in table.rows] == ["c", "a", "b", "d"]
    best, *_, broken = table.rows
    assert best["model.activation"] == "selu"
    assert (best["val_loss"], best["val_acc"], best["best_epoch"], best["seed"]) == (0.5, 0.6, 2, 1)
    assert table.rows[1]["group"] == table.rows[2]["group"] != best["group"]
    assert (broken["status"], broken["model.activation"], broken["val_loss"]) == ("unreadable", None, None)


def test_the_table_as_a_data_frame_has_the_same_columns_and_values(tmp_path: Path):
    pytest.importorskip("pandas")
    table = load_runs(leave_three(tmp_path))
    frame = table.to_pandas()
    assert list(frame.columns) == table.columns
    assert frame["val_loss"].dropna().tolist() == [0.5, 1.0, 1.5]
    assert frame.groupby("model.activation")["val_acc"].mean().to_dict() == pytest.approx({"elu": 0.45, "selu": 0.6})


def test_without_pandas_the_error_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match="needs pandas, which is not installed; run `pip install pandas`"):
        load_runs(leave_three(tmp_path)).to_pandas()
