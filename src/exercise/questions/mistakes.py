"""Mistakes that look like experiments, each compared with the same training without it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import inf, log
from statistics import median

import numpy as np
import torch

from exercise.contrast import POINTS, Claim, Contrast, claim_of_most, contrast_groups, contrast_values, format_share
from exercise.formatting import accuracy_cells, mean_accuracy, mean_cell, number_cell, text_cells, with_label
from exercise.layer_summary import layers_by_seed
from exercise.outcomes import NEXT_TO_NOTHING, guessing_accuracy
from exercise.plots import REFERENCE, plot_curves
from exercise.section import Answer, Measurement, Section
from exercise.step_costs import untrained_network
from exercise.store import Evidence, Measured, require_completed
from exercise.trainings import Sweep, experiments
from trainlab import load_data, load_network
from trainlab.data import ImageData
from trainlab.models import Dropout, ImageNetwork
from trainlab.report import COLORS, Group, Plot, Table, canvas, legend_below, mean_over_seeds, render
from trainlab.statistics import interval

LABELS = {
    "plain_elu_he": "ELU, 1e-4",
    "mistake_learning_rate": "ELU, 1e-3",
    "plain_selu": "SELU",
    "mistake_selu_raw_inputs": "SELU, raw inputs",
    "selu_alpha_dropout_every_layer": "SELU, alpha dropout 0.1",
    "mistake_half_dropped_everywhere": "SELU, alpha dropout 0.5",
    "mistake_alpha_dropout_under_elu": "ELU, alpha dropout 0.1",
}
SWEEP = Sweep(
    "mistakes",
    (
        *(experiments(*LABELS), "seed=1,2,3,4,5,6"),
        *("trainer.max_epochs=6", "trainer.limit_train_batches=0.5"),  # three passes over the images are enough
        *("callbacks.layer_statistics.every_n_epochs=6", "callbacks.step_losses.enabled=true"),
    ),
    ("callbacks.layer_statistics.every_n_epochs=2", "data.num_train=1200", "data.val_size=200", "data.num_test=200"),
    minutes=11,
)
HALVES = "Epoch: half a pass."
LAYERS, IMAGES = "mistake_alpha_dropout_by_layer", 1000
DROPPED = {"SELU": "selu_alpha_dropout_every_layer", "ELU": "mistake_alpha_dropout_under_elu"}
PLAIN = {"SELU": "plain_selu", "ELU": "plain_elu_he"}
BLOCK, BEFORE, ABOVE = 20, 10, 1.1  # of spikes; calm trainings stay below 1.08


def network(evidence: Evidence, experiment: str) -> Group:
    """The runs of one of ``LABELS``, of which one is completed."""
    group = with_label(evidence.group(SWEEP, experiment=f"exercise/{experiment}"), LABELS[experiment])
    require_completed(group)
    return group


def results(evidence: Evidence) -> tuple[str, Table]:
    """Accuracies of all networks of the mistakes, one row each."""
    rows = []
    for experiment, label in LABELS.items():
        of = evidence.group(SWEEP, experiment=f"exercise/{experiment}")
        rate, lost = of.settings["optim.lr"], f" ({len(of.others)} lost)" if of.others else ""
        rows.append([(f"{label}{lost}", label), (f"{rate:g}", rate), accuracy_cells(of)[0], number_cell(last_acc(of))])
    return "Networks of the mistakes", Table(["network", "rate", "validation %", "last epoch"], rows)


def last_acc(group: Group) -> float:
    """Mean validation accuracy in % after the last epoch."""
    return 100 * interval([float(run.curve.by_name["val/acc"][-1]) for run in group.runs.values() if run.curve]).mean


def answer_raw_inputs(evidence: Evidence) -> Answer:
    """SELU with pixels in [0, 1]."""
    right, wrong = network(evidence, "plain_selu"), network(evidence, "mistake_selu_raw_inputs")
    cost = contrast_groups(wrong, right, "lower")
    layers = {of.label: [*layers_by_seed(of).values()] for of in (right, wrong)}
    before = {label: mean_over_seeds(runs).by_epochs[0] for label, runs in layers.items() if runs}
    # mean and deviation of the first and the last hidden layer; the last of all is the output
    by_layer = {label: [float(of[row][i]) for i in (0, -2) for row in (0, 1)] for label, of in before.items()}
    _, first, _, last = by_layer.get(wrong.label, [1.0] * 4)
    figures = {"cost": cost, "rate": f"{wrong.settings['optim.lr']:g}", "first": f"{first:.2f}", "last": f"{last:.2f}"}
    headings = ["before training", "first layer: mean", "deviation", "last: mean", "deviation"]
    rows = [[*text_cells(label), *(number_cell(v, 2) for v in of)] for label, of in by_layer.items()]
    return Answer(
        figures | {"is_repaired": abs(last - 1) < abs(first - 1)},
        [Claim("SELU is less accurate on raw pixels", [cost])],
        plot_curves([right, wrong], "acc", "mistake_selu", HALVES),
        [results(evidence), ("Activations", Table(headings, rows))],
    )


def answer_half_dropped(evidence: Evidence) -> Answer:
    """Alpha dropout of 0.5 after each layer."""
    names = ("plain_selu", "selu_alpha_dropout_every_layer", "mistake_half_dropped_everywhere")
    right, mild, wrong = (network(evidence, name) for name in names)
    cost, guess, depth = contrast_groups(wrong, right, "lower"), guessing_accuracy(right), right.settings["model.depth"]
    figures = {
        **{"cost": cost, "half": mean_accuracy(wrong), "mild": mean_accuracy(mild), "plain": mean_accuracy(right)},
        "guess": f"{100 * guess:.0f} %",
        "is_guessing": wrong.summary("metrics", "val_acc").mean <= NEXT_TO_NOTHING * guess,
        **{"depth": depth, "mild_last": f"{last_acc(mild):.1f} %"},
    }
    claim = Claim("The network is less accurate", [cost])
    return Answer(figures, [claim], plot_curves([right, mild, wrong], "acc", "mistake_half", HALVES))


def measure_layers(evidence: Evidence) -> Measured:
    """Mean and deviation behind the last hidden layer before any training, with dropout off and on, by seed."""
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
                found.setdefault(f"{name}, dropout {side}", {})[str(seed)] = figures
    return found


@torch.no_grad()
def off_and_on(before: ImageNetwork, images: torch.Tensor) -> dict[str, tuple[float, float]]:
    """Mean and deviation over images and units behind the last dropout, without it and with it."""
    found = {}
    for side in ("off", "on"):
        x = before.train(side == "on").scaling(images)
        for layer in before.module.children():
            x = layer(x)
            if isinstance(layer, Dropout):
                found[side] = float(x.mean()), float(x.std())
    return found


def compare_costs(with_it: Mapping[str, Group], without: Mapping[str, Group]) -> Contrast:
    """What dropout changes under ELU compared with SELU; open where runs diverged, or less cannot be lost."""
    changes: dict[str, dict[int, float]] = {}
    for name in DROPPED:
        ours, theirs = (of[name].of("metrics", "val_acc") for of in (with_it, without))
        changes[name] = {seed: 100 * (ours[seed] - theirs[seed]) for seed in ours.keys() & theirs.keys()}
    metric = "change of accuracy by alpha dropout"
    found = contrast_values(("ELU", changes["ELU"]), ("SELU", changes["SELU"]), "lower", metric, POINTS)
    less = with_it["SELU" if found.mean < 0 else "ELU"]
    note = ""
    if any(group.others for of in (with_it, without) for group in of.values()):
        note = "runs diverged"
    elif less.summary("metrics", "val_acc").mean <= NEXT_TO_NOTHING * guessing_accuracy(less):
        note = f"{less.label} is down to guessing and cannot lose more"
    return replace(found, low=-inf, high=inf, tested=None, note=note) if note else found


def answer_alpha(evidence: Evidence) -> Answer:
    """What alpha dropout costs under ELU, compared with what it costs under SELU."""
    with_it, without = ({name: network(evidence, of) for name, of in all_.items()} for all_ in (DROPPED, PLAIN))
    compared = compare_costs(with_it, without)
    layers = {
        name: [interval([figures[i] for figures in of.values()]) for i in (0, 1)]
        for name, of in evidence.measured(LAYERS).items()
    }
    figures = {
        **{"compared": compared, "selu_acc": mean_accuracy(with_it["SELU"]), "selu_end": last_acc(with_it["SELU"])},
        **{f"{name.lower()}_last": last_acc(with_it[name]) - last_acc(without[name]) for name in DROPPED},
        **{name.lower(): contrast_groups(with_it[name], without[name], "lower") for name in DROPPED},
        **{f"elu_{side}": f"{layers[f'ELU, dropout {side}'][1].mean:.2f}" for side in ("on", "off")},
    }
    rows = [[*text_cells(name), *(mean_cell(figure, 2) for figure in of)] for name, of in layers.items()]
    pairs = [of[name] for name in DROPPED for of in (without, with_it)]
    return Answer(
        figures,
        [Claim("Alpha dropout costs ELU more than SELU", [compared])],
        plot_curves(pairs, "acc", "mistake_elu", HALVES),
        [("Behind the last hidden layer, before training", Table(["", "mean", "deviation"], rows))],
    )


def find_spikes(means: Sequence[float]) -> list[range]:
    """Blocks above ``ABOVE`` times the median of those before, which stands still while a spike lasts."""
    found, i = list[range](), BEFORE
    while i < len(means):
        start, mark = i, ABOVE * median(means[i - BEFORE : i])
        while i < len(means) and not means[i] <= mark:  # a loss that is no number is above
            i += 1
        if i > start:
            found.append(range(start, i))
        i += 1
    return found


def losses_of(group: Group) -> dict[int, list[float]]:
    """Means of whole blocks of steps by seed, of the runs that left their losses, diverged ones, too."""
    found = {}
    for run in sorted([*group.others, *group.runs.values()], key=lambda run: run.seed):
        if (path := run.folder / "step_losses.csv").exists():
            losses = np.loadtxt(path, delimiter=",", skiprows=1, usecols=1, ndmin=1)
            found[run.seed] = losses[: len(losses) // BLOCK * BLOCK].reshape(-1, BLOCK).mean(1).tolist()
    return {seed: blocks for seed, blocks in found.items() if blocks}


def answer_rate(evidence: Evidence) -> Answer:
    """1e-3 compared with 1e-4."""
    right, wrong = network(evidence, "plain_elu_he"), network(evidence, "mistake_learning_rate")
    means = {group.label: losses_of(group) for group in (right, wrong)}
    calm, spiked = (sum(bool(find_spikes(blocks)) for blocks in of.values()) for of in means.values())
    all_calm, runs = map(len, means.values())
    tops = [max(of[block] for block in spike) for of in means[wrong.label].values() for spike in find_spikes(of)]
    cost = contrast_groups(wrong, right, "lower")
    figures = {
        **{"cost": cost, "right": mean_accuracy(right), "wrong": mean_accuracy(wrong), "all_spike": spiked == runs},
        **{"spiked": f"{spiked} of {runs} runs", "share": format_share(spiked, runs), "calm": f"{calm} of {all_calm}"},
        **{"right_last": f"{last_acc(right):.1f}", "wrong_last": f"{last_acc(wrong):.1f}"},
        **{"top": f"{max(tops):.1f}" if tops else "", "block": BLOCK, "before": BEFORE, "above": f"{ABOVE:g}"},
    }
    claims = [
        Claim("1e-3 is less accurate than 1e-4", [cost]),
        claim_of_most("The loss spikes in most runs at 1e-3", spiked, runs),
    ]
    return Answer(figures, claims, plot_losses(means, -log(guessing_accuracy(wrong))))


def plot_losses(means: Mapping[str, Mapping[int, Sequence[float]]], guessing: float) -> Plot:
    """The loss step by step, one column per rate; ``guessing`` is the loss of classes that are all as probable."""
    with canvas(7.2, 3.0, len(means), scale_a_row=True) as (figure, axes):
        for one, (name, runs) in zip(axes, means.items(), strict=True):
            for i, (seed, of) in enumerate(runs.items()):
                steps, color = BLOCK * (np.arange(len(of)) + 0.5), COLORS[i % len(COLORS)]
                one.plot(steps, of, color=color, linewidth=0.9, label=f"seed {seed}")
                tops = [spike.start + int(np.argmax(of[spike.start : spike.stop])) for spike in find_spikes(of)]
                one.plot(steps[tops], np.array(of)[tops], "v", color=color, markersize=5)
            one.axhline(guessing, **REFERENCE)
            one.set(title=name, xlabel="step", ylim=(None, 3.5))
        axes[0].set_ylabel("training loss")
        legend_below(figure, axes[-1])
        caption = "Triangles: spikes; dashed: guessing."
        return Plot("mistake_lr_steps", "The loss, step by step", caption, *render(figure))


SECTIONS = (
    Section("mistake_raw_inputs", "mistakes", answer_raw_inputs, [SWEEP]),
    Section("mistake_learning_rate", "mistakes", answer_rate, [SWEEP]),
    Section("mistake_alpha_dropout", "mistakes", answer_alpha, [SWEEP], [Measurement(LAYERS, measure_layers, 0.2)]),
    Section("mistake_half_dropped", "mistakes", answer_half_dropped, [SWEEP]),
)
