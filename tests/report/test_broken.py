"""Folders that a run left broken or half-written: listed with the reason, and the report is made all the same."""

import csv
import json
import re
from pathlib import Path

import pytest

from conftest import first
from trainlab.report.findings import analyze
from trainlab.report.run_table import runs_table
from trainlab.report.runs import find_runs
from trainlab.report.tables import ranking_table
from trainlab.report.write import write_report


def cut_in_half(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def with_value(path: Path, section: str, key: str, value: object) -> None:
    result = json.loads(path.read_text())
    result[section][key] = value
    path.write_text(json.dumps(result))


BREAK = {
    "result.json is missing": lambda run: (run / "result.json").unlink(),
    "result.json is damaged": lambda run: cut_in_half(run / "result.json"),
    "status 'done'": lambda run: (run / "result.json").write_text(
        json.dumps(json.loads((run / "result.json").read_text()) | {"status": "done"})
    ),
    "metrics is no mapping": lambda run: (run / "result.json").write_text(
        json.dumps(json.loads((run / "result.json").read_text()) | {"metrics": [1]})
    ),
    "val_loss is no number": lambda run: with_value(run / "result.json", "metrics", "val_loss", "low"),
    "epoch_s is no number": lambda run: with_value(run / "result.json", "time", "epoch_s", None),
    "no finite validation loss": lambda run: with_value(run / "result.json", "metrics", "val_loss", float("nan")),
    "config.yaml is missing: in no group": lambda run: (run / "config.yaml").unlink(),
    "config.yaml is damaged": lambda run: (run / "config.yaml").write_text("model: [\n"),
    "config.yaml holds no settings": lambda run: (run / "config.yaml").write_text(""),
    "metrics.csv is missing": lambda run: (run / "metrics.csv").unlink(),
    "metrics.csv is damaged in line 3": lambda run: (run / "metrics.csv").write_text("epoch,epoch_s\n0,1\n1,?\n"),
}


@pytest.mark.parametrize("reason", first(8, BREAK))
def test_a_broken_run_is_listed_with_the_reason_in_every_file(study: Path, reason: str, no_figures: None):
    BREAK[reason](study / "elu,2")
    write_report([study])
    with (study / "runs.csv").open(newline="") as file:
        rows = {row["folder"]: row for row in csv.DictReader(file)}
    assert len(rows) == 6
    assert reason in rows["elu,2"]["reason"]
    assert [row["reason"] for name, row in rows.items() if name != "elu,2"] == [""] * 5
    for name in ("report.html", "report.md"):
        text = (study / name).read_text().replace("&#39;", "'").replace("\\", "")
        assert reason in text, name


def test_a_folder_of_nothing_but_broken_runs_has_a_report(study: Path):
    for path in study.glob("*/result.json"):
        cut_in_half(path)
    write_report([study])
    assert "No run is completed, so there is no best one." in (study / "report.html").read_text()
    assert "6 runs: 6 unreadable. Means and tests are of the completed ones." in (study / "report.md").read_text()
    assert "No run is completed, so there is no best one." in (study / "report.md").read_text()


def test_curves_that_are_not_finite_do_no_harm(leave, tmp_path: Path):
    nan, inf = float("nan"), float("inf")
    for seed in (1, 2):
        leave(f"a{seed}", [2.0, 1.0, 1.1], [0.3, 0.4, 0.5], seed, "elu")
        run = leave(f"b{seed}", [1.0, 0.9, 0.8], [0.3, 0.4, 0.5], seed, "selu")
        text = (run / "metrics.csv").read_text().splitlines(keepends=True)
        text[1:] = [f"{i},1,{nan},{nan},{inf if i else nan},{nan},1e-4,0.9,{nan},1,1\n" for i in range(3)]
        (run / "metrics.csv").write_text("".join(text))
    write_report([tmp_path])
    assert (tmp_path / "figures" / "loss_by_second.svg").exists()


def test_failures_and_their_reasons(leave, tmp_path: Path):
    leave("good", [1.0], [0.5])
    error = {"type": "Diverged", "message": "the loss is not finite at step 7", "traceback": "t.txt"}
    leave("bad", [0.5], [0.9], seed=2, status="diverged", error=error)
    leave("stopped", [0.4], [0.9], seed=3, status="interrupted")
    leave("killed", [0.3], [0.9], seed=4, status="running")
    runs = find_runs([tmp_path])
    assert runs[0].folder.name == "good"  # lower losses of others do not count: they are not completed
    reasons = {run.folder.name: run.reason for run in runs}
    assert reasons == {
        "good": "",
        "bad": "the loss is not finite at step 7",
        "stopped": "stopped before its end; the same command resumes it",
        "killed": "still running, or killed",
    }
    findings = analyze([tmp_path], runs)
    assert findings.best.folder.name == "good"
    assert findings.describe_statuses() == (
        "4 runs: 1 completed, 1 running, 1 interrupted, 1 diverged. Means and tests are of the completed ones."
    )


def test_completed_runs_without_an_accuracy_are_ranked_and_not_compared(study: Path):
    for path in study.glob("elu*/result.json"):
        result = json.loads(path.read_text())
        del result["metrics"]["val_acc"]
        path.write_text(json.dumps(result))
    findings = analyze([study], find_runs([study]))
    assert [group.label for group in findings.groups] == ["selu", "elu"]
    assert [group.label for group in findings.compared] == ["selu"]
    assert findings.pairs == []
    write_report([study])
    assert "| elu | - | - | 0 of 3 | - |" in (study / "report.md").read_text()


def test_a_run_given_twice_counts_once_and_parts_of_a_run_are_no_runs(study: Path):
    (study / "elu,1" / ".hydra").mkdir()
    (study / "elu,1" / ".hydra" / "config.yaml").write_text("seed: 1\n")
    (study / "empty").mkdir()
    assert len(find_runs([study, study / "elu,1", study])) == 6


@pytest.mark.parametrize(("section", "key"), [("metrics", "best_epoch"), ("metrics", "val_acc"), ("time", "total_s")])
def test_an_integer_larger_than_any_float_is_damage(study: Path, no_figures: None, section: str, key: str):
    with_value(study / "elu,2" / "result.json", section, key, 10**400)
    write_report([study])
    runs_table(find_runs([study]), study)
    (broken,) = (run for run in find_runs([study]) if run.problem)
    assert f"{key} is no number" in broken.reason


@pytest.mark.parametrize("value", first(1, [float("nan"), float("inf"), float("-inf")]))
@pytest.mark.parametrize("key", ["val_acc", "best_epoch", "test_acc", "test_loss", "epochs"])
def test_a_figure_that_is_not_finite_is_none(study: Path, no_figures: None, key: str, value: float):
    with_value(study / "elu,2" / "result.json", "metrics", key, value)
    write_report([study])
    (run,) = (run for run in find_runs([study]) if run.reason)
    assert (run.folder.name, run.reason, run.is_completed) == ("elu,2", f"{key} is not finite", True)
    for name in ("report.md", "runs.csv"):
        assert not re.search(r"\b(nan|inf)\b", (study / name).read_text()), name
    table = runs_table(find_runs([study]), study).renderables[0]
    shown = [str(cell) for column in table.columns for cell in column.cells]
    assert not any("nan" in cell or "inf" in cell for cell in shown)


def test_completed_without_a_finite_loss_is_completed_and_not_compared(leave, tmp_path: Path, no_figures: None):
    leave("a", [1.0], [0.5], seed=1)
    leave("b", [1.0], [0.5], seed=2)
    leave("c", [1.0], [0.5], seed=3, status="diverged")
    with_value(tmp_path / "b" / "result.json", "metrics", "val_loss", float("nan"))
    findings = analyze([tmp_path], find_runs([tmp_path]))
    assert findings.warnings[0] == "1 of 3 runs has no finite validation loss and is left out of means and tests."
    assert [row[0][0] for row in ranking_table(findings, tmp_path).rows] == ["1", "-", "-"]
    with_value(tmp_path / "a" / "result.json", "metrics", "val_loss", float("inf"))
    write_report([tmp_path])
    for name in ("report.html", "report.md"):
        assert (
            "No completed run has a finite validation loss, so there is no best one." in (tmp_path / name).read_text()
        )
