"""A mistake: a learning rate that is too high for the plain network. Its loss spikes.

A spike begins where the mean loss of ``BLOCK`` steps is more than ``ABOVE`` times the median of the ``BEFORE`` such
means before it, and ends where it is no more.
"""

from collections.abc import Mapping, Sequence
from math import log
from statistics import median
from typing import Any

import numpy as np

from exercise.contrast import Claim, contrast_groups
from exercise.formatting import mean_accuracy
from exercise.outcomes import num_classes
from exercise.questions.mistakes.networks import NOTE, SWEEP, network, results
from exercise.section import Answer, Section
from exercise.store import Evidence
from trainlab.report import COLORS, Group, Plot, Run, canvas, legend_below, render

BLOCK, BEFORE, ABOVE = 20, 10, 1.1  # calm trainings stay below 1.08
SHOWN = 3.5
RIGHT, WRONG = "plain_elu_he", "mistake_learning_rate"
BySeed = Mapping[int, Sequence[float]]  # mean losses of blocks


def block_means(losses: Sequence[float]) -> list[float]:
    """Mean of each ``BLOCK`` losses; what is left at the end is dropped."""
    whole = len(losses) // BLOCK * BLOCK
    return [float(np.mean(losses[i : i + BLOCK])) for i in range(0, whole, BLOCK)]


def find_spikes(means: Sequence[float]) -> list[range]:
    """The blocks of each spike by ``RULE``; the mark stands still while one lasts."""
    found: list[range] = []
    start, mark = None, 0.0
    for i in range(BEFORE, len(means)):
        if start is None:
            mark = ABOVE * median(means[i - BEFORE : i])
        is_above = not means[i] <= mark  # a loss that is no number is above
        if is_above and start is None:
            start = i
        elif not is_above and start is not None:
            found.append(range(start, i))
            start = None
    if start is not None:
        found.append(range(start, len(means)))
    return found


def step_losses(run: Run) -> list[float]:
    """The training loss of each step; none of a run that left none."""
    path = run.folder / "step_losses.csv"
    return [float(line.partition(",")[2]) for line in path.read_text().splitlines()[1:]] if path.exists() else []


def losses_of(group: Group) -> dict[int, list[float]]:
    """Block means by seed, of the runs that left their losses, diverged ones, too."""
    runs = {run.seed: run for run in [*group.others, *group.runs.values()]}
    found = {seed: block_means(step_losses(run)) for seed, run in sorted(runs.items())}
    return {seed: blocks for seed, blocks in found.items() if blocks}


def answer(evidence: Evidence) -> Answer:
    """1e-3 compared with 1e-4."""
    right, wrong = (network(evidence, experiment) for experiment in (RIGHT, WRONG))
    means = {group.label: losses_of(group) for group in (right, wrong)}
    spiked = {name: sum(bool(find_spikes(blocks)) for blocks in of.values()) for name, of in means.items()}
    runs = {name: len(of) for name, of in means.items()}
    tops = [max(of[block] for block in spike) for of in means[wrong.label].values() for spike in find_spikes(of)]
    holds = 2 * spiked[wrong.label] > runs[wrong.label] if runs[wrong.label] else None
    cost = contrast_groups(wrong, right, "lower")
    figures: dict[str, Any] = {
        "cost": cost,
        "right": mean_accuracy(right),
        "wrong": mean_accuracy(wrong),
        "spiked": spiked[wrong.label],
        "runs": runs[wrong.label],
        "calm": f"{spiked[right.label]} of {runs[right.label]}",
        "top": f"{max(tops):.1f}" if tops else "",
        "diverged": len(wrong.others),
    }
    counts = "; ".join(f"{name}: {spiked[name]} of {runs[name]} runs" for name in means)
    claims = [
        Claim("A rate of 1e-3 ends less accurate than 1e-4", [cost]),
        Claim.counted("The loss spikes in most runs at 1e-3", holds, counts),
    ]
    plot = plot_losses(means, log(num_classes(wrong))) if any(means.values()) else None
    return Answer(figures, claims, plot, [results([right, wrong])])


def plot_losses(means: Mapping[str, BySeed], guessing: float) -> Plot:
    """The loss step by step, one column per rate; ``guessing`` is the loss of classes that are all as probable."""
    with canvas(7.2, 3.0, len(means), scale_a_row=True) as (figure, axes):
        for one, (name, runs) in zip(axes, means.items(), strict=True):
            for i, (seed, of) in enumerate(runs.items()):
                steps = BLOCK * (np.arange(len(of)) + 0.5)
                one.plot(steps, of, color=COLORS[i % len(COLORS)], linewidth=0.9, label=f"seed {seed}")
                tops = [spike.start + int(np.argmax(of[spike.start : spike.stop])) for spike in find_spikes(of)]
                one.plot(steps[tops], np.array(of)[tops], "v", color=COLORS[i % len(COLORS)], markersize=5)
            one.axhline(guessing, color="#7F7F7F", linewidth=1, linestyle="--")
            one.set(title=name, xlabel="step")
            one.tick_params(labelleft=True)
        axes[0].set_ylabel("training loss")
        finite = [v for runs in means.values() for of in runs.values() for v in of if np.isfinite(v)]
        axes[0].set_ylim(min(finite) - 0.1, min(max(finite) * 1.05, SHOWN))
        legend_below(figure, max(axes, key=lambda one: len(one.get_lines())))
        caption = "Triangles: spikes; dashed: guessing."
        return Plot("mistake_lr_steps", "The loss, step by step", caption, *render(figure))


SECTION = Section(
    "mistake_learning_rate",
    "mistakes",
    "Mistake: a learning rate of 1e-3 for the plain network",
    "Train plain ELU, in batches of 32, at the default rate of many libraries. What becomes of it?",
    answer,
    [SWEEP],
    notes=[
        "Others report two spikes and 42.4 % at 1e-3, and 50.1 % at 1e-4.",
        NOTE,
        f"A spike: a mean of {BLOCK} losses above {ABOVE:g} times the median of the {BEFORE} before; the factor was "
        "chosen with such runs in sight.",
    ],
)
