"""A mistake: alpha dropout in a network that is not self-normalizing."""

from collections.abc import Mapping

import numpy as np
import torch

from exercise.formatting import (
    corrected_verdicts,
    describe_test,
    format_accuracy,
    format_initializer,
    format_list,
    format_seeds,
    format_val_acc,
    holds,
    verdict,
)
from exercise.outcomes import guessing_accuracy, num_classes
from exercise.plots import LayerLine, plot_curves, plot_mean_and_deviation
from exercise.questions.mistakes.accuracy_cost import at_guessing
from exercise.questions.mistakes.trainings import HALF_EPOCHS, NOTE, SWEEP, network
from exercise.section import Answer, Measurement, Section
from exercise.step_costs import untrained_network
from exercise.store import Evidence, Measured
from trainlab import load_data, load_network
from trainlab.data import ImageData
from trainlab.models import Dropout, ImageNetwork
from trainlab.report import Group, Plot, format_mean
from trainlab.statistics import difference, interval

LAYERS, IMAGES = "mistake_alpha_dropout_by_layer", 1000
DROPPED = {"SELU": "selu_alpha_dropout_every_layer", "ELU": "mistake_alpha_dropout_under_elu"}
Changes = Mapping[str, Mapping[int, float]]  # points of accuracy by seed, by activation


def measure_layers(evidence: Evidence) -> Measured:
    """Mean and deviation of what each hidden layer puts out before any training, with dropout off and on, by seed."""
    found: Measured = {}
    data: ImageData | None = None
    for name, experiment in DROPPED.items():
        for seed, run in sorted(network(evidence, experiment).runs.items()):
            data = data or load_data(run)  # all have the same validation images
            held_out = data.val_dataloader()
            count = len(held_out.indices)
            places = held_out.indices[torch.linspace(0, count - 1, min(IMAGES, count)).long()]
            before = untrained_network(run.settings, data.image_shape)
            before.scaling.load_state_dict(load_network(run).scaling.state_dict())
            for side, figures in off_and_on(before, held_out.images[places]).items():
                for key, values in figures.items():
                    found.setdefault(name, {}).setdefault(side, {}).setdefault(key, {})[str(seed)] = values
    return found


@torch.no_grad()
def off_and_on(before: ImageNetwork, images: torch.Tensor) -> dict[str, dict[str, list[float]]]:
    """Mean and deviation over images and units behind each dropout, without it and with it."""
    found: dict[str, dict[str, list[float]]] = {}
    for side in ("off", "on"):
        figures = found.setdefault(side, {"mean": [], "std": []})
        x = before.train(side == "on").scaling(images)
        for layer in before.module.children():
            x = layer(x)
            if isinstance(layer, Dropout):
                figures["mean"].append(float(x.mean()))
                figures["std"].append(float(x.std()))
    return found


def answer(evidence: Evidence) -> Answer:
    """What alpha dropout costs under ELU, compared with what it costs under SELU."""
    with_it = {name: network(evidence, experiment) for name, experiment in DROPPED.items()}
    without = {"SELU": network(evidence, "plain_selu"), "ELU": network(evidence, "plain_elu_he")}
    found = evidence.measured(LAYERS)
    changes = {name: change(with_it[name], without[name]) for name in DROPPED}
    compared, agrees = costs_more(changes, with_it)
    effects = " ".join([*(describe_effect(name, of) for name, of in changes.items()), *describe_cut_off(with_it)])
    sentences = [compared, effects, f"{describe_end(with_it)} {describe_rates(without)}".strip()]
    pairs = [group for name in DROPPED for group in (without[name], with_it[name])]
    see = f"{HALF_EPOCHS} Compare, for each activation, how far the line with dropout stays below the one without."
    figures = [plot_curves(pairs, "acc", "mistake_elu", see)]
    if set(found) == set(DROPPED):
        sentences.append(describe_changes(found))
        figures.append(plot_layers(found))
    return Answer([sentence for sentence in sentences if sentence], agrees, figures)


def describe_statistics(found: Measured) -> str:
    """Mean and deviation at the end of the untrained network, with dropout on."""

    def last(name: str, side: str) -> str:
        means, stds = ([values[-1] for values in found[name][side][key].values()] for key in ("mean", "std"))
        return f"{format_mean(interval(means), 2)} and {format_mean(interval(stds), 2)}"

    parts = [f"{last(name, 'on')} under {name} (without dropout {last(name, 'off')})" for name in DROPPED]
    n = format_seeds(min(len(found[name]["on"]["mean"]) for name in DROPPED))
    return f"Mean and deviation behind the last hidden layer are {' and '.join(parts)}, {n}."


def plot_layers(found: Measured) -> Plot:
    """Mean and deviation by layer, with dropout and without."""
    lines = []
    for i, name in enumerate(DROPPED):
        for side, style, words in (("on", "-", "alpha dropout"), ("off", ":", "none")):
            by_layer = [
                [interval(layer) for layer in zip(*found[name][side][key].values(), strict=True)]
                for key in ("mean", "std")
            ]
            means, half_widths = (
                np.array([[getattr(of, figure) for of in row] for row in by_layer]) for figure in ("mean", "half_width")
            )
            lines.append(LayerLine(f"{name}, {words}", i, style, means, np.nan_to_num(half_widths)))
    return plot_mean_and_deviation(
        "mistake_elu_layers",
        "Alpha dropout, layer by layer, before training",
        "Mean and standard deviation behind each hidden layer of the untrained networks, over units and validation "
        "images; bands are 95 % intervals over the seeds; dashed: 0 and 1. See whether a solid line leaves the dotted "
        f"one: there alpha dropout changes the statistics that it is there to keep. {describe_statistics(found)}",
        lines,
    )


SECTION = Section(
    "mistake_alpha_dropout",
    "mistakes",
    "Mistake: alpha dropout under ELU",
    "Put alpha dropout into plain ELU, the network of 8b in batches of 32. What does it cost compared with what the "
    "same dropout costs under SELU?",
    "Alpha dropout is made for SELU; in the ELU network it costs more accuracy.",
    answer,
    [SWEEP],
    [Measurement(LAYERS, measure_layers)],
    [
        NOTE,
        "The verdict is of the accuracy alone. A network without a significant difference to guessing cannot lose "
        "more, so nothing is decided where its cost is the smaller one. Changes of mean and deviation are paired by "
        "seed, with Holm's correction over the four.",
    ],
)


def change(with_it: Group, without: Group) -> dict[int, float]:
    """Points of validation accuracy that alpha dropout brings, by seed."""
    ours, theirs = (group.of("metrics", "val_acc") for group in (with_it, without))
    return {seed: 100 * (ours[seed] - theirs[seed]) for seed in ours.keys() & theirs.keys()}


def costs_more(changes: Changes, with_it: Mapping[str, Group]) -> tuple[str, bool | None]:
    """Whether it costs ELU more than SELU; open where the smaller cost is cut off by guessing."""
    what = "Alpha dropout of 0.1 after every layer"
    if not all(changes.values()):
        return "", None
    between = difference(changes["ELU"], changes["SELU"])
    found = verdict(between)
    if found == "unknown":
        return (
            f"Whether {what[0].lower()}{what[1:]} costs ELU more than SELU cannot be claimed: {between.reason}.",
            None,
        )
    by = f"{abs(between.mean):.1f} ± {between.half_width:.1f} points of validation accuracy"
    how = describe_test(between)
    if found == "not distinguishable":
        same = f"No significant difference between what {what[0].lower()}{what[1:]} costs ELU and SELU"
        return f"{same} ({by}, {how}).", None
    more, less = ("ELU", "SELU") if found == "lower" else ("SELU", "ELU")
    text = f"{what} costs {more} {by} more than {less} ({how})."
    if at_guessing(with_it[less].summary("metrics", "val_acc"), guessing_accuracy(with_it[less])):
        return f"{text} But {less} is down to guessing and cannot lose more, so which would is left open.", None
    return text, holds(found, "lower")


def describe_effect(name: str, changes: Mapping[int, float]) -> str:
    """Of alpha dropout in one network."""
    if not changes:
        return f"Under {name} there are no two runs to compare."
    found = difference(changes, dict.fromkeys(changes, 0.0))
    direction = verdict(found)
    if direction == "unknown":
        return f"Nothing can be claimed of its {found.mean:+.1f} points under {name}: {found.reason}."
    by = f"{abs(found.mean):.1f} ± {found.half_width:.1f} points"
    if direction == "not distinguishable":
        signed = f"{found.mean:+.1f} ± {found.half_width:.1f} points"
        return f"Under {name} it changes the accuracy by no more than the noise ({signed})."
    return f"It {'costs' if direction == 'lower' else 'gains'} {name} {by}, more than the noise."


def describe_cut_off(with_it: Mapping[str, Group]) -> list[str]:
    """Which of the networks cannot lose more, a sentence each."""
    return [
        f"With alpha dropout {name} does about as well as guessing one of {num_classes(group)} classes "
        f"({format_val_acc(group)}): it cannot fall much lower, so its cost is cut off "
        "there."
        for name, group in with_it.items()
        if group.runs and at_guessing(group.summary("metrics", "val_acc"), guessing_accuracy(group))
    ]


def describe_end(with_it: Mapping[str, Group]) -> str:
    """Accuracies after the last epoch, which can be far from those at the lowest loss."""
    found = {name: [run.curve for run in group.runs.values() if run.curve] for name, group in with_it.items()}
    parts = [
        f"{name} {format_accuracy(interval([float(curve.by_name['val/acc'][-1]) for curve in curves]))}"
        for name, curves in found.items()
        if curves
    ]
    if not parts:
        return ""
    return (
        f"This is at the lowest validation loss; after the last epoch the accuracy with dropout is: {'; '.join(parts)}."
    )


def describe_rates(without: Mapping[str, Group]) -> str:
    """What else the two networks differ in, so that a difference need not be the activation's."""
    keys = {"model.initializer": "initialization", "optim.lr": "learning rate"}
    apart = [
        f"{word} "
        f"({', '.join(f'{name} {_describe_change(group.settings.get(key))}' for name, group in without.items())})"
        for key, word in keys.items()
        if len({str(group.settings.get(key)) for group in without.values()}) > 1
    ]
    if not apart:
        return ""
    return f"The two networks differ in {format_list(apart)}, too, so not all of this need be due to the activation."


def _describe_change(setting: str | float | None) -> str:
    return format_initializer(setting) if isinstance(setting, str) else f"{setting:g}" if setting else "unknown"


def describe_changes(found: Measured) -> str:
    """Whether dropout changes mean and deviation behind the last hidden layer, before training."""
    words = {"mean": "the mean", "std": "the deviation"}
    tested = [(name, key) for name in found for key in words]
    between = [difference(_last(found[name]["on"][key]), _last(found[name]["off"][key])) for name, key in tested]
    clear = {
        name: [
            f"{words[key]} by {one.mean:+.2f} ± {one.half_width:.2f}"
            for (of, key), one, (direction, _) in zip(tested, between, corrected_verdicts(between), strict=True)
            if of == name and direction in ("higher", "lower")
        ]
        for name in found
    }
    text = "Mean and deviation behind the last hidden layer are what alpha dropout is there to keep. Before training"
    if not any(clear.values()):
        return f"{text} no change of either is shown, neither under {' nor under '.join(found)}."
    parts = [
        f"under {name} it changes {format_list(its)}" if its else f"under {name} no change of either is shown"
        for name, its in clear.items()
    ]
    return f"{text}, {' and '.join(parts)}."


def _last(by_seed: Mapping[str, list[float]]) -> dict[int, float]:
    return {int(seed): values[-1] for seed, values in by_seed.items()}
