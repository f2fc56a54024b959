"""Question 2: is it in order to begin with all biases zero?"""

from collections.abc import Mapping, Sequence
from itertools import count
from math import isnan

import numpy as np
from torch import Tensor

from exercise.formatting import (
    SMALL,
    accuracy_cells,
    all_hold,
    compare_pairs,
    format_seeds,
    join_sentences,
    loses_nothing,
    mean_cell,
    text_cells,
    with_label,
)
from exercise.plots import REFERENCE, draw_by_layer, marked, plot_curves
from exercise.section import Answer, Measurement, Section
from exercise.store import Evidence, Measured, diverged_runs
from exercise.trainings import Sweep
from trainlab import load_network
from trainlab.report import (
    TEST_NOTE,
    Group,
    Pair,
    Plot,
    Table,
    canvas,
    describe_pair,
    format_mean,
    legend_below,
    render,
)
from trainlab.statistics import interval

SCALE = 0.1
SWEEP = Sweep(
    "question_2",
    (
        *("model=elu_he", "model.bias_initializer=zeros,constant,normal", f"model.bias_scale={SCALE}", "optim.lr=5e-4"),
        *("seed=1,2,3,4,5,6", "data.batch_size=128", "scheduler=one_cycle"),
        *("trainer.max_epochs=7", "trainer.limit_train_batches=120", "callbacks.figures=null"),
    ),
    ("trainer.limit_train_batches=10", "model.depth=5"),
)
NAMES = {
    "zeros": "a bias of zero",
    "constant": f"a bias of {SCALE}",
    "normal": f"a random bias (deviation {SCALE})",
}
ZEROS = "zeros"
SEE_CURVES = "Compare the heights at which the lines end, and whether their bands lie on one another."
AT_THE_END = "question_2_biases"


def measure(evidence: Evidence) -> Measured:
    """How large the biases of each hidden layer are in the best checkpoint, by start and seed."""
    return {
        name: {str(seed): bias_sizes(load_network(run).state_dict()) for seed, run in sorted(group.runs.items())}
        for name, group in _groups(evidence).items()
    }


def bias_sizes(state: Mapping[str, Tensor]) -> list[float]:
    """Root of the mean square of the biases of each hidden layer, by a state dictionary."""
    sizes: list[float] = []
    for i in count(1):
        found = [value for key, value in state.items() if key.endswith(f"module.linear_{i}.bias")]
        if not found:
            return sizes
        sizes.append(float(found[0].square().mean().sqrt()))
    return sizes


def answer(evidence: Evidence) -> Answer:
    """Whether another start than zero makes a difference that is larger than the noise."""
    groups, sizes = _groups(evidence), evidence.measured(AT_THE_END)
    rows = []
    for group in groups.values():
        val, test = accuracy_cells(group)
        rows.append([*text_cells(group.label), val, mean_cell(group.summary("metrics", "val_loss"), 3), test])
    headings = ["start", "validation accuracy", "validation loss", "test accuracy †"]
    table = ("The three starts", Table(headings, rows, TEST_NOTE))
    lost = [
        f"{len(diverged_runs(group))} of {len(diverged_runs(group)) + len(group.runs)} runs with {group.label} "
        "diverged."
        for group in groups.values()
        if diverged_runs(group)
    ]
    done = [group for group in groups.values() if group.runs]
    others = [group for group in done if group is not groups[ZEROS]]
    if not groups[ZEROS].runs or not others:
        without = "another start" if groups[ZEROS].runs else groups[ZEROS].label
        return Answer([" ".join([*lost, f"No run with {without} was completed: nothing to compare."])], tables=[table])
    pairs = compare_pairs([(groups[ZEROS], other) for other in others])
    sentences = [join_sentences(*lost, *map(describe_pair, pairs)), _describe_bounds(pairs)]
    return Answer(
        [sentence for sentence in sentences if sentence],
        all_hold(*(loses_nothing(pair.difference, pair.p) for pair in pairs)),
        [_plot(pairs, sizes), plot_curves(done, "loss", "2", SEE_CURVES)],
        [table],
    )


def _describe_bounds(pairs: Sequence[Pair]) -> str:
    """What the intervals leave room for, where none of them is without room."""
    tested = [pair.difference for pair in pairs if pair.is_tested]
    most = max((between.half_width - between.mean for between in tested), default=0.0)
    if most <= 0 or any(loses_nothing(pair.difference, pair.p) is False for pair in pairs):
        return ""
    n = min(len(group.runs) for pair in pairs for group in (pair.first, pair.second))
    so = "zero does no harm" if most <= SMALL else f"{format_seeds(n)} cannot show that zero does no harm"
    return (
        f"The 95 % intervals leave room for another start to be up to {100 * most:.1f} points better; up to "
        f"{100 * SMALL:.0f} point is called harmless here, so {so}."
    )


def _describe_trained_biases(by_seed: Mapping[str, Sequence[float]]) -> str:
    """What training has made of zeros."""
    if not by_seed:
        return ""
    size = interval([float(np.sqrt(np.mean(np.square(layers)))) for layers in by_seed.values()])
    return (
        f"Training moves the biases: those that began at zero have a size of {format_mean(size, 3)} at the best epoch "
        f"(root of the mean square over all hidden layers); the other starts began with {SCALE}."
    )


def _groups(evidence: Evidence) -> dict[str, Group]:
    return {
        name: with_label(evidence.group(SWEEP, model__bias_initializer=name), label) for name, label in NAMES.items()
    }


def _plot(pairs: Sequence[Pair], sizes: Measured) -> Plot:
    """Differences seed by seed with their intervals, and the size of biases at the end by layer."""
    with canvas(8.6, 3.6, columns=2) as (figure, (left, right)):
        left.axvline(0, **REFERENCE)
        for i, pair in enumerate(pairs):
            ours, theirs = (group.of("metrics", "val_acc") for group in (pair.first, pair.second))
            each = [100 * (theirs[seed] - ours[seed]) for seed in sorted(ours.keys() & theirs.keys())]
            half = 100 * pair.difference.half_width
            style = {**marked(i + 1, markersize=7), "capsize": 4, "linestyle": ""}
            left.errorbar(-100 * pair.difference.mean, i, xerr=None if isnan(half) else half, **style)
            left.plot(each, [i + 0.2] * len(each), "|", color="#333333", markersize=9)
        left.set_yticks(range(len(pairs)), [pair.second.label.partition(" (")[0] for pair in pairs])
        left.set_ylim(len(pairs) - 0.4, -0.6)
        left.grid(axis="y", visible=False)
        left.set_xlabel("points of accuracy ahead of a bias of zero")
        for i, (name, by_seed) in enumerate(sizes.items()):
            if by_seed:
                draw_by_layer(right, np.mean([*by_seed.values()], axis=0), **marked(i), label=NAMES[name])
        right.set_ylim(bottom=0)
        right.set_ylabel("size of the biases")
        legend_below(figure, right)
        return Plot(
            "2_differences",
            "What the start of the biases changes",
            "Left: difference in validation accuracy to a bias of zero, mean with its 95 % interval (Student's t, "
            "paired by seed: the same weights and batches), and each seed as a tick. See how far to the right of the "
            "dashed line an interval reaches: so much better a start may be. Right: root of the mean square of each "
            "layer's biases at the best epoch, mean over the seeds. See whether the starts still differ. "
            f"{_describe_trained_biases(sizes.get(ZEROS, {}))}".strip(),
            *render(figure),
        )


SECTION = Section(
    "2",
    "2",
    "2. Biases that begin at zero",
    "Is it in order to begin with all biases zero, or is a small constant or a random number better?",
    "Zero is fine. Random biases are fine, too: it makes little difference.",
    answer,
    [SWEEP],
    [Measurement(AT_THE_END, measure)],
    (
        "7 epochs of 120 batches of 128 images, under a 1cycle schedule, so that the runs are compared where they "
        "have settled; six seeds. Zero does no harm where no other start is better by more than the noise, and the 95 "
        f"% intervals have no room for more than {100 * SMALL:.0f} point, a margin that is a choice.",
    ),
)
