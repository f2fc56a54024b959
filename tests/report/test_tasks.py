"""Reports on runs of other tasks than classification: by the names, directions and formats in their results."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from run_folders import leave_run
from trainlab.report import compare_convergence, find_runs, group_runs, runs_table, write_report
from trainlab.report.comparisons import compare_all
from trainlab.report.descriptions import describe_pair
from trainlab.report.findings import analyze
from trainlab.report.group_table import answer_text
from trainlab.report.plots.curves import plot_learning_curves
from trainlab.report.plots.groups import plot_groups, plot_intervals
from trainlab.report.tables import group_tables, pair_matrices
from trainlab.tasks.metrics import Metric
from trainlab.tasks.reported import TaskMetrics

LOSS = Metric("min", "validation loss", "val_loss", ".4g")
MAE = Metric("min", "validation mean absolute error", "val_mae", ".4g")
R2 = Metric("max", "validation r2", "val_r2", ".4g")
F1 = Metric("max", "validation f1", "val_f1", ".4g")
REGRESSION = TaskMetrics.of(R2, R2, [LOSS, MAE])
BY_MAE = TaskMetrics.of(MAE, MAE, [LOSS])
OWN_MODULE = TaskMetrics.of(F1, F1)
Leave = Callable[..., Path]


@pytest.fixture
def leave_task(tmp_path: Path) -> Leave:
    """A run of a task, from its curves by name of a column; the best epoch is by the primary metric."""

    def leave(name: str, task: TaskMetrics, curves: Mapping[str, Sequence[float]], seed: int, model: str) -> Path:
        epochs = len(next(iter(curves.values())))
        folder = leave_run(tmp_path / name, [1.0] * epochs, [0.5] * epochs, seed, model)
        rows = [f"{i},{','.join(str(values[i]) for values in curves.values())},2.0\n" for i in range(epochs)]
        (folder / "metrics.csv").write_text(f"epoch,{','.join(curves)},epoch_s\n{''.join(rows)}")
        result: dict[str, Any] = json.loads((folder / "result.json").read_text())
        by_key = {metric.key: curves[name] for metric in task.every for name in curves if metric.key[4:] in name[-4:]}
        chosen = by_key[task.primary.key]
        best = min(range(epochs), key=lambda epoch: task.primary.rank(chosen[epoch]))
        values = {key: values[best] for key, values in by_key.items()}
        tests = {f"test_{key[4:]}": value / 2 for key, value in values.items()}
        result["metrics"] = {"epochs": epochs, "stop_reason": "max_epochs", "best_epoch": best, **values, **tests}
        result["task"] = task.entry()
        (folder / "result.json").write_text(json.dumps(result))
        return folder

    return leave


@pytest.fixture
def regression(leave_task: Leave, tmp_path: Path) -> Path:
    """Two models of three seeds: bn has the higher R2, by 0.2, and the lower error, elu the lower loss."""
    for seed in (1, 2, 3):
        noise = 0.01 * seed
        for model, r2, mae, loss in (("elu", 0.6, 4.0, 1.0), ("bn", 0.8 + 0.1 * noise, 3.0, 2.0)):
            curves = {
                "train/loss": [loss, loss / 2, loss / 4],
                "val/loss": [loss, loss, loss],
                "val/mae": [mae + 1, mae, mae + 0.5],
                "val/r2": [r2 / 4, r2 + noise, r2],
            }
            leave_task(f"{model}{seed}", REGRESSION, curves, seed, model)
    return tmp_path


def test_where_higher_is_better_the_highest_is_first_and_better(regression: Path):
    groups = group_runs(find_runs([regression]))
    assert [group.label for group in groups] == ["bn", "elu"]
    (pair,) = compare_all(groups)
    # the differences are 0.201, 0.202 and 0.203: mean 0.202, sd 0.001, 4.3027 * 0.001 / sqrt(3) = 0.002484
    assert describe_pair(pair).startswith("bn is better than elu by 0.202 ± 0.002484 in r2 (95 %; paired t over seeds")
    found = compare_convergence(groups[1], groups[0])
    assert found.target == pytest.approx(0.62)  # of 0.61, 0.62, 0.63: bn is there in the second epoch, as elu is
    assert found.epochs_ratio.value == 1
    slower = compare_convergence(groups[0], groups[1])
    assert (slower.second.never, slower.common) == (3, pytest.approx(0.62))  # the lower of the two highest


def test_where_lower_is_better_the_lowest_is(leave_task: Leave, tmp_path: Path):
    for seed in (1, 2, 3):
        for model, mae in (("elu", 4.0), ("bn", 3.0 + 0.1 * seed)):
            curves = {"val/loss": [1.0, 2.0], "val/mae": [mae, mae + 1 + 0.01 * seed]}
            leave_task(f"{model}{seed}", BY_MAE, curves, seed, model)
    groups = group_runs(find_runs([tmp_path]))
    assert [group.label for group in groups] == ["bn", "elu"]
    (pair,) = compare_all(groups)
    assert describe_pair(pair).startswith("bn is better than elu by 0.8 ± ")
    findings = analyze([tmp_path], find_runs([tmp_path]))
    assert pair_matrices(findings)[0].rows[0][2][0] == "0.8 ± 0.2484*"
    assert str(answer_text(findings)) == (
        "\nBest: bn, validation mean absolute error 3.2 (± 0.2484, 95 % interval over 3 seeds). The other group is "
        "significantly worse; it is 0.8 ± 0.2484 behind (p = 0.005)."
    )


def test_names_and_formats_are_those_of_the_task(regression: Path):
    write_report([regression])
    text = (regression / "report.md").read_text()
    headings = "| group | val r2 | 95 % interval | n | behind | p (Holm) | sd | val loss | val mae | test r2 † "
    assert headings in text
    assert "how much the row is ahead of the column, in validation r2, ± half" in text
    assert "## Runs, by validation r2" in text
    assert "- Groups are compared by validation r2 at its best epoch." in text
    assert "**Best: bn, validation r2 0.822 (± 0.02733, 95 % interval over 3 seeds).**" in text
    assert "bn reached elu's best validation r2 (0.62) after 2 epochs, 4.0 s" in text
    assert "to a value that both reach: the lower of the two best values of r2." in text
    assert "accura" not in text
    assert "val_r2_difference" in (regression / "pairs.csv").read_text()
    table = runs_table(find_runs([regression]), regression).renderables[0]
    assert [column.header for column in table.columns][1:4] == ["val r2", "val loss", "test r2 †"]


@pytest.mark.usefixtures("drawn")
def test_axes_are_labelled_by_the_metric(regression: Path):
    groups = group_runs(find_runs([regression]))
    curves = plot_learning_curves(groups, "val_r2", "epochs")
    assert (curves.name, curves.title) == ("r2_by_epoch", "Validation r2 against epochs")
    assert curves.caption == ""
    assert plot_intervals(groups).title == "Validation r2"
    names = ["r2_intervals", "r2_by_epoch", "loss_by_epoch", "mean_absolute_error_by_epoch", "r2_by_second"]
    assert [plot.name for plot in plot_groups(groups)] == names


@pytest.mark.usefixtures("drawn")
def test_a_wild_group_is_cut_off_where_higher_is_better(leave_task: Leave, tmp_path: Path):
    for i, values in enumerate(([-2.0, 0.1, 0.5], [-1.5, 0.2, 0.6], [-900.0, -800.0, -700.0])):
        leave_task(f"m{i}", TaskMetrics.of(R2, R2), {"val/r2": values}, 1, f"m{i}")
    caption = plot_learning_curves(group_runs(find_runs([tmp_path])), "val_r2", "epochs").caption
    assert caption == "Cut off at the bottom: m2."


def test_a_module_of_ones_own_has_one_metric_and_no_loss(leave_task: Leave, tmp_path: Path, no_figures: None):
    for seed in (1, 2):
        leave_task(f"a{seed}", OWN_MODULE, {"f1": [0.1, 0.5 + seed / 100, 0.3]}, seed, "a")  # logged without a split
        leave_task(f"b{seed}", OWN_MODULE, {"val/f1": [0.1, 0.7, 0.3]}, seed, "b")
    lost = leave_task("c", OWN_MODULE, {"val/f1": [0.9]}, 1, "c")
    result = json.loads((lost / "result.json").read_text())
    del result["metrics"]["val_f1"]
    (lost / "result.json").write_text(json.dumps(result))
    runs = find_runs([tmp_path])
    assert [run.folder.name for run in runs] == ["b1", "b2", "a2", "a1", "c"]
    assert [run.reason for run in runs] == [*[""] * 4, "no finite validation f1"]
    b, a, _ = group_runs(runs)
    assert compare_convergence(a, b).target == pytest.approx(0.515)
    (table,) = group_tables(analyze([tmp_path], runs))
    assert table.headings[1:4] == ["val f1", "95 % interval", "n"] and "val loss" not in table.headings
    write_report([tmp_path])
    assert "1 of 5 runs has no finite validation f1 and is left out of means and tests." in (
        (tmp_path / "report.md").read_text()
    )


def test_groups_of_other_metrics_are_not_compared(regression: Path, no_figures: None):
    for seed in (1, 2):
        leave_run(regression / f"c{seed}", [1.0], [0.5 + 0.01 * seed], seed, "selu")
        leave_run(regression / f"d{seed}", [1.1], [0.4 + 0.02 * seed], seed, "selu", lr=1e-3)
    findings = analyze([regression], find_runs([regression]))
    between = [(pair.first.metrics.compared_by.key, pair.second.metrics.compared_by.key) for pair in findings.pairs]
    assert between == [("val_r2", "val_r2"), ("val_acc", "val_acc")]
    assert findings.warnings == [
        "The runs differ in their metrics: groups are compared only where that is by the same one (validation r2, "
        "validation accuracy), and runs are ranked among those with the same primary metric (validation r2, "
        "validation loss)."
    ]
    bn, _, selu, _ = findings.compared
    why = "validation r2 and validation accuracy are different metrics"
    assert findings.answers(bn, selu) == [f"{bn.label} and {selu.label} are not compared: {why}."] * 3
    assert findings.best.folder.name == "bn3"  # of the metric of the most runs
    write_report([regression])
    text = (regression / "report.md").read_text()
    assert "## Runs, by validation r2 and validation accuracy" in text
    assert "| group | val r2 |" in text and "| group | val acc |" in text
    assert [line[:10] for line in text.splitlines() if line.startswith("**")] == ["**Best: bn", "**Best: se"]


def test_a_run_that_failed_before_it_named_its_metrics_is_listed_with_the_others(regression: Path, no_figures: None):
    leave_run(regression / "failed", [1.0], [0.5], 4, "bn", status="failed")
    findings = analyze([regression], find_runs([regression]))
    assert [kind.primary.key for kind in findings.kinds] == ["val_r2"]
    (table,) = group_tables(findings)
    assert [row[3][0] for row in table.rows] == ["3 of 4", "3"]


def test_a_damaged_entry_is_damage(regression: Path):
    path = regression / "bn1" / "result.json"
    path.write_text(path.read_text().replace('"max"', '"up"'))
    (broken,) = (run for run in find_runs([regression]) if run.problem)
    assert "mode must be min, max or null" in broken.reason
