"""Question 3: SELU, ELU and ReLU in the same deep network. What is better about those that go below zero?"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import nan

import numpy as np

from trainlab.exercise.claims import Claim, told
from trainlab.exercise.evidence import Evidence, diverged
from trainlab.exercise.looks import by_seed, hidden
from trainlab.exercise.section import Answer, Section
from trainlab.exercise.trainings import Sweep
from trainlab.exercise.wording import accuracy, all_hold, holds, named, seeds, together
from trainlab.report.curves import Values
from trainlab.report.figures import inside, learning_curves
from trainlab.report.groups import Group
from trainlab.report.layers import FIGURES, Layers
from trainlab.report.sections import TEST_NOTE, Cell, Table
from trainlab.report.statistics import difference, interval
from trainlab.report.verdicts import number, p_value

SWEEP = Sweep(
    "question_3",
    (
        *("model=selu_lecun,elu_he,relu_he", "model.standardize=true", "optim.lr=3e-4,1e-3", "seed=1,2,3"),
        *("data.batch_size=128", "trainer.max_epochs=7", "trainer.limit_train_batches=160"),
        *("callbacks.activations.every_epochs=1", "callbacks.pictures=null"),
    ),
    ("trainer.limit_train_batches=10", "model.depth=5", "optim.lr=1e-3"),
)
NAMES = {"selu": "SELU", "elu": "ELU", "relu": "ReLU"}
SELU, ELU, RELU = NAMES.values()
MEAN, STD, DEAD, GRADIENT = map(FIGURES.index, ("mean", "std", "dead", "gradient_norm"))
Figure = Callable[[Layers], float]


def from_zero(layers: Layers) -> float:
    """How far a hidden layer's mean is from 0 after training, on average."""
    return float(np.abs(_at_end(layers, MEAN)).mean())


def from_one(layers: Layers) -> float:
    """How far its deviation is from 1."""
    return float(np.abs(_at_end(layers, STD) - 1).mean())


def dead(layers: Layers) -> float:
    """Share of dead units among the hidden ones after training, in %."""
    return 100 * float(_at_end(layers, DEAD).mean())


def flow(layers: Layers, epochs: int) -> float:
    """Norm of the first layer's gradient over that of the last hidden layer."""
    norms = hidden(layers, layers.by_epochs, GRADIENT)[epochs]
    return float(norms[0] / norms[-1]) if norms[-1] else nan


def course(group: Group) -> dict[int, float]:
    """Mean validation loss over the epochs by seed: lower where it fell sooner. Whole epochs are too coarse to test."""
    curves = {seed: run.curve for seed, run in sorted(group.runs.items()) if run.curve}
    return {seed: float(curve.by_name["val/loss"].mean()) for seed, curve in curves.items()}


def answer(evidence: Evidence) -> Answer:
    """Means and deviations layer by layer, dead units, gradients, and who learns faster."""
    all_groups = evidence.ended_groups(SWEEP)
    groups = {name: _best(all_groups, activation, name) for activation, name in NAMES.items()}
    table = ("Each activation at each rate", _table(all_groups, groups))
    lost = [_lost(group) for group in all_groups if diverged(group)]
    done = {name: group for name, group in groups.items() if group and group.runs}
    if not done:
        return Answer([*lost, "No run was completed."], tables=[table])
    rate = shared_rate(all_groups)
    at_rate = [group for group in all_groups if group.settings.get("optim.lr") == rate]
    alike = {n: group for a, n in NAMES.items() if (group := _best(at_rate, a, n)) and group.runs}
    claims = _claims(done, alike)
    reached = "; ".join(f"{name} {accuracy(of.summary('metrics', 'val_acc'))}" for name, of in done.items())
    said = [
        " ".join([*lost, told(claims)]),
        f"Layers are compared at a learning rate of {rate:g} for all, speed at the better rate of each; there the "
        f"validation accuracy is: {reached}.",
    ]
    curves = replace(learning_curves([*done.values()], "loss", "epochs"), name="3_loss_by_epoch")
    looks = []
    if any(_of(alike, dead).values()):
        layers = inside([*alike.values()])
        looks = [replace(layers, name="3_layers", caption=f"{layers.caption} {_flow(alike)}".strip())]
    return Answer(said, all_hold(*(claim.holds for claim in claims)), [*looks, curves], [table])


def shared_rate(groups: Sequence[Group]) -> float:
    """The learning rate at which the sum of all mean validation losses is the lowest."""
    rates = sorted({float(group.settings["optim.lr"]) for group in groups})
    return min(rates, key=lambda rate: sum(g.val_loss for g in groups if g.settings["optim.lr"] == rate))


def _claims(groups: Mapping[str, Group], alike: Mapping[str, Group]) -> list[Claim]:
    """What the textbook says of the three, and whether it holds.

    Args:
        groups: each at the rate that is the best for it.
        alike: at the same rate.
    """
    beside_relu = [(name, RELU) for name in (SELU, ELU)]
    beside_selu = [(SELU, name) for name in (ELU, RELU)]
    courses = {name: course(group) for name, group in groups.items()}
    shares = _of(alike, dead)
    return [
        _lower(f"means nearer 0 than {RELU}'s", "distance", _of(alike, from_zero), beside_relu),
        _lower(f"{SELU}'s deviation nearest 1", "distance", _of(alike, from_one), beside_selu),
        _lower(f"fewer dead units than {RELU}", "share in %", shares, beside_relu, 1),
        _lower(f"faster learning than {RELU}", "mean loss over the epochs", courses, beside_relu, 3),
    ]


def _lower(
    says: str, what: str, of: Mapping[str, Mapping[int, float]], pairs: Sequence[tuple[str, str]], digits: int = 2
) -> Claim:
    """That the first of each of ``pairs`` is lower; Holm's correction over them, in the words and in the verdict."""
    found = {name: interval([*values.values()]) for name, values in of.items() if values}
    if not found:
        return Claim(says, "no figure", None)
    if not any(value for values in of.values() for value in values.values()):
        return Claim(says, f"{what} 0 with all", None)
    tested = together([difference(of.get(first, {}), of.get(second, {})) for first, second in pairs])
    means = ", ".join(f"{name} {number(mean, digits)}" for name, mean in found.items())
    ps = ", ".join(f"{a} beside {b} {p_value(p)}" for (a, b), (_, p) in zip(pairs, tested, strict=True) if p == p)
    return Claim(
        says,
        f"{what}: {means}{f'; p: {ps}' if ps else ''}",
        all_hold(*(holds(said, "lower") for said, _ in tested)),
    )


def _flow(groups: Mapping[str, Group]) -> str:
    """How much of the gradient comes through, in one sentence without a test."""
    parts = []
    for name, group in groups.items():
        before, after = by_seed(group, lambda of: flow(of, 0)), by_seed(group, lambda of: flow(of, _end(of)))
        if before:
            first, last = (interval([*values.values()]) for values in (before, after))
            parts.append(f"{number(first, 2)} before training and {number(last, 2)} after it for {name}")
    if not parts:
        return ""
    return f"The norm of the first layer's gradient over that of the last hidden layer is {'; '.join(parts)}."


def _best(groups: Sequence[Group], activation: str, name: str) -> Group | None:
    """At the learning rate with the lowest mean validation loss."""
    found = [group for group in groups if group.settings.get("model.activation") == activation]
    return named(min(found, key=lambda group: group.val_loss), name) if found else None


def _lost(group: Group) -> str:
    name = NAMES.get(str(group.settings.get("model.activation")), group.label)
    return f"{name} at {group.settings.get('optim.lr'):g} diverged in {seeds(len(diverged(group)))}."


def _of(groups: Mapping[str, Group], figure: Figure) -> dict[str, dict[int, float]]:
    return {name: by_seed(group, figure) for name, group in groups.items()}


def _end(layers: Layers) -> int:
    return max(layers.by_epochs)


def _at_end(layers: Layers, row: int) -> Values:
    return hidden(layers, layers.by_epochs, row)[_end(layers)]


def _table(groups: Sequence[Group], best: Mapping[str, Group | None]) -> Table:
    chosen = {id(group.runs) for group in best.values() if group}
    rows = [_row(group, id(group.runs) in chosen) for group in groups]
    headings = ["activation", "learning rate", "mean from 0", "deviation from 1", "dead units, %"]
    return Table(
        [*headings, "validation loss", "validation accuracy", "test accuracy †"],
        rows,
        "After the last epoch, mean over the hidden layers; accuracies at the epoch with the lowest validation loss. * "
        f"the rate with the lower validation loss, at which it is said who learns faster. {TEST_NOTE}",
    )


def _row(group: Group, is_chosen: bool) -> list[Cell]:
    name = NAMES.get(str(group.settings.get("model.activation")), group.label)
    rate = group.settings.get("optim.lr", nan)
    cells: list[Cell] = [(name, name), (f"{rate:g}{' *' if is_chosen else ''}", rate)]
    for figure, digits in ((from_zero, 2), (from_one, 2), (dead, 1)):
        found = interval([*by_seed(group, figure).values()])
        cells.append((number(found, digits), found.mean))
    loss = group.summary("metrics", "val_loss")
    cells.append((number(loss, 3), loss.mean))
    for metric in ("val_acc", "test_acc"):
        found = group.summary("metrics", metric)
        cells.append((accuracy(found), found.mean))
    return cells


SECTIONS = (
    Section(
        "3",
        "3",
        "3. SELU, ELU and ReLU",
        "What is better about SELU and ELU than about ReLU?",
        "They go below zero, so the mean of a layer stays nearer zero; their gradient for negative inputs lets no unit "
        "die; and SELU keeps mean and deviation by itself, layer after layer. So deep networks learn faster with them.",
        answer,
        [SWEEP],
        notes=(
            "The same standardized inputs for all three; LeCun initialization for SELU, He's for the others; 7 epochs "
            "of 160 batches of 128 images at two learning rates. Layers are compared at the rate at which the three "
            "together have the lower validation loss, speed at the better rate for each. Figures of layers are of 256 "
            "validation images, after the last epoch, over the hidden layers. Each claim is two comparisons, paired by "
            "seed, with Holm's correction over them.",
        ),
    ),
)
