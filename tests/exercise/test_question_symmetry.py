"""The answer to question 1, from figures that are made up."""

from pathlib import Path

import pytest

from exercise.questions.symmetry import INDEPENDENT, OUTPUT_INDEPENDENT, SAME, STARTS, SWEEP, answer
from exercise.store import Evidence, NotAvailable
from exercise.trainings import Setting
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
                    settings = {"initializer": hidden, "output_initializer": output, "batch_norm": batch_norm}
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
    # Seed by seed 0.15 - 0.4, 0.17 - 0.41 and 0.16 - 0.42.
    assert found.agrees is True
    kept, worse = found.sentences
    half, without = found.figures[0].caption, found.tables[0][1].note
    assert kept == (
        "With one value for all weights of a layer, every hidden layer has one distinct unit, and weights of rank 1 at "
        "most, before training and after each epoch (3 seeds). With independent weights a layer has 30.0 ± 0.0 "
        "distinct units and weights of rank 30.0 ± 0.0 after the last epoch."
    )
    assert worse.startswith("Validation accuracy of one value a layer is 25.0 ± 2.5 points lower than of independent")
    assert "the last hidden layer reaches 28.0 ± 0.0 distinct units with weights of rank 1.0 ± 0.0, and those" in half
    assert "and those below keep one unit" in half
    assert "reaches 16.0 ± 2.5 % (3 seeds) and independent weights 41.0 ± 2.5 % (3 seeds). Equal weights add" in without
    assert "90 ± 0 % (3 seeds) of the hidden units" in without
    assert [picture.name for picture in found.figures] == ["1_symmetry", "1_accuracy_by_epoch"]
    [(_, table)] = found.tables
    assert len(table.rows) == 2 * len(STARTS)
    assert [text for text, _ in table.rows[2][:4]] == ["with", OUTPUT_INDEPENDENT, "14.5 ± 0.0", "1.0 ± 0.0"]


def test_symmetry_that_is_broken_contradicts_it(made):
    found = answer(made(**{SAME: {"rank": (1, 3), "units": (1, 7)}}))
    assert found.agrees is False
    assert (
        "symmetry was broken: 1 hidden layer has more than one distinct unit. The most that a layer has are 7, and the"
        in found.sentences[0]
    )
    assert "highest rank of its weights is 3." in found.sentences[0]


@pytest.mark.parametrize(
    ("accuracies", "agrees", "said"),
    [
        ((0.50, 0.51, 0.53), False, "points higher than of independent weights"),
        ((0.40, 0.42, 0.41), None, "No significant difference"),
    ],
)
def test_symmetry_that_costs_nothing_is_not_what_it_says(made, accuracies, agrees, said):
    found = answer(made(normed={SAME: accuracies}))
    assert found.agrees is agrees
    assert said in found.sentences[1]


def test_what_independent_weights_of_the_output_layer_come_to(made):
    evidence = made(**{OUTPUT_INDEPENDENT: {"rank": (2, 2), "units": (4, 9)}})
    assert "those below reach as many as 4" in answer(evidence).figures[0].caption


def test_last_units_that_stay_alike_under_such_an_output_layer(made):
    assert "the last hidden layer keeps one unit, and those below keep one unit" in answer(made()).figures[0].caption


def test_a_network_that_does_not_saturate_is_not_said_to(made, tmp_path):
    evidence = made()
    for folder in (tmp_path / SWEEP.name).glob(f"False,{SAME},*"):
        look(folder, dead=0.1)
    assert "saturate" not in answer(evidence).tables[0][1].note


def test_runs_that_diverged_without_normalization_are_counted(made):
    note = answer(made(plain={SAME: ()})).tables[0][1].note
    assert "Without batch normalization 3 runs with one value a layer diverged." in note


@pytest.mark.parametrize("name", [SAME, INDEPENDENT])
def test_without_a_completed_run_nothing_is_said(made, name):
    found = answer(made(normed={name: ()}))
    assert found.agrees is None
    assert found.sentences == ["One side has no completed run: nothing can be compared."]


def test_without_runs_there_is_no_answer_yet(tmp_path):
    with pytest.raises(NotAvailable):
        answer(Evidence(tmp_path, Setting()))
