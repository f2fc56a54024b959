import json
from pathlib import Path

import pytest

from trainlab.report.evaluations import Comparison, read_comparison
from trainlab.report.runs import find_runs
from trainlab.report.write import write_report
from trainlab.runs.result import Result

SENTENCES = [
    "MC dropout changes accuracy by +0.12 points, 95 % interval -0.15 to +0.40: no difference can be claimed",
    "MC dropout changes Brier score by -0.0152, 95 % interval -0.0166 to -0.0137: it is better",
]


def figure(value: float, low: float, high: float) -> dict[str, float]:
    return {"value": value, "low": low, "high": high}


def evaluated(folder: Path, **changes: object) -> Path:
    """`eval.json` of the best checkpoint in a run's folder."""
    metrics = {
        "accuracy": {
            "name": "accuracy",
            "deterministic": figure(0.4966, 0.4865, 0.5065),
            "mc_dropout": figure(0.4978, 0.4868, 0.5068),
            "difference": figure(0.0012, -0.0015, 0.004),
        },
        "mutual_information": {"name": "mutual information", "mc_dropout": figure(0.0128, 0.0127, 0.0129)},
    }
    result = Result.read(folder)
    content = {
        **{"checkpoint": str(folder / "checkpoints" / "best.ckpt"), "epoch": result.metrics["best_epoch"]},
        **{"data_digest": "d1ge57", "test_acc": 0.4966, "metrics": metrics},
        "mc_dropout": {"samples": 100, "summary": SENTENCES},
    }
    (folder / "eval.json").write_text(json.dumps(content | changes))
    return folder


def test_words_and_table_of_one_run(study: Path, no_figures: None):
    evaluated(study / "elu,1")
    write_report([study])
    text = (study / "report.md").read_text()
    section = text.partition("## MC dropout: predictions with dropout off, and left on †\n\n")[2].partition("\n## ")[0]
    assert section.startswith("".join(f"- {sentence}.\n" for sentence in SENTENCES))
    assert "| run | metric | samples | deterministic † | MC dropout † | difference † |" in section
    accuracy = "| elu seed=1 | accuracy | 100 | 0.4966 (0.4865 to 0.5065) | 0.4978 (0.4868 to 0.5068) | "
    assert f"{accuracy}+0.0012 (-0.0015 to +0.0040) |" in section
    assert "| elu seed=1 | mutual information | 100 | - | 0.0128 (0.0127 to 0.0129) | - |" in section
    html = (study / "report.html").read_text()
    assert "MC dropout changes accuracy by +0.12 points, 95\N{NO-BREAK SPACE}% interval -0.15 to +0.40" in html
    assert "0.4978 (0.4868 to 0.5068)</td>" in html


def test_of_many_runs_each_has_its_sentence_on_accuracy(study: Path, no_figures: None):
    for run in (*study.glob("elu,*"), *study.glob("selu,*")):
        evaluated(run)
    write_report([study])
    text = (study / "report.md").read_text()
    assert text.count("MC dropout changes accuracy") == 6
    assert "Brier" not in text
    assert f"- selu seed=1: {SENTENCES[0]}." in text


@pytest.mark.parametrize("content", [{"test_acc": 0.5}, {"test_acc": 0.5, "metrics": {}, "mc_dropout": None}])
def test_an_evaluation_without_mc_dropout_is_no_section(content: dict, study: Path, no_figures: None):
    (study / "elu,1" / "eval.json").write_text(json.dumps(content))
    write_report([study])
    assert "MC dropout" not in (study / "report.md").read_text()


def test_a_damaged_evaluation_is_noted_and_the_run_counts(study: Path, no_figures: None):
    evaluated(study / "elu,1", metrics={"accuracy": {"name": "accuracy", "mc_dropout": {"value": 1}}})
    (study / "elu,2" / "eval.json").write_text('{"test_acc": 0.')
    write_report([study])
    text = (study / "report.md").read_text()
    assert "| elu seed=1 | 1 | completed | eval.json is damaged (KeyError: 'low'); run trainlab eval again |" in text
    assert "| elu seed=2 | 1 | completed | eval.json is damaged" in text
    assert "MC dropout changes" not in text
    assert "| elu | 3 |" in text


def test_figures_that_are_not_finite_are_damage(leave):
    run = leave("a", [1.0], [0.5])
    evaluated(run, metrics={"nll": {"name": "nll", "difference": figure(float("nan"), 0, 0)}})
    with pytest.raises(ValueError, match="a figure is not finite"):
        read_comparison(run / "eval.json", Result.read(run))


def test_what_is_read(leave):
    run = leave("a", [1.0], [0.5])
    found = read_comparison(evaluated(run) / "eval.json", Result.read(run))
    assert isinstance(found, Comparison)
    assert (found.samples, found.sentences) == (100, tuple(SENTENCES))
    assert found.metrics["accuracy"]["difference"] == (0.0012, -0.0015, 0.004)
    assert read_comparison(run / "nowhere.json", Result.read(run)) is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"epoch": 1}, "epoch 2, the best is epoch 3"),
        ({"checkpoint": "checkpoints/last.ckpt"}, "last.ckpt, the report shows best.ckpt"),
        ({"data_digest": "0therimages"}, "images with digest 0therima, those of the run have d1ge57"),
    ],
)
def test_an_evaluation_of_other_weights_or_images_is_left_out(changes: dict, reason: str, leave, tmp_path: Path):
    evaluated(leave("a", [1.0, 0.9, 0.8], [0.5] * 3), **changes)
    (run,) = find_runs([tmp_path])
    assert run.mc_dropout is None
    assert run.notes == (f"eval.json is of {reason}: run trainlab eval again",)


def test_an_evaluation_of_another_run_is_left_out_and_one_of_a_run_that_was_moved_is_not(leave, tmp_path: Path):
    other = leave("b", [1.0], [0.5], seed=2) / "checkpoints" / "best.ckpt"
    evaluated(leave("a", [1.0], [0.5]), checkpoint=str(other))
    assert find_runs([tmp_path / "a"])[0].mc_dropout is not None
    other.parent.mkdir()
    other.touch()
    (run,) = find_runs([tmp_path / "a"])
    assert run.mc_dropout is None
    assert run.notes == (f"eval.json is of another run's checkpoint, {other}: run trainlab eval again",)
