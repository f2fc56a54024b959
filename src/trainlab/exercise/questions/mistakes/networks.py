"""Two mistakes in the network: SELU without standardized inputs, and half of every layer dropped."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from matplotlib.ticker import MaxNLocator

from trainlab.exercise.evidence import Evidence
from trainlab.exercise.looks import mean_look
from trainlab.exercise.questions.mistakes.price import price
from trainlab.exercise.questions.mistakes.trainings import NOTE, SWEEP, network
from trainlab.exercise.section import Answer, Section
from trainlab.exercise.wording import accuracy
from trainlab.report.drawing import COLOURS, MARKERS, canvas, legend_below, rendered
from trainlab.report.figures import Picture, learning_curves
from trainlab.report.groups import Group
from trainlab.report.layers import Layers

MEAN, STD = 0, 1  # rows of a look into layers
GUESSING = 0.1  # accuracy


def raw_inputs(evidence: Evidence) -> Answer:
    """SELU with pixels in [0, 1]."""
    right, wrong = network(evidence, "plain_selu"), network(evidence, "mistake_selu_raw_inputs")
    said, costs = price(wrong, right)
    found = {group.label: layers for group in (right, wrong) if (layers := mean_look(group))}
    figures = [curves("mistake_selu", [right, wrong], "acc")]
    sentences = [said]
    if len(found) == 2:
        sentences.append(statistics_before(found))
        figures.append(by_layer(found))
    return Answer(sentences, costs, figures)


def half_dropped(evidence: Evidence) -> Answer:
    """Alpha dropout of 0.5 after each layer."""
    right, wrong = network(evidence, "plain_selu"), network(evidence, "mistake_half_dropped_everywhere")
    mild = network(evidence, "selu_alpha_dropout_every_layer")
    said, costs = price(wrong, right)
    return Answer([said, left(wrong, mild)], costs, [curves("mistake_half", [right, mild, wrong], "acc")])


def statistics_before(found: Mapping[str, Layers]) -> str:
    """What comes out of the first and the last hidden layer before the training."""
    parts = []
    for label, layers in found.items():
        mean, std = (layers.by_epochs[0][row].round(2) + 0.0 for row in (MEAN, STD))  # no -0.00
        parts.append(
            f"{mean[0]:.2f} and {std[0]:.2f} after the first and {mean[-2]:.2f} and {std[-2]:.2f} after the last "
            f"hidden layer with {label}"
        )
    return f"Before training the activations have a mean and deviation of {', '.join(parts)}; SELU is made for 0 and 1."


def left(wrong: Group, mild: Group) -> str:
    """What is left to such a network, beside a milder dropout."""
    if not wrong.runs:
        return "There is no accuracy to speak of."
    reached = wrong.summary("metrics", "val_acc")
    is_chance = reached.mean - reached.half_width <= GUESSING
    chance = ", not told apart from guessing one of ten classes" if is_chance else ""
    other = f"; with 0.1 after every layer it is {accuracy(mild.summary('metrics', 'val_acc'))}" if mild.runs else ""
    return f"Such a network reaches {accuracy(reached)} validation accuracy{chance}{other}."


def curves(prefix: str, groups: Sequence[Group], metric: str) -> Picture:
    """Learning curves, under a name of their own."""
    picture = learning_curves(groups, metric, "epochs")
    caption = f"{picture.caption} An epoch is half of the images here."
    return replace(picture, name=f"{prefix}_{picture.name}", caption=caption)


def by_layer(found: Mapping[str, Layers]) -> Picture:
    """Mean and deviation by layer, before the training and after it."""
    with canvas(8.6, 3.2, 2) as (figure, axes):
        for row, (one, title, kept) in enumerate(zip(axes, ("mean", "standard deviation"), (0, 1), strict=True)):
            one.axhline(kept, color="#888888", linewidth=1, linestyle=(0, (4, 2)))
            for i, (label, layers) in enumerate(found.items()):
                for epochs, style, words in ((0, "-", "before"), (max(layers.by_epochs), ":", "after")):
                    values = layers.by_epochs[epochs][row][:-1]  # not those of the output
                    one.plot(
                        np.arange(1, len(values) + 1),
                        values,
                        linestyle=style,
                        color=COLOURS[i],
                        marker=MARKERS[i],
                        markersize=3.5,
                        label=f"{label}, {words} training",
                    )
            one.set_title(title)
            one.set_xlabel("hidden layer")
            one.xaxis.set_major_locator(MaxNLocator(integer=True))
        legend_below(figure, axes[0])
        png, svg = rendered(figure)
    return Picture(
        "mistake_selu_layers",
        "Activations layer by layer",
        "Mean and standard deviation over units and validation images; dashed: what SELU keeps of standardized inputs. "
        "See how far from it raw pixels start, and whether the layers bring them back.",
        png,
        svg,
    )


RAW_INPUTS = (
    Section(
        "mistake_raw_inputs",
        "mistakes",
        "Mistake: SELU without standardized inputs",
        "Feed SELU pixels in [0, 1] instead of standardized features. What does it cost?",
        "Self-normalization needs inputs of mean 0 and deviation 1; without them SELU loses what it is for.",
        raw_inputs,
        [SWEEP],
        notes=[NOTE],
    ),
)
HALF_DROPPED = (
    Section(
        "mistake_half_dropped",
        "mistakes",
        "Mistake: dropout of 0.5 after each of 20 layers",
        "Drop half of the units after every hidden layer, as one does in a network of two. What does it cost?",
        "What 20 layers in a row halve does not get through: the network underfits, or learns nothing.",
        half_dropped,
        [SWEEP],
        notes=[NOTE],
    ),
)
