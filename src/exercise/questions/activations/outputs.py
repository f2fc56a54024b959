"""Softmax or logistic outputs: for exclusive classes, and for several right ones at once.

Shallow networks with either are trained on images of one class or on pairs of two. Axes: N images, K classes.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from matplotlib.ticker import PercentFormatter
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, one_hot

from exercise.contrast import POINTS, contrast_values, judge_claims
from exercise.formatting import mean_cell, text_cells
from exercise.plots import REFERENCE
from exercise.questions.activations.comparison import OTHERS
from exercise.section import Answer, Measurement, Section
from exercise.store import Evidence, Measured, NotAvailable
from trainlab import derive_seed, generator, load_data
from trainlab.models import MLP, ImageNetwork, image_network
from trainlab.report import COLORS, Plot, Table, canvas, legend_below, render
from trainlab.statistics import interval

HEADS = ("softmax", "logistic")
LR, BATCH, EVAL_BATCH = 5e-4, 128, 1000
EXCLUSIVE, SEVERAL = "question_4_exclusive", "question_4_several"
SEEDS, EPOCHS, QUICK_IMAGES = tuple(range(1, 11)), 2, 1000
BINS = 40
# Of the table: what an image has, a figure, and how it is shown.
_ROWS = (
    ("one class", "accuracy", "validation accuracy, %", 1),
    ("one class", "sum", "sum of the probabilities", 2),
    ("two classes", "both", "both above one half, %", 1),
    ("two classes", "exactly", "these and no others, %", 1),
    ("two classes", "top", "both on top, %", 1),
)


class Examples(NamedTuple):
    """Images uint8 (N, C, H, W) and which classes are in each, (N, K) of zeros and ones."""

    images: Tensor
    present: Tensor


def image_pairs(single: Examples, seed: int, *place: str | int) -> Examples:
    """Each image with another one of another class to its right, drawn from (seed, place)."""
    draws, count = generator(seed, "pairs", *place), len(single.images)
    other = torch.randperm(count, generator=draws)
    while len(same := (single.present * single.present[other]).sum(1).nonzero().flatten()):
        other[same] = torch.randint(count, (len(same),), generator=draws)
    images = torch.cat([single.images, single.images[other]], dim=3)
    return Examples(images, single.present + single.present[other])


def train_network(
    single: Examples, paired: bool, head: str, statistics: tuple[Tensor, Tensor], seed: int, epochs: int
) -> ImageNetwork:
    """A network of two hidden layers trained on ``single`` images or on pairs of them, new ones in each epoch.

    Its inputs are standardized by ``statistics``.
    """
    shape, classes = (single.images.shape[1], *statistics[0].shape[1:]), single.present.shape[1]
    given: dict[str, Any] = {"depth": 2, "activation": "selu", "initializer": "lecun_normal", "standardize": True}
    network = image_network(MLP, shape, derive_seed(seed, "heads"), num_classes=classes, **given)
    network.scaling.set_statistics(*statistics)
    optimizer = torch.optim.NAdam(network.parameters(), lr=LR)
    for epoch in range(epochs):
        images, present = image_pairs(single, seed, epoch) if paired else single
        for chosen in torch.randperm(len(images), generator=generator(seed, "order", epoch)).split(BATCH):
            optimizer.zero_grad()
            loss(network(images[chosen]), present[chosen], head).backward()
            optimizer.step()
    return network.eval()


def loss(logits: Tensor, present: Tensor, head: str) -> Tensor:
    """Mean over the images: cross-entropy to equal shares of the classes present, or the sum of binary ones."""
    if head == "softmax":
        return cross_entropy(logits, present / present.sum(1, keepdim=True))
    return binary_cross_entropy_with_logits(logits, present, reduction="sum") / len(logits)


@torch.no_grad()
def probabilities(network: ImageNetwork, images: Tensor, head: str) -> Tensor:
    """Of each class, (N, K)."""
    logits = torch.cat([network(chunk) for chunk in images.split(EVAL_BATCH)])
    return logits.softmax(1) if head == "softmax" else logits.sigmoid()


def measure(evidence: Evidence, paired: bool) -> Measured:
    """Figures by name, head and seed, and by head a histogram of `lesser` over all seeds; of pairs or single images."""
    runs, quick = [run for run in evidence.runs(OTHERS) if run.is_completed], evidence.setting.quick
    if not runs:
        raise NotAvailable("no run was completed that would name the images")
    data = load_data(runs[0])
    images, labels = data.images.train, one_hot(data.images.train_labels, len(data.images.classes)).float()
    parts = data.train_dataloader().indices[: QUICK_IMAGES if quick else None], data.val_dataloader().indices
    training, held_out = (Examples(images[chosen], labels[chosen]) for chosen in parts)
    mean, std = data.statistics()
    if paired:
        held_out = image_pairs(held_out, 0, "validation")
        mean, std = torch.cat([mean, mean], 2), torch.cat([std, std], 2)
    found: Measured = {"figures": {}, "histogram": {}, "images": len(held_out.images)}
    for head in HEADS:
        seen = []
        for seed in SEEDS[:2] if quick else SEEDS:
            network = train_network(training, paired, head, (mean, std), seed, 1 if quick else EPOCHS)
            seen.append(probabilities(network, held_out.images, head))
            for name, value in (of_two_classes if paired else of_one_class)(seen[-1], held_out.present).items():
                found["figures"].setdefault(name, {}).setdefault(head, {})[str(seed)] = value
        least = torch.cat([lesser(of, held_out.present) for of in seen])
        found["histogram"][head] = torch.histc(least, BINS, 0, 1).long().tolist()
    return found


def of_one_class(found: Tensor, present: Tensor) -> dict[str, float]:
    """Accuracy in %, and the sum of an image's probabilities: its mean, and the middle nine tenths of it."""
    low, high = found.sum(1).quantile(torch.tensor([0.05, 0.95])).tolist()
    right = (found.argmax(1) == present.argmax(1)).float().mean()
    return {"accuracy": 100 * right.item(), "sum": found.sum(1).mean().item(), "low": low, "high": high}


def of_two_classes(found: Tensor, present: Tensor) -> dict[str, float]:
    """In % of the images: both classes above one half, these and no others, and both the two most probable ones."""
    above, top = found > 0.5, present.gather(1, found.topk(2).indices).sum(1) == 2
    shares = {"both": (above | (present == 0)).all(1), "exactly": (above == (present == 1)).all(1), "top": top}
    return {name: 100 * share.float().mean().item() for name, share in shares.items()}


def lesser(found: Tensor, present: Tensor) -> Tensor:
    """The lowest probability among the classes that are there, (N,)."""
    return found.masked_fill(present == 0, torch.inf).amin(1)


def answer(evidence: Evidence) -> Answer:
    """Which outputs for what, by the figures.

    Whether both of two classes get more than one half is no claim: with softmax it is impossible by arithmetic.
    """
    one, two = evidence.measured(EXCLUSIVE), evidence.measured(SEVERAL)
    values = {
        name: {head: [*by_seed.values()] for head, by_seed in of.items()}
        for name, of in (one["figures"] | two["figures"]).items()
    }
    mean = {name: {head: interval(of[head]).mean for head in HEADS} for name, of in values.items()}
    accuracy, top = ([(f"{head} outputs", values[name][head]) for head in HEADS] for name in ("accuracy", "top"))
    claims = judge_claims(
        {
            "Softmax is no worse for exclusive classes": [
                contrast_values(accuracy[0], accuracy[1], "not lower", "accuracy", POINTS)
            ],
            "Logistic outputs rank two right classes higher": [
                contrast_values(top[1], top[0], "higher", "both on top, %", POINTS)
            ],
        }
    )
    figures = {
        **{f"{head}_acc": f"{of:.1f} %" for head, of in mean["accuracy"].items()},
        **{f"{head}_top": f"{of:.1f} %" for head, of in mean["top"].items()},
        **{name: f"{mean[name]['logistic']:.1f}" for name in ("low", "high", "both")},
        "ranks": claims[-1].verdict,
    }
    rows = [
        [*text_cells(task, figure), *(mean_cell(interval(values[name][head]), digits) for head in HEADS)]
        for task, name, figure, digits in _ROWS
    ]
    note = f"{one['images']:,} images and {two['images']:,} pairs for validation."
    table = Table(["images of", "figure", "softmax", "logistic"], rows, note)
    return Answer(figures, claims, plot_lesser(two["histogram"]), [("Both outputs for both tasks", table)])


def plot_lesser(histograms: Mapping[str, list[int]]) -> Plot:
    """How probable the less probable of two right classes is."""
    with canvas(6.0, 3.0) as (figure, (axes,)):
        for i, (head, counts) in enumerate(histograms.items()):
            shares, edges = np.array(counts) / max(1, sum(counts)), np.linspace(0, 1, len(counts) + 1)
            axes.stairs(shares, edges, fill=True, alpha=0.45, color=COLORS[1 - i], label=f"{head} outputs")
            axes.stairs(shares, edges, color=COLORS[1 - i], linewidth=1.2)
        axes.axvline(0.5, **REFERENCE)
        axes.set_yscale("symlog", linthresh=0.01)
        axes.set_yticks([0, 0.01, 0.1, 1])
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        axes.set(xlabel="probability of the less probable of two right classes", ylabel="share of pairs")
        legend_below(figure, axes)
        caption = "Softmax cannot give the less probable one more than half (dashed). Axis: linear below 1 %."
        return Plot("4_outputs", "Two classes at once", caption, *render(figure))


ONE, TWO = (partial(measure, paired=paired) for paired in (False, True))
SECTION = Section("4_outputs", "4", answer, [OTHERS], [Measurement(EXCLUSIVE, ONE, 5), Measurement(SEVERAL, TWO, 6)])
