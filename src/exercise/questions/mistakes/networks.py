"""Two mistakes in the network: SELU without standardized inputs, and half of every layer dropped."""

from collections.abc import Sequence

import numpy as np

from exercise.formatting import format_val_acc
from exercise.layer_summary import layers_by_seed
from exercise.outcomes import guessing_accuracy
from exercise.plots import LayerLine, plot_curves, plot_mean_and_deviation
from exercise.questions.mistakes.accuracy_cost import describe_cost
from exercise.questions.mistakes.trainings import HALF_EPOCHS, NOTE, SWEEP, describe_rates, network
from exercise.section import Answer, Section
from exercise.store import Evidence
from trainlab.report import LayerStatistics, mean_over_seeds

MEAN, STD = 0, 1  # rows of the layer statistics
KEPT = 0.1  # so near 0 and 1 a mean and a deviation count as kept. A choice
LEVELS = "Compare the heights at which the lines level off."
SEE_LAYERS = (
    "Mean and standard deviation over units and validation images; dashed: what SELU keeps of standardized inputs. See "
    "how far from it raw pixels start, whether the layers bring them back, and what training makes of it."
)


def answer_raw_inputs(evidence: Evidence) -> Answer:
    """SELU with pixels in [0, 1]."""
    right, wrong = network(evidence, "plain_selu"), network(evidence, "mistake_selu_raw_inputs")
    cost, is_worse = describe_cost(wrong, right)
    layers_of = {group.label: [*layers_by_seed(group).values()] for group in (right, wrong)}
    figures = [plot_curves([right, wrong], "acc", "mistake_selu", f"{HALF_EPOCHS} {LEVELS}")]
    sentences = [f"{cost} {describe_rates([right, wrong])}"]
    if all(layers_of.values()):
        sentences.append(statistics_before(layers_of[right.label], layers_of[wrong.label]))
        means = {label: mean_over_seeds(runs) for label, runs in layers_of.items()}
        lines = [
            LayerLine(f"{label}, {when} training", i, style, layers.by_epochs[epochs][:2, :-1])  # without the output
            for i, (label, layers) in enumerate(means.items())
            for epochs, style, when in ((0, "-", "before"), (max(layers.by_epochs), ":", "after"))
        ]
        figures.append(plot_mean_and_deviation("mistake_selu_layers", "Activations layer by layer", SEE_LAYERS, lines))
    return Answer(sentences, is_worse, figures)


def answer_half_dropped(evidence: Evidence) -> Answer:
    """Alpha dropout of 0.5 after each layer."""
    right, wrong = network(evidence, "plain_selu"), network(evidence, "mistake_half_dropped_everywhere")
    mild = network(evidence, "selu_alpha_dropout_every_layer")
    cost, is_worse = describe_cost(wrong, right)
    reached = "There is no accuracy to speak of."
    if wrong.runs:
        milder = f"; with 0.1 after every layer it is {format_val_acc(mild)}"
        accuracy = format_val_acc(wrong)
        reached = f"The validation accuracy with 0.5 is {accuracy}{milder if mild.runs else ''}."
    by_chance = 100 * guessing_accuracy(wrong)
    see = f"{HALF_EPOCHS} Compare how high each line comes, and whether it leaves the {by_chance:.3g} % of guessing."
    return Answer(
        [cost, f"{reached} {describe_rates([right, mild, wrong])}"],
        is_worse,
        [plot_curves([right, mild, wrong], "acc", "mistake_half", see)],
    )


def statistics_before(right: Sequence[LayerStatistics], wrong: Sequence[LayerStatistics]) -> str:
    """What comes out of the first and the last hidden layer before the training, and whether SELU brings it back."""
    first, last = (_before(wrong, layer) for layer in (0, -2))  # the last of all is the output
    usual = ", then ".join(_before(right, layer) for layer in (0, -2))
    return (
        f"Before training, mean and deviation are {first} after the first hidden layer and {last} after the last one "
        f"on raw inputs (on standardized ones {usual}). {_brought_back(wrong)}"
    )


def _before(runs: Sequence[LayerStatistics], layer: int) -> str:
    """Mean and deviation of a layer before training, mean over the seeds."""
    mean, std = (mean_over_seeds(runs).by_epochs[0][row][layer].round(2) + 0.0 for row in (MEAN, STD))  # no -0.00
    return f"{mean:.2f} and {std:.2f}"


def _brought_back(runs: Sequence[LayerStatistics]) -> str:
    """Whether a network keeps mean and deviation, by its first and its last hidden layer before training."""
    near = f"within {KEPT:g} of the 0 and 1 that SELU is made for"
    match is_kept(runs, 0), is_kept(runs, -2):
        case True, True:
            return f"Raw inputs begin and end {near}, so they do no harm to these figures."
        case False, True:
            return (
                f"The layers bring them back to {near}: self-normalization recovers, and what raw inputs cost is shown "
                "by the accuracy alone."
            )
        case True, False:
            return f"They begin {near}, and the layers do not keep them there."
    return f"The layers do not bring them back to {near} in every run."


def is_kept(runs: Sequence[LayerStatistics], layer: int) -> bool:
    """Whether mean and deviation of a layer are within ``KEPT`` of 0 and 1 before training, in every run."""
    figures = [[of.by_epochs[0][row][layer] - wanted for row, wanted in ((MEAN, 0), (STD, 1))] for of in runs]
    return bool(np.abs(figures).max() <= KEPT)


RAW_INPUTS = Section(
    "mistake_raw_inputs",
    "mistakes",
    "Mistake: SELU without standardized inputs",
    "Feed SELU pixels in [0, 1] instead of standardized features. What does it cost?",
    "SELU needs inputs that are standardized to mean 0 and deviation 1; on raw pixels it ends less accurate.",
    answer_raw_inputs,
    [SWEEP],
    notes=[
        NOTE,
        "The verdict is of the accuracy alone; mean and deviation are reported separately. They count as kept within "
        f"{KEPT:g} of 0 and 1 in every run, a margin that is a choice.",
    ],
)
HALF_DROPPED = Section(
    "mistake_half_dropped",
    "mistakes",
    "Mistake: dropout of 0.5 after each of 20 layers",
    "Drop half of the units after every hidden layer, as one does in a network of two. What does it cost?",
    "A signal that is halved twenty times in a row does not arrive: the network underfits, or learns nothing.",
    answer_half_dropped,
    [SWEEP],
    notes=[NOTE],
)
