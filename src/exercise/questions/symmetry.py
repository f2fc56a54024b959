"""Question 1: all weights of a layer one value, drawn by He's rule. Is symmetry ever broken?"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from matplotlib.ticker import MaxNLocator

from exercise.formatting import (
    accuracy_cells,
    describe_difference,
    format_amount,
    format_seeds,
    format_val_acc,
    holds,
    mean_cell,
    text_cells,
    verdict,
    with_label,
)
from exercise.layer_summary import figure_by_seed, hidden_at_end, hidden_layers, layers_by_seed
from exercise.plots import draw_by_layer, marked, plot_curves
from exercise.section import Answer, Section
from exercise.store import Evidence
from exercise.trainings import Sweep
from trainlab.report import (
    LAYER_STATISTICS,
    TEST_NOTE,
    WEIGHT_STATISTICS,
    Group,
    Plot,
    Table,
    Values,
    canvas,
    format_mean,
    legend_below,
    mean_over_seeds,
    render,
)
from trainlab.statistics import Interval, difference, interval

SWEEP = Sweep(
    "question_1",
    (
        *("model=bn,elu_he", "optim.lr=3e-4", "seed=1,2,3", "trainer.max_epochs=6", "trainer.limit_train_batches=150"),
        *("model.initializer=he_normal,he_constant", "model.output_initializer=glorot_uniform,he_constant"),
        *("callbacks.layer_statistics.every_n_epochs=1", "callbacks.figures=null"),
    ),
    ("trainer.limit_train_batches=10", "model.depth=5"),
)
# By name: how the hidden layers and the output layer begin.
STARTS = {
    "independent weights": ("he_normal", "glorot_uniform"),
    "one value a layer": ("he_constant", "he_constant"),
    "one value, output layer independent": ("he_constant", "glorot_uniform"),
    "independent, output layer one value": ("he_normal", "he_constant"),
}
INDEPENDENT, SAME, OUTPUT_INDEPENDENT, _ = STARTS
RANK, DISTINCT = (WEIGHT_STATISTICS.index(name) for name in ("rank", "distinct_units"))
TITLES = {DISTINCT: "distinct units", RANK: "rank of the weights"}
SEE_CURVES = "Compare the heights at which the lines level off: do those that begin with one value a layer stay below?"
DEAD = LAYER_STATISTICS.index("dead")
MARK = 50.0  # % of dead units from which on the network counts as giving all images the same output


def answer(evidence: Evidence) -> Answer:
    """Whether units ever differ, and what it costs that they do not."""
    normed, plain = ({name: _group(evidence, name, batch_norm) for name in STARTS} for batch_norm in (True, False))
    without = _describe_without_norm(plain[SAME], plain[INDEPENDENT])
    table = ("Each network and each start", _table(normed, plain, without))
    same, independent = normed[SAME], normed[INDEPENDENT]
    if not layers_by_seed(same) or not independent.runs:
        return Answer(["One side has no completed run: nothing can be compared."], tables=[table])
    ours, theirs = (
        {seed: 100 * value for seed, value in group.of("metrics", "val_acc").items()} for group in (same, independent)
    )
    sentences = [
        _describe_symmetry(same, independent),
        describe_difference("Validation accuracy", (SAME, ours), (INDEPENDENT, theirs)),
    ]
    shown = [group for group in normed.values() if group.runs]
    return Answer(
        sentences,
        False if _most(same, DISTINCT).max() > 1 else holds(verdict(difference(ours, theirs)), "lower"),
        [
            _plot(
                [group for group in shown if layers_by_seed(group)], _describe_output_layer(normed[OUTPUT_INDEPENDENT])
            ),
            plot_curves(shown, "acc", "1", SEE_CURVES),
        ],
        [table],
    )


def _describe_symmetry(group: Group, independent: Group) -> str:
    """What one value for all weights of a layer leads to, and independent weights."""
    end = ""
    if layers_by_seed(independent):
        distinct, rank_at_end = map(format_mean, _at_end(independent, np.mean))
        end = (
            f"With independent weights a layer has {distinct} distinct units and weights of rank {rank_at_end} after "
            "the last epoch."
        )
    units, rank = _most(group, DISTINCT), _most(group, RANK).max()
    if (broken := int((units > 1).sum())) > 0:
        return (
            f"With one value for all weights of a layer symmetry was broken: {broken} hidden "
            f"layer{' has' if broken == 1 else 's have'} more than one distinct unit. The most that a layer has are "
            f"{units.max():.0f}, and the highest rank of its weights is {rank:.0f}. {end}"
        )
    return (
        "With one value for all weights of a layer, every hidden layer has one distinct unit, and weights of rank "
        f"{rank:.0f} at most, before training and after each epoch ({format_seeds(len(layers_by_seed(group)))}). {end}"
    )


def _describe_output_layer(group: Group) -> str:
    """What independent weights of the output layer change: the last hidden units differ, and no others."""
    if not layers_by_seed(group):
        return ""
    units, rank = _at_end(group, lambda of: of[-1])
    below = _most(group, DISTINCT)[:-1].max(initial=1)
    apart = f"reaches {format_mean(units)} distinct units with weights of rank {format_mean(rank)}"
    last = apart if units.mean > 1 else "keeps one unit"
    rest = "those below keep one unit" if below <= 1 else f"those below reach as many as {below:.0f}"
    return (
        f"If the output layer alone has independent weights, the last hidden layer {last}, and {rest}: validation "
        f"accuracy {format_val_acc(group)}."
    )


def _describe_without_norm(same: Group, independent: Group) -> str:
    """What one value does to the network of the exercise, where nothing sets its scale right."""
    diverged = [run for run in same.others if run.status == "diverged"]
    start = "Without batch normalization"
    if not same.runs:
        return f"{start} {len(diverged)} runs with one value a layer diverged." if diverged else ""
    dead = figure_by_seed(same, lambda layers: 100 * float(hidden_at_end(layers, layers.by_epochs, DEAD).mean()))
    reached = (
        f"{start} one value a layer reaches {format_val_acc(same)} and independent "
        f"weights {format_val_acc(independent)}"
    )
    share = interval([*dead.values()])
    if share.n and share.mean >= MARK:
        return (
            f"{reached}. Equal weights add up instead of cancelling, so the sums saturate, and "
            f"{format_amount(share, '%', 0)} of the hidden units give the same number for every image."
        )
    return f"{reached}."


def _group(evidence: Evidence, name: str, batch_norm: bool) -> Group:
    first, last = STARTS[name]
    settings = {"model__initializer": first, "model__output_initializer": last, "model__batch_norm": batch_norm}
    return with_label(evidence.group(SWEEP, **settings), name)


def _at_end(group: Group, of_layers: Callable[[Values], float]) -> list[Interval]:
    """Distinct units and rank after the last epoch, as one number per seed."""
    runs = layers_by_seed(group).values()
    last = [[hidden_at_end(of, of.weights_by_epochs, row) for of in runs] for row in (DISTINCT, RANK)]
    return [interval([float(of_layers(layers)) for layers in of_runs]) for of_runs in last]


def _most(group: Group, row: int) -> Values:
    """The most that each hidden layer had in any run, before training and after each epoch."""
    runs = [hidden_layers(layers, layers.weights_by_epochs, row) for layers in layers_by_seed(group).values()]
    return np.array([values for run in runs for values in run.values()]).max(axis=0)


def _plot(groups: Sequence[Group], half: str) -> Plot:
    """Distinct units and rank, layer by layer at the end and epoch by epoch over all layers; ``half`` says of which."""
    with canvas(8.6, 5.6, columns=2, rows=2) as (figure, axes):
        for i, group in enumerate(groups):
            mean = mean_over_seeds([*layers_by_seed(group).values()])
            aside = 1.05 ** (i - (len(groups) - 1) / 2)
            for column, row in enumerate((DISTINCT, RANK)):
                at_end, over_time = (
                    hidden_at_end(mean, mean.weights_by_epochs, row),
                    hidden_layers(mean, mean.weights_by_epochs, row),
                )
                above, below = axes[column], axes[2 + column]
                draw_by_layer(above, at_end * aside, **marked(i), linewidth=1.3, label=group.label)
                means = [of.mean() * aside for of in over_time.values()]
                below.plot([*over_time], means, **marked(i), linewidth=1.3)
                above.set(title=TITLES[row], xlabel="hidden layer, after the last epoch")
                below.set_xlabel("epochs, mean over the hidden layers")
        for one in axes:
            one.set_yscale("log")
            one.yaxis.set_major_formatter("{x:g}")
            one.xaxis.set_major_locator(MaxNLocator(integer=True))
        legend_below(figure, axes[0])
        return Plot(
            "1_symmetry",
            "Distinct units and rank",
            "With batch normalization, mean over the seeds; lines are drawn a little aside of each other. A unit is "
            "distinct if its weights differ from those of any other by more than rounding; the rank counts singular "
            "values that rounding cannot make. See which lines stay at 1, where all units of a layer are one. "
            f"{half}".strip(),
            *render(figure),
        )


def _table(normed: Mapping[str, Group], plain: Mapping[str, Group], without: str) -> Table:
    rows = [
        [*text_cells(network, group.label), *map(mean_cell, _at_end(group, np.mean)), *accuracy_cells(group)]
        for network, of in (("with", normed), ("without", plain))
        for group in of.values()
    ]
    headings = ["batch norm.", "start", "distinct units", "rank", "validation accuracy", "test accuracy †"]
    note = (
        "Distinct units and rank: mean over the hidden layers, with its interval over the seeds, after the last epoch."
    )
    return Table(headings, rows, " ".join(filter(None, [note, without, TEST_NOTE])))


SECTION = Section(
    "1",
    "1",
    "1. One value for all weights of a layer",
    "Is it in order to begin with all weights of a layer the same, if the value is drawn by He's rule?",
    "No: units of a layer that begin alike get the same gradient and stay alike, as if there were one of them. Only "
    "weights that are drawn independently break the symmetry.",
    answer,
    [SWEEP],
    notes=(
        "The figures are of the network with batch normalization, since what one value a layer does to the scale of "
        "the sums is undone there and nothing but the symmetry is left. 6 epochs of 150 batches.",
    ),
)
