import csv
import shutil
from pathlib import Path

import pytest

from sweeping import Done, Script
from trainlab.report.write import write_report

FIGURES = ("loss_by_epoch", "loss_by_second", "accuracy_by_epoch", "accuracy_by_second", "accuracy_intervals")


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_all_files_are_left_in_the_first_folder(study: Path):
    assert write_report([study / "elu,1", study]) == study / "elu,1" / "report.html"
    left = {str(path.relative_to(study / "elu,1")) for path in (study / "elu,1").rglob("*") if path.is_file()}
    curves = {f"figures/{name}.{kind}" for name in FIGURES for kind in ("png", "svg")}
    of_the_run = {"result.json", "config.yaml", "metrics.csv"}
    assert left - of_the_run == {"report.html", "report.md", "runs.csv", "pairs.csv"} | curves


def test_a_row_a_run_with_exact_figures(study: Path, tmp_path: Path, no_figures: None):
    write_report([study], tmp_path / "elsewhere")
    rows = rows_of(tmp_path / "elsewhere" / "runs.csv")
    assert [row["val_loss"] for row in rows] == ["0.91", "0.92", "0.93", "1.01", "1.02", "1.03"]
    first = rows[0]
    assert first["folder"] == "../selu,1"
    assert (first["group"], first["model"], first["seed"], first["status"]) == ("selu", "selu", "1", "completed")
    assert (first["val_acc"], first["test_acc"], first["best_epoch"], first["epochs"]) == ("0.54", "0.25", "3", "4")
    assert (first["epoch_s"], first["total_s"], first["stop_reason"]) == ("4.0", "17.0", "max_epochs")
    assert (first["git_dirty"], first["data_digest"]) == ("False", "d1ge57")
    assert first["command"] == "python src/train.py model=selu optim.lr=1e-4 seed=1"


def test_pairs_with_their_tests(study: Path, no_figures: None):
    write_report([study])
    (pair,) = rows_of(study / "pairs.csv")
    assert (pair["first"], pair["second"], pair["test"]) == ("selu", "elu", "paired")
    assert float(pair["val_acc_difference"]) == pytest.approx((0.05 + 0.051 + 0.05) / 3)
    # of one pair, its own interval; three pairs with the same sign give the smallest p that they can
    low, half = float(pair["low_95_holm"]), float(pair["half_width_95"])
    assert low == pytest.approx(float(pair["val_acc_difference"]) - half)
    assert pair["p_sign_flip"] == pair["smallest_p_sign_flip"] == "0.25"
    assert 0 < float(pair["hedges_g_low_95"]) < float(pair["hedges_g"]) < float(pair["hedges_g_high_95"])
    assert 0.5 < float(pair["probability_better_low_95"]) <= float(pair["probability_better"]) <= 1
    assert "p_equivalent" not in pair


def test_a_second_report_takes_the_place_of_the_first_and_its_figures(study: Path, no_figures: None):
    (study / "figures").mkdir()
    for name in ("loss_by_lr.png", "loss_by_lr.svg", "mine.png"):
        (study / "figures" / name).touch()
    (study / "report.md").write_text("![Validation loss against learning rate](figures/loss_by_lr.png)\n")
    write_report([study])
    assert [path.name for path in (study / "figures").iterdir()] == ["mine.png"]
    assert not list(study.rglob(".report*"))


def test_the_same_runs_give_the_same_report(study: Path, tmp_path: Path, no_figures: None):
    write_report([study], tmp_path / "x")
    write_report([study], tmp_path / "y")
    for name in ("report.md", "runs.csv", "report.html"):
        assert (tmp_path / "x" / name).read_bytes() == (tmp_path / "y" / name).read_bytes()


def test_markdown_shows_the_same_sentences_and_figures(study: Path):
    write_report([study])
    text = (study / "report.md").read_text()
    assert "**Best: selu, validation accuracy 53.0 % (± 2.5 points, 95 % interval over 3 seeds).**" in text
    assert " The other group is significantly worse; it is 5.0 ± 0.1 points behind (p = 4e-5).\n" in text
    assert "| elu | 48.0 % | 45.5 % to 50.5 % | 3 | 5.0 ± 0.1\\* |" in text
    shown = {line.partition("(")[2].rstrip(")") for line in text.splitlines() if line.startswith("![")}
    assert shown == {f"figures/{name}.png" for name in FIGURES}
    assert all((study / name).read_bytes().startswith(b"\x89PNG") for name in shown)
    assert "```\npython src/train.py -m model=selu optim.lr=1e-4 seed=1,2,3\n```" in text
    tables = [line.count("|") - line.count("\\|") for line in text.splitlines() if line.startswith("| ---")]
    assert len(tables) == 4  # groups, settings, runs, pairs


def test_a_bar_in_a_value_does_not_break_a_table(leave, tmp_path: Path, no_figures: None):
    leave("a", [1.0], [0.5], overrides=("experiment=a|b",))
    leave("b", [1.0], [0.5], seed=2, overrides=("experiment=*c*",))
    write_report([tmp_path])
    text = (tmp_path / "report.md").read_text()
    assert "| a\\|b |" in text
    assert "| \\*c\\* |" in text


@pytest.mark.slow
def test_the_script_prints_the_table_and_where_the_report_is(study: Path, tmp_path: Path):
    def report(*arguments: str | Path) -> Done:
        return Script("report.py", [*map(str, arguments)], tmp_path, {}).finish()

    shutil.copytree(study / "elu,1", study / "elu,1 again")
    done = report(study, "--output-dir", tmp_path / "here")
    assert done.returncode == 0, done.stderr
    runs, groups, answer = (done.stdout.find(text) for text in ("selu seed=1 ", "selu   53.0 % ± 2.5 ", "Best: selu, "))
    assert -1 < runs < groups < answer < done.stdout.find("report: ")
    left_out = "1 of 7 runs repeats the settings and the seed of another and is left out of means and tests: each seed "
    assert left_out in done.stdout
    assert f"report: {tmp_path / 'here' / 'report.html'}" in done.stdout
    (tmp_path / "a_file").touch()
    refused = report(study, "--output-dir", tmp_path / "a_file" / "below")
    assert refused.returncode == 1
    assert refused.stderr.startswith("error: ")
    assert f"{tmp_path / 'a_file'}: a file is where a folder is needed" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
