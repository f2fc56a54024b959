"""What is usually said of SELU, ELU and ReLU, claim by claim, compared with what their layers and curves came to."""

from collections.abc import Callable, Mapping, Sequence
from math import inf, isnan, nan

import numpy as np

from exercise.claims import Claim
from exercise.formatting import all_hold, corrected_verdicts, format_list, holds
from exercise.layer_summary import figure_by_seed, hidden_layers
from trainlab.report import LAYER_STATISTICS, Group, LayerStatistics, Values, format_mean, format_p
from trainlab.statistics import difference, interval

NAMES = {"selu": "SELU", "elu": "ELU", "relu": "ReLU"}
SELU, ELU, RELU = NAMES.values()
MEAN, STD, DEAD, GRADIENT = map(LAYER_STATISTICS.index, ("mean", "std", "dead", "gradient_norm"))
KEPT = 0.25  # of 0 and of 1, on average over the hidden layers: so near they are said to be kept. A choice
FLOW = 10  # times: a gradient that grows or shrinks by more on its way is said to explode or vanish. A choice
KEEPS = f"{SELU} keeps a mean of 0 and a deviation of 1"
BESIDE_RELU = ((SELU, RELU), (ELU, RELU))
BESIDE_SELU = ((SELU, ELU), (SELU, RELU))
BySeed = Mapping[int, float]
Figures = Mapping[str, BySeed]  # by name
Tested = tuple[Claim, str]  # a claim, and the p of its comparisons


def from_zero(layers: LayerStatistics) -> float:
    """How far a hidden layer's mean is from 0 after training, on average."""
    return float(np.abs(_at_end(layers, MEAN)).mean())


def from_one(layers: LayerStatistics) -> float:
    """How far its deviation is from 1."""
    return float(np.abs(_at_end(layers, STD) - 1).mean())


def dead(layers: LayerStatistics) -> float:
    """Share of dead units among the hidden ones after training, in %."""
    return 100 * float(_at_end(layers, DEAD).mean())


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


def claims(groups: Mapping[str, Group], alike: Mapping[str, Group]) -> list[Tested]:
    """Each with the p of its two comparisons, Holm's correction over them.

    Args:
        groups: each at the rate that is the best for it.
        alike: at the same rate.
    """
    courses = {name: course(group) for name, group in groups.items()}
    return [
        lower(f"means nearer 0 than {RELU}'s", "off by", of(alike, from_zero), BESIDE_RELU),
        keeps(of(alike, from_zero), of(alike, from_one)),
        lower(f"fewer dead units than {RELU}", "share in %", of(alike, dead), BESIDE_RELU, 1),
        lower(f"faster learning than {RELU}", "mean loss over the epochs", courses, BESIDE_RELU, 3),
    ]


def of(groups: Mapping[str, Group], figure: Callable[[LayerStatistics], float]) -> dict[str, dict[int, float]]:
    """A figure of the layers by name and seed."""
    return {name: figure_by_seed(group, figure) for name, group in groups.items()}


def lower(says: str, what: str, figures: Figures, pairs: Sequence[tuple[str, str]], digits: int = 2) -> Tested:
    """That the first of each of ``pairs`` is lower; Holm's correction over them, in the p and in the verdict."""
    found = {name: interval([*values.values()]) for name, values in figures.items() if values}
    if not found:
        return Claim(says, "no figure", None), ""
    if not any(value for values in figures.values() for value in values.values()):
        return Claim(says, f"{what} 0 with all", None), ""
    tested = corrected_verdicts(
        [difference(figures.get(first, {}), figures.get(second, {})) for first, second in pairs]
    )
    means = ", ".join(f"{name} {format_mean(mean, digits)}" for name, mean in found.items())
    ps = [f"{a} compared with {b} {format_p(p)}" for (a, b), (_, p) in zip(pairs, tested, strict=True) if not isnan(p)]
    return Claim(says, f"{what}: {means}", all_hold(*(holds(said, "lower") for said, _ in tested))), ", ".join(ps)


def keeps(means: Figures, deviations: Figures) -> Tested:
    """That SELU has both within ``KEPT`` of 0 and 1, by its interval, and its deviation nearer 1 than the others."""
    nearest, ps = lower(KEEPS, "deviation off by", deviations, BESIDE_SELU)
    if not (means.get(SELU) and deviations.get(SELU)):
        return Claim(KEEPS, "no figure", None), ""
    found = f"{nearest.found}; {SELU}'s mean off by {format_mean(interval([*means[SELU].values()]), 2)}"
    return Claim(KEEPS, found, all_hold(is_kept(means, deviations, SELU), nearest.holds)), ps


def is_kept(means: Figures, deviations: Figures, name: str) -> bool | None:
    """Whether a network keeps both; False where one is clearly farther off, None where that is open."""
    return all_hold(*(_is_within(figures.get(name, {})) for figures in (means, deviations)))


def _is_within(off: BySeed) -> bool | None:
    found = interval([*off.values()])
    half = inf if isnan(found.half_width) else found.half_width
    return True if found.mean + half <= KEPT else False if found.mean - half > KEPT else None


def who_keeps(means: Figures, deviations: Figures) -> str:
    """Who keeps both, and whether SELU comes nearest to a deviation of 1, in words."""
    within = {name: is_kept(means, deviations, name) for name, values in deviations.items() if values}
    keeping = [name for name, kept in within.items() if kept]
    if keeping:
        who = f"{format_list(keeping)} keep{'s' if len(keeping) == 1 else ''} both within {KEPT:g}"
    else:
        is_none = all(kept is False for kept in within.values())
        who = f"none keeps both within {KEPT:g}" if is_none else f"that one keeps both within {KEPT:g} is not shown"
    nearest, _ = lower(KEEPS, "", deviations, BESIDE_SELU)
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
    found = {name: looks for name, looks in found.items() if looks[0]}
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
        "unknown": "cannot be given, since in some run no gradient comes to the last hidden layer",
    }
    return [
        f"{when} it {said} with {format_list([name for name, its in fates.items() if its == key])}."
        for key, said in words.items()
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


def _at_end(layers: LayerStatistics, row: int) -> Values:
    return hidden_layers(layers, layers.by_epochs, row)[max(layers.by_epochs)]
