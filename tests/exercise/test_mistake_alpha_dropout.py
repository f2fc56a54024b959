"""What alpha dropout costs under ELU and under SELU, from results that are made up."""

import warnings
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from exercise.questions.mistakes import alpha_dropout
from exercise.questions.mistakes.alpha_dropout import describe_changes, describe_effect, describe_rates
from exercise.questions.mistakes.trainings import network
from exercise.section import Answer
from exercise.store import Evidence
from exercise.trainings import Setting
from mistake_results import RIGHT, Leave, answer, leave_network
from trainlab.models import MLP, image_network


@pytest.fixture
def evidence(tmp_path: Path) -> Evidence:
    return Evidence(tmp_path, Setting())


def of_two_seeds(mean: Sequence[float], std: Sequence[float]) -> dict[str, dict[str, list[float]]]:
    """By seed, of layers which are as much below as above."""
    both = {"mean": mean, "std": std}
    return {key: {"1": [v - 0.01 for v in of], "2": [v + 0.01 for v in of]} for key, of in both.items()}


LAYERS = {
    "SELU": {"off": of_two_seeds([0.0] * 3, [1.0] * 3), "on": of_two_seeds([0.0] * 3, [1.0, 1.0, 1.02])},
    "ELU": {"off": of_two_seeds([0.1] * 3, [0.9] * 3), "on": of_two_seeds([0.2] * 3, [0.7, 0.6, 0.45])},
}


UNDER_SELU = (0.441, 0.445, 0.443)  # about a point less


def leave_dropped(leave: Leave, evidence: Evidence, selu: Sequence[float], elu: Sequence[float]) -> Answer:
    """The answer to accuracies with alpha dropout, of networks that have 45 and 40 % without."""
    leave_network(leave, "plain_selu", RIGHT)
    leave_network(leave, "selu_alpha_dropout_every_layer", selu)
    leave_network(leave, "plain_elu_he", (0.400, 0.403, 0.401))
    leave_network(leave, "mistake_alpha_dropout_under_elu", elu)
    evidence.keep(alpha_dropout.LAYERS, LAYERS)
    return answer("mistake_alpha_dropout", evidence)


@pytest.mark.parametrize(
    ("under_elu", "agrees", "said"),
    [
        ((0.35, 0.352, 0.349), True, "Alpha dropout of 0.1 after every layer costs ELU 4.2 ± 0.3 points of validation"),
        ((0.45, 0.452, 0.449), False, "Alpha dropout of 0.1 after every layer costs SELU 5.8 ± 0.3 points of"),
        ((0.37, 0.412, 0.389), None, "No significant difference between what alpha dropout of 0.1 after every layer"),
        ((0.391, 0.393, 0.392), None, "Whether alpha dropout of 0.1 after every layer costs ELU more than SELU cannot"),
    ],
)
def test_alpha_dropout_under_elu(
    leave: Leave, evidence: Evidence, under_elu: Sequence[float], agrees: bool | None, said: str
):
    found = leave_dropped(leave, evidence, UNDER_SELU, under_elu)
    assert found.agrees is agrees
    assert found.sentences[0].startswith(said)
    assert found.sentences[1].startswith("It costs SELU 0.9 ± 0.1 points, more than the noise.")
    assert "guessing" not in " ".join(found.sentences)
    assert found.sentences[2].startswith(
        "This is at the lowest validation loss; after the last epoch the accuracy with dropout is: SELU 44.3 ± 0.5 % "
        "(3 seeds); ELU "
    )
    # Two seeds 0.02 apart: 12.706 * 0.0141 / sqrt(2) = 0.127.
    assert found.figures[1].caption.endswith(
        "Mean and deviation behind the last hidden layer are 0.00 ± 0.13 and 1.02 ± 0.13 under SELU (without dropout "
        "0.00 ± 0.13 and 1.00 ± 0.13) and 0.20 ± 0.13 and 0.45 ± 0.13 under ELU (without dropout 0.10 ± 0.13 and 0.90 "
        "± 0.13), 2 seeds."
    )
    assert [picture.name for picture in found.figures] == ["mistake_elu_accuracy_by_epoch", "mistake_elu_layers"]


def test_a_cost_is_cut_off_at_guessing(leave: Leave, evidence: Evidence):
    found = leave_dropped(leave, evidence, UNDER_SELU, (0.100, 0.102, 0.099))
    assert found.agrees is True  # the cost that is cut off is the larger one
    assert found.sentences[1].endswith(
        "With alpha dropout ELU does about as well as guessing one of 10 classes (10.0 ± 0.4 % (3 seeds)): it cannot "
        "fall much lower, so its cost is cut off there."
    )


def test_the_smaller_cost_decides_nothing_where_it_is_cut_off(leave: Leave, evidence: Evidence):
    """SELU loses 35 points, ELU 30 of its 40: it has no more."""
    found = leave_dropped(leave, evidence, (0.100, 0.104, 0.102), (0.100, 0.102, 0.099))
    assert found.agrees is None
    assert found.sentences[0].endswith("But ELU is down to guessing and cannot lose more, so which would is left open.")


def test_what_else_two_networks_differ_in(leave: Leave, evidence: Evidence):
    for name, lr, initializer in (("plain_selu", 5e-4, "lecun_normal"), ("plain_elu_he", 1e-4, "he_normal")):
        for seed in (1, 2, 3):
            overrides = (f"experiment=exercise/{name}", f"seed={seed}")
            leave(f"mistakes/{name}{seed}", [2.0], [0.4], seed, lr=lr, overrides=overrides, initializer=initializer)
    groups = {"SELU": network(evidence, "plain_selu"), "ELU": network(evidence, "plain_elu_he")}
    assert describe_rates(groups) == (
        "The two networks differ in initialization (SELU LeCun normal, ELU He normal) and learning rate (SELU "
        "0.0005, ELU 0.0001), too, so not all of this need be due to the activation."
    )
    assert describe_rates({"SELU": groups["SELU"]}) == ""


def test_what_dropout_changes_behind_the_last_layer():
    still = {"1": [9.0, 0.50], "2": [9.0, 0.52], "3": [9.0, 0.51]}
    noisy = {"1": [9.0, 0.80], "2": [9.0, 0.22], "3": [9.0, 0.51]}
    down = {"1": [9.0, 0.30], "2": [9.0, 0.321], "3": [9.0, 0.31]}
    found = {
        "SELU": {"off": {"mean": still, "std": still}, "on": {"mean": noisy, "std": still}},
        "ELU": {"off": {"mean": still, "std": still}, "on": {"mean": down, "std": noisy}},
    }
    # Differences -0.2, -0.199 and -0.2; those of the deviation of SELU have no spread, and show nothing.
    assert describe_changes(found).endswith(
        "Before training, under SELU no change of either is shown and under ELU it changes the mean by -0.20 ± 0.00."
    )
    assert describe_changes({"SELU": found["SELU"], "ELU": found["SELU"]}).endswith(
        "Before training no change of either is shown, neither under SELU nor under ELU."
    )


@pytest.mark.parametrize(
    ("activation", "initializer", "kept"), [("selu", "lecun_normal", True), ("relu", "he_normal", False)]
)
def test_layer_statistics_with_and_without_dropout(activation: str, initializer: str, kept: bool):
    """Alpha dropout keeps 0 and 1 where a layer has them, whatever it drops: under SELU, and not under ReLU."""
    dropout = {"dropout": 0.5, "dropout_after": "every", "dropout_kind": "alpha"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it does not fit ReLU
        network = image_network(
            MLP,
            (3, 8, 8),
            1,
            depth=1,
            width=1000,
            activation=activation,
            initializer=initializer,
            standardize=True,
            **dropout,
        )
    network.scaling.set_statistics(torch.full((3, 8, 8), 127.5), torch.full((3, 8, 8), 73.9))
    images = torch.randint(256, (200, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    found = alpha_dropout.off_and_on(network, images)
    assert found["off"] != found["on"]
    moved = [abs(found["on"][key][0] - found["off"][key][0]) for key in ("mean", "std")]
    assert (max(moved) < 0.05) is kept


def test_alpha_dropout_where_all_runs_diverged(leave: Leave, evidence: Evidence):
    for experiment in ("plain_selu", "selu_alpha_dropout_every_layer", "plain_elu_he"):
        leave_network(leave, experiment, RIGHT)
    leave_network(leave, "mistake_alpha_dropout_under_elu", RIGHT, "diverged")
    evidence.keep(alpha_dropout.LAYERS, {"SELU": LAYERS["SELU"]})
    found = answer("mistake_alpha_dropout", evidence)
    assert found.agrees is None
    assert found.sentences[0].endswith("Under ELU there are no two runs to compare.")


def test_effects_that_are_noise_or_unknown_or_a_gain():
    assert describe_effect("ELU", {1: 1.0, 2: -1.0, 3: 0.5}) == (
        "Under ELU it changes the accuracy by no more than the noise (+0.2 ± 2.6 points)."
    )
    assert describe_effect("ELU", {1: -1.0}) == "Nothing can be claimed of its -1.0 points under ELU: one seed."
    assert describe_effect("ELU", {1: 1.0, 2: 1.1, 3: 1.2}) == "It gains ELU 1.1 ± 0.2 points, more than the noise."
