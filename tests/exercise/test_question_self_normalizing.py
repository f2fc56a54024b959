"""The answer to question 3, from figures that are made up."""

from pathlib import Path

import pytest

from exercise.questions.self_normalizing import NAMES, SECTION, SWEEP, answer
from exercise.store import Evidence, NotAvailable
from exercise.trainings import Setting
from exercise_texts import text_of, verdicts
from run_folders import leave_run
from trainlab.runs.result import Result

HEADER = "epochs,step,layer,mean,std,dead,gradient_norm\n"
SLOW, QUICK = [2.0, 1.9, 1.8, 1.7, 1.6, 1.5, 1.4], [1.8, 1.5, 1.3, 1.25, 1.2, 1.2, 1.2]
# What the textbook says: mean, deviation and dead units of two hidden layers, and the course of the loss.
TEXTBOOK = {
    "selu": {"mean": 0.1, "std": 1.1, "dead": 0.0, "losses": QUICK},
    "elu": {"mean": 0.2, "std": 1.5, "dead": 0.0, "losses": QUICK},
    "relu": {"mean": 0.9, "std": 2.0, "dead": 0.2, "losses": SLOW},
}
NOISE = {"selu": 1, "elu": 2, "relu": 4}


def look(folder: Path, mean: float, std: float, dead: float) -> None:
    """One hidden layer is as far above as the other below; the first has twice the gradient, then four times."""
    lines = []
    for epochs, norm in ((0, 2), (7, 4)):
        lines.append(f"{epochs},{epochs * 9},linear_1,{mean},{std},{dead},{norm}\n")
        lines.append(f"{epochs},{epochs * 9},linear_2,{-mean},{2 - std},{dead},1\n")
        lines.append(f"{epochs},{epochs * 9},output,50,50,0.5,100\n")  # which is not hidden
    (folder / "layer_statistics.csv").write_text(HEADER + "".join(lines))


@pytest.fixture
def made(tmp_path):
    """Leaves runs of six seeds at two rates, of which 0.001 is the worse."""

    def leave(diverged=(), seeds=range(1, 7), looks=True, **figures_by_activation) -> Evidence:
        for activation, usual in TEXTBOOK.items():
            figures = {**usual, **figures_by_activation.get(activation, {})}
            course = figures.pop("losses")
            for lr in (3e-4, 1e-3):
                for seed in seeds:
                    folder = tmp_path / SWEEP.name / f"{activation},{lr},{seed}"
                    noise = 0.001 * (seed % 3) * NOISE[activation]
                    losses = [loss + (lr == 1e-3) + noise for loss in course]
                    given = (f"model={activation}", f"optim.lr={lr}", f"seed={seed}")
                    status = "diverged" if activation in diverged or (activation, lr) in diverged else "completed"
                    more = {"status": status, "standardize": True}
                    leave_run(folder, losses, [0.7 - loss / 10 for loss in losses], seed, activation, lr, given, **more)
                    if looks:
                        look(folder, **{key: value and value + noise for key, value in figures.items()})
        return Evidence(tmp_path, Setting())

    return leave


def test_what_the_textbook_says(made):
    found = answer(made())
    assert verdicts(found) == ["confirmed"] * 4
    by_pair = {(one.a, one.metric): one.mean for one in found.contrasts if one.b == "ReLU"}
    # Noise of 0, 0.001 and 0.002 times each network's own: SELU's means are 0.101, ReLU's 0.904.
    assert by_pair["SELU", "|mean|"] == pytest.approx(0.101 / 0.904, rel=1e-2)
    assert by_pair["ELU", "dead, %"] == pytest.approx(-20.4)
    # Of QUICK the mean is 9.45 / 7, of SLOW 11.9 / 7: 3.5 points of accuracy, and 0.03 less noise.
    assert by_pair["SELU", "mean accuracy, %"] == pytest.approx(3.5 + 0.03)
    text = text_of(SECTION, found)
    assert "are 0.10 from zero with SELU, 0.20 with ELU, 0.90 with ReLU, where 20.4 % of the units are dead" in text
    assert "survives training: SELU's deviation ends 0.10 away from 1" in text
    [(_, table)] = found.tables
    assert sorted(row[1][0] for row in table.rows) == ["0.0003 *"] * 3 + ["0.001"] * 3


def test_the_contrary_of_what_it_says(made):
    relu = {**TEXTBOOK["relu"], "mean": 0.05, "std": 1.05, "dead": 0.0, "losses": QUICK}
    found = answer(made(relu=relu, selu={"losses": SLOW}, elu={"losses": SLOW}))
    assert verdicts(found) == ["contradicted", "confirmed", "undecided", "contradicted"]  # no unit is dead anywhere


def test_a_deviation_that_is_not_kept(made):
    found = answer(made(selu={"std": 1.4}))
    assert verdicts(found) == ["confirmed", "contradicted", "confirmed", "confirmed"]
    text = text_of(SECTION, found)
    assert "after training SELU's deviation is 0.40 away from 1" in text


def test_layers_are_compared_at_one_rate_and_speed_at_the_best_of_each(made, tmp_path):
    """ELU learns better at 0.001, where its layers are off: those at the shared rate are what counts."""
    evidence = made()
    for seed in range(1, 7):
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
    assert found.figures["elu_mean"] == "0.20"
    rows = {(row[0][0], row[1][0]): row for row in found.tables[0][1].rows}
    assert {("SELU", "0.0003 *"), ("ELU", "0.001 *"), ("ReLU", "0.0003 *")} <= rows.keys()
    assert rows["ELU", "0.001 *"][7][0] == "56.5"


def test_of_a_diverged_rate_the_other_is_compared(made):
    found = answer(made(diverged=[("relu", 3e-4)]))
    assert found.figures["relu_mean"] == "0.90"
    assert {row[1][0] for row in found.tables[0][1].rows if row[0][0] == "ReLU"} == {"0.0003", "0.001 *"}


@pytest.mark.parametrize(("given", "missing"), [({"diverged": [*NAMES][2:]}, "ReLU"), ({"looks": False}, "statistics")])
def test_without_figures_of_all_three_there_is_no_answer(made, given, missing: str):
    with pytest.raises(NotAvailable, match=missing):
        answer(made(**given))


def test_seeds_that_have_not_ended_are_waited_for(made):
    with pytest.raises(NotAvailable):
        answer(made(seeds=(1, 2)))
