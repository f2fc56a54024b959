"""The answer to question 3, from figures that are made up."""

from pathlib import Path

import pytest

from run_folders import leave_run
from trainlab.exercise.evidence import Evidence, NotYet
from trainlab.exercise.questions.self_normalizing import NAMES, SWEEP, answer
from trainlab.exercise.trainings import Setting
from trainlab.report.statistics import Ratio
from trainlab.results import Result

HEADER = "epochs,step,layer,mean,std,dead,gradient_norm\n"
SLOW, QUICK = [2.0, 1.9, 1.8, 1.7, 1.6, 1.5, 1.4], [1.8, 1.5, 1.3, 1.25, 1.2, 1.2, 1.2]
# What the textbook says: mean, deviation and dead units of two hidden layers, and the course of the loss.
TEXTBOOK = {
    "selu": {"mean": 0.1, "std": 1.1, "dead": 0.0, "losses": QUICK},
    "elu": {"mean": 0.2, "std": 1.5, "dead": 0.0, "losses": QUICK},
    "relu": {"mean": 0.9, "std": 2.0, "dead": 0.2, "losses": SLOW},
}


WORSE = {"selu": {"losses": SLOW}, "elu": {"losses": SLOW}}
NOISE = {"selu": 1, "elu": 2, "relu": 4}


def look(folder: Path, mean: float, std: float, dead: float) -> None:
    """One hidden layer is as far above as the other below; the first has twice the gradient, then four times."""
    lines = []
    for epochs, norm in ((0, 2), (7, 4)):
        lines.append(f"{epochs},{epochs * 9},linear_1,{mean},{std},{dead},{norm}\n")
        lines.append(f"{epochs},{epochs * 9},linear_2,{-mean},{2 - std},{dead},1\n")
        lines.append(f"{epochs},{epochs * 9},output,50,50,0.5,100\n")  # which is not hidden
    (folder / "activations.csv").write_text(HEADER + "".join(lines))


@pytest.fixture
def made(tmp_path):
    """Leaves runs of three seeds at two rates, of which 0.001 is the worse; the third seed is an epoch behind."""

    def leave(diverged=(), seeds=(1, 2, 3), looks=True, **told) -> Evidence:
        for activation, usual in TEXTBOOK.items():
            figures = {**usual, **told.get(activation, {})}
            course = figures.pop("losses")
            for lr in (3e-4, 1e-3):
                for seed in seeds:
                    folder = tmp_path / SWEEP.name / f"{activation},{lr},{seed}"
                    losses = [
                        loss + (lr == 1e-3) + 0.001 * (seed - 2) * NOISE[activation]
                        for loss in (course if seed < 3 else [course[0], *course[:-1]])
                    ]
                    given = (f"model={activation}", f"optim.lr={lr}", f"seed={seed}")
                    status = "diverged" if activation in diverged or (activation, lr) in diverged else "completed"
                    accuracies = [0.7 - loss / 10 for loss in losses]
                    leave_run(folder, losses, accuracies, seed, activation, lr, given, status=status)
                    noise = 0.001 * (seed - 2) * NOISE[activation]
                    if looks:
                        look(folder, **{key: value and value + noise for key, value in figures.items()})
        return Evidence(tmp_path, Setting())

    return leave


def test_what_the_textbook_says(made):
    found = answer(made())
    assert found.agrees is True
    means, spreads, dead, faster, summary = found.sentences
    # ReLU's seeds are 0.004 apart: half the interval is 4.303 * 0.004 / sqrt(3).
    assert means.startswith(
        "At a learning rate of 0.0003 for all. Distance of a hidden layer's mean from 0 after training: "
        "SELU 0.10 ± 0.00, ELU 0.20 ± 0.00, ReLU 0.90 ± 0.01; "
        "lowest for SELU (p "
    )
    assert "SELU 0.10 ± 0.00, ELU 0.50 ± 0.00, ReLU 1.00 ± 0.01; lowest for SELU" in spreads
    assert dead.startswith("Dead hidden units after training: SELU 0.0 ± 0.0 %, ELU 0.0 ± 0.0 %, ReLU 20.0 ± 1.0 %; ")
    assert "2.00 ± 0.00 before training and 4.00 ± 0.00 after it for SELU" in dead
    # Of QUICK the mean is 9.45 / 7, and with a first epoch of 1.8 more for the last 1.2 10.05 / 7.
    assert faster.startswith("Mean validation loss over all epochs: SELU 1.379 ± 0.125, ELU 1.379 ± 0.127, ReLU 1.729")
    assert "lowest for" not in faster  # ELU's course is the same
    # ReLU's lowest loss, 1.4 after 7 epochs (in the third seed 1.5 after 7), is reached after 3 by the others.
    assert "SELU takes 0.43 times the epochs of ReLU (the same in every seed)" in faster
    assert "The highest validation accuracy is SELU's, 58.0 ± 0.0 % (3 seeds)" in faster
    assert summary.startswith("It holds here: means nearer 0 than ReLU's, SELU's deviation nearest 1, fewer dead units")
    assert [picture.name for picture in found.figures] == ["3_layers", "3_loss_by_epoch"]
    [(_, table)] = found.tables
    assert sorted(row[1][0] for row in table.rows) == ["0.0003 *"] * 3 + ["0.001"] * 3


def test_the_contrary_of_what_it_says(made):
    found = answer(made(relu={**TEXTBOOK["relu"], "mean": 0.05, "std": 1.05, "dead": 0.0, "losses": QUICK}, **WORSE))
    assert found.agrees is False
    assert found.sentences[-1].startswith("The contrary is measured of means nearer 0 than ReLU's, SELU's deviation")
    assert "lowest for ReLU" in found.sentences[0]


def test_what_cannot_be_told_apart_is_open(made):
    alike = {"mean": 0.5, "std": 1.5, "dead": 0.0, "losses": QUICK}
    found = answer(made(selu=alike, elu=alike, relu=alike))
    assert found.agrees is None
    assert "cannot be told apart from" in found.sentences[0]
    assert found.sentences[2].startswith("No hidden unit is dead after training, whatever the activation.")
    assert "SELU takes 1.00 times the epochs of ReLU (the same in every seed)" in found.sentences[3]
    assert found.sentences[-1].startswith("Nothing is shown of means nearer 0")


def test_layers_are_compared_at_one_rate_and_speed_at_the_best_of_each(made, tmp_path):
    """ELU learns better at 0.001, where its layers are off: those at the shared rate are what counts."""
    evidence = made()
    for seed in (1, 2, 3):
        slow, quick = (tmp_path / SWEEP.name / f"elu,{lr},{seed}" for lr in (3e-4, 1e-3))
        metrics = [(folder / "metrics.csv").read_text() for folder in (slow, quick)]
        results = [Result.read(folder) for folder in (slow, quick)]
        for folder, text, result in zip((quick, slow), metrics, results, strict=True):
            (folder / "metrics.csv").write_text(text)
            own = Result.read(folder)
            own.metrics = result.metrics
            own.write(folder)
        look(quick, 5.0, 5.0, 0.9)
    found = answer(evidence)
    assert "At a learning rate of 0.0003 for all" in found.sentences[0]
    assert "ELU 0.20" in found.sentences[0]
    rows = {(row[0][0], row[1][0]) for row in found.tables[0][1].rows}
    assert {("SELU", "0.0003 *"), ("ELU", "0.001 *"), ("ReLU", "0.0003 *")} <= rows
    assert "ELU 1.379" in found.sentences[3]


def test_slower_learning_is_said_so(made):
    found = answer(made(selu={"losses": SLOW}, relu={"losses": QUICK}))
    assert "SELU takes 2.12 times the epochs of ReLU" in found.sentences[3]
    assert found.agrees is False
    assert "The contrary is measured of faster learning than ReLU." in found.sentences[-1]


@pytest.mark.parametrize(
    ("ratio", "said"),
    [
        (Ratio(0.5, 0.4, 0.7), "SELU takes 0.50 times the epochs of ReLU (95 %: 0.40 to 0.70: faster)"),
        (Ratio(1.5, 1.2, 1.9), "SELU takes 1.50 times the epochs of ReLU (95 %: 1.20 to 1.90: slower)"),
        (Ratio(0.9, 0.7, 1.2), "SELU takes 0.90 times the epochs of ReLU (95 %: 0.70 to 1.20: no clear difference)"),
    ],
)
def test_epochs_have_an_interval_where_seeds_differ(made, monkeypatch, ratio, said):
    monkeypatch.setattr("trainlab.exercise.questions.self_normalizing._ratio", lambda groups, name: ratio)
    assert said in answer(made()).sentences[3]


def test_a_rate_that_diverged_is_told_and_the_other_is_compared(made):
    found = answer(made(diverged=[("relu", 3e-4)]))
    assert found.sentences[0] == "ReLU at 0.0003 diverged in 3 seeds."
    assert "At a learning rate of 0.001 for all" in found.sentences[1]
    assert "ReLU 0.90" in found.sentences[1]


def test_an_activation_without_a_run_is_left_out(made):
    found = answer(made(diverged=["relu"]))
    assert found.agrees is None
    assert "ReLU" not in found.sentences[2]
    assert "ReLU" not in found.sentences[-2]
    assert found.sentences[-2].endswith("The highest validation accuracy is SELU's, 58.0 ± 0.0 % (3 seeds).")


def test_without_a_completed_run_nothing_is_said(made):
    found = answer(made(diverged=[*NAMES]))
    assert (found.agrees, found.sentences[-1]) == (None, "No run was completed.")


def test_without_looks_the_curves_are_what_is_left(made):
    found = answer(made(looks=False))
    assert [picture.name for picture in found.figures] == ["3_loss_by_epoch"]
    assert found.sentences[0].endswith("no figure.")


def test_seeds_that_have_not_ended_are_waited_for(made):
    with pytest.raises(NotYet):
        answer(made(seeds=(1, 2)))
