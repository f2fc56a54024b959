from pathlib import Path

from rich.console import Console

from trainlab.report.run_table import runs_table
from trainlab.report.runs import Run
from trainlab.runs.result import Result

METRICS = {"best_epoch": 4, "val_loss": 1.23456, "val_acc": 0.5, "test_loss": 1.0, "test_acc": 0.4321, "epochs": 15}


def a_run(name: str, *overrides: str, status: str = "completed", **fields) -> Run:
    return Run(Path("/outputs") / name, Result(status, "f00d", list(overrides), **fields))


def cells(runs: list[Run], root: str = "/outputs") -> list[list[str]]:
    """The rows of the table, as texts."""
    table = runs_table(runs, Path(root)).renderables[0]
    return [list(row) for row in zip(*(column.cells for column in table.columns), strict=True)]


def reasons(runs: list[Run]) -> list[str]:
    """The lines below the table."""
    return [str(line) for line in runs_table(runs, Path("/outputs")).renderables[1:]]


def test_a_row_holds_the_figures_of_the_best_checkpoint_with_epochs_counted_from_one():
    run = a_run("a", "model=bn", metrics=METRICS, time={"epoch_s": 3.14159})
    assert cells([run]) == [["model=bn", "1.2346", "50.00%", "43.21%", "5", "15", "3.1", "completed"]]


def test_overrides_that_all_runs_share_are_not_repeated():
    runs = [a_run("a", "model=bn", "optim.lr=1e-4", "seed=2"), a_run("b", "model=selu", "optim.lr=1e-4", "seed=2")]
    assert [row[0] for row in cells(runs)] == ["model=bn", "model=selu"]


def test_a_run_that_nothing_sets_apart_goes_by_its_folder():
    runs = [a_run("study/a", "seed=2"), a_run("study/b", "seed=2", "model=bn")]
    assert [row[0] for row in cells(runs)] == ["study/a", "model=bn"]
    assert cells(runs, root="/elsewhere")[0][0] == "/outputs/study/a"


def test_a_failure_gives_its_reason_and_leaves_no_figure():
    error = {"type": "Diverged", "message": "the loss is not finite at step 7", "traceback": "t.txt"}
    run = a_run("a", "optim.lr=9", status="diverged", metrics={"epochs": 0}, error=error)
    assert cells([run]) == [["optim.lr=9", "-", "-", "-", "-", "0", "-", "diverged"]]
    assert reasons([run]) == ["optim.lr=9: the loss is not finite at step 7"]
    assert reasons([a_run("b", metrics=METRICS)]) == []


def test_a_broken_result_has_a_row_with_the_problem():
    run = Run(Path("/outputs/bad"), problem="result.json is damaged")
    assert cells([run]) == [["bad", *["-"] * 6, "unreadable"]]
    assert reasons([run]) == ["bad: result.json is damaged"]


def test_brackets_are_shown_as_they_are_and_taken_for_no_markup():
    error = {"type": "ValueError", "message": "no image in [/data/pets]", "traceback": "t.txt"}
    run = a_run("a", "model.dense=[64]", status="failed", error=error)
    console = Console(width=200, record=True)
    with console.capture() as shown:
        console.print(runs_table([run], Path("/outputs")))
    assert "model.dense=[64]" in shown.get()
    assert "model.dense=[64]: no image in [/data/pets]" in shown.get()


def test_figures_stay_whole_on_a_terminal_of_80_columns():
    runs = [a_run(f"a{i}", f"model=selu,optim.lr=0.000{i}", metrics=METRICS, time={"epoch_s": 12.34}) for i in (1, 5)]
    console = Console(width=80)
    with console.capture() as shown:
        console.print(runs_table(runs, Path("/outputs")))
    lines = shown.get().splitlines()
    assert max(map(len, lines)) <= 80
    figures = ["1.2346", "50.00%", "43.21%"]
    assert sum(all(figure in line for figure in [*figures, "12.3", "completed"]) for line in lines) == 2
