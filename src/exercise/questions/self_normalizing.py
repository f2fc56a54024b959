"""Question 3: SELU, ELU and ReLU in the same deep network. What is better about those that go below zero?

The claims that are usually made of them are compared with the figures of their layers and their learning curves.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import inf, isnan, nan

import numpy as np

from exercise.claims import Claim, all_claims_hold, claims_table, describe_claims
from exercise.formatting import (
    accuracy_cells,
    all_hold,
    corrected_verdicts,
    format_list,
    format_val_acc,
    holds,
    mean_cell,
    with_label,
)
from exercise.layer_summary import figure_by_seed, hidden_at_end, hidden_layers
from exercise.plots import plot_curves
from exercise.section import Answer, Section
from exercise.store import Evidence, diverged_runs
from exercise.trainings import Sweep
from trainlab.report import (
    LAYER_STATISTICS,
    TEST_NOTE,
    Cell,
    Group,
    LayerStatistics,
    Table,
    format_mean,
    format_p,
    plot_layers,
)
from trainlab.statistics import difference, interval

NAMES = {"selu": "SELU", "elu": "ELU", "relu": "ReLU"}
SELU, ELU, RELU = NAMES.values()
MEAN, STD, DEAD, GRADIENT = map(LAYER_STATISTICS.index, ("mean", "std", "dead", "gradient_norm"))
KEPT = 0.25  # of 0 and of 1, on average over the hidden layers: so near they count as kept. A choice
FLOW = 10  # times: a gradient that grows or shrinks by more on its way explodes or vanishes. A choice
KEEPS = f"{SELU} keeps a mean of 0 and a deviation of 1"
OVER_RELU = ((SELU, RELU), (ELU, RELU))
SELU_OVER = ((SELU, ELU), (SELU, RELU))
BySeed = Mapping[int, float]
Figures = Mapping[str, BySeed]  # by name
SWEEP = Sweep(
    "question_3",
    (
        *("model=selu_lecun,elu_he,relu_he", "model.standardize=true", "optim.lr=3e-4,1e-3", "seed=1,2,3"),
        *("data.batch_size=128", "trainer.max_epochs=7", "trainer.limit_train_batches=160"),
        *("callbacks.layer_statistics.every_n_epochs=1", "callbacks.figures=null"),
    ),
    ("trainer.limit_train_batches=10", "model.depth=5", "optim.lr=1e-3"),
)
CLAIMS = (
    "After the last epoch, mean over the hidden layers; p paired by seed, by Holm's correction over the two "
    f"comparisons of a claim. {SELU} keeps mean and deviation where the whole intervals of both are within {KEPT:g} of "
    "0 and 1, a margin that is a choice, and its deviation is nearer 1 than that of the others."
)
SEE_LAYERS = (
    "See in the two upper rows how far each activation leaves the dashed lines, and in the lowest one whether the "
    "gradient grows or shrinks towards the first layer."
)
SEE_CURVES = "Compare which line falls first, and the heights at which they level off."


def from_zero(layers: LayerStatistics) -> float:
    """How far a hidden layer's mean is from 0 after training, on average."""
    return float(np.abs(hidden_at_end(layers, layers.by_epochs, MEAN)).mean())


def from_one(layers: LayerStatistics) -> float:
    """How far its deviation is from 1."""
    return float(np.abs(hidden_at_end(layers, layers.by_epochs, STD) - 1).mean())


def dead(layers: LayerStatistics) -> float:
    """Share of dead units among the hidden ones after training, in %."""
    return 100 * float(hidden_at_end(layers, layers.by_epochs, DEAD).mean())


def flow(layers: LayerStatistics, epochs: int) -> float:
    """Norm of the first layer's gradient over that of the last hidden layer."""
    norms = hidden_layers(layers, layers.by_epochs, GRADIENT)[epochs]
    return float(norms[0] / norms[-1]) if norms[-1] else nan


def flow_at_end(layers: LayerStatistics) -> float:
    """The same after training."""
    return flow(layers, max(layers.by_epochs))


def course(group: Group) -> dict[int, float]:
    """Mean validation loss over the epochs by seed: lower where it fell sooner. Whole epochs are too coarse to test."""
    curves = {seed: run.curve for seed, run in sorted(group.runs.items()) if run.curve}
    return {seed: float(curve.by_name["val/loss"].mean()) for seed, curve in curves.items()}


def claims(groups: Mapping[str, Group], alike: Mapping[str, Group]) -> list[Claim]:
    """Each with the p of its two comparisons, Holm's correction over them.

    Args:
        groups: each at the rate that is the best for it.
        alike: at the same rate.
    """
    courses = {name: course(group) for name, group in groups.items()}
    return [
        lower(f"means nearer 0 than {RELU}'s", "off by", of(alike, from_zero), OVER_RELU),
        keeps(of(alike, from_zero), of(alike, from_one)),
        lower(f"fewer dead units than {RELU}", "share in %", of(alike, dead), OVER_RELU, 1),
        lower(f"faster learning than {RELU}", "mean loss over the epochs", courses, OVER_RELU, 3),
    ]


def of(groups: Mapping[str, Group], figure: Callable[[LayerStatistics], float]) -> dict[str, dict[int, float]]:
    """A figure of the layers by name and seed."""
    return {name: figure_by_seed(group, figure) for name, group in groups.items()}


def lower(statement: str, what: str, figures: Figures, pairs: Sequence[tuple[str, str]], digits: int = 2) -> Claim:
    """That the first of each of ``pairs`` is lower; Holm's correction over them, in the p and in the verdict."""
    found = {name: interval([*values.values()]) for name, values in figures.items() if values}
    if not found:
        return Claim(statement, "no figure", None)
    if not any(value for values in figures.values() for value in values.values()):
        return Claim(statement, f"{what} 0 with all", None)
    tested = corrected_verdicts(
        [difference(figures.get(first, {}), figures.get(second, {})) for first, second in pairs]
    )
    means = ", ".join(f"{name} {format_mean(mean, digits)}" for name, mean in found.items())
    ps = [f"{a} compared with {b} {format_p(p)}" for (a, b), (_, p) in zip(pairs, tested, strict=True) if not isnan(p)]
    are_lower = all_hold(*(holds(verdict, "lower") for verdict, _ in tested))
    return Claim(statement, f"{what}: {means}", are_lower, ", ".join(ps))


def keeps(means: Figures, deviations: Figures) -> Claim:
    """That SELU has both within ``KEPT`` of 0 and 1, by its interval, and its deviation nearer 1 than the others."""
    nearest = lower(KEEPS, "deviation off by", deviations, SELU_OVER)
    if not (means.get(SELU) and deviations.get(SELU)):
        return Claim(KEEPS, "no figure", None)
    figures = f"{nearest.figures}; {SELU}'s mean off by {format_mean(interval([*means[SELU].values()]), 2)}"
    return replace(nearest, figures=figures, holds=all_hold(is_kept(means, deviations, SELU), nearest.holds))


def is_kept(means: Figures, deviations: Figures, name: str) -> bool | None:
    """Whether a network keeps both; False where one is clearly farther off, None where that is open."""
    within = []
    for figures in (means, deviations):
        off = interval([*figures.get(name, {}).values()])
        half = inf if isnan(off.half_width) else off.half_width
        within.append(True if off.mean + half <= KEPT else False if off.mean - half > KEPT else None)
    return all_hold(*within)


def who_keeps(means: Figures, deviations: Figures) -> str:
    """Who keeps both, and whether SELU comes nearest to a deviation of 1, in words."""
    within = {name: is_kept(means, deviations, name) for name, values in deviations.items() if values}
    keeping = [name for name, kept in within.items() if kept]
    if keeping:
        who = f"{format_list(keeping)} keep{'s' if len(keeping) == 1 else ''} both within {KEPT:g}"
    else:
        is_none = all(kept is False for kept in within.values())
        who = f"none keeps both within {KEPT:g}" if is_none else f"that one keeps both within {KEPT:g} is not shown"
    nearest = lower(KEEPS, "", deviations, SELU_OVER)
    comes = {True: "comes", False: "does not come", None: "is not shown to come"}[nearest.holds]
    return f"{who}, and {SELU} {comes} nearest to a deviation of 1"


def describe_keeping(groups: Mapping[str, Group]) -> str:
    """Whether mean and deviation are kept, in a sentence; "" where SELU has no figures."""
    means, deviations = of(groups, from_zero), of(groups, from_one)
    if not means.get(SELU):
        return ""
    mean, deviation = (format_mean(interval([*figures[SELU].values()]), 2) for figures in (means, deviations))
    who = who_keeps(means, deviations)
    return f"After training {SELU}'s mean is {mean} off 0 and its deviation {deviation} off 1: {who}."


def describe_gradients(groups: Mapping[str, Group]) -> str:
    """How much of the gradient comes through to the first layer, and where it vanishes or explodes; "" if unknown."""
    found = {
        name: (figure_by_seed(group, lambda one: flow(one, 0)), figure_by_seed(group, flow_at_end))
        for name, group in groups.items()
    }
    found = {name: both for name, both in found.items() if both[0]}
    if not found:
        return ""
    ends = [f"{format_mean(interval([*end.values()]), 2)} with {name}" for name, (_, end) in found.items()]
    what = "the norm of the gradient in the first layer over that in the last hidden one"
    return " ".join(
        [
            f"After training {what} is {format_list(ends)}.",
            *describe_fates("Then", {name: fate([*end.values()]) for name, (_, end) in found.items()}),
            *describe_fates("Before training", {name: fate([*start.values()]) for name, (start, _) in found.items()}),
        ]
    )


def describe_fates(when: str, fates: Mapping[str, str]) -> list[str]:
    """What becomes of the gradient then, a sentence for each kind."""
    words = {
        "neither": f"stays within a factor of {FLOW} in every run",
        "vanishes": f"vanishes, to less than 1/{FLOW} in every run",
        "explodes": f"explodes, to more than {FLOW} times in every run",
        "differs": f"is within a factor of {FLOW} in some runs and not in others",
        "unknown": "cannot be given, since in some run no gradient reaches the last hidden layer",
    }
    return [
        f"{when} it {becomes} with {format_list([name for name, its in fates.items() if its == key])}."
        for key, becomes in words.items()
        if key in fates.values()
    ]


def fate(ratios: Sequence[float]) -> str:
    """What becomes of a gradient, by first layer over last in the runs."""
    if any(isnan(ratio) for ratio in ratios):
        return "unknown"
    if all(ratio < 1 / FLOW for ratio in ratios):
        return "vanishes"
    if all(ratio > FLOW for ratio in ratios):
        return "explodes"
    return "neither" if all(1 / FLOW <= ratio <= FLOW for ratio in ratios) else "differs"


def answer(evidence: Evidence) -> Answer:
    """Means and deviations layer by layer, dead units, gradients, and who learns faster."""
    all_groups = evidence.ended_groups(SWEEP)
    groups = {name: _best(all_groups, activation, name) for activation, name in NAMES.items()}
    table = ("Each activation at each rate", _table(all_groups, groups))
    lost = [
        f"{runs} run{'' if runs == 1 else 's'} of {_name(group)} at {group.settings.get('optim.lr'):g} diverged."
        for group in all_groups
        if (runs := len(diverged_runs(group)))
    ]
    done = {name: group for name, group in groups.items() if group and group.runs}
    if not done:
        return Answer([*lost, "No run was completed."], tables=[table])
    # The learning rate at which the sum of all mean validation losses is the lowest.
    rates = sorted({float(group.settings["optim.lr"]) for group in all_groups})
    rate = min(rates, key=lambda rate: sum(g.rank for g in all_groups if g.settings["optim.lr"] == rate))
    at_rate = [group for group in all_groups if group.settings.get("optim.lr") == rate]
    alike = {n: group for a, n in NAMES.items() if (group := _best(at_rate, a, n)) and group.runs}
    found = claims(done, alike)
    reached = "; ".join(f"{name} {format_val_acc(group)}" for name, group in done.items())
    details = [
        describe_keeping(alike),
        describe_gradients(alike),
        f"Layers are compared at a learning rate of {rate:g} for all, speed at the better rate of each. At the better "
        f"rates the validation accuracy is: {reached}.",
    ]
    figures = [plot_curves([*done.values()], "loss", "3", SEE_CURVES)]
    if any(of(alike, dead).values()):
        layers = plot_layers([*alike.values()])
        starts = {name: figure_by_seed(group, lambda layers: flow(layers, 0)) for name, group in alike.items()}
        before = [f"{format_mean(interval([*of.values()]), 2)} with {name}" for name, of in starts.items() if of]
        gradient = "Before training the norm of the first layer's gradient over the last hidden one's is"
        caption = f"{layers.caption} {gradient} {'; '.join(before)}. {SEE_LAYERS}"
        figures.insert(0, replace(layers, name="3_layers", caption=caption))
    # Of one that is open, what leaves it open: intervals can lie apart without a difference by Holm.
    with_p = [
        replace(claim, figures=f"{claim.figures}; p by Holm: {claim.p}") if claim.p and claim.holds is None else claim
        for claim in found
    ]
    return Answer(
        [" ".join([*lost, describe_claims(with_p)])],
        all_claims_hold(found),
        figures,
        [claims_table(found, CLAIMS), table],
        details,
    )


def _best(groups: Sequence[Group], activation: str, name: str) -> Group | None:
    """At the learning rate with the lowest mean validation loss."""
    found = [group for group in groups if group.settings.get("model.activation") == activation]
    return with_label(min(found, key=lambda group: group.rank), name) if found else None


def _table(groups: Sequence[Group], best: Mapping[str, Group | None]) -> Table:
    chosen = {id(group.runs) for group in best.values() if group}
    rows = [_row(group, id(group.runs) in chosen) for group in groups]
    headings = ["activation", "learning rate", "mean from 0", "deviation from 1", "dead units, %", "gradient"]
    return Table(
        [*headings, "validation loss", "validation accuracy", "test accuracy †"],
        rows,
        "After the last epoch, mean over the hidden layers; gradient: its norm in the first layer over that in the "
        "last hidden one. Accuracies at the epoch with the lowest validation loss. * the rate with the lower "
        f"validation loss, at which speed is compared. {TEST_NOTE}",
    )


def _name(group: Group) -> str:
    return NAMES.get(str(group.settings.get("model.activation")), group.label)


def _row(group: Group, is_chosen: bool) -> list[Cell]:
    name, rate = _name(group), group.settings.get("optim.lr", nan)
    cells: list[Cell] = [(name, name), (f"{rate:g}{' *' if is_chosen else ''}", rate)]
    for figure, digits in ((from_zero, 2), (from_one, 2), (dead, 1), (flow_at_end, 2)):
        cells.append(mean_cell(interval([*figure_by_seed(group, figure).values()]), digits))
    return [*cells, mean_cell(group.summary("metrics", "val_loss"), 3), *accuracy_cells(group)]


SECTION = Section(
    "3",
    "3",
    "3. SELU, ELU and ReLU",
    "What is better about SELU and ELU than about ReLU?",
    "They go below zero, so the mean of a layer stays nearer zero; their gradient for negative inputs lets no unit "
    "die; and SELU keeps mean and deviation, layer after layer. So deep networks learn faster with them.",
    answer,
    [SWEEP],
    notes=(
        "The same standardized inputs for all three; LeCun initialization for SELU, He's for the others; 7 epochs of "
        "160 batches of 128 images at two learning rates. Layers are compared at the rate at which the three together "
        "have the lower validation loss, speed at the better rate for each. Figures of layers are of 256 validation "
        "images, after the last epoch, over the hidden layers. Each claim is two comparisons, paired by seed, with "
        "Holm's correction over them. A gradient counts as vanishing or exploding where its norm differs by more than "
        f"{FLOW} times between the first and the last hidden layer, a factor that is a choice.",
    ),
)
