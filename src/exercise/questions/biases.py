"""Question 2: is it in order to begin with all biases zero?"""

from collections.abc import Mapping, Sequence

import numpy as np
from torch import Tensor

from exercise.contrast import Contrast, contrast_groups, judge_claims
from exercise.formatting import accuracy_cells, format_percent, mean_accuracy, number_cell, text_cells, with_label
from exercise.plots import REFERENCE, draw_by_layer, draw_contrasts, marked
from exercise.section import Answer, Measurement, Section
from exercise.store import Evidence, Measured, require_completed
from exercise.trainings import Sweep
from trainlab import load_network
from trainlab.report import Group, Plot, Table, canvas, legend_below, render
from trainlab.statistics import interval

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
NAMES = {"zeros": "zero", "constant": f"a constant of {SCALE}", "normal": "random values"}
ZEROS, *OTHERS = NAMES
AT_THE_END = "question_2_biases"


def measure(evidence: Evidence) -> Measured:
    """How large the biases of each hidden layer are in the best checkpoint, by start and seed."""
    return {
        name: {str(seed): bias_sizes(load_network(run).state_dict()) for seed, run in sorted(group.runs.items())}
        for name, group in _groups(evidence).items()
    }


def bias_sizes(state: Mapping[str, Tensor]) -> list[float]:
    """Root of the mean square of the biases of each hidden layer, by a state dictionary."""
    hidden = [biases for key, biases in state.items() if ".linear_" in key and key.endswith(".bias")]
    return [float(biases.square().mean().sqrt()) for biases in hidden]


def answer(evidence: Evidence) -> Answer:
    """Whether another start than zero makes a difference that matters."""
    groups, by_layer = _groups(evidence), evidence.measured(AT_THE_END)
    require_completed(*groups.values())
    zeros, *others = groups.values()
    claims = judge_claims(
        {f"Zero is no worse than {of.label}": [contrast_groups(zeros, of, "not lower")] for of in others}
    )
    contrasts = [one for claim in claims for one in claim.contrasts]
    best = min(contrasts, key=lambda one: one.mean)
    sizes = {
        name: interval([float(np.sqrt(np.mean(np.square(layers)))) for layers in by_layer[name].values()])
        for name in NAMES
    }
    figures = {
        **{name: mean_accuracy(group) for name, group in groups.items()},
        "zeros_pm": format_percent(zeros.summary("metrics", "val_acc")),
        **{"best": best.b, "best_gain": best.size, "scale": SCALE},
        **{f"{name}_size": f"{size.mean:.3f}" for name, size in sizes.items()},
        "is_start_kept": sizes[ZEROS].mean < SCALE / 4 and sizes["constant"].mean > 3 / 4 * SCALE,
    }
    rows = []
    for group, size in zip(groups.values(), sizes.values(), strict=True):
        loss, (val, test) = number_cell(group.summary("metrics", "val_loss").mean, 3), accuracy_cells(group)
        rows.append([*text_cells(group.label), val, loss, test, number_cell(size.mean, 3)])
    headings = ["start", "validation, %", "validation loss", "test, % †", "size at the end"]
    note = "Size: root mean square of hidden layers' biases."
    return Answer(figures, claims, _plot(contrasts, by_layer), [("Starts", Table(headings, rows, note))])


def _groups(evidence: Evidence) -> dict[str, Group]:
    return {
        name: with_label(evidence.group(SWEEP, model__bias_initializer=name), label) for name, label in NAMES.items()
    }


def _plot(contrasts: Sequence[Contrast], by_layer: Measured) -> Plot:
    """What decides, and the size of biases at the end by layer."""
    with canvas(8.6, 3.0, columns=2) as (figure, (left, right)):
        left.axvspan(-contrasts[0].margin, 0, color="#EEEEEE")
        left.axvline(0, **REFERENCE)
        draw_contrasts(left, {one.b: one for one in contrasts})
        left.set(title="zero ahead of", xlabel="points of validation accuracy")
        for i, (name, by_seed) in enumerate(by_layer.items()):
            draw_by_layer(right, np.mean([*by_seed.values()], axis=0), **marked(i), label=NAMES[name])
        right.set(title="size of the biases at the end", ylim=(0, None))
        legend_below(figure, right)
        caption = "Grey: behind by less than a point."
        return Plot("2_biases", "What the start of the biases changes", caption, *render(figure))


SECTION = Section("2", "2", answer, [SWEEP], [Measurement(AT_THE_END, measure)])
