"""Tags of runs, and how two runs differ."""

import csv
import sys
from pathlib import Path

import pytest
from rich.console import Console

from event_files import BOARD, values
from trainlab.config.resolvers import PROJECT
from trainlab.report import diff_table, find_runs, read_run, runs_table, with_tags, write_report
from trainlab.runs.result import Result


def tag(folder: Path, *tags: str) -> Path:
    result = Result.read(folder)
    assert result
    result.tags = [*tags]
    result.write(folder)
    return folder


def text_of(renderable) -> str:
    console = Console(width=200, record=True, file=sys.stderr)
    console.print(renderable)
    return console.export_text()


def lines_of(table) -> list[list[str]]:
    return [list(row) for row in zip(*(column.cells for column in table.columns), strict=True)]


def test_a_run_records_its_tags_and_they_decide_nothing(train):
    tagged, folder = train("tags=[baseline,paper]", "trainer.max_epochs=1", BOARD)
    plain, _ = train("trainer.max_epochs=1", name="plain")
    assert tagged.tags == Result.read(folder).tags == ["baseline", "paper"]
    assert (tagged.fingerprint, tagged.metrics) == (plain.fingerprint, plain.metrics)
    ((_, text),) = values(folder)["tags/text_summary"]
    assert text.tensor.string_val == [b"baseline, paper"]
    with pytest.raises(ValueError, match=r"^tags must be a list, each a string, got 'paper'$"):
        train("tags=paper", name="other")


def test_the_tables_show_tags_only_where_a_run_has_some(leave, no_figures, tmp_path):
    leave("a", [1.0], [0.5], seed=1)
    assert "tags" not in text_of(runs_table(find_runs([tmp_path]), tmp_path))
    assert "| tags |" not in write_report([tmp_path]).with_name("report.md").read_text()
    tag(leave("b", [0.5], [0.6], seed=2), "baseline", "paper")
    assert "baseline, paper" in text_of(runs_table(find_runs([tmp_path]), tmp_path))
    assert "| baseline, paper |" in write_report([tmp_path]).with_name("report.md").read_text()
    rows = list(csv.DictReader((tmp_path / "runs.csv").open()))
    assert [row["tags"] for row in rows] == ["baseline, paper", ""]


def test_runs_are_chosen_by_all_of_several_tags(leave, tmp_path):
    for name, tags in {"a": (), "b": ("x",), "c": ("x", "y")}.items():
        tag(leave(name, [1.0], [0.5]), *tags)
    runs = find_runs([tmp_path])
    assert {run.folder.name for run in with_tags(runs, ["x"])} == {"b", "c"}
    assert {run.folder.name for run in with_tags(runs, ["x", "y"])} == {"c"}
    with pytest.raises(FileNotFoundError, match=r"^no run has the tags z; tags of these runs: x, y$"):
        with_tags(runs, ["z"])


def test_two_runs_are_compared_by_setting_and_result(leave, tmp_path):
    leave("a", [1.0, 0.5], [0.5, 0.6], seed=1, activation="elu", lr=0.0012345)
    leave("b", [1.0], [0.25], seed=1, activation="selu", optim={"momentum": 0.9}, provenance_git_commit="beef")
    table = diff_table(read_run(tmp_path / "a"), read_run(tmp_path / "b"), tmp_path)
    assert [column.header for column in table.columns] == ["", "a", "b"]
    lines = lines_of(table)
    assert lines[: lines.index(["[bold]results[/]", "", ""])] == [
        ["[bold]settings that differ[/]", "", ""],
        ["model.activation", "elu", "selu"],
        ["optim.lr", "1.2345e-3", "1e-4"],
        ["optim.momentum", "not set", "0.9"],
    ]
    for line in (
        ["val_acc", "0.6", "0.25"],
        ["best_epoch", "2", "1"],
        ["epochs", "2", "1"],
        ["status", "completed", "completed"],
    ):
        assert line in lines
    assert lines[lines.index(["[bold]other differences[/]", "", ""]) :][1:] == [
        ["git_commit", "c0ffee" * 6, "beef"],
    ]
    same = diff_table(read_run(tmp_path / "a"), read_run(tmp_path / "a"), tmp_path)
    assert same.caption == "no setting that decides a result differs"


def test_only_runs_can_be_compared(leave, tmp_path):
    with pytest.raises(FileNotFoundError, match=rf"^there is no trainlab run in {tmp_path}; give the folder of one"):
        read_run(tmp_path)
    (leave("a", [1.0], [0.5]) / "result.json").write_text("{")
    with pytest.raises(ValueError, match=r"result\.json is damaged"):
        read_run(tmp_path / "a")


@pytest.mark.parametrize(
    "words, message",
    [
        ([], "give folders for a report, or --diff and two runs"),
        (["x", "--diff", "a", "b"], "give folders for a report, or --diff and two runs"),
        (["--diff", "a", "b", "--tags", "x"], "--diff writes no report; leave out --tags, --margin and --output-dir"),
        (["x", "--margin", "0"], "--margin must be above 0, got 0"),
        (["--diff", "a", "b"], "there is no trainlab run in a; give the folder of one"),
    ],
)
def test_words_of_the_script_are_checked(words, message, monkeypatch, capsys, tmp_path):
    import runpy

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["report.py", *words])
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(PROJECT / "src" / "report.py"), run_name="__main__")
    assert message in f"{end.value} {capsys.readouterr().err}"


def test_a_margin_is_in_points_of_accuracy(leave, no_figures, monkeypatch, capsys, tmp_path):
    import runpy

    for seed, (a, b) in enumerate(((0.502, 0.501), (0.503, 0.503), (0.504, 0.502)), 1):
        leave(f"a{seed}", [1.0], [a], seed, "elu")
        leave(f"b{seed}", [1.0], [b], seed, "selu")
    for margin, within in (("1.0", True), ("0.1", False)):
        monkeypatch.setattr(sys, "argv", ["report.py", str(tmp_path), "--margin", margin])
        runpy.run_path(str(PROJECT / "src" / "report.py"), run_name="__main__")
        said = " ".join(capsys.readouterr().out.split())
        assert ("equivalent to the best: less than 1.0 points apart." in said) is within
