"""Question 3: SELU, ELU and ReLU in the same deep network. What is better about those that go below zero?"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from math import nan

import numpy as np

from trainlab.exercise.evidence import Evidence, diverged
from trainlab.exercise.looks import by_seed, hidden
from trainlab.exercise.section import Answer, Section
from trainlab.exercise.trainings import Sweep
from trainlab.exercise.wording import accuracy, lowest, named, seeds, verdict
from trainlab.report.convergence import convergence
from trainlab.report.curves import Values
from trainlab.report.figures import inside, learning_curves
from trainlab.report.groups import Group
from trainlab.report.layers import FIGURES, Layers
from trainlab.report.sections import TEST_NOTE, Cell, Table
from trainlab.report.statistics import Ratio, difference, interval
from trainlab.report.verdicts import number

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
    said = [
        *lost,
        f"At a learning rate of {rate:g} for all. "
        + lowest("Distance of a hidden layer's mean from 0 after training", _of(alike, from_zero)),
        lowest("Distance of its standard deviation from 1", _of(alike, from_one)),
        f"{_dead(alike)} {_flow(alike)}",
        _faster(done),
        _summary(claims),
    ]
    shown = [*done.values()]
    curves = replace(learning_curves(shown, "loss", "epochs"), name="3_loss_by_epoch")
    looks = [replace(inside([*alike.values()]), name="3_layers")] if any(_of(alike, dead).values()) else []
    return Answer([sentence for sentence in said if sentence], _all(claims), [*looks, curves], [table])


def shared_rate(groups: Sequence[Group]) -> float:
    """The learning rate at which the sum of all mean validation losses is the lowest."""
    rates = sorted({float(group.settings["optim.lr"]) for group in groups})
    return min(rates, key=lambda rate: sum(g.val_loss for g in groups if g.settings["optim.lr"] == rate))


def _claims(groups: Mapping[str, Group], alike: Mapping[str, Group]) -> dict[str, bool | None]:
    """What the textbook says of the three, and whether it holds; None where that cannot be said.

    Args:
        groups: each at the rate that is the best for it.
        alike: at the same rate.
    """
    means, spreads, shares = (_of(alike, figure) for figure in (from_zero, from_one, dead))
    courses = {name: course(group) for name, group in groups.items()}
    others = [name for name in (SELU, ELU) if name in groups]
    return {
        f"means nearer 0 than {RELU}'s": _both(_lower(means, name, RELU) for name in others),
        f"{SELU}'s deviation nearest 1": _both(_lower(spreads, SELU, name) for name in (ELU, RELU)),
        f"fewer dead units than {RELU}": _both(_lower(shares, name, RELU) for name in others),
        f"faster learning than {RELU}": _both(_lower(courses, name, RELU) for name in others),
    }


def _both(claims: Iterable[bool | None]) -> bool | None:
    """False if one is; otherwise None if one is, or there is none."""
    found = list(claims)
    return False if False in found else True if found and all(found) else None


def _all(claims: Mapping[str, bool | None]) -> bool | None:
    return _both(claims.values())


def _lower(of: Mapping[str, Mapping[int, float]], name: str, other: str) -> bool | None:
    """Whether one is clearly lower; False where it clearly is higher."""
    return {"lower": True, "higher": False}.get(verdict(difference(of.get(name, {}), of.get(other, {}))))


def _ratio(groups: Mapping[str, Group], name: str) -> Ratio | None:
    """Epochs to a loss that both reach, over those of ReLU."""
    if name not in groups or RELU not in groups:
        return None
    found = convergence(groups[RELU], groups[name])
    return found.common_epochs_ratio if found else None


def _dead(groups: Mapping[str, Group]) -> str:
    shares = _of(groups, dead)
    if not any(value for of in shares.values() for value in of.values()):
        return "No hidden unit is dead after training, whatever the activation."
    return lowest("Dead hidden units after training", shares, "%", 1)


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


def _faster(groups: Mapping[str, Group]) -> str:
    said = lowest(
        "Mean validation loss over all epochs", {name: course(group) for name, group in groups.items()}, "", 3
    )
    epochs = []
    for name in (SELU, ELU):
        ratio = _ratio(groups, name)
        if ratio is None or ratio.value != ratio.value:
            continue
        if ratio.low != ratio.low:
            how = "the same in every seed" if len(groups[name].runs) > 1 else "one seed"
        else:
            word = "no clear difference" if not ratio.is_clear else "faster" if ratio.value < 1 else "slower"
            how = f"95 %: {ratio.low:.2f} to {ratio.high:.2f}: {word}"
        epochs.append(f"{name} takes {ratio.value:.2f} times the epochs of {RELU} ({how})")
    best = max(groups.values(), key=lambda group: group.summary("metrics", "val_acc").mean)
    ahead = f"The highest validation accuracy is {best.label}'s, {accuracy(best.summary('metrics', 'val_acc'))}."
    both = f"To a validation loss that both reach, {' and '.join(epochs)}. " if epochs else ""
    return f"{said} {both}{ahead}"


def _summary(claims: Mapping[str, bool | None]) -> str:
    words = {True: "It holds here", False: "The contrary is measured of", None: "Nothing is shown of"}
    parts = []
    for state, word in words.items():
        of_state = [name for name, holds in claims.items() if holds is state]
        if of_state:
            parts.append(f"{word}{':' if state else ''} {', '.join(of_state)}.")
    return " ".join(parts)


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
            "together have the lower validation loss, since a higher one drives means and deviations further off; how "
            "fast they learn, each at the better rate for it. Figures of layers are of 256 validation images.",
        ),
    ),
)
