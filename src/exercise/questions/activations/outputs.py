"""Softmax or logistic outputs: for exclusive classes, and for several right ones at once.

Shallow networks with either are trained on images of one class or on pairs of two. Axes: N images, K classes.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from matplotlib.ticker import PercentFormatter
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, one_hot

from exercise.contrast import POINTS, Claim, contrast_values, judge
from exercise.formatting import mean_cell, text_cells
from exercise.plots import REFERENCE
from exercise.questions.activations.comparison import OTHERS
from exercise.section import Answer, Measurement, Section
from exercise.store import Evidence, Measured, NotAvailable
from trainlab import derive_seed, generator, load_data
from trainlab.data import ImageData
from trainlab.models import MLP, ImageNetwork, image_network
from trainlab.report import COLORS, Cell, Plot, Table, canvas, legend_below, render
from trainlab.statistics import interval

HEADS = ("softmax", "logistic")
LR, BATCH, EVAL_BATCH = 5e-4, 128, 1000
EXCLUSIVE, SEVERAL = "question_4_exclusive", "question_4_several"
SEEDS, EPOCHS, QUICK_IMAGES = tuple(range(1, 11)), 2, 1000
BINS = 40
_COLORS = {"softmax": COLORS[1], "logistic": COLORS[0]}
_NAMES = {"softmax": "softmax outputs", "logistic": "logistic outputs"}
Values = Mapping[int, float]
_ROWS = (
    ("one class an image", "accuracy", "validation accuracy, %", 1),
    ("one class an image", "sum", "sum of the probabilities", 2),
    ("two classes an image", "both", "both above one half, %", 1),
    ("two classes an image", "exactly", "these two and no others above one half, %", 1),
    ("two classes an image", "top", "both are the two most probable, %", 1),
)


@dataclass(frozen=True)
class Examples:
    """Images uint8 (N, C, H, W) and which classes are in each, (N, K) of zeros and ones."""

    images: Tensor
    present: Tensor


def single_images(data: ImageData, chosen: Tensor) -> Examples:
    """The images with the indices ``chosen``, of a class each."""
    images = data.images
    present = one_hot(images.train_labels[chosen], len(images.classes)).float()
    return Examples(images.train[chosen], present)


def image_pairs(single: Examples, seed: int, *place: str | int) -> Examples:
    """Each image with another one of another class to its right, drawn from (seed, place)."""
    draws = generator(seed, "pairs", *place)
    count = len(single.images)
    other = torch.randperm(count, generator=draws)
    while len(same := (single.present * single.present[other]).sum(1).nonzero().flatten()):
        other[same] = torch.randint(count, (len(same),), generator=draws)
    images = torch.cat([single.images, single.images[other]], dim=3)
    return Examples(images, single.present + single.present[other])


def training_batches(single: Examples, paired: bool, seed: int, count: int) -> Iterator[Examples]:
    """Shuffled batches of ``count`` epochs, with new pairs in each."""
    for epoch in range(count):
        order = torch.randperm(len(single.images), generator=generator(seed, "order", epoch))
        whole = image_pairs(single, seed, epoch) if paired else single
        for chosen in order.split(BATCH):
            yield Examples(whole.images[chosen], whole.present[chosen])


def train_network(
    batches: Iterator[Examples], head: str, statistics: tuple[Tensor, Tensor], classes: int, seed: int
) -> ImageNetwork:
    """A network of two hidden layers after one pass over ``batches``; ``statistics`` to standardize the inputs by."""
    mean, std = statistics
    network = image_network(
        MLP,
        (mean.shape[0], mean.shape[1], mean.shape[2]),
        derive_seed(seed, "heads"),
        depth=2,
        num_classes=classes,
        activation="selu",
        initializer="lecun_normal",
        standardize=True,
    )
    network.scaling.set_statistics(mean, std)
    optimizer = torch.optim.NAdam(network.parameters(), lr=LR)
    for batch in batches:
        optimizer.zero_grad()
        loss(network(batch.images), batch.present, head).backward()
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
    """Figures by name, head and seed, and by head a histogram of `lesser` over all seeds.

    Args:
        evidence: with a run that names the images.
        paired: of pairs of images side by side, both of whose classes are right, and not of images of one class each.
    """
    runs = [run for run in evidence.runs(OTHERS) if run.is_completed]
    if not runs:
        raise NotAvailable("no run was completed that would name the images")
    data = load_data(runs[0])
    quick = evidence.setting.quick
    training = single_images(data, data.train_dataloader().indices[: QUICK_IMAGES if quick else None])
    held_out = single_images(data, data.val_dataloader().indices)
    mean, std = data.statistics()
    if paired:
        held_out = image_pairs(held_out, 0, "validation")
        mean, std = torch.cat([mean, mean], 2), torch.cat([std, std], 2)
    found: Measured = {"figures": {}, "histogram": {}, "images": len(held_out.images)}
    for head in HEADS:
        seen = []
        for seed in SEEDS[:2] if quick else SEEDS:
            batches = training_batches(training, paired, seed, 1 if quick else EPOCHS)
            network = train_network(batches, head, (mean, std), held_out.present.shape[1], seed)
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
    above, two = found > 0.5, found.topk(2).indices
    both = (above | (present == 0)).all(1)
    shares = {
        "both": both,
        "exactly": (above == (present == 1)).all(1),
        "top": present.gather(1, two).sum(1) == 2,
    }
    return {name: 100 * share.float().mean().item() for name, share in shares.items()}


def lesser(found: Tensor, present: Tensor) -> Tensor:
    """The lowest probability among the classes that are there, (N,)."""
    return found.masked_fill(present == 0, torch.inf).amin(1)


def answer(evidence: Evidence) -> Answer:
    """Which outputs for what, by the figures."""
    one, two = evidence.measured(EXCLUSIVE), evidence.measured(SEVERAL)
    accuracy, top = _values(one, "accuracy"), _values(two, "top")
    found = claims(accuracy, top)
    low, high = (_mean(_values(one, name)["logistic"], 1) for name in ("low", "high"))
    figures = {
        **{f"{head}_acc": f"{_mean(accuracy[head], 1)} %" for head in HEADS},
        **{f"{head}_top": f"{_mean(top[head], 1)} %" for head in HEADS},
        "both": f"{_mean(_values(two, 'both')['logistic'], 1)} %",
        **{"low": low, "high": high},
        "ranks": found[-1].verdict,
    }
    return Answer(figures, found, plot_lesser(two["histogram"]), [("Both outputs for both tasks", _table(one, two))])


def claims(accuracy: Mapping[str, Values], top: Mapping[str, Values]) -> list[Claim]:
    """That softmax loses nothing for exclusive classes, and that logistic outputs rank two right classes higher.

    Whether both of two classes get more than one half proves nothing: with softmax it is impossible by arithmetic.
    """
    softmax, logistic = ([(_NAMES[head], of[head]) for of in (accuracy, top)] for head in HEADS)
    exclusive, several = judge(
        [
            contrast_values(softmax[0], logistic[0], "not lower", "validation accuracy", POINTS),
            contrast_values(logistic[1], softmax[1], "higher", "right two on top, %", POINTS),
        ]
    )
    return [
        Claim("Softmax is no worse for exclusive classes", [exclusive]),
        Claim("Logistic outputs rank two right classes higher", [several]),
    ]


def _values(found: Measured, name: str) -> dict[str, Values]:
    return {head: {int(seed): value for seed, value in of.items()} for head, of in found["figures"][name].items()}


def _mean(values: Values, digits: int) -> str:
    return f"{interval([*values.values()]).mean:.{digits}f}"


def _table(one: Measured, two: Measured) -> Table:
    rows: list[list[Cell]] = []
    for task, name, figure, digits in _ROWS:
        values = _values(one if name in one["figures"] else two, name)
        means = [mean_cell(interval([*values[head].values()]), digits) for head in HEADS]
        rows.append([*text_cells(task, figure), *means])
    note = f"Of {one['images']:,} images and {two['images']:,} pairs held out for validation."
    return Table(["task", "figure", *(_NAMES[head] for head in HEADS)], rows, note)


def plot_lesser(histograms: Mapping[str, list[int]]) -> Plot:
    """How probable the less probable of two right classes is."""
    with canvas(6.0, 3.0) as (figure, (axes,)):
        for head, counts in histograms.items():
            shares, edges = np.array(counts) / max(1, sum(counts)), np.linspace(0, 1, len(counts) + 1)
            axes.stairs(shares, edges, fill=True, alpha=0.45, color=_COLORS[head], label=_NAMES[head])
            axes.stairs(shares, edges, color=_COLORS[head], linewidth=1.2)
        axes.axvline(0.5, **REFERENCE)
        axes.set_yscale("symlog", linthresh=0.01)
        axes.set_yticks([0, 0.01, 0.1, 1])
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        axes.set_ylabel("share of pairs")
        axes.set_xlabel("probability of the less probable of two right classes")
        legend_below(figure, axes)
        caption = "Softmax cannot give it more than one half (dashed)."
        return Plot("4_outputs", "Two classes at once", caption, *render(figure))


SECTION = Section(
    "4_outputs",
    "4",
    "4. Softmax or logistic outputs?",
    "Which outputs where an image has one of several classes, and which where several are right at once?",
    answer,
    [OTHERS],
    [
        Measurement(EXCLUSIVE, partial(measure, paired=False), minutes=1),
        Measurement(SEVERAL, partial(measure, paired=True), minutes=2),
    ],
    [
        "Two hidden layers of 100 units, SELU, two epochs of Nadam, trained by the exercise itself. Two classes: two "
        "images side by side, the target of softmax one half for each. Logistic outputs are trained by binary "
        "cross-entropy, summed over the classes.",
    ],
)
