"""The trainings of the mistakes, and three of them: raw inputs, too much dropout, alpha dropout under ELU."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import inf
from typing import Any

import torch

from exercise.contrast import POINTS, Claim, Contrast, contrast_groups, contrast_values
from exercise.formatting import accuracy_cells, mean_accuracy, mean_cell, text_cells, with_label
from exercise.layer_summary import layers_by_seed
from exercise.outcomes import guessing_accuracy
from exercise.section import Answer, Measurement, Section
from exercise.step_costs import untrained_network
from exercise.store import Evidence, Measured, require_completed
from exercise.trainings import Sweep, experiments
from trainlab import load_data, load_network
from trainlab.data import ImageData
from trainlab.models import Dropout, ImageNetwork
from trainlab.report import Group, Plot, Table, mean_over_seeds, plot_learning_curves
from trainlab.statistics import interval

LABELS = {
    "plain_elu_he": "ELU at 1e-4",
    "mistake_learning_rate": "ELU at 1e-3",
    "plain_selu": "SELU",
    "mistake_selu_raw_inputs": "SELU on raw inputs",
    "selu_alpha_dropout_every_layer": "SELU with alpha dropout 0.1",
    "mistake_half_dropped_everywhere": "SELU with alpha dropout 0.5",
    "mistake_alpha_dropout_under_elu": "ELU with alpha dropout 0.1",
}
SWEEP = Sweep(
    "mistakes",
    (
        *(experiments(*LABELS), "seed=1,2,3,4,5,6"),
        *("trainer.max_epochs=6", "trainer.limit_train_batches=0.5"),  # three passes over the images are enough
        *("callbacks.layer_statistics.every_n_epochs=6", "callbacks.step_losses.enabled=true"),
    ),
    ("callbacks.layer_statistics.every_n_epochs=2", "data.num_train=1200", "data.val_size=200", "data.num_test=200"),
    minutes=8,
)
NOTE = "Three passes over the images, validated after each half; rates as others used them."
LAYERS, IMAGES = "mistake_alpha_dropout_by_layer", 1000
DROPPED = {"SELU": "selu_alpha_dropout_every_layer", "ELU": "mistake_alpha_dropout_under_elu"}
PLAIN = {"SELU": "plain_selu", "ELU": "plain_elu_he"}
NEXT_TO_NOTHING = 1.5  # times the accuracy of guessing: up to there a network cannot lose more


def network(evidence: Evidence, experiment: str) -> Group:
    """The runs of one of ``LABELS``, of which one is completed."""
    group = with_label(evidence.experiment(SWEEP, experiment), LABELS[experiment])
    require_completed(group)
    return group


def curves(groups: Sequence[Group], name: str, caption: str) -> Plot:
    """Learning curves, with a caption of their own."""
    plot = plot_learning_curves(groups, "val_acc", "epochs")
    return replace(plot, name=name, title="By half epoch", caption=caption)


def results(evidence: Evidence) -> tuple[str, Table]:
    """Accuracies of all networks of the mistakes, one row each."""
    rows = []
    for experiment, label in LABELS.items():
        of = evidence.experiment(SWEEP, experiment)
        ends = interval([float(run.curve.by_name["val/acc"][-1]) for run in of.runs.values() if run.curve])
        rate, lost = of.settings["optim.lr"], f" ({len(of.others)} lost)" if of.others else ""
        last = (f"{100 * ends.mean:.1f}", ends.mean)
        rows.append([*text_cells(f"{label}{lost}"), (f"{rate:g}", rate), accuracy_cells(of)[0], last])
    return "Networks of the mistakes", Table(["network", "rate", "validation %", "last epoch"], rows)


def answer_raw_inputs(evidence: Evidence) -> Answer:
    """SELU with pixels in [0, 1]."""
    right, wrong = network(evidence, "plain_selu"), network(evidence, "mistake_selu_raw_inputs")
    cost = contrast_groups(wrong, right, "lower")
    layers = {of.label: [*layers_by_seed(of).values()] for of in (right, wrong)}
    before = {label: mean_over_seeds(runs).by_epochs[0] for label, runs in layers.items() if runs}
    # mean and deviation of the first and the last hidden layer; the last of all is the output
    by_layer = {label: [float(of[row][i]) for i in (0, -2) for row in (0, 1)] for label, of in before.items()}
    _, first, _, last = by_layer.get(wrong.label, [1.0] * 4)
    figures: dict[str, Any] = {
        "cost": cost,
        "first": f"{first:.2f}",
        "last": f"{last:.2f}",
        "is_repaired": abs(last - 1) < abs(first - 1),
    }
    headings = ["before training", "first layer: mean", "deviation", "last: mean", "deviation"]
    rows = [[*text_cells(label), *((f"{v:z.2f}", v) for v in of)] for label, of in by_layer.items()]
    return Answer(
        figures,
        [Claim("On raw pixels SELU ends less accurate", [cost])],
        curves([right, wrong], "mistake_selu", "Pixels in [0, 1] against standardized ones."),
        [results(evidence), ("Activations", Table(headings, rows))],
    )


def answer_half_dropped(evidence: Evidence) -> Answer:
    """Alpha dropout of 0.5 after each layer."""
    names = ("plain_selu", "selu_alpha_dropout_every_layer", "mistake_half_dropped_everywhere")
    right, mild, wrong = (network(evidence, name) for name in names)
    cost, guess = contrast_groups(wrong, right, "lower"), guessing_accuracy(right)
    figures: dict[str, Any] = {
        "cost": cost,
        "half": mean_accuracy(wrong),
        "mild": mean_accuracy(mild),
        "plain": mean_accuracy(right),
        "guess": f"{100 * guess:.0f} %",
        "is_guessing": wrong.summary("metrics", "val_acc").mean <= NEXT_TO_NOTHING * guess,
        "depth": (depth := right.settings["model.depth"]),
        "paths": f"{round(0.5**-depth):,}",
        "mild_paths": round(0.9**-depth),
    }
    claim = Claim("Dropout of 0.5 after every layer ends less accurate", [cost])
    plot = curves([right, mild, wrong], "mistake_half", "Does a line leave the level of guessing?")
    return Answer(figures, [claim], plot)


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
    metric = "change of validation accuracy by alpha dropout"
    found = contrast_values(("ELU", changes["ELU"]), ("SELU", changes["SELU"]), "lower", metric, POINTS)
    less = with_it["SELU" if found.mean < 0 else "ELU"]
    note = ""
    if any(group.others for of in (with_it, without) for group in of.values()):
        note = "runs diverged"
    elif less.summary("metrics", "val_acc").mean <= NEXT_TO_NOTHING * guessing_accuracy(less):
        note = f"{less.label} is down to guessing and cannot lose more"
    return replace(found, low=-inf, high=inf, tested=None, note=note) if note else found


def answer_alpha_dropout(evidence: Evidence) -> Answer:
    """What alpha dropout costs under ELU, compared with what it costs under SELU."""
    with_it, without = ({name: network(evidence, of) for name, of in all_.items()} for all_ in (DROPPED, PLAIN))
    compared = compare_costs(with_it, without)
    costs = {name: contrast_groups(with_it[name], without[name], "lower") for name in DROPPED}
    layers = {
        name: [interval([figures[i] for figures in of.values()]) for i in (0, 1)]
        for name, of in evidence.measured(LAYERS).items()
    }
    figures = {
        **{"compared": compared, "selu": costs["SELU"], "elu": costs["ELU"]},
        "selu_acc": mean_accuracy(with_it["SELU"]),
        **{f"elu_{side}": f"{layers[f'ELU, dropout {side}'][1].mean:.2f}" for side in ("on", "off")},
    }
    rows = [[*text_cells(name), *(mean_cell(figure, 2) for figure in of)] for name, of in layers.items()]
    pairs = [of[name] for name in DROPPED for of in (without, with_it)]
    return Answer(
        figures,
        [Claim("Alpha dropout costs ELU more than SELU", [compared])],
        curves(pairs, "mistake_elu", "How far does dropout push each network down?"),
        [("Behind the last hidden layer, before training", Table(["", "mean", "deviation"], rows))],
    )


RAW_INPUTS = Section(
    *("mistake_raw_inputs", "mistakes", "Mistake: SELU without standardized inputs"),
    "Feed SELU pixels in [0, 1] instead of standardized ones. What does it cost?",
    answer_raw_inputs,
    [SWEEP],
    notes=[NOTE],
)
HALF_DROPPED = Section(
    *("mistake_half_dropped", "mistakes", "Mistake: dropout of 0.5 after each of 20 layers"),
    "Drop half of the units after every hidden layer, as one does in a network of two. What does it cost?",
    answer_half_dropped,
    [SWEEP],
)
ALPHA_DROPOUT = Section(
    *("mistake_alpha_dropout", "mistakes", "Mistake: alpha dropout under ELU"),
    "Put alpha dropout of 0.1 after every layer of an ELU network. Does it cost more than under SELU?",
    answer_alpha_dropout,
    [SWEEP],
    [Measurement(LAYERS, measure_layers, 0.2)],
    ["The two networks also differ in initialization (He, LeCun) and learning rate."],
)
