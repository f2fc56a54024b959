"""What a report says of a search, and shows of it."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from trainlab.report.plots.search import NAMES, plot_search
from trainlab.report.search import Dimension, describe_best_trial, describe_search, read_search
from trainlab.report.write import write_report

SPACE = {
    "optim.lr": {"low": 1e-5, "high": 1e-1, "log": True, "whole": False},
    "model": {"values": ["bn", "selu"]},
    "model.depth": {"low": 2, "high": 8, "step": 2},
}
TRIALS = [  # status, loss, rate, model, depth
    ("completed", 1.6, 1e-4, "bn", 2),
    ("completed", 1.4, 1e-3, "selu", 4),
    ("pruned", 1.9, 1e-2, "bn", 8),
    ("diverged", None, 1e-1, "selu", 6),
    ("completed", 90.0, 2e-5, "bn", 2),
    ("failed", None, 2e-2, "bn", 2),
]


def leave_search(folder: Path, trials=TRIALS, **more):
    listed = [
        {
            **{"number": number, "status": status, "reason": "", "val_loss": loss, "folder": f"run{number}"},
            "params": {"optim.lr": lr, "model": model, "model.depth": depth},
        }
        for number, (status, loss, lr, model, depth) in enumerate(trials)
    ]
    content = {"sampler": "tpe", "seed": 1, "pruner": "median", "planned": 8, "space": SPACE, "importance": {}}
    (folder / "study.json").write_text(json.dumps({**content, "trials": listed, **more}))
    return read_search(folder)


def test_what_is_said(tmp_path: Path):
    assert describe_search(leave_search(tmp_path)) == [
        "6 of 8 trials: 3 completed, 1 pruned, 1 diverged, 1 failed.",
        "Drawn by Optuna's tpe sampler (seed 1), and ended early by its median pruner, from optim.lr: 1e-05 to 0.1 on "
        "a log scale; model: bn or selu; model.depth: 2 to 8.",
    ]


def test_without_a_pruner_and_without_a_completed_trial(tmp_path: Path):
    said = describe_search(leave_search(tmp_path, TRIALS[3:4], pruner="none"))
    assert said[0] == "1 of 8 trials: 1 diverged."
    assert said[1].startswith("Drawn by Optuna's tpe sampler (seed 1), from optim.lr: ")
    assert len(said) == 2


@pytest.mark.parametrize(
    "lr, end", [(1.2e-5, "lower end of what was searched: lower"), (9e-2, "upper end of what was searched: higher")]
)
def test_a_best_value_at_the_end_of_an_interval_is_pointed_out(lr, end, tmp_path: Path):
    said = describe_search(leave_search(tmp_path, [("completed", 1.0, lr, "bn", 4)]))
    assert said[2:] == [f"The best optim.lr lies at the {end} values may be better."]


@pytest.mark.parametrize(
    "dimension, value, place",
    [
        (Dimension(1e-5, 1e-1, log=True), 1e-3, 0.5),
        (Dimension(0.0, 1.0), 0.25, 0.25),
        (Dimension(2, 8), 8, 1.0),
    ],
)
def test_where_a_value_lies(dimension, value, place):
    assert dimension.place(value) == pytest.approx(place)


@pytest.mark.slow
@pytest.mark.usefixtures("drawn")
def test_the_figures_are_whole(tmp_path: Path):
    search = leave_search(tmp_path, importance={"optim.lr": 0.7, "model": 0.2, "model.depth": 0.1})
    pictures = plot_search(search)
    assert [picture.name for picture in pictures] == [*NAMES]
    for picture in pictures:
        pixels = np.asarray(Image.open(io.BytesIO(picture.png)).convert("L"))
        assert pixels[0, 0] == 255
        assert pixels.std() > 5
    history, _, slices = pictures
    assert "1 with a higher loss is drawn at the top." in history.caption
    assert "Crosses: pruned trials" in slices.caption
    assert [picture.svg for picture in plot_search(search)] == [picture.svg for picture in pictures]


def test_there_is_nothing_to_show_without_a_completed_trial(tmp_path: Path):
    assert plot_search(leave_search(tmp_path, TRIALS[2:4])) == []
    assert [picture.name for picture in plot_search(leave_search(tmp_path, TRIALS[:1]))] == [NAMES[0], NAMES[2]]


def test_a_search_by_accuracy_is_reported_by_accuracy(tmp_path: Path):
    search = leave_search(tmp_path)
    content = json.loads((tmp_path / "study.json").read_text()) | {"objective": "val/acc"}
    for trial, accuracy in zip(content["trials"], (0.5, 0.7, 0.6, None, 0.2, None), strict=True):
        trial["val_acc"] = accuracy
        del trial["val_loss"]
    (tmp_path / "study.json").write_text(json.dumps(content))
    search = read_search(tmp_path)
    assert search.best.number == 1
    assert describe_best_trial(search).startswith("Best of 6 trials: trial 1, validation accuracy 70.00 %, with ")
    history, *_ = pictures = plot_search(search)
    assert history.caption == "Higher is better; the orange dot is the best trial."
    assert pictures[-1].title == "Validation accuracy against each setting"


def test_the_report_has_it_all_and_a_later_one_leaves_no_old_figure(study: Path):
    leave_search(study)
    write_report([study])
    page, text = (study / "report.html").read_text(), (study / "report.md").read_text()
    for content in (page, text):
        assert "The search" in content and "6 of 8 trials: 3 completed" in content
    assert "![The search, trial by trial](figures/search_history.png)" in text
    (study / "study.json").unlink()
    write_report([study])
    assert "The search" not in (study / "report.html").read_text()
    assert not list((study / "figures").glob("search_*"))


def test_pruned_runs_are_listed_with_the_reason_and_count_nowhere(leave, tmp_path: Path):
    leave("a", [1.0, 0.9], [0.5, 0.6])
    leave("b", [2.0], [0.4], 1, "selu", status="pruned")
    write_report([tmp_path])
    text = (tmp_path / "report.md").read_text()
    assert "1 of 2 runs was ended early by the search and is left out of means and tests." in text
    assert "did not complete" not in text
    assert "| selu | 1 | pruned | ended early by the search: other trials were better after as many epochs |" in text


def test_a_damaged_file_is_reported_and_the_rest_of_the_report_is_complete(study: Path, no_figures: None):
    (study / "study.json").write_text("{")
    write_report([study])
    text = (study / "report.md").read_text()
    assert "study.json is damaged (JSONDecodeError" in text
    assert "| elu | 48.0 % |" in text
