"""Question 3: SELU, ELU and ReLU in the same deep network. What is better about those that go below zero?"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import nan

import numpy as np

from exercise.contrast import POINTS, contrast_ratio, contrast_values, judge_claims
from exercise.formatting import accuracy_cells, with_label
from exercise.layer_summary import at_end, figure_by_seed, hidden_layers, layers_by_seed, mean_at_end
from exercise.plots import REFERENCE, draw_by_layer, marked
from exercise.section import Answer, Section
from exercise.store import Evidence, NotAvailable, require_completed
from exercise.trainings import Sweep
from trainlab.report import Cell, Group, LayerStatistics, Plot, Table, canvas, legend_below, plot_layers, render
from trainlab.statistics import interval

NAMES = {"selu": "SELU", "elu": "ELU", "relu": "ReLU"}
SELU, ELU, RELU = NAMES.values()
BOTH = (SELU, ELU)
KEPT = 0.25  # of 0 and of 1, on average over the hidden layers: so near they count as kept
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


def _flow(layers: LayerStatistics, epochs: int) -> float:
    """Norm of the first layer's gradient over that of the last hidden layer."""
    norms = hidden_layers(layers, "gradient_norm")[epochs]
    return float(norms[0] / norms[-1]) if norms[-1] else nan


# Of one run, on average over the hidden layers: by name, with the digits of a table.
FIGURES: Mapping[str, tuple[Callable[[LayerStatistics], float], int]] = {
    "|mean|": (lambda of: np.abs(at_end(of, "mean")).mean(), 2),
    "|deviation-1|": (lambda of: np.abs(at_end(of, "std") - 1).mean(), 2),
    "dead, %": (lambda of: 100 * at_end(of, "dead").mean(), 1),
    "gradient before": (lambda of: _flow(of, 0), 2),
    "after": (lambda of: _flow(of, max(of.by_epochs)), 2),
}
AWAY, OFF, DEAD, *_ = FIGURES


def course(group: Group) -> dict[int, float]:
    """Validation accuracy in %, mean over the epochs, by seed: higher where it rose sooner."""
    curves = {seed: run.curve for seed, run in sorted(group.runs.items()) if run.curve}
    return {seed: 100 * float(np.nanmean(curve.of("val_acc"))) for seed, curve in curves.items()}


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

    def of(name: str, figure: str) -> tuple[str, dict[int, float]]:
        return name, figure_by_seed(alike[name], FIGURES[figure][0])

    kept = (f"{KEPT:g}", dict.fromkeys(alike[SELU].runs, KEPT))
    learning = {it: (it, course(groups[it])) for it in groups}
    nearer = [contrast_ratio(of(it, AWAY), of(RELU, AWAY), "lower", AWAY) for it in BOTH]
    claims = judge_claims(
        {
            f"At a rate of {rate:g}, means nearer 0 than ReLU's": nearer,
            "SELU keeps mean 0 and deviation 1": [
                contrast_values(of(SELU, figure), kept, "lower", figure, 0.0, "", 2) for figure in (AWAY, OFF)
            ],
            "Fewer dead units than ReLU": [
                contrast_values(of(it, DEAD), of(RELU, DEAD), "lower", DEAD, POINTS) for it in BOTH
            ],
            "Higher accuracy over the epochs than ReLU": [
                contrast_values(learning[it], learning[RELU], "higher", "mean accuracy, %", POINTS) for it in BOTH
            ],
        }
    )
    figures = {
        f"{key}_{short}": _format(by_name[name], figure)
        for key, name in NAMES.items()
        for by_name, short, figure in ((alike, "mean", AWAY), (groups, "own", AWAY), (alike, "std", OFF))
    } | {"kept": KEPT, "rate": f"{rate:g}", "relu_dead": _format(alike[RELU], DEAD)}
    layers = replace(plot_layers([*alike.values()]), name="3_layers", caption=f"All layers, at a rate of {rate:g}.")
    chosen = [group.runs for group in groups.values()]
    rows = [_row(group, any(group.runs is of for of in chosen)) for group in all_groups]
    headings = ["activation", "rate", *FIGURES, "mean accuracy, %", "loss", "validation, %"]
    note = "After training; gradient: norm in the first over the last hidden layer; accuracy: over epochs."
    tables = [("Activations", Table([*headings, "test, % †"], rows, note))]
    return Answer(figures, claims, _plot(alike), tables, [layers])


def _best(groups: Sequence[Group], activation: str) -> Group:
    """At the learning rate with the lowest mean validation loss."""
    found = [group for group in groups if group.settings["model.activation"] == activation]
    if not found:
        raise NotAvailable(f"{SWEEP.name} has no run with {activation}")
    return with_label(min(found, key=lambda group: group.rank), NAMES[activation])


def _format(group: Group, figure: str) -> str:
    take, digits = FIGURES[figure]
    return f"{interval([*figure_by_seed(group, take).values()]).mean:.{digits}f}"


def _row(group: Group, is_chosen: bool) -> list[Cell]:
    name, rate = NAMES[str(group.settings["model.activation"])], group.settings["optim.lr"]
    texts = [_format(group, figure) for figure in FIGURES]
    texts += [f"{interval([*course(group).values()]).mean:.1f}", f"{group.summary('metrics', 'val_loss').mean:.3f}"]
    cells: list[Cell] = [(name, name), (f"{rate:g}{' *' if is_chosen else ''}", rate)]
    return [*cells, *((text, float(text)) for text in texts), *accuracy_cells(group)]


def _plot(alike: Mapping[str, Group]) -> Plot:
    """Mean and deviation by hidden layer, after training; dashed are 0 and 1."""
    with canvas(8.6, 3.2, 2) as (figure, axes):
        for one, name, title, kept in zip(axes, ("mean", "std"), ("mean", "standard deviation"), (0, 1), strict=True):
            one.axhline(kept, **REFERENCE)
            one.set_title(title)
            for i, group in enumerate(alike.values()):
                draw_by_layer(one, mean_at_end(group, name), **marked(i), label=group.label)
        legend_below(figure, axes[0])
        caption = "After training; means over the seeds."
        return Plot("3_means", "Mean and deviation of the activations", caption, *render(figure))


SECTION = Section("3", "3", answer, [SWEEP])
