"""The answer to question 1, from figures that are made up."""

from pathlib import Path

import pytest

from exercise.questions.symmetry import INDEPENDENT, OUTPUT_INDEPENDENT, SAME, SECTION, STARTS, SWEEP, answer
from exercise.store import Evidence, NotAvailable
from exercise.trainings import Setting
from exercise_texts import text_of, verdicts
from run_folders import leave_run

HEADER = "epochs,step,layer,mean,std,dead,gradient_norm,rank,distinct_units\n"
LAYERS = ("linear_1", "linear_2", "output")
USUAL = {"rank": (30, 30), "units": (30, 30)}
ALIKE = {"rank": (1, 1), "units": (1, 1)}


def look(folder: Path, rank=(1, 1), units=(1, 1), dead=0.0) -> None:
    """Before training, and after two epochs; the output layer has ten different units whatever the others have."""
    lines = [
        f"{epochs},{epochs * 9},{layer},0,1,{dead},1,{r},{u}\n"
        for epochs in (0, 2)
        for layer, r, u in zip(LAYERS, (*rank, 10), (*units, 10), strict=True)
    ]
    (folder / "layer_statistics.csv").write_text(HEADER + "".join(lines))


@pytest.fixture
def made(tmp_path):
    """Leaves all runs: accuracies of three seeds by start, with what else is given; and the evidence of them."""

    def leave(normed=None, plain=None, **looks) -> Evidence:
        for batch_norm, by_start in ((True, normed or {}), (False, plain or {})):
            for name, (hidden, output) in STARTS.items():
                accuracies = by_start.get(name, (0.4, 0.41, 0.42) if hidden == "he_normal" else (0.15, 0.17, 0.16))
                for seed in (1, 2, 3):
                    folder = tmp_path / SWEEP.name / f"{batch_norm},{name},{seed}"
                    settings = {
                        "initializer": hidden,
                        "output_initializer": output,
                        "batch_norm": batch_norm,
                        "width": 30,
                    }
                    given = tuple(f"model.{key}={value}" for key, value in settings.items())
                    status = "completed" if accuracies else "diverged"
                    value = accuracies[seed - 1] if accuracies else 0.1
                    leave_run(folder, [2.0], [value], seed, overrides=given, status=status, **settings)
                    usual = USUAL if hidden == "he_normal" else ALIKE
                    look(folder, **{**usual, "dead": 0.0 if batch_norm else 0.9 * (hidden == "he_constant")})
                    if batch_norm and name in looks:
                        look(folder, **looks[name])
        return Evidence(tmp_path, Setting())

    return leave


def test_symmetry_that_is_kept_and_costs_accuracy_is_what_the_textbook_says(made):
    found = answer(made(**{OUTPUT_INDEPENDENT: {"rank": (1, 1), "units": (1, 28)}}))
    assert verdicts(found) == ["confirmed", "confirmed"]
    # Seed by seed 0.15 - 0.4, 0.17 - 0.41 and 0.16 - 0.42.
    [contrast] = found.contrasts
    assert (round(contrast.mean, 1), round(contrast.high, 1)) == (-25.0, -22.5)
    text = text_of(SECTION, found)
    assert "all 30 units of a layer stay equal; accuracy 16.0 % instead of 41.0 %" in text
    assert "(28 of 30 units differ)" in text
    assert "90 % of the units become constant, and accuracy is 16.0 %" in text
    [(_, table)] = found.tables
    assert len(table.rows) == 2 * len(STARTS)
    assert [text for text, _ in table.rows[2][:4]] == ["yes", OUTPUT_INDEPENDENT, "14.5", "1.0"]


def test_symmetry_that_is_broken_contradicts_it(made):
    found = answer(made(**{SAME: {"rank": (1, 3), "units": (1, 7)}}))
    assert verdicts(found) == ["contradicted", "confirmed"]
    assert "came to have 7 different units" in text_of(SECTION, found)


@pytest.mark.parametrize(
    ("accuracies", "verdict"),
    [((0.50, 0.51, 0.53), "contradicted"), ((0.40, 0.42, 0.41), "undecided"), ((0.402, 0.413, 0.42), "contradicted")],
)
def test_symmetry_that_costs_nothing_is_not_what_it_says(made, accuracies, verdict):
    """The last is at most 0.5 points lower: no difference that matters."""
    assert verdicts(answer(made(normed={SAME: accuracies}))) == ["confirmed", verdict]


def test_a_network_that_does_not_saturate_is_not_said_to(made, tmp_path):
    evidence = made()
    for folder in (tmp_path / SWEEP.name).glob(f"False,{SAME},*"):
        look(folder, dead=0.1)
    text = text_of(SECTION, answer(evidence))
    assert "become constant" not in text
    assert "Random weights in the output layer show no gain" in text  # the last hidden layer has one unit there


@pytest.mark.parametrize("name", [SAME, INDEPENDENT])
def test_without_a_completed_run_there_is_no_answer(made, name):
    with pytest.raises(NotAvailable, match="no run was completed"):
        answer(made(normed={name: ()}))


def test_without_runs_there_is_no_answer_yet(tmp_path):
    with pytest.raises(NotAvailable):
        answer(Evidence(tmp_path, Setting()))
