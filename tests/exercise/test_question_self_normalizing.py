"""The answer to question 3, from figures that are made up."""

from pathlib import Path

import pytest

from exercise.claims import Claim
from exercise.questions.self_normalizing import NAMES, SWEEP, answer, describe_fates, fate, is_kept, lower, who_keeps
from exercise.section import Answer
from exercise.store import Evidence, NotAvailable
from exercise.trainings import Setting
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


WORSE = {"selu": {"losses": SLOW}, "elu": {"losses": SLOW}}
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
    """Leaves runs of three seeds at two rates, of which 0.001 is the worse; the third seed is an epoch behind."""

    def leave(diverged=(), seeds=(1, 2, 3), looks=True, **figures_by_activation) -> Evidence:
        for activation, usual in TEXTBOOK.items():
            figures = {**usual, **figures_by_activation.get(activation, {})}
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


def verdicts(found: Answer) -> list[str]:
    """Of each claim: nearness of means, what SELU keeps, dead units, learning."""
    return [str(row[-1][0]) for row in found.tables[0][1].rows]


def test_what_the_textbook_says(made):
    found = answer(made())
    assert found.agrees is True
    (said,), (keeping, gradients, reached) = found.sentences, found.details
    assert said.startswith(
        "Confirmed: means nearer 0 than ReLU's (off by: SELU 0.10 ± 0.00, ELU 0.20 ± 0.00, ReLU 0.90 ± 0.01); SELU "
        "keeps a mean of 0 and a deviation of 1 (deviation off by: SELU 0.10 ± 0.00, "
    )
    assert "); fewer dead units than ReLU (share in %: SELU 0.0 ± 0.0, ELU 0.0 ± 0.0, ReLU 20.0 ± 1.0); faster" in said
    assert keeping == (
        "After training SELU's mean is 0.10 ± 0.00 off 0 and its deviation 0.10 ± 0.00 off 1: SELU keeps both within "
        "0.25, and SELU comes nearest to a deviation of 1."
    )
    assert gradients == (
        "After training the norm of the gradient in the first layer over that in the last hidden one is 4.00 ± 0.00 "
        "with SELU, 4.00 ± 0.00 with ELU and 4.00 ± 0.00 with ReLU. Then it stays within a factor of 10 in every run "
        "with SELU, ELU and ReLU. Before training it stays within a factor of 10 in every run with SELU, ELU and ReLU."
    )
    assert reached == (
        "Layers are compared at a learning rate of 0.0003 for all, speed at the better rate of each. At the better "
        "rates the validation accuracy is: SELU 58.0 ± 0.0 % (3 seeds); ELU 58.0 ± 0.0 % (3 seeds); ReLU 55.7 ± 1.5 % "
        "(3 seeds)."
    )
    # ReLU's seeds are 0.004 apart: half the interval is 4.303 * 0.004 / sqrt(3).
    (_, by_claim), (_, table) = found.tables
    assert [row[1][0] for row in by_claim.rows[:3]] == [
        "off by: SELU 0.10 ± 0.00, ELU 0.20 ± 0.00, ReLU 0.90 ± 0.01",
        "deviation off by: SELU 0.10 ± 0.00, ELU 0.50 ± 0.00, ReLU 1.00 ± 0.01; SELU's mean off by 0.10 ± 0.00",
        "share in %: SELU 0.0 ± 0.0, ELU 0.0 ± 0.0, ReLU 20.0 ± 1.0",
    ]
    # Of QUICK the mean is 9.45 / 7, and with a first epoch of 1.8 more for the last 1.2 10.05 / 7.
    assert by_claim.rows[3][1][0].startswith("mean loss over the epochs: SELU 1.379 ± 0.125, ELU 1.379 ± 0.127, ReLU")
    assert by_claim.rows[0][2][0].startswith("SELU compared with ReLU ")
    assert {row[3][0] for row in by_claim.rows} == {"confirmed"}
    assert "gradient over the last hidden one's is 2.00 ± 0.00 with SELU; 2.00" in found.figures[0].caption
    assert [picture.name for picture in found.figures] == ["3_layers", "3_loss_by_epoch"]
    assert sorted(row[1][0] for row in table.rows) == ["0.0003 *"] * 3 + ["0.001"] * 3


def test_the_contrary_of_what_it_says(made):
    found = answer(made(relu={**TEXTBOOK["relu"], "mean": 0.05, "std": 1.05, "dead": 0.0, "losses": QUICK}, **WORSE))
    assert found.agrees is False
    assert verdicts(found) == ["contradicted", "contradicted", "undecided", "contradicted"]
    assert found.sentences[0].endswith(" Undecided: fewer dead units than ReLU (share in % 0 with all).")
    assert "does not come nearest to a deviation of 1." in found.details[0]
    assert found.tables[0][1].rows[2][1][0] == "share in % 0 with all"


def test_no_significant_difference_is_undecided(made):
    alike = {"mean": 0.5, "std": 1.5, "dead": 0.0, "losses": QUICK}
    found = answer(made(selu=alike, elu=alike, relu=alike))
    assert verdicts(found) == ["undecided", "contradicted", "undecided", "undecided"]
    assert found.sentences[0].startswith("Contradicted: SELU keeps a mean of 0 and a deviation of 1 (")
    assert "faster learning than ReLU (mean loss over the epochs: " in found.sentences[0]
    assert "; p by Holm: SELU compared with ReLU " in found.sentences[0]
    assert "p by Holm" not in found.sentences[0].partition(" Undecided: ")[0]  # it is said where it leaves a claim open
    assert found.details[0].endswith(
        "none keeps both within 0.25, and SELU is not shown to come nearest to a deviation of 1."
    )


def test_nearest_is_not_kept(made):
    """Half a unit off, with the others farther: nearest, and no more."""
    found = answer(made(selu={**TEXTBOOK["selu"], "std": 1.4}))
    assert found.agrees is False
    assert verdicts(found) == ["confirmed", "contradicted", "confirmed", "confirmed"]
    assert found.details[0] == (
        "After training SELU's mean is 0.10 ± 0.00 off 0 and its deviation 0.40 ± 0.00 off 1: none keeps both within "
        "0.25, and SELU comes nearest to a deviation of 1."
    )


NEAR, FAR = {1: 0.1, 2: 0.11, 3: 0.1}, {1: 0.5, 2: 0.53, 3: 0.5}
WIDE = {1: 0.1, 2: 0.3, 3: 0.35}  # 0.25, with 4.303 * 0.13 / sqrt(3) to each side


@pytest.mark.parametrize(
    ("mean", "deviation", "kept"),
    [
        (NEAR, NEAR, True),
        (FAR, NEAR, False),
        (NEAR, FAR, False),
        (NEAR, WIDE, None),
        (FAR, WIDE, False),
        (NEAR, {1: 0.1}, None),
        (NEAR, {}, None),
    ],
)
def test_what_is_kept(mean, deviation, kept: bool | None):
    assert is_kept({"SELU": mean}, {"SELU": deviation}, "SELU") is kept


def test_who_keeps_mean_and_deviation():
    means = dict.fromkeys(NAMES.values(), NEAR)
    assert who_keeps(means, {"SELU": FAR, "ELU": NEAR, "ReLU": {1: 0.09, 2: 0.11, 3: 0.1}}) == (
        "ELU and ReLU keep both within 0.25, and SELU does not come nearest to a deviation of 1"
    )
    assert who_keeps(means, {"SELU": WIDE, "ELU": FAR, "ReLU": FAR}).startswith(
        "that one keeps both within 0.25 is not shown, and SELU "
    )


@pytest.mark.parametrize(
    ("ratios", "said"),
    [
        ([0.2, 5.0, 9.0], "neither"),
        ([0.05, 0.09], "vanishes"),
        ([20.0, 11.0], "explodes"),
        ([2.0, 11.0], "differs"),
        ([2.0, float("nan")], "unknown"),
    ],
)
def test_the_fate_of_a_gradient(ratios, said: str):
    assert fate(ratios) == said
    (sentence,) = describe_fates("Then", {"SELU": said})
    words = {"neither": "stays within", "differs": "in some runs and not", "unknown": "cannot be given"}
    assert words.get(said, said) in sentence


def test_gradients_that_vanish_in_some_networks(made, tmp_path):
    evidence = made()
    for seed in (1, 2, 3):
        path = tmp_path / SWEEP.name / f"relu,0.0003,{seed}" / "layer_statistics.csv"
        path.write_text(path.read_text().replace(",4\n", ",0.01\n"))
    text = answer(evidence).details[1]
    assert "and 0.01 ± 0.00 with ReLU. Then it stays within a factor of 10 in every run with SELU and ELU." in text
    assert "Then it vanishes, to less than 1/10 in every run with ReLU. Before training it stays" in text


def test_words_and_verdict_have_one_p():
    """Differences -1, -1.1 and -1.7: t is 1.267 / 0.219, and p 0.029 alone, 0.057 by Holm where two are alike."""
    relu = {1: 3.0, 2: 3.0, 3: 3.0}
    lower_by = {1: 2.0, 2: 1.9, 3: 1.3}
    alone = lower("x", "loss", {"SELU": lower_by, "ReLU": relu}, [("SELU", "ReLU")])
    assert (alone.holds, alone.p) == (True, "SELU compared with ReLU 0.029")
    pairs = [("SELU", "ReLU"), ("ELU", "ReLU")]
    both = lower("x", "loss", {"SELU": lower_by, "ELU": lower_by, "ReLU": relu}, pairs)
    assert (both.holds, both.p) == (None, "SELU compared with ReLU 0.057, ELU compared with ReLU 0.057")


def test_nothing_is_said_of_what_is_not_there():
    assert lower("x", "loss", {}, [("SELU", "ReLU")]) == Claim("x", "no figure", None)
    assert lower("x", "loss", {"SELU": {1: 1.0}}, [("SELU", "ReLU")]) == Claim("x", "loss: SELU 1.00", None)


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
    assert "compared at a learning rate of 0.0003 for all" in found.details[2]
    measured = [row[1][0] for row in found.tables[0][1].rows]
    assert "ELU 0.20" in measured[0]
    rows = {(row[0][0], row[1][0]) for row in found.tables[1][1].rows}
    assert {("SELU", "0.0003 *"), ("ELU", "0.001 *"), ("ReLU", "0.0003 *")} <= rows
    assert "ELU 1.379" in measured[3]


def test_slower_learning_contradicts(made):
    found = answer(made(selu={"losses": SLOW}, relu={"losses": QUICK}))
    assert found.agrees is False
    assert verdicts(found)[3] == "contradicted"


def test_a_diverged_rate_is_reported_and_the_other_is_compared(made):
    found = answer(made(diverged=[("relu", 3e-4)]))
    assert found.sentences[0].startswith("3 runs of ReLU at 0.0003 diverged. Confirmed: ")
    assert "compared at a learning rate of 0.001 for all" in found.details[2]
    assert "ReLU 0.90" in found.tables[0][1].rows[0][1][0]


def test_an_activation_without_a_run_is_left_out(made):
    found = answer(made(diverged=["relu"]))
    assert found.agrees is None
    assert verdicts(found) == ["undecided"] * 4
    assert found.tables[0][1].rows[0][1][0] == "off by: SELU 0.10 ± 0.00, ELU 0.20 ± 0.00"
    assert found.details[2].endswith("is: SELU 58.0 ± 0.0 % (3 seeds); ELU 58.0 ± 0.0 % (3 seeds).")


def test_without_a_completed_run_nothing_is_said(made):
    found = answer(made(diverged=[*NAMES]))
    assert (found.agrees, found.sentences[-1]) == (None, "No run was completed.")


def test_without_looks_the_curves_are_what_is_left(made):
    found = answer(made(looks=False))
    assert [picture.name for picture in found.figures] == ["3_loss_by_epoch"]
    assert verdicts(found)[:3] == ["undecided"] * 3
    assert [row[1][0] for row in found.tables[0][1].rows[:3]] == ["no figure"] * 3
    assert [paragraph for paragraph in found.details if paragraph] == [found.details[2]]


def test_seeds_that_have_not_ended_are_waited_for(made):
    with pytest.raises(NotAvailable):
        answer(made(seeds=(1, 2)))
