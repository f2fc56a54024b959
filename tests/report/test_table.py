from pathlib import Path

from rich.console import Console

from trainlab.report.run_table import runs_table
from trainlab.report.runs import Run
from trainlab.runs.result import Result

METRICS = {"best_epoch": 4, "val_loss": 1.23456, "val_acc": 0.5, "test_loss": 1.0, "test_acc": 0.4321, "epochs": 15}


def a_run(name: str, *overrides: str, status: str = "completed", **fields) -> Run:
    values = dict(override.split("=") for override in overrides)
    settings = {"model.depth": 3, **{key: values[key] for key in ("optim.lr", "seed") if key in values}}
    return Run(Path("/outputs") / name, Result(status, "f00d", list(overrides), **fields), settings=settings)


def cells(runs: list[Run], root: str = "/outputs") -> list[list[str]]:
    """The rows of the table, as texts."""
    table = runs_table(runs, Path(root)).renderables[0]
    return [list(row) for row in zip(*(column.cells for column in table.columns), strict=True)]


def below(runs: list[Run]) -> list[str]:
    """The lines below the table."""
    return [str(line) for line in runs_table(runs, Path("/outputs")).renderables[1:]]


def test_a_row_holds_the_figures_of_the_best_checkpoint_with_epochs_counted_from_one():
    run = a_run("a", "model=bn", metrics=METRICS, time={"epoch_s": 3.14159})
    assert cells([run]) == [["a", "50.00 %", "1.2346", "43.21 %", "5", "15", "3.1", "completed"]]


def test_runs_are_named_by_the_settings_that_differ_and_what_is_the_same_is_below():
    runs = [
        a_run("a", "model=bn", "optim.lr=1e-4", "seed=2", metrics=METRICS),
        a_run("b", "model=bn", "optim.lr=1e-3", "seed=2", metrics=METRICS | {"best_epoch": 5}),
    ]
    assert cells(runs) == [
        ["lr=1e-4", "50.00 %", "1.2346", "43.21 %", "5", "-"],
        ["lr=1e-3", "50.00 %", "1.2346", "43.21 %", "6", "-"],
    ]
    assert below(runs)[0] == "2 runs, all completed; 15 epochs each"


def test_a_run_that_nothing_sets_apart_goes_by_its_folder():
    runs = [a_run("study/a", "model=bn"), a_run("study/b", "model=bn"), a_run("study/c", "model=selu")]
    assert [row[0] for row in cells(runs)] == ["bn (a)", "bn (b)", "selu"]
    assert [row[0] for row in cells([runs[0], a_run("other/a", "model=bn"), runs[2]])] == [
        "bn (study)",
        "bn (other)",
        "selu",
    ]
    assert [row[0] for row in cells(runs[:2])] == ["study/a", "study/b"]
    assert cells(runs[:2], root="/elsewhere")[0][0] == "/outputs/study/a"


def test_a_failure_gives_its_reason_and_leaves_no_figure():
    error = {"type": "Diverged", "message": "the loss is not finite at step 7", "traceback": "t.txt"}
    run = a_run("a", "optim.lr=9", status="diverged", metrics={"epochs": 0}, error=error)
    assert cells([run]) == [["a", "-", "-", "-", "-", "0", "-", "diverged"]]
    assert below([run])[-1] == "diverged: a: the loss is not finite at step 7"
    assert len(below([a_run("b", metrics=METRICS)])) == 1


def test_runs_with_the_same_reason_share_a_line():
    runs = [a_run(f"a{i}", f"seed={i}", status="interrupted") for i in range(5)]
    assert below(runs) == [
        "5 runs, all interrupted",
        "Best epoch chosen on validation data; † = test set",
        "interrupted: seed=0, seed=1, seed=2 and 2 more: stopped before its end; the same command resumes it",
    ]


def test_of_many_runs_the_best_20_and_where_the_others_are():
    runs = [a_run(f"a{i}", f"seed={i}", metrics=METRICS) for i in range(95)]
    error = {"type": "Diverged", "message": "m", "traceback": "t.txt"}
    runs += [a_run(f"b{i}", f"seed={100 + i}", status="diverged", error=error | {"message": f"{i}"}) for i in range(12)]
    assert [row[0] for row in cells(runs)] == [f"seed={i}" for i in range(20)]
    first, _, *reasons = below(runs)
    assert first == (
        "107 runs: 95 completed, 12 diverged; completed runs: 15 epochs each; these are the best 20, all are in "
        "the report and in runs.csv"
    )
    assert reasons[0] == "diverged: seed=100: 0"
    assert reasons[10:] == ["and 2 more; runs.csv has the reason of each"]


def test_epochs_are_a_column_where_runs_differ_in_them():
    runs = [a_run(f"a{i}", f"seed={i}", metrics=METRICS) for i in range(2)]
    runs.append(a_run("b", "seed=2", status="diverged", metrics={"epochs": 0}))
    assert below(runs)[0] == "3 runs: 2 completed, 1 diverged"
    assert [row[5] for row in cells(runs)] == ["15", "15", "0"]


def test_a_broken_result_has_a_row_with_the_problem():
    run = Run(Path("/outputs/bad"), problem="result.json is damaged")
    assert cells([run]) == [["bad", *["-"] * 6, "unreadable"]]
    assert below([run])[-1] == "unreadable: bad: result.json is damaged"


def test_brackets_are_shown_as_they_are_and_taken_for_no_markup():
    error = {"type": "ValueError", "message": "no image in [/data/pets]", "traceback": "t.txt"}
    run = a_run("a[64]", status="failed", error=error)
    console = Console(width=200, record=True)
    with console.capture() as shown:
        console.print(runs_table([run], Path("/outputs")))
    assert "a[64] " in shown.get()
    assert "a[64]: no image in [/data/pets]" in shown.get()


def test_a_run_is_one_row_on_a_terminal_of_80_columns():
    runs = [
        a_run(f"a{i}", "model=elu_he", f"optim.lr=0.000{i}", f"seed={i}", metrics=METRICS, time={"epoch_s": 12.34})
        for i in (1, 5)
    ]
    console = Console(width=80)
    with console.capture() as shown:
        console.print(runs_table(runs, Path("/outputs")))
    lines = shown.get().splitlines()
    assert max(map(len, lines)) <= 80
    figures = ["50.00 %", "1.2346", "43.21 %", "12.3"]
    rows = [line for line in lines if all(figure in line for figure in figures)]
    assert [line.partition("  ")[0].strip() for line in rows] == ["lr=0.0001 seed=1", "lr=0.0005 seed=5"]


def test_names_of_40_characters_stay_whole_on_a_terminal_of_80_columns():
    runs = [
        a_run("x" * 40 + str(i), "model=bn", metrics=METRICS | {"epochs": 15 + i}, time={"epoch_s": 1.0})
        for i in (0, 1)
    ]
    runs = [*runs, a_run("short", "model=bn", status="diverged")]
    console = Console(width=80)
    with console.capture() as shown:
        console.print(runs_table(runs, Path("/outputs"), 80))
    lines = shown.get().splitlines()
    assert max(map(len, lines)) <= 80
    assert (
        sum("x" * 40 in line and "50.00 %" in line and "43.21 %" in line and "completed" in line for line in lines) == 2
    )
    assert "; median s/epoch, best epoch and val loss in the report" in " ".join(map(str.strip, lines))
