"""What the mistakes cost, from runs that are made up."""

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch

from exercise.questions import mistakes
from exercise.section import Answer, Section
from exercise.store import Evidence, NotAvailable
from exercise.trainings import Setting
from exercise_texts import text_of, verdicts
from trainlab.models import MLP, image_network

Leave = Callable[..., Path]
SEEDS = range(1, 7)
RAW_INPUTS, LEARNING_RATE, ALPHA_DROPOUT, HALF_DROPPED = mistakes.SECTIONS
ASIDE = (0.0, 0.004, -0.003, 0.002, -0.002, 0.001)
HEADER = "epochs,step,layer,mean,std,dead,gradient_norm\n"
CALM, ONE, TWO = [1.0] * 14, [1.0] * 12 + [3.0, 1.0], [1.0] * 11 + [1.5, 1.0, 5.0]


@pytest.fixture
def evidence(tmp_path: Path) -> Evidence:
    return Evidence(tmp_path, Setting())


def leave_network(leave: Leave, experiment: str, accuracy: float, turn: int = 0, lost: int = 0) -> list[Path]:
    """Six runs, whose accuracies differ in an order of their own by ``turn``; the first ``lost`` diverged."""
    return [
        leave(
            f"mistakes/{experiment},{seed}",
            *([2.0, 1.9 - accuracy], [accuracy / 2, accuracy + ASIDE[(seed + turn) % 6]], seed),
            status="diverged" if seed <= lost else "completed",
            overrides=(f"experiment=exercise/{experiment}", f"seed={seed}"),
            name_of_network=experiment,
        )
        for seed in SEEDS
    ]


def answered(section: Section, evidence: Evidence) -> tuple[Answer, str]:
    found = section.answer(evidence)
    return found, text_of(section, found)


@pytest.mark.parametrize(
    ("wrong", "verdict", "text"),
    [
        (0.38, "confirmed", "It costs 7.0 points of accuracy"),
        (0.45, "contradicted", "do not show what it costs"),
    ],
)
def test_raw_inputs(leave: Leave, evidence: Evidence, wrong: float, verdict: str, text: str):
    for experiment, accuracy, first in (("plain_selu", 0.45, 1.0), ("mistake_selu_raw_inputs", wrong, 0.58)):
        for folder in leave_network(leave, experiment, accuracy, turn=first < 1):
            rows = [
                f"0,0,{layer},0,{std},0,1\n" for layer, std in (("linear_1", first), ("linear_2", 1.03), ("output", 9))
            ]
            (folder / "layer_statistics.csv").write_text(HEADER + "".join(rows))
    for experiment in mistakes.LABELS.keys() - {"plain_selu", "mistake_selu_raw_inputs"}:
        leave_network(leave, experiment, 0.4, lost=2)
    found, said = answered(RAW_INPUTS, evidence)
    assert [cell[0] for cell in found.tables[0][1].rows[4]] == [
        "SELU, alpha dropout 0.1 (2 lost)",
        *["0.0001", "40.0 ± 0.3", "40.0"],
    ]
    assert verdicts(found) == [verdict]
    assert text in said
    assert "deviation is 0.58 after the first layer and 1.03 after the last hidden one." in said
    assert [cell[0] for cell in found.tables[1][1].rows[1][1:]] == ["0.00", "0.58", "0.00", "1.03"]


@pytest.mark.parametrize(
    ("half", "text"), [(0.1, "reaches 10.0 %, where guessing gives 10 %"), (0.3, "reaches 30.0 % instead of 45.0 %")]
)
def test_half_of_everything_dropped(leave: Leave, evidence: Evidence, half: float, text: str):
    accuracies = {"plain_selu": 0.45, "selu_alpha_dropout_every_layer": 0.2, "mistake_half_dropped_everywhere": half}
    for turn, (experiment, accuracy) in enumerate(accuracies.items()):
        leave_network(leave, experiment, accuracy, turn)
    found, said = answered(HALF_DROPPED, evidence)
    assert verdicts(found) == ["confirmed"]
    assert text in said
    assert "leaves 20.0 % at the lowest loss, 20.0 % at the last epoch" in said


def keep_layers(evidence: Evidence) -> None:
    by_seed = {"1": [0.0, 0.3], "2": [0.0, 0.5]}
    evidence.keep(
        mistakes.LAYERS, {f"{name}, dropout {side}": by_seed for name in ("SELU", "ELU") for side in ("off", "on")}
    )


@pytest.mark.parametrize(
    ("selu", "elu", "lost", "verdict", "note"),
    [
        (0.43, 0.33, 0, "confirmed", ""),
        (0.35, 0.39, 0, "contradicted", ""),
        (0.40, 0.10, 0, "confirmed", ""),  # what ELU cannot lose would only add to it
        (0.10, 0.02, 0, "undecided", "SELU, alpha dropout 0.1 is down to guessing and cannot lose more"),
        (0.10, 0.10, 0, "undecided", "ELU, alpha dropout 0.1 is down to guessing and cannot lose more"),
        (0.43, 0.33, 1, "undecided", "runs diverged"),
    ],
)
def test_alpha_dropout_under_elu(leave: Leave, evidence: Evidence, selu, elu, lost: int, verdict: str, note: str):
    leave_network(leave, "plain_selu", 0.45)
    leave_network(leave, "plain_elu_he", 0.40, turn=1)
    leave_network(leave, "selu_alpha_dropout_every_layer", selu, turn=2)
    leave_network(leave, "mistake_alpha_dropout_under_elu", elu, turn=4, lost=lost)
    keep_layers(evidence)
    found, said = answered(ALPHA_DROPOUT, evidence)
    assert (verdicts(found), found.contrasts[0].note) == ([verdict], note)
    assert "ELU has a deviation of 0.40 with dropout, 0.40 without" in said
    assert [row[0][0] for row in found.tables[0][1].rows] == [
        f"{n}, dropout {s}" for n in ("SELU", "ELU") for s in ("off", "on")
    ]


@pytest.mark.parametrize(
    ("activation", "initializer", "kept"), [("selu", "lecun_normal", True), ("relu", "he_normal", False)]
)
def test_layer_statistics_with_and_without_dropout(activation: str, initializer: str, kept: bool):
    """Alpha dropout keeps 0 and 1 where a layer has them, whatever it drops: under SELU, and not under ReLU."""
    dropout = {"dropout": 0.5, "dropout_after": "every", "dropout_kind": "alpha"}
    given = {"depth": 1, "width": 1000, "activation": activation, "initializer": initializer, "standardize": True}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it does not fit ReLU
        network = image_network(MLP, (3, 8, 8), 1, **given, **dropout)
    network.scaling.set_statistics(torch.full((3, 8, 8), 127.5), torch.full((3, 8, 8), 73.9))
    images = torch.randint(256, (200, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    found = mistakes.off_and_on(network, images)
    moved = [abs(on - off) for off, on in zip(found["off"], found["on"], strict=True)]
    assert found["off"] != found["on"] and (max(moved) < 0.05) is kept


def test_a_spike_begins_above_the_mark_and_ends_below_it():
    means = [1.0] * 10 + [1.09, 1.3, 2.0, 1.11, 1.1] + [1.0] * 3 + [1.5]
    assert mistakes.find_spikes(means) == [range(11, 14), range(18, 19)]
    assert mistakes.find_spikes([1.0] * 12 + [float("nan")]) == [range(12, 13)]
    assert mistakes.find_spikes([3 - 0.1 * i for i in range(20)]) == []
    assert mistakes.find_spikes([1 + 0.01 * i for i in range(50)]) == []
    assert mistakes.find_spikes([9.0, 1.0]) == []  # too short to tell


def leave_losses(folders: Sequence[Path], means: Sequence[Sequence[float]]) -> None:
    for folder, of in zip(folders, means, strict=True):
        losses = [mean for mean in of for _ in range(mistakes.BLOCK)]
        losses += [99.0]  # less than a block, which is dropped
        (folder / "step_losses.csv").write_text("step,loss\n" + "".join(f"{i},{v}\n" for i, v in enumerate(losses)))


@pytest.mark.parametrize(
    ("losses", "accuracy", "wanted", "text"),
    [
        ([ONE, TWO, TWO, ONE, CALM, CALM], 0.36, ["confirmed", "undecided"], "in 4 of 6 runs (22 to 96 %), up to 5.0"),
        ([ONE, CALM, CALM, CALM, CALM, CALM], 0.36, ["confirmed", "undecided"], "only a second rate reveals"),
        ([TWO] * 6, 0.40, ["contradicted", "confirmed"], "At 1e-4 it happens in 0 of 6 runs"),
        ([CALM] * 6, 0.40, ["contradicted", "contradicted"], "spikes in 0 of 6 runs (0 to 46 %)."),
    ],
)
def test_spikes_at_a_high_rate(leave: Leave, evidence: Evidence, losses, accuracy: float, wanted: list[str], text: str):
    leave_losses(leave_network(leave, "plain_elu_he", 0.40), [CALM] * 6)
    leave_losses(leave_network(leave, "mistake_learning_rate", accuracy, turn=1), losses)
    found, said = answered(LEARNING_RATE, evidence)
    assert verdicts(found) == wanted
    assert text in said


def test_there_is_no_answer_where_all_runs_diverged(leave: Leave, evidence: Evidence):
    leave_network(leave, "plain_elu_he", 0.40)
    leave_network(leave, "mistake_learning_rate", 0.1, lost=6)
    with pytest.raises(NotAvailable, match="ELU, 1e-3: no run was completed"):
        LEARNING_RATE.answer(evidence)
