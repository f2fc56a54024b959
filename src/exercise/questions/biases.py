"""Question 2: is it in order to begin with all biases zero?"""

from collections.abc import Mapping, Sequence
from itertools import count
from math import isfinite

import numpy as np
from torch import Tensor

from exercise.contrast import Claim, Contrast, contrast_groups, judge
from exercise.formatting import accuracy_cells, format_val_acc, mean_accuracy, text_cells, with_label
from exercise.plots import REFERENCE, draw_by_layer, marked
from exercise.section import Answer, Measurement, Section
from exercise.store import Evidence, Measured, require_completed
from exercise.trainings import Sweep
from trainlab import load_network
from trainlab.report import Group, Plot, Table, canvas, legend_below, render
from trainlab.statistics import Interval, interval

SCALE = 0.1
SWEEP = Sweep(
    "question_2",
    (
        *("model=elu_he", "model.bias_initializer=zeros,constant,normal", f"model.bias_scale={SCALE}", "optim.lr=5e-4"),
        *("seed=auto", "sweep.margin=1.0", "sweep.max_seeds=30", "sweep.baseline=zeros"),
        *("model.standardize=true", "data.val_size=10000", "data.batch_size=128", "scheduler=one_cycle"),
        *("trainer.max_epochs=7", "trainer.limit_train_batches=120", "callbacks.figures=null"),
    ),
    ("trainer.limit_train_batches=10", "model.depth=5"),
    minutes=5,
)
NAMES = {"zeros": "zero", "constant": f"a constant of {SCALE}", "normal": f"random, deviation {SCALE}"}
ZEROS, CONSTANT, NORMAL = NAMES
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
    """Whether another start than zero makes a difference that matters."""
    groups, by_layer = _groups(evidence), evidence.measured(AT_THE_END)
    require_completed(*groups.values())
    contrasts = judge([contrast_groups(groups[ZEROS], groups[name], "not lower") for name in (CONSTANT, NORMAL)])
    best = min(contrasts, key=lambda one: one.mean)
    sizes = {name: _size(by_layer[name]) for name in NAMES}
    figures = {
        **{name: mean_accuracy(group) for name, group in groups.items()},
        "zeros_pm": format_val_acc(groups[ZEROS]),
        "best": best.b,
        "best_gain": best.size,
        "scale": SCALE,
        **{f"{name}_size": f"{size.mean:.3f}" for name, size in sizes.items()},
        "is_start_kept": sizes[ZEROS].mean < SCALE / 4 and sizes[CONSTANT].mean > 3 / 4 * SCALE,
    }
    statements = (f"Zero is no worse than {NAMES[CONSTANT]}", "Zero is no worse than random biases")
    rows = [
        [*text_cells(group.label), val, (f"{loss:.3f}", loss), test, (f"{size.mean:.3f}", size.mean)]
        for group, size in zip(groups.values(), sizes.values(), strict=True)
        for loss, (val, test) in [(group.summary("metrics", "val_loss").mean, accuracy_cells(group))]
    ]
    headings = ["start", "validation accuracy, %", "validation loss", "test accuracy †, %", "size at the end"]
    note = "Size: root mean square of the hidden layers' biases at the best epoch."
    return Answer(
        figures,
        [Claim(statement, [one]) for statement, one in zip(statements, contrasts, strict=True)],
        _plot(
            [(one, groups[ZEROS], groups[name]) for one, name in zip(contrasts, (CONSTANT, NORMAL), strict=True)],
            by_layer,
        ),
        [("The three starts", Table(headings, rows, note))],
    )


def _size(by_seed: Mapping[str, Sequence[float]]) -> Interval:
    """Of all hidden layers together."""
    return interval([float(np.sqrt(np.mean(np.square(layers)))) for layers in by_seed.values()])


def _groups(evidence: Evidence) -> dict[str, Group]:
    return {
        name: with_label(evidence.group(SWEEP, model__bias_initializer=name), label) for name, label in NAMES.items()
    }


def _plot(compared: Sequence[tuple[Contrast, Group, Group]], by_layer: Measured) -> Plot:
    """Differences seed by seed with their intervals, and the size of biases at the end by layer."""
    with canvas(8.6, 3.0, columns=2) as (figure, (left, right)):
        left.axvline(0, **REFERENCE)
        for i, (one, zeros, other) in enumerate(compared):
            ours, theirs = (group.of("metrics", "val_acc") for group in (other, zeros))
            each = [100 * (ours[seed] - theirs[seed]) for seed in sorted(ours.keys() & theirs.keys())]
            if all(map(isfinite, one.alone)):
                left.plot([-end for end in one.alone], [i, i], color=marked(i + 1)["color"], linewidth=2)
            left.plot([-one.mean], [i], **marked(i + 1, markersize=7))
            left.plot(each, [i + 0.2] * len(each), "|", color="#333333", markersize=9)
        left.set_yticks(range(len(compared)), [other.label.partition(",")[0] for _, _, other in compared])
        left.set_ylim(len(compared) - 0.4, -0.6)
        left.grid(axis="y", visible=False)
        left.set_xlabel("points of accuracy ahead of zero")
        for i, (name, by_seed) in enumerate(by_layer.items()):
            draw_by_layer(right, np.mean([*by_seed.values()], axis=0), **marked(i), label=NAMES[name])
        right.set_ylim(bottom=0)
        right.set_ylabel("size of the biases at the end")
        legend_below(figure, right)
        caption = "Left: means with 95 % intervals, ticks are seeds."
        return Plot("2_biases", "What the start of the biases changes", caption, *render(figure))


SECTION = Section(
    "2",
    "2",
    "2. Biases that start at zero",
    "Can all biases start at zero, or is a small constant or a random number better?",
    answer,
    [SWEEP],
    [Measurement(AT_THE_END, measure)],
    (
        "Standardized inputs; 7 epochs of 120 batches of 128 images under a 1cycle schedule; 10,000 images for "
        "validation, since the differences are small.",
    ),
)
