"""Question 1: all weights of a layer one value, drawn by He's rule. Is symmetry ever broken?"""

from collections.abc import Iterable

from exercise.contrast import Claim, contrast_groups, judge
from exercise.formatting import accuracy_cells, mean_accuracy, number_cell, text_cells, with_label
from exercise.layer_summary import hidden_layers, layers_by_seed, mean_at_end
from exercise.plots import draw_by_layer, marked, plot_curves
from exercise.section import Answer, Section
from exercise.store import Evidence, require_completed
from exercise.trainings import Sweep
from trainlab.report import Group, Plot, Table, canvas, legend_below, render

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
    "independent": ("he_normal", "glorot_uniform"),
    "equal": ("he_constant", "he_constant"),
    "equal, output independent": ("he_constant", "glorot_uniform"),
    "independent, output equal": ("he_normal", "he_constant"),
}
INDEPENDENT, SAME, OUTPUT_INDEPENDENT, _ = STARTS


def answer(evidence: Evidence) -> Answer:
    """Whether units ever differ, and what it costs that they do not."""
    normed, plain = ({name: _group(evidence, name, batch_norm) for name in STARTS} for batch_norm in (True, False))
    require_completed(*normed.values(), plain[SAME])
    same, of_last = normed[SAME], normed[OUTPUT_INDEPENDENT]
    units, width = _most_units(same), int(same.settings["model.width"])
    last_units = mean_at_end(of_last, "distinct_units")[-1]
    dead = mean_at_end(plain[SAME], "dead").mean()
    figures = {
        **{"units": units, "width": width, "last_units": f"{last_units:.0f}", "dead": f"{100 * dead:.0f} %"},
        **{"same": mean_accuracy(same), "independent": mean_accuracy(normed[INDEPENDENT])},
        **{"output_independent": mean_accuracy(of_last), "plain_same": mean_accuracy(plain[SAME])},
        "plain_independent": mean_accuracy(plain[INDEPENDENT]),
        "is_last_apart": last_units > width / 2 and mean_at_end(of_last, "rank")[-1] < 1.5,
        "is_saturated": dead > 0.5,
    }
    claims = [
        Claim("Units that start equal stay equal", holds=units == 1),
        Claim("Such a network learns less", judge([contrast_groups(same, normed[INDEPENDENT], "lower")])),
    ]
    rows = [
        [
            *text_cells(norm, group.label),
            *(number_cell(mean_at_end(group, name).mean()) for name in ("distinct_units", "rank")),
            *accuracy_cells(group),
        ]
        for norm, groups in (("yes", normed), ("no", plain))
        for group in groups.values()
    ]
    headings = ["batch norm.", "weights", "distinct units", "rank", "validation, %", "test, % †"]
    note = "Means over the hidden layers after training; distinct: by more than rounding; rank: of the weights."
    tables, curves = [("Networks", Table(headings, rows, note))], plot_curves([*normed.values()], "acc", "1")
    return Answer(figures, claims, _plot(normed.values()), tables, [curves])


def _group(evidence: Evidence, name: str, batch_norm: bool) -> Group:
    first, last = STARTS[name]
    settings = {"model__initializer": first, "model__output_initializer": last, "model__batch_norm": batch_norm}
    return with_label(evidence.group(SWEEP, **settings), name)


def _most_units(group: Group) -> int:
    """The most distinct units that a hidden layer had in any run, before training and after each epoch."""
    runs = [hidden_layers(layers, "distinct_units") for layers in layers_by_seed(group).values()]
    return max(int(units.max()) for run in runs for units in run.values())


def _plot(groups: Iterable[Group]) -> Plot:
    """Distinct units by layer after the last epoch."""
    with canvas(6.4, 3.2) as (figure, (axes,)):
        for i, group in enumerate(groups):
            look = marked(i, 12 - 3 * i) | {"markerfacecolor": "none", "linewidth": 3.4 - 0.8 * i}
            draw_by_layer(axes, mean_at_end(group, "distinct_units"), **look, label=group.label)
        axes.set(yscale="log", ylabel="distinct units")
        axes.yaxis.set_major_formatter("{x:g}")
        legend_below(figure, axes)
        caption = "After training, with batch normalization; where curves coincide, symbols are nested."
        return Plot("1_symmetry", "Distinct units of each layer", caption, *render(figure))


SECTION = Section("1", "1", answer, [SWEEP])
