"""What the mistakes cost, in words, from results that are made up."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from exercise.questions import mistakes
from exercise.questions.mistakes import spikes
from exercise.questions.mistakes.networks import statistics_before
from exercise.questions.mistakes.trainings import LABELS, SWEEP
from exercise.store import Evidence
from exercise.trainings import Setting
from mistake_results import RIGHT, Leave, answer, leave_network
from trainlab.report.layers import LayerStatistics

HEADER = "epochs,step,layer,mean,std,dead,gradient_norm\n"


@pytest.fixture
def evidence(tmp_path: Path) -> Evidence:
    return Evidence(tmp_path, Setting())


def test_all_have_keys_and_anchors_of_their_own():
    keys = [section.key for section in mistakes.SECTIONS]
    assert len(set(keys)) == len(keys) == 5 and all(key.startswith("mistake_") for key in keys)
    assert {section.part for section in mistakes.SECTIONS} == {"mistakes"}


def test_raw_inputs_with_a_look_into_the_layers(leave: Leave, evidence: Evidence):
    for experiment, mean, std in (("plain_selu", 0.0, 1.0), ("mistake_selu_raw_inputs", -0.5, 0.3)):
        for folder in leave_network(leave, experiment, [a - (std < 1) * 0.05 * a for a in RIGHT]):
            rows = [f"{epochs},0,linear_{i},{mean},{std + 0.01 * i},0,1\n" for epochs in (0, 6) for i in (1, 2)] + [
                f"{epochs},0,output,9,9,0,1\n" for epochs in (0, 6)
            ]
            (folder / "layer_statistics.csv").write_text(HEADER + "".join(sorted(rows, key=lambda row: row[0])))
    found = answer("mistake_raw_inputs", evidence)
    assert found.agrees is True
    assert found.sentences[0].endswith(
        "). Both are trained at a learning rate of 0.0001, searched for neither of them."
    )
    assert found.sentences[1] == (
        "Before training, mean and deviation are -0.50 and 0.31 after the first hidden layer and -0.50 and 0.32 after "
        "the last one on raw inputs (on standardized ones 0.00 and 1.01, then 0.00 and 1.02). The layers do not bring "
        "them back to within 0.1 of the 0 and 1 that SELU is made for in every run."
    )
    assert [picture.name for picture in found.figures] == ["mistake_selu_accuracy_by_epoch", "mistake_selu_layers"]
    assert found.figures[0].caption.endswith(
        "An epoch is half of the images here. Compare the heights at which the lines level off."
    )


def looked(first: tuple[float, float], last: tuple[float, float]) -> LayerStatistics:
    """Mean and deviation of two hidden layers before training; the output's count nowhere."""
    figures = np.array([[*first, 0, 1], [*last, 0, 1], [9, 9, 0, 1]]).T
    return LayerStatistics(("linear_1", "linear_2", "output"), {0: figures})


@pytest.mark.parametrize(
    ("first", "last", "said"),
    [
        ((0.05, 0.95), (0.0, 1.05), "Raw inputs begin and end within 0.1 of the 0 and 1 that SELU is made for, so"),
        ((-0.04, 0.58), (0.01, 1.03), "self-normalization recovers, and what raw inputs cost is shown by the accuracy"),
        ((0.05, 0.95), (0.0, 1.2), "and the layers do not keep them there."),
        ((0.2, 1.0), (0.2, 1.0), "The layers do not bring them back to within 0.1"),
    ],
)
def test_whether_the_layers_bring_raw_inputs_back(first, last, said: str):
    usual = [looked((0.0, 1.0), (0.0, 1.0))]
    assert said in statistics_before(usual, [looked(first, last), looked(first, last)])


def test_one_run_that_is_not_brought_back_is_enough():
    back, away = looked((0.0, 0.5), (0.0, 1.0)), looked((0.0, 0.5), (0.0, 0.8))
    assert "do not bring them back" in statistics_before([back], [back, back, away])


def test_half_of_everything_dropped(leave: Leave, evidence: Evidence):
    leave_network(leave, "plain_selu", RIGHT)
    leave_network(leave, "selu_alpha_dropout_every_layer", (0.40, 0.41, 0.405))
    leave_network(leave, "mistake_half_dropped_everywhere", (0.100, 0.101, 0.099))
    found = answer("mistake_half_dropped", evidence)
    assert found.agrees is True
    assert "below which it cannot cost more" in found.sentences[0]
    assert found.sentences[1] == (
        "The validation accuracy with 0.5 is 10.0 ± 0.2 % (3 seeds); with 0.1 after every layer it is 40.5 ± 1.2 % (3 "
        "seeds). All are trained at a learning rate of 0.0001, searched for none of them."
    )


def test_half_of_everything_dropped_and_nothing_left(leave: Leave, evidence: Evidence):
    leave_network(leave, "plain_selu", RIGHT)
    leave_network(leave, "selu_alpha_dropout_every_layer", (0.40, 0.41, 0.405))
    leave_network(leave, "mistake_half_dropped_everywhere", RIGHT, "diverged")
    found = answer("mistake_half_dropped", evidence)
    assert found.agrees is True
    assert found.sentences[1].startswith("There is no accuracy to speak of. All are")


def test_a_spike_begins_above_the_mark_and_ends_below_it():
    means = [1.0] * 10 + [1.09, 1.3, 2.0, 1.11, 1.1] + [1.0] * 3 + [1.5]
    assert spikes.find_spikes(means) == [range(11, 14), range(18, 19)]


def test_what_falls_or_rises_slowly_is_no_spike():
    assert spikes.find_spikes([3 - 0.1 * i for i in range(20)]) == []
    assert spikes.find_spikes([1 + 0.01 * i for i in range(50)]) == []
    assert spikes.find_spikes([9.0, 1.0]) == []  # too short to tell


def test_a_loss_that_is_no_number_is_a_spike():
    (found,) = spikes.find_spikes([1.0] * 12 + [float("nan")])
    assert found == range(12, 13)


def test_blocks_are_means_and_what_is_left_is_dropped():
    assert spikes.block_means([1.0] * 20 + [2.0] * 20 + [9.0] * 5) == [1.0, 2.0]


def leave_losses(folders: Sequence[Path], means: Sequence[Sequence[float]]) -> None:
    for folder, of in zip(folders, means, strict=True):
        losses = [mean for mean in of for _ in range(spikes.BLOCK)]
        (folder / "step_losses.csv").write_text("step,loss\n" + "".join(f"{i},{v}\n" for i, v in enumerate(losses)))


CALM, ONE, TWO = [1.0] * 14, [1.0] * 12 + [3.0, 1.0], [1.0] * 11 + [1.5, 1.0, 5.0]


@pytest.mark.parametrize(
    ("losses", "accuracies", "agrees", "said"),
    [
        ([ONE, TWO, TWO], (0.40, 0.404, 0.403), True, "1 to 2 spikes in each of 3 runs, the highest at a loss of 5.0."),
        ([ONE, TWO, CALM], (0.40, 0.404, 0.403), None, "1 to 2 spikes in 2 of 3 runs, the highest at a loss of 5.0."),
        ([ONE, CALM, CALM], (0.40, 0.404, 0.403), None, "one spike in 1 of 3 runs, at a loss of 3.0."),
        ([TWO] * 3, (0.40, 0.404, 0.403), True, "2 spikes in each of 3 runs, the highest at a loss of 5.0."),
        ([CALM] * 3, (0.40, 0.404, 0.403), False, "none in 3 runs."),
        ([ONE, TWO, TWO], (0.48, 0.486, 0.483), False, "1 to 2"),
    ],
)
def test_spikes_at_a_high_rate(leave: Leave, evidence: Evidence, losses, accuracies, agrees, said: str):
    leave_losses(leave_network(leave, "plain_elu_he", RIGHT), [CALM] * 3)
    leave_losses(leave_network(leave, "mistake_learning_rate", accuracies), losses)
    found = answer("mistake_learning_rate", evidence)
    assert found.agrees is agrees
    assert found.sentences[0].startswith(
        "Spikes of the training loss: ELU at 1e-4 has none in 3 runs; ELU at 1e-3 has "
    )
    assert said in found.sentences[0]
    assert [picture.name for picture in found.figures] == ["mistake_lr_steps", "mistake_lr_loss_by_epoch"]


def test_spikes_of_runs_that_left_nothing(leave: Leave, evidence: Evidence):
    leave_network(leave, "plain_elu_he", RIGHT)
    leave_network(leave, "mistake_learning_rate", RIGHT, "diverged")
    found = answer("mistake_learning_rate", evidence)
    assert "ELU at 1e-4 has no run that left its losses" in found.sentences[0]
    assert found.agrees is None


def test_runs_that_are_too_short_have_no_spikes_to_count(leave: Leave, evidence: Evidence):
    leave_losses(leave_network(leave, "plain_elu_he", RIGHT), [[1.0]] * 3)
    leave_losses(leave_network(leave, "mistake_learning_rate", (0.40, 0.404, 0.403)), [[1.0] * 10, [1.0] * 10, CALM])
    found = answer("mistake_learning_rate", evidence)
    assert found.sentences[0] == (
        "Spikes of the training loss: ELU at 1e-4 has too few steps to find a spike; ELU at 1e-3 has none in 1 run."
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
