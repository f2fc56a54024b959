"""Question 3: SELU, ELU and ReLU in the same deep network. What is better about those that go below zero?"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import nan

import numpy as np

from exercise.contrast import POINTS, Claim, contrast_ratio, contrast_values, judge
from exercise.formatting import accuracy_cells, with_label
from exercise.layer_summary import figure_by_seed, hidden_at_end, hidden_layers, layers_by_seed, mean_figure
from exercise.plots import REFERENCE, draw_by_layer, marked
from exercise.section import Answer, Section
from exercise.store import Evidence, NotAvailable, require_completed
from exercise.trainings import Sweep
from trainlab.report import (
    LAYER_STATISTICS,
    Cell,
    Group,
    LayerStatistics,
    Plot,
    Table,
    canvas,
    legend_below,
    mean_over_seeds,
    plot_layers,
    render,
)
from trainlab.statistics import interval

NAMES = {"selu": "SELU", "elu": "ELU", "relu": "ReLU"}
SELU, ELU, RELU = NAMES.values()
BOTH = (SELU, ELU)
MEAN, STD, DEAD, GRADIENT = map(LAYER_STATISTICS.index, ("mean", "std", "dead", "gradient_norm"))
KEPT = 0.25  # of 0 and of 1, on average over the hidden layers: so near they count as kept
Figure = Callable[[LayerStatistics], float]
SWEEP = Sweep(
    "question_3",
    (
        *("model=selu_lecun,elu_he,relu_he", "model.standardize=true", "optim.lr=3e-4,1e-3", "seed=1,2,3,4,5,6"),
        *("data.batch_size=128", "trainer.max_epochs=7", "trainer.limit_train_batches=160"),
        *("callbacks.layer_statistics.every_n_epochs=1", "callbacks.figures=null"),
    ),
    ("trainer.limit_train_batches=10", "model.depth=5", "optim.lr=1e-3"),
    minutes=5,
)


def from_zero(layers: LayerStatistics) -> float:
    """How far a hidden layer's mean is from 0 after training, on average."""
    return float(np.abs(hidden_at_end(layers, layers.by_epochs, MEAN)).mean())


def from_one(layers: LayerStatistics) -> float:
    """How far its deviation is from 1."""
    return float(np.abs(hidden_at_end(layers, layers.by_epochs, STD) - 1).mean())


def dead(layers: LayerStatistics) -> float:
    """Share of dead units among the hidden ones after training, in %."""
    return 100 * float(hidden_at_end(layers, layers.by_epochs, DEAD).mean())


def flow(layers: LayerStatistics, epochs: int | None = None) -> float:
    """Norm of the first layer's gradient over that of the last hidden layer; after training without ``epochs``."""
    by_epochs = hidden_layers(layers, layers.by_epochs, GRADIENT)
    norms = by_epochs[max(by_epochs) if epochs is None else epochs]
    return float(norms[0] / norms[-1]) if norms[-1] else nan


def course(group: Group) -> dict[int, float]:
    """Validation accuracy in %, mean over the epochs, by seed: higher where it rose sooner."""
    curves = {seed: run.curve for seed, run in sorted(group.runs.items()) if run.curve}
    return {seed: 100 * float(np.nanmean(curve.by_name["val/acc"])) for seed, curve in curves.items()}


def claims(groups: Mapping[str, Group], alike: Mapping[str, Group]) -> list[Claim]:
    """What is usually said of SELU and ELU.

    Args:
        groups: each at the rate that is the best for it.
        alike: at the same rate.
    """

    def of(name: str, figure: Figure) -> tuple[str, dict[int, float]]:
        return name, figure_by_seed(alike[name], figure)

    away, off, learning = "mean, from 0", "deviation, from 1", "accuracy over the epochs"
    kept, relu = (f"{KEPT:g}", dict.fromkeys(alike[SELU].runs, KEPT)), (RELU, course(groups[RELU]))
    statements = ["Means nearer 0 than ReLU's", "SELU keeps mean 0 and deviation 1"]
    statements += ["Fewer dead units than ReLU", "Faster learning than ReLU"]
    found = judge(
        [
            *(contrast_ratio(of(name, from_zero), of(RELU, from_zero), "lower", away) for name in BOTH),
            contrast_values(of(SELU, from_zero), kept, "lower", away, 0.0, "", 2),
            contrast_values(of(SELU, from_one), kept, "lower", off, 0.0, "", 2),
            *(contrast_values(of(name, dead), of(RELU, dead), "lower", "dead units, %", POINTS) for name in BOTH),
            *(contrast_values((name, course(groups[name])), relu, "higher", learning, POINTS) for name in BOTH),
        ]
    )
    return [Claim(statement, found[2 * i : 2 * i + 2]) for i, statement in enumerate(statements)]


def answer(evidence: Evidence) -> Answer:
    """Means and deviations layer by layer, dead units, gradients, and who learns faster."""
    all_groups = evidence.ended_groups(SWEEP)
    # The learning rate at which the sum of all mean validation losses is the lowest.
    rates = sorted({float(group.settings["optim.lr"]) for group in all_groups})
    rate = min(rates, key=lambda rate: sum(g.rank for g in all_groups if g.settings["optim.lr"] == rate))
    at_rate = [group for group in all_groups if group.settings["optim.lr"] == rate]
    groups, alike = ({name: _best(of, key) for key, name in NAMES.items()} for of in (all_groups, at_rate))
    require_completed(*groups.values(), *alike.values())
    if not all(map(layers_by_seed, alike.values())):
        raise NotAvailable(f"{SWEEP.name} has no layer statistics")
    found = claims(groups, alike)
    figures = {
        **{f"{key}_mean": _mean(alike[name], from_zero, 2) for key, name in NAMES.items()},
        **{f"{key}_std": _mean(alike[name], from_one, 2) for key, name in NAMES.items()},
        **{f"{key}_dead": f"{_mean(alike[name], dead, 1)} %" for key, name in NAMES.items()},
        "keeps": found[1].verdict,
    }
    layers = replace(plot_layers([*alike.values()]), name="3_layers", caption=f"All layers, at a rate of {rate:g}.")
    tables = [("Each activation at each rate", _table(all_groups, [group.runs for group in groups.values()]))]
    return Answer(figures, found, _plot(alike), tables, [layers])


def _best(groups: Sequence[Group], activation: str) -> Group:
    """At the learning rate with the lowest mean validation loss."""
    found = [group for group in groups if group.settings["model.activation"] == activation]
    if not found:
        raise NotAvailable(f"{SWEEP.name} has no run with {activation}")
    return with_label(min(found, key=lambda group: group.rank), NAMES[activation])


def _mean(group: Group, figure: Figure, digits: int) -> str:
    return f"{mean_figure(group, figure):.{digits}f}"


def _plot(alike: Mapping[str, Group]) -> Plot:
    """Mean and deviation by hidden layer, after training; dashed are 0 and 1."""
    with canvas(8.6, 3.2, 2) as (figure, axes):
        for one, row, kept in zip(axes, (MEAN, STD), (0, 1), strict=True):
            one.axhline(kept, **REFERENCE)
            one.set_title(LAYER_STATISTICS[row].replace("std", "standard deviation"))
            for i, (name, group) in enumerate(alike.items()):
                mean = mean_over_seeds([*layers_by_seed(group).values()])
                draw_by_layer(one, hidden_at_end(mean, mean.by_epochs, row), **marked(i), label=name)
        legend_below(figure, axes[0])
        caption = "After training; means over the seeds."
        return Plot("3_means", "Mean and deviation of the activations", caption, *render(figure))


def _table(groups: Sequence[Group], chosen: Sequence[object]) -> Table:
    rows = [_row(group, any(group.runs is of for of in chosen)) for group in groups]
    headings = ["activation", "rate", "mean from 0", "deviation from 1", "dead, %", "gradient at first", "at the end"]
    headings += ["accuracy over epochs, %", "validation loss", "validation accuracy, %", "test accuracy †, %"]
    note = "Means over the hidden layers, at the end. Gradient: norm in the first over that in the last. * lower loss."
    return Table(headings, rows, note)


def _row(group: Group, is_chosen: bool) -> list[Cell]:
    name, rate = NAMES[str(group.settings["model.activation"])], group.settings["optim.lr"]
    cells: list[Cell] = [(name, name), (f"{rate:g}{' *' if is_chosen else ''}", rate)]
    figures: list[tuple[Figure, int]] = [(from_zero, 2), (from_one, 2), (dead, 1)]
    figures += [(lambda layers: flow(layers, 0), 2), (flow, 2)]
    means = [(mean_figure(group, figure), digits) for figure, digits in figures]
    means += [(interval([*course(group).values()]).mean, 1), (group.summary("metrics", "val_loss").mean, 3)]
    return [*cells, *((f"{mean:.{digits}f}", mean) for mean, digits in means), *accuracy_cells(group)]


SECTION = Section(
    "3",
    "3",
    "3. SELU, ELU and ReLU",
    "What do SELU and ELU have that ReLU does not?",
    answer,
    [SWEEP],
    notes=(
        "Standardized inputs; LeCun initialization for SELU, He's for the others; 7 epochs of 160 batches of 128. "
        "Layers are compared at the rate that suits all three, speed at the better rate of each. Kept: within "
        f"{KEPT:g}, averaged over the layers.",
    ),
)
