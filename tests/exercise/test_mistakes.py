"""What the mistakes cost, in words, from results that are made up."""

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch

from trainlab.exercise.evidence import Evidence
from trainlab.exercise.questions import mistakes
from trainlab.exercise.questions.mistakes import alpha_dropout, spikes
from trainlab.exercise.questions.mistakes.price import price
from trainlab.exercise.questions.mistakes.trainings import LABELS, SWEEP, network
from trainlab.exercise.section import Answer
from trainlab.exercise.trainings import Setting
from trainlab.exercise.wording import named
from trainlab.models import MLP
from trainlab.report.groups import Group

Leave = Callable[..., Path]
RIGHT = (0.450, 0.455, 0.452)
HEADER = "epochs,step,layer,mean,std,dead,gradient_norm\n"


@pytest.fixture
def evidence(tmp_path: Path) -> Evidence:
    return Evidence(tmp_path, Setting())


def leave_network(leave: Leave, experiment: str, accuracies: Sequence[float], status: str = "completed") -> list[Path]:
    return [
        leave(
            f"mistakes/{experiment},{seed}",
            [2.0, 1.9 - accuracy],
            [accuracy / 2, accuracy],
            seed=seed,
            status=status,
            overrides=(f"experiment={experiment}", f"seed={seed}"),
            name_of_network=experiment,
        )
        for seed, accuracy in enumerate(accuracies, 1)
    ]


def answer(key: str, evidence: Evidence) -> Answer:
    (section,) = (section for section in mistakes.SECTIONS if section.key == key)
    return section.answer(evidence)


def test_all_have_keys_and_anchors_of_their_own():
    keys = [section.key for section in mistakes.SECTIONS]
    assert len(set(keys)) == len(keys) == 5 and all(key.startswith("mistake_") for key in keys)
    assert {section.part for section in mistakes.SECTIONS} == {"mistakes"}


@pytest.mark.parametrize(
    ("wrong", "said", "costs"),
    [
        ((0.400, 0.404, 0.403), "It costs 5.0 ± 0.2 points of validation accuracy, more than the noise (", True),
        ((0.480, 0.486, 0.482), "It costs nothing here: SELU, raw inputs is 3.0 ± 0.1 points of validation", False),
        ((0.440, 0.460, 0.455), "What it costs is not larger than the noise of 3 seeds (SELU, raw inputs beside", None),
        ((0.440, 0.445, 0.442), "SELU, raw inputs beside SELU (-1.0 points): nothing can be claimed, no spread", None),
    ],
)
def test_the_price(leave: Leave, evidence: Evidence, wrong: Sequence[float], said: str, costs: bool | None):
    leave_network(leave, "plain_selu", RIGHT)
    leave_network(leave, "mistake_selu_raw_inputs", wrong)
    found = price(network(evidence, "mistake_selu_raw_inputs"), network(evidence, "plain_selu"))
    assert found[0].startswith(said)
    assert found[1] is costs


def test_the_price_of_runs_that_did_not_come_to_an_end(leave: Leave, evidence: Evidence):
    leave_network(leave, "plain_selu", RIGHT)
    leave_network(leave, "mistake_selu_raw_inputs", RIGHT, "diverged")
    leave_network(leave, "mistake_learning_rate", RIGHT, "failed")
    right, lost = (network(evidence, name) for name in ("plain_selu", "mistake_selu_raw_inputs"))
    (failed,) = (group for group in evidence.groups(SWEEP) if {run.status for run in group.others} == {"failed"})
    failed = named(failed, LABELS["mistake_learning_rate"])
    assert price(lost, right) == ("It costs everything: all 3 runs of SELU, raw inputs diverged.", True)
    assert price(failed, right) == ("No run of ELU, lr 1e-3 was completed.", None)
    assert price(right, failed) == (
        "No run of ELU, lr 1e-3 was completed, so there is nothing to set SELU beside.",
        None,
    )


def one_diverged_beside_right(leave: Leave, evidence: Evidence, accuracies: tuple[float, ...]) -> tuple[Group, Group]:
    """SELU on raw inputs, two runs completed and one diverged, and SELU on standardized ones."""
    name = "mistake_selu_raw_inputs"
    leave_network(leave, "plain_selu", RIGHT)
    leave_network(leave, name, accuracies)
    overrides = (f"experiment={name}", "seed=3")
    leave("mistakes/x", [2.3], [0.1], 3, status="diverged", overrides=overrides, name_of_network=name)
    return network(evidence, name), network(evidence, "plain_selu")


def test_runs_that_diverged_are_left_out_and_named(leave: Leave, evidence: Evidence):
    wrong, right = one_diverged_beside_right(leave, evidence, (0.40, 0.404))
    said, costs = price(wrong, right)
    assert said.endswith(" 1 of 3 runs of SELU, raw inputs diverged: the figure is of the other 2.")
    assert costs is True  # what is left is worse, too
    said, costs = price(right, wrong)  # what is left of the one that is set beside is worse: that shows nothing of all
    assert said.startswith("It costs nothing here") and costs is False


def test_what_is_better_but_for_runs_that_diverged_is_open(leave: Leave, evidence: Evidence):
    wrong, right = one_diverged_beside_right(leave, evidence, (0.48, 0.484))
    assert price(wrong, right)[1] is None
    assert price(right, wrong)[1] is None


def test_raw_inputs_with_a_look_into_the_layers(leave: Leave, evidence: Evidence):
    for experiment, mean, std in (("plain_selu", 0.0, 1.0), ("mistake_selu_raw_inputs", -0.5, 0.3)):
        for folder in leave_network(leave, experiment, [a - (std < 1) * 0.05 * a for a in RIGHT]):
            rows = [f"{epochs},0,linear_{i},{mean},{std + 0.01 * i},0,1\n" for epochs in (0, 6) for i in (1, 2)] + [
                f"{epochs},0,output,9,9,0,1\n" for epochs in (0, 6)
            ]
            (folder / "activations.csv").write_text(HEADER + "".join(sorted(rows, key=lambda row: row[0])))
    found = answer("mistake_raw_inputs", evidence)
    assert found.agrees is True
    assert found.sentences[1] == (
        "Before training the activations have a mean and deviation of 0.00 and 1.01 after the first and 0.00 and 1.02 "
        "after the last hidden layer with SELU, -0.50 and 0.31 after the first and -0.50 and 0.32 after the last "
        "hidden layer with SELU, raw inputs; SELU is made for 0 and 1."
    )
    assert [picture.name for picture in found.figures] == ["mistake_selu_accuracy_by_epoch", "mistake_selu_layers"]


def test_half_of_everything_dropped(leave: Leave, evidence: Evidence):
    leave_network(leave, "plain_selu", RIGHT)
    leave_network(leave, "selu_alpha_dropout_every_layer", (0.40, 0.41, 0.405))
    leave_network(leave, "mistake_half_dropped_everywhere", (0.100, 0.101, 0.099))
    found = answer("mistake_half_dropped", evidence)
    assert found.agrees is True
    assert found.sentences[1] == (
        "Such a network reaches 10.0 ± 0.2 % (3 seeds) validation accuracy, not told apart from guessing one of ten "
        "classes; with 0.1 after every layer it is 40.5 ± 1.2 % (3 seeds)."
    )


def test_half_of_everything_dropped_and_nothing_left(leave: Leave, evidence: Evidence):
    leave_network(leave, "plain_selu", RIGHT)
    leave_network(leave, "selu_alpha_dropout_every_layer", (0.40, 0.41, 0.405))
    leave_network(leave, "mistake_half_dropped_everywhere", RIGHT, "diverged")
    found = answer("mistake_half_dropped", evidence)
    assert found.agrees is True
    assert found.sentences[1] == "There is no accuracy to speak of."


def of_two_seeds(mean: Sequence[float], std: Sequence[float]) -> dict[str, dict[str, list[float]]]:
    """By seed, of layers which are as much below as above."""
    both = {"mean": mean, "std": std}
    return {key: {"1": [v - 0.01 for v in of], "2": [v + 0.01 for v in of]} for key, of in both.items()}


LAYERS = {
    "SELU": {"off": of_two_seeds([0.0] * 3, [1.0] * 3), "on": of_two_seeds([0.0] * 3, [1.0, 1.0, 1.02])},
    "ELU": {"off": of_two_seeds([0.1] * 3, [0.9] * 3), "on": of_two_seeds([0.2] * 3, [0.7, 0.6, 0.45])},
}


@pytest.mark.parametrize(
    ("under_elu", "agrees", "said"),
    [
        ((0.35, 0.352, 0.349), True, "points lower than of SELU"),
        ((0.45, 0.452, 0.449), False, "points higher than of SELU"),
        ((0.37, 0.412, 0.389), None, "cannot be told apart"),
    ],
)
def test_alpha_dropout_under_elu(
    leave: Leave, evidence: Evidence, under_elu: Sequence[float], agrees: bool | None, said: str
):
    leave_network(leave, "plain_selu", RIGHT)
    leave_network(leave, "selu_alpha_dropout_every_layer", (0.441, 0.445, 0.443))  # about a point less
    leave_network(leave, "plain_elu_he", (0.400, 0.403, 0.401))
    leave_network(leave, "mistake_alpha_dropout_under_elu", under_elu)
    evidence.keep(alpha_dropout.LAYERS, LAYERS)
    found = answer("mistake_alpha_dropout", evidence)
    assert found.agrees is agrees
    assert said in found.sentences[0]
    assert found.sentences[1].startswith("Under SELU it changes by -0.9 ± 0.1 points, more than the noise. Under ELU")
    # Two seeds 0.02 apart: 12.706 * 0.0141 / sqrt(2) = 0.127.
    assert found.figures[1].caption.endswith(
        "Mean and deviation behind the last hidden layer are 0.00 ± 0.13 and 1.02 ± 0.13 under SELU (without dropout "
        "0.00 ± 0.13 and 1.00 ± 0.13) and 0.20 ± 0.13 and 0.45 ± 0.13 under ELU (without dropout 0.10 ± 0.13 and 0.90 "
        "± 0.13), 2 seeds."
    )
    assert [picture.name for picture in found.figures] == ["mistake_elu_accuracy_by_epoch", "mistake_elu_layers"]


@pytest.mark.parametrize(
    ("activation", "initializer", "kept"), [("selu", "lecun_normal", True), ("relu", "he_normal", False)]
)
def test_layers_are_looked_into_without_dropout_and_with_it(activation: str, initializer: str, kept: bool):
    """Alpha dropout keeps 0 and 1 where a layer has them, whatever it drops: under SELU, and not under ReLU."""
    dropout = {"dropout": 0.5, "dropout_after": "every", "dropout_kind": "alpha"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it does not fit ReLU
        network = MLP(
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


def test_effects_that_are_noise_or_unknown():
    assert alpha_dropout.effect("ELU", {1: 1.0, 2: -1.0, 3: 0.5}) == (
        "Under ELU it changes by +0.2 ± 2.6 points, not larger than the noise."
    )
    assert alpha_dropout.effect("ELU", {1: -1.0}).startswith(
        "Under ELU it changes by -1.0 points, of which nothing can"
    )


def test_a_spike_begins_above_the_mark_and_ends_below_it():
    means = [1.0] * 10 + [1.09, 1.3, 2.0, 1.11, 1.1] + [1.0] * 3 + [1.5]
    assert spikes.spikes(means) == [spikes.Spike(11, 14, 2.0), spikes.Spike(18, 19, 1.5)]


def test_what_falls_or_rises_slowly_is_no_spike():
    assert spikes.spikes([3 - 0.1 * i for i in range(20)]) == []
    assert spikes.spikes([1 + 0.01 * i for i in range(50)]) == []
    assert spikes.spikes([9.0, 1.0]) == []  # too short to tell


def test_a_loss_that_is_no_number_is_a_spike():
    (found,) = spikes.spikes([1.0] * 12 + [float("nan")])
    assert (found.start, found.end) == (12, 13)


def test_blocks_are_means_and_what_is_left_is_dropped():
    assert spikes.blocks([1.0] * 20 + [2.0] * 20 + [9.0] * 5) == [1.0, 2.0]


def leave_losses(folders: Sequence[Path], means: Sequence[Sequence[float]]) -> None:
    for folder, of in zip(folders, means, strict=True):
        losses = [mean for mean in of for _ in range(spikes.BLOCK)]
        (folder / "step_losses.csv").write_text("step,loss\n" + "".join(f"{i},{v}\n" for i, v in enumerate(losses)))


CALM, ONE, TWO = [1.0] * 14, [1.0] * 12 + [3.0, 1.0], [1.0] * 11 + [1.5, 1.0, 5.0]


@pytest.mark.parametrize(
    ("losses", "accuracies", "agrees", "said"),
    [
        ([ONE, TWO, TWO], (0.40, 0.404, 0.403), True, "ELU, lr 1e-3, 1 to 2 in each of 3 seeds, up to a loss of 5.0."),
        ([ONE, TWO, CALM], (0.40, 0.404, 0.403), None, "ELU, lr 1e-3, 0 to 2 in each of 3 seeds"),
        ([CALM] * 3, (0.40, 0.404, 0.403), False, "ELU, lr 1e-3, none in each of 3 seeds."),
        ([ONE, TWO, TWO], (0.48, 0.486, 0.483), False, "1 to 2"),
    ],
)
def test_spikes_at_a_high_rate(leave: Leave, evidence: Evidence, losses, accuracies, agrees, said: str):
    leave_losses(leave_network(leave, "plain_elu_he", RIGHT), [CALM] * 3)
    leave_losses(leave_network(leave, "mistake_learning_rate", accuracies), losses)
    found = answer("mistake_learning_rate", evidence)
    assert found.agrees is agrees
    assert found.sentences[0].startswith("Spikes of the training loss: ELU, lr 1e-4, none in each of 3 seeds; ")
    assert said in found.sentences[0]
    assert [picture.name for picture in found.figures] == ["mistake_lr_steps", "mistake_lr_loss_by_epoch"]


def test_spikes_of_runs_that_left_nothing(leave: Leave, evidence: Evidence):
    leave_network(leave, "plain_elu_he", RIGHT)
    leave_network(leave, "mistake_learning_rate", RIGHT, "diverged")
    found = answer("mistake_learning_rate", evidence)
    assert "ELU, lr 1e-4, no run left its losses" in found.sentences[0]
    assert found.agrees is None


def test_runs_that_are_too_short_have_no_spikes_to_count(leave: Leave, evidence: Evidence):
    leave_losses(leave_network(leave, "plain_elu_he", RIGHT), [[1.0]] * 3)
    leave_losses(leave_network(leave, "mistake_learning_rate", (0.40, 0.404, 0.403)), [[1.0] * 10, [1.0] * 10, CALM])
    found = answer("mistake_learning_rate", evidence)
    assert found.sentences[0] == (
        "Spikes of the training loss: ELU, lr 1e-4, too few steps to tell a spike; ELU, lr 1e-3, none in 1 seed."
    )
    assert found.agrees is None


def test_each_mistake_is_an_option_or_a_part():
    assert {name for name in LABELS if name.startswith("mistake_")} == {
        "mistake_learning_rate",
        "mistake_selu_raw_inputs",
        "mistake_half_dropped_everywhere",
        "mistake_alpha_dropout_under_elu",
    }
    assert any(override.startswith("experiment=") for override in SWEEP.overrides)
