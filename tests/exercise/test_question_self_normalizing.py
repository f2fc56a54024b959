"""The answer to question 3, from figures that are made up."""

from pathlib import Path

import pytest

from run_folders import leave_run
from trainlab.exercise.claims import Claim
from trainlab.exercise.evidence import Evidence, NotYet
from trainlab.exercise.questions.self_normalizing import NAMES, SWEEP, _lower, answer
from trainlab.exercise.trainings import Setting
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
    said, reached = found.sentences
    # ReLU's seeds are 0.004 apart: half the interval is 4.303 * 0.004 / sqrt(3).
    assert said.startswith(
        "Of what the book says, holds: means nearer 0 than ReLU's (distance: SELU 0.10 ± 0.00, ELU 0.20 ± 0.00, ReLU "
        "0.90 ± 0.01; p: SELU beside ReLU "
    )
    assert "SELU's deviation nearest 1 (distance: SELU 0.10 ± 0.00, ELU 0.50 ± 0.00, ReLU 1.00 ± 0.01; p: SELU" in said
    assert "fewer dead units than ReLU (share in %: SELU 0.0 ± 0.0, ELU 0.0 ± 0.0, ReLU 20.0 ± 1.0; p: " in said
    # Of QUICK the mean is 9.45 / 7, and with a first epoch of 1.8 more for the last 1.2 10.05 / 7.
    assert "faster learning than ReLU (mean loss over the epochs: SELU 1.379 ± 0.125, ELU 1.379 ± 0.127, ReLU" in said
    assert reached == (
        "Layers are compared at a learning rate of 0.0003 for all, speed at the better rate of each; there the "
        "validation accuracy is: SELU 58.0 ± 0.0 % (3 seeds); ELU 58.0 ± 0.0 % (3 seeds); ReLU 55.7 ± 1.5 % (3 seeds)."
    )
    assert "2.00 ± 0.00 before training and 4.00 ± 0.00 after it for SELU" in found.figures[0].caption
    assert [picture.name for picture in found.figures] == ["3_layers", "3_loss_by_epoch"]
    [(_, table)] = found.tables
    assert sorted(row[1][0] for row in table.rows) == ["0.0003 *"] * 3 + ["0.001"] * 3


def test_the_contrary_of_what_it_says(made):
    found = answer(made(relu={**TEXTBOOK["relu"], "mean": 0.05, "std": 1.05, "dead": 0.0, "losses": QUICK}, **WORSE))
    assert found.agrees is False
    assert found.sentences[0].startswith(
        "Of what the book says, contradicted: means nearer 0 than ReLU's (distance: SELU 0.10 ± 0.00, ELU 0.20 ± 0.00, "
        "ReLU 0.05"
    )
    assert "open: fewer dead units than ReLU (share in % 0 with all)." in found.sentences[0]


def test_what_cannot_be_told_apart_is_open(made):
    alike = {"mean": 0.5, "std": 1.5, "dead": 0.0, "losses": QUICK}
    found = answer(made(selu=alike, elu=alike, relu=alike))
    assert found.agrees is None
    assert found.sentences[0].startswith("Of what the book says, open: means nearer 0 than ReLU's (")
    assert "share in % 0 with all" in found.sentences[0]


def test_words_and_verdict_have_one_p():
    """Differences -1, -1.1 and -1.7: t is 1.267 / 0.219, and p 0.029 alone, 0.057 by Holm where two are alike."""
    relu = {1: 3.0, 2: 3.0, 3: 3.0}
    lower = {1: 2.0, 2: 1.9, 3: 1.3}
    alone = _lower("x", "loss", {"SELU": lower, "ReLU": relu}, [("SELU", "ReLU")])
    assert (alone.holds, alone.found.endswith("p: SELU beside ReLU 0.029")) == (True, True)
    both = _lower("x", "loss", {"SELU": lower, "ELU": lower, "ReLU": relu}, [("SELU", "ReLU"), ("ELU", "ReLU")])
    assert (both.holds, both.found.endswith("p: SELU beside ReLU 0.057, ELU beside ReLU 0.057")) == (None, True)


def test_nothing_is_said_of_what_is_not_there():
    assert _lower("x", "loss", {}, [("SELU", "ReLU")]) == Claim("x", "no figure", None)
    assert _lower("x", "loss", {"SELU": {1: 1.0}}, [("SELU", "ReLU")]) == Claim("x", "loss: SELU 1.00", None)


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
    assert "compared at a learning rate of 0.0003 for all" in found.sentences[1]
    assert "ELU 0.20" in found.sentences[0]
    rows = {(row[0][0], row[1][0]) for row in found.tables[0][1].rows}
    assert {("SELU", "0.0003 *"), ("ELU", "0.001 *"), ("ReLU", "0.0003 *")} <= rows
    assert "ELU 1.379" in found.sentences[0]


def test_slower_learning_contradicts(made):
    found = answer(made(selu={"losses": SLOW}, relu={"losses": QUICK}))
    assert found.agrees is False
    assert "contradicted: faster learning than ReLU (" in found.sentences[0]


def test_a_rate_that_diverged_is_told_and_the_other_is_compared(made):
    found = answer(made(diverged=[("relu", 3e-4)]))
    assert found.sentences[0].startswith("ReLU at 0.0003 diverged in 3 seeds. Of what the book says")
    assert "compared at a learning rate of 0.001 for all" in found.sentences[1]
    assert "ReLU 0.90" in found.sentences[0]


def test_an_activation_without_a_run_is_left_out(made):
    found = answer(made(diverged=["relu"]))
    assert found.agrees is None
    assert "open: means nearer 0 than ReLU's (distance: SELU 0.10 ± 0.00, ELU 0.20 ± 0.00)" in found.sentences[0]
    assert found.sentences[1].endswith("is: SELU 58.0 ± 0.0 % (3 seeds); ELU 58.0 ± 0.0 % (3 seeds).")


def test_without_a_completed_run_nothing_is_said(made):
    found = answer(made(diverged=[*NAMES]))
    assert (found.agrees, found.sentences[-1]) == (None, "No run was completed.")


def test_without_looks_the_curves_are_what_is_left(made):
    found = answer(made(looks=False))
    assert [picture.name for picture in found.figures] == ["3_loss_by_epoch"]
    assert "open: means nearer 0 than ReLU's (no figure), " in found.sentences[0]


def test_seeds_that_have_not_ended_are_waited_for(made):
    with pytest.raises(NotYet):
        answer(made(seeds=(1, 2)))
