"""A mistake: alpha dropout in a network that is not self-normalizing."""

import warnings

import numpy as np
import torch
from matplotlib.ticker import MaxNLocator

from exercise.formatting import format_seeds
from exercise.questions.mistakes.alpha_dropout_costs import (
    change,
    costs_more,
    describe_changes,
    describe_cut_off,
    describe_effect,
    describe_end,
    describe_rates,
)
from exercise.questions.mistakes.networks import plot_curves
from exercise.questions.mistakes.trainings import NOTE, SWEEP, network
from exercise.section import Answer, Measurement, Section
from exercise.step_costs import arguments_of
from exercise.store import Evidence, Measured
from trainlab import load_data, load_network
from trainlab.data import ImageData
from trainlab.models import MLP, Dropout, ImageNetwork, image_network
from trainlab.report import COLORS, MARKERS, Plot, Run, canvas, format_mean, legend_below, render
from trainlab.statistics import interval

LAYERS, IMAGES = "mistake_alpha_dropout_by_layer", 1000
DROPPED = {"SELU": "selu_alpha_dropout_every_layer", "ELU": "mistake_alpha_dropout_under_elu"}


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
            for side, figures in off_and_on(_untrained(run, data), held_out.images[places]).items():
                for key, values in figures.items():
                    found.setdefault(name, {}).setdefault(side, {}).setdefault(key, {})[str(seed)] = values
    return found


def _untrained(run: Run, data: ImageData) -> ImageNetwork:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it is a mistake is what is measured
        before = image_network(MLP, data.image_shape, **arguments_of(run.settings, "model"))
    before.scaling.load_state_dict(load_network(run).scaling.state_dict())
    return before


def off_and_on(before: ImageNetwork, images: torch.Tensor) -> dict[str, dict[str, list[float]]]:
    """Mean and deviation behind each dropout, without it and with it."""
    return {side: _by_layer(before.train(side == "on"), images) for side in ("off", "on")}


@torch.no_grad()
def _by_layer(before: ImageNetwork, images: torch.Tensor) -> dict[str, list[float]]:
    """Mean and deviation over images and units behind each dropout."""
    means, deviations = [], []
    x = before.scaling(images)
    for layer in before.module.children():
        x = layer(x)
        if isinstance(layer, Dropout):
            means.append(float(x.mean()))
            deviations.append(float(x.std()))
    return {"mean": means, "std": deviations}


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
    see = "Compare, for each activation, how far the line with dropout stays below the one without."
    figures = [plot_curves("mistake_elu", pairs, "acc", see)]
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
    with canvas(8.6, 3.2, 2) as (figure, axes):
        for one, key, title, wanted in zip(axes, ("mean", "std"), ("mean", "standard deviation"), (0, 1), strict=True):
            one.axhline(wanted, color="#888888", linewidth=1, linestyle=(0, (4, 2)))
            for i, name in enumerate(DROPPED):
                for side, style in (("on", "-"), ("off", ":")):
                    by_layer = [interval(of) for of in zip(*found[name][side][key].values(), strict=True)]
                    mean = np.array([of.mean for of in by_layer])
                    half = np.nan_to_num([of.half_width for of in by_layer])
                    label = f"{name}, {'alpha dropout' if side == 'on' else 'none'}"
                    x = np.arange(1, len(mean) + 1)
                    one.plot(x, mean, style, color=COLORS[i], marker=MARKERS[i], markersize=3.5, label=label)
                    one.fill_between(x, mean - half, mean + half, color=COLORS[i], alpha=0.2, linewidth=0)
            one.set_title(title)
            one.set_xlabel("hidden layer")
            one.xaxis.set_major_locator(MaxNLocator(integer=True))
        legend_below(figure, axes[0])
        png, svg = render(figure)
    return Plot(
        "mistake_elu_layers",
        "Alpha dropout, layer by layer, before training",
        "Mean and standard deviation behind each hidden layer of the untrained networks, over units and validation "
        "images; bands are 95 % intervals over the seeds; dashed: 0 and 1. See whether a solid line leaves the dotted "
        f"one: there alpha dropout changes the statistics that it is there to keep. {describe_statistics(found)}",
        png,
        svg,
    )


SECTIONS = (
    Section(
        "mistake_alpha_dropout",
        "mistakes",
        "Mistake: alpha dropout under ELU",
        "Put alpha dropout into plain ELU, the network of 8b in batches of 32. What does it cost compared with what "
        "the same dropout costs under SELU?",
        "Alpha dropout is made for SELU; in the ELU network it costs more accuracy.",
        answer,
        [SWEEP],
        [Measurement(LAYERS, measure_layers)],
        [
            NOTE,
            "The verdict is of the accuracy alone. A network that is not told apart from guessing cannot lose more, so "
            "nothing is decided where its cost is the smaller one. Changes of mean and deviation are paired by seed, "
            "with Holm's correction over the four.",
        ],
    ),
)
