"""A mistake: a learning rate that is too high for the plain network. Its loss spikes."""

from collections.abc import Mapping, Sequence
from math import log
from statistics import fmean, median

import numpy as np

from exercise.contrast import Claim, contrast_groups
from exercise.formatting import mean_accuracy
from exercise.outcomes import num_classes
from exercise.plots import REFERENCE
from exercise.questions.mistakes.networks import SWEEP, network
from exercise.section import Answer, Section
from exercise.store import Evidence
from trainlab.report import COLORS, Group, Plot, canvas, legend_below, render

BLOCK, BEFORE, ABOVE = 20, 10, 1.1  # calm trainings stay below 1.08
SHOWN = 3.5
BySeed = Mapping[int, Sequence[float]]  # mean losses of blocks of steps


def find_spikes(means: Sequence[float]) -> list[range]:
    """Blocks above ``ABOVE`` times the median of those before, which stands still while a spike lasts."""
    found: list[range] = []
    start, mark = None, 0.0
    for i in range(BEFORE, len(means) + 1):
        if start is None and i < len(means):
            mark = ABOVE * median(means[i - BEFORE : i])
        is_above = i < len(means) and not means[i] <= mark  # a loss that is no number is above
        if is_above and start is None:
            start = i
        elif not is_above and start is not None:
            found.append(range(start, i))
            start = None
    return found


def losses_of(group: Group) -> dict[int, list[float]]:
    """Block means by seed, of the runs that left their losses, diverged ones, too; a block that is cut is dropped."""
    found = {}
    for run in sorted([*group.others, *group.runs.values()], key=lambda run: run.seed):
        path = run.folder / "step_losses.csv"
        lines = path.read_text().splitlines()[1:] if path.exists() else []
        losses = [float(line.partition(",")[2]) for line in lines]
        found[run.seed] = [fmean(losses[i : i + BLOCK]) for i in range(0, len(losses) // BLOCK * BLOCK, BLOCK)]
    return {seed: blocks for seed, blocks in found.items() if blocks}


def answer(evidence: Evidence) -> Answer:
    """1e-3 compared with 1e-4."""
    right, wrong = network(evidence, "plain_elu_he"), network(evidence, "mistake_learning_rate")
    means = {group.label: losses_of(group) for group in (right, wrong)}
    calm, spiked = (sum(bool(find_spikes(blocks)) for blocks in of.values()) for of in means.values())
    all_calm, runs = map(len, means.values())
    tops = [max(of[block] for block in spike) for of in means[wrong.label].values() for spike in find_spikes(of)]
    cost = contrast_groups(wrong, right, "lower")
    figures = {
        **{"cost": cost, "right": mean_accuracy(right), "wrong": mean_accuracy(wrong)},
        **{"spiked": spiked, "runs": runs, "calm": f"{calm} of {all_calm}"},
        "top": f"{max(tops):.1f}" if tops else "",
    }
    counts = f"{spiked} of {runs} runs, {figures['calm']} at 1e-4"
    claims = [
        Claim("A rate of 1e-3 ends less accurate than 1e-4", [cost]),
        Claim.counted("The loss spikes in most runs at 1e-3", 2 * spiked > runs if runs else None, counts),
    ]
    return Answer(figures, claims, plot_losses(means, log(num_classes(wrong))))


def plot_losses(means: Mapping[str, BySeed], guessing: float) -> Plot:
    """The loss step by step, one column per rate; ``guessing`` is the loss of classes that are all as probable."""
    with canvas(7.2, 3.0, len(means), scale_a_row=True) as (figure, axes):
        for one, (name, runs) in zip(axes, means.items(), strict=True):
            for i, (seed, of) in enumerate(runs.items()):
                steps, color = BLOCK * (np.arange(len(of)) + 0.5), COLORS[i % len(COLORS)]
                one.plot(steps, of, color=color, linewidth=0.9, label=f"seed {seed}")
                tops = [spike.start + int(np.argmax(of[spike.start : spike.stop])) for spike in find_spikes(of)]
                one.plot(steps[tops], np.array(of)[tops], "v", color=color, markersize=5)
            one.axhline(guessing, **REFERENCE)
            one.set(title=name, xlabel="step", ylim=(None, SHOWN))
        axes[0].set_ylabel("training loss")
        legend_below(figure, axes[-1])
        caption = "Triangles: spikes; dashed: guessing."
        return Plot("mistake_lr_steps", "The loss, step by step", caption, *render(figure))


SECTION = Section(
    *("mistake_learning_rate", "mistakes", "Mistake: a learning rate of 1e-3 for the plain network"),
    "Train plain ELU, in batches of 32, at the default rate of many libraries. What becomes of it?",
    answer,
    [SWEEP],
    notes=[
        "Others report two spikes and 42.4 % at 1e-3, and 50.1 % at 1e-4.",
        f"A spike: a mean of {BLOCK} losses above {ABOVE:g} times the median of the {BEFORE} before; the factor was "
        "chosen with such runs in sight.",
    ],
)
