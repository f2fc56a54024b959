"""Question 1: all weights of a layer one value, drawn by He's rule. Is symmetry ever broken?"""

from collections.abc import Callable, Iterable, Mapping

import numpy as np
from matplotlib.ticker import MaxNLocator, PercentFormatter

from exercise.contrast import Claim, contrast_groups, judge
from exercise.formatting import accuracy_cells, mean_accuracy, text_cells, with_label
from exercise.layer_summary import hidden_at_end, hidden_layers, layers_by_seed, mean_figure
from exercise.plots import draw_by_layer, marked
from exercise.section import Answer, Section
from exercise.store import Evidence, require_completed
from exercise.trainings import Sweep
from trainlab.report import (
    COLORS,
    LAYER_STATISTICS,
    WEIGHT_STATISTICS,
    Group,
    Plot,
    Table,
    Values,
    band,
    canvas,
    legend_below,
    mean_over_seeds,
    render,
)

SWEEP = Sweep(
    "question_1",
    (
        *("model=bn,elu_he", "optim.lr=3e-4", "seed=1,2,3", "trainer.max_epochs=6", "trainer.limit_train_batches=150"),
        *("model.initializer=he_normal,he_constant", "model.output_initializer=glorot_uniform,he_constant"),
        *("callbacks.layer_statistics.every_n_epochs=1", "callbacks.figures=null"),
    ),
    ("trainer.limit_train_batches=10", "model.depth=5"),
    minutes=2,
)
# By name: how the hidden layers and the output layer begin.
STARTS = {
    "independent weights": ("he_normal", "glorot_uniform"),
    "one value per layer": ("he_constant", "he_constant"),
    "one value, output layer independent": ("he_constant", "glorot_uniform"),
    "independent, output layer one value": ("he_normal", "he_constant"),
}
INDEPENDENT, SAME, OUTPUT_INDEPENDENT, _ = STARTS
RANK, DISTINCT = (WEIGHT_STATISTICS.index(name) for name in ("rank", "distinct_units"))
DEAD = LAYER_STATISTICS.index("dead")


def answer(evidence: Evidence) -> Answer:
    """Whether units ever differ, and what it costs that they do not."""
    normed, plain = ({name: _group(evidence, name, batch_norm) for name in STARTS} for batch_norm in (True, False))
    require_completed(*normed.values(), plain[SAME])
    same, independent = normed[SAME], normed[INDEPENDENT]
    units, width = _most(same), int(same.settings["model.width"])
    of_last = normed[OUTPUT_INDEPENDENT]
    last_units, last_rank = (_at_end(of_last, row, lambda of: of[-1]) for row in (DISTINCT, RANK))
    dead = mean_figure(plain[SAME], lambda of: float(hidden_at_end(of, of.by_epochs, DEAD).mean()))
    figures = {
        "units": units,
        "width": width,
        "same": mean_accuracy(same),
        "independent": mean_accuracy(independent),
        "output_independent": mean_accuracy(of_last),
        "plain_same": mean_accuracy(plain[SAME]),
        "last_units": f"{last_units:.0f}",
        "is_last_apart": last_units > width / 2 and last_rank < 1.5,
        "dead": f"{100 * dead:.0f} %",
        "is_saturated": dead > 0.5,
    }
    counted = f"at most {units} before training and after each epoch"
    claims = [
        Claim.counted("Units that start equal stay equal", units == 1, counted),
        Claim("Such a network learns less", judge([contrast_groups(same, independent, "lower")])),
    ]
    return Answer(
        figures, claims, _plot(normed.values()), [("All networks and starts", _table(normed, plain, counted))]
    )


def _group(evidence: Evidence, name: str, batch_norm: bool) -> Group:
    first, last = STARTS[name]
    settings = {"model__initializer": first, "model__output_initializer": last, "model__batch_norm": batch_norm}
    return with_label(evidence.group(SWEEP, **settings), name)


def _at_end(group: Group, row: int, of_layers: Callable[[Values], float] = np.mean) -> float:
    """Distinct units or rank of the hidden layers after the last epoch, mean over the seeds."""
    return mean_figure(group, lambda of: float(of_layers(hidden_at_end(of, of.weights_by_epochs, row))))


def _most(group: Group) -> int:
    """The most distinct units that a hidden layer had in any run, before training and after each epoch."""
    runs = [hidden_layers(layers, layers.weights_by_epochs, DISTINCT) for layers in layers_by_seed(group).values()]
    return max(int(values.max()) for run in runs for values in run.values())


def _plot(groups: Iterable[Group]) -> Plot:
    """Distinct units by layer after the last epoch, and validation accuracy by epoch."""
    with canvas(8.6, 3.4, 2) as (figure, (left, right)):
        for i, group in enumerate(groups):
            mean = mean_over_seeds([*layers_by_seed(group).values()])
            units = hidden_at_end(mean, mean.weights_by_epochs, DISTINCT)
            draw_by_layer(left, units * 1.05 ** (i - 1.5), **marked(i), linewidth=1.3, label=group.label)
            lines = band([run.curve for run in group.runs.values() if run.curve], "val/acc")
            right.fill_between(lines.x, lines.low, lines.high, color=COLORS[i], alpha=0.2, linewidth=0)
            right.plot(lines.x, lines.mean, **marked(i), linewidth=1.3)
        left.set_yscale("log")
        left.yaxis.set_major_formatter("{x:g}")
        left.set_title("distinct units of a layer, at the end")
        right.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        right.xaxis.set_major_locator(MaxNLocator(integer=True))
        right.set_title("validation accuracy")
        right.set_xlabel("epochs")
        legend_below(figure, left)
        caption = "With batch normalization; on the left drawn a little apart."
        return Plot("1_symmetry", "Distinct units and accuracy", caption, *render(figure))


def _table(normed: Mapping[str, Group], plain: Mapping[str, Group], counted: str) -> Table:
    rows = [
        [
            *text_cells(norm, group.label),
            *((f"{_at_end(group, row):.1f}", _at_end(group, row)) for row in (DISTINCT, RANK)),
            *accuracy_cells(group),
        ]
        for norm, groups in (("yes", normed), ("no", plain))
        for group in groups.values()
    ]
    headings = ["batch norm.", "start", "distinct units", "rank", "validation accuracy, %", "test accuracy †, %"]
    note = (
        "After the last epoch, mean over the hidden layers. Units are distinct where their weights differ by more than "
        f"rounding: with batch normalization and {SAME} {counted}."
    )
    return Table(headings, rows, note)


SECTION = Section(
    "1",
    "1",
    "1. One value for all weights of a layer",
    "Can all weights of a layer start at the same value, if that value is drawn by He's rule?",
    answer,
    [SWEEP],
    notes=(
        "6 epochs of 150 batches. The answer is of the network with batch normalization, which undoes what equal "
        "weights do to the scale of the sums.",
    ),
)
