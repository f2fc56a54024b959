"""A mistake: a learning rate that is too high for the plain network. Its loss spikes."""

from collections.abc import Mapping, Sequence
from math import log
from statistics import median

import numpy as np

from exercise.formatting import all_hold
from exercise.outcomes import num_classes
from exercise.plots import plot_curves
from exercise.questions.mistakes.accuracy_cost import describe_cost
from exercise.questions.mistakes.trainings import HALF_EPOCHS, NOTE, SWEEP, network
from exercise.section import Answer, Section
from exercise.store import Evidence
from trainlab.report import COLORS, Plot, Run, canvas, legend_below, render

BLOCK, BEFORE, ABOVE = 20, 10, 1.1  # calm trainings stay below 1.08; chosen on the runs that it counts in
SHOWN = 3.5
RULE = (
    f"A spike begins where the mean loss of {BLOCK} steps is more than {ABOVE:g} times the median of the {BEFORE} such "
    "means before it, and ends where it is no more. The factor was chosen with such runs in sight, so that the count "
    "shows what a spike is and is no test; the verdict asks whether each run of the one rate has more than any of the "
    "other."
)


SEE = "Compare how low the lines come, how far apart the seeds are, and whether a line jumps up on its way."
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


def answer(evidence: Evidence) -> Answer:
    """1e-3 compared with 1e-4."""
    right, wrong = (network(evidence, experiment) for experiment in (RIGHT, WRONG))
    means: dict[str, BySeed] = {}
    for group in (right, wrong):  # of the runs that left their losses, diverged ones, too
        runs = {run.seed: run for run in [*group.others, *group.runs.values()]}
        found = {seed: block_means(step_losses(run)) for seed, run in sorted(runs.items())}
        means[group.label] = {seed: blocks for seed, blocks in found.items() if blocks}
    cost, is_worse = describe_cost(wrong, right)
    figures = [plot_losses(means, log(num_classes(wrong)))] if any(means.values()) else []
    done = [group for group in (right, wrong) if group.runs]
    if done:
        figures.append(plot_curves(done, "loss", "mistake_lr", f"{HALF_EPOCHS} {SEE}"))
    agrees = all_hold(more_spikes(means[right.label], means[wrong.label]), is_worse)
    spikes = "; ".join(f"{name} has {_describe_runs(runs)}" for name, runs in means.items())
    return Answer([f"Spikes of the training loss: {spikes}.", cost], agrees, figures)


def _describe_runs(runs: BySeed) -> str:
    found = _spikes_by_run(runs)
    if not found:
        return "too few steps to find a spike" if runs else "no run that left its losses"
    numbers = [len(spikes_of) for spikes_of in found if spikes_of]
    runs_of = f"{len(found)} run{'' if len(found) == 1 else 's'}"
    if not numbers:
        return f"none in {runs_of}"
    few, many = min(numbers), max(numbers)
    each = f"{few} to {many} spikes" if few < many else "one spike" if few == 1 else f"{few} spikes"
    where = f"in {len(numbers)} of {runs_of}" if len(numbers) < len(found) else f"in each of {runs_of}"
    highest = max(max(of[block] for block in spike) for of in runs.values() for spike in find_spikes(of))
    top = "at a loss" if sum(numbers) == 1 else "the highest at a loss"
    return f"{each} {where if len(found) > 1 else f'in {runs_of}'}, {top} of {highest:.1f}"


def _spikes_by_run(runs: BySeed) -> list[list[range]]:
    """Spikes of each run that is long enough to have one."""
    return [find_spikes(of) for of in runs.values() if len(of) > BEFORE]


def more_spikes(right: BySeed, wrong: BySeed) -> bool | None:
    """Whether each run of the second has more spikes than any of the first; None where some have."""
    low, high = ([len(of_run) for of_run in _spikes_by_run(runs)] for runs in (right, wrong))
    if not low or not high:
        return None
    return True if min(high) > max(low) else False if max(high) <= min(low) else None


def plot_losses(means: Mapping[str, BySeed], guessing: float) -> Plot:
    """The loss step by step, one column per rate; ``guessing`` is the loss of classes that are all as probable."""
    with canvas(8.6, 3.4, len(means), scale_a_row=True) as (figure, axes):
        for one, (name, runs) in zip(axes, means.items(), strict=True):
            for i, (seed, of) in enumerate(runs.items()):
                steps = BLOCK * (np.arange(len(of)) + 0.5)
                one.plot(steps, of, color=COLORS[i], linewidth=0.9, label=f"seed {seed}")
                tops = [spike.start + int(np.argmax(of[spike.start : spike.stop])) for spike in find_spikes(of)]
                one.plot(steps[tops], np.array(of)[tops], "v", color=COLORS[i], markersize=5)
            one.set(title=name, xlabel="step")
            one.tick_params(labelleft=True)
        axes[0].set_ylabel("training loss")
        finite = [v for runs in means.values() for of in runs.values() for v in of if np.isfinite(v)]
        axes[0].set_ylim(min(finite) - 0.1, min(max(finite) * 1.05, SHOWN))
        legend_below(figure, max(axes, key=lambda one: len(one.get_lines())))
        return Plot(
            "mistake_lr_steps",
            "The loss, step by step",
            f"Mean training loss of {BLOCK} steps at a time, one line per seed; triangles: the tops of spikes. Cut "
            f"off above a loss of {SHOWN:g}. Guessing has a loss of {guessing:.1f}. See which runs have a spike, and "
            "whether they come down.",
            *render(figure),
        )


SECTION = Section(
    "mistake_learning_rate",
    "mistakes",
    "Mistake: a learning rate of 1e-3 for the plain network",
    "Train plain ELU, the network of 8b in batches of 32, at the default rate of many libraries. What becomes of the "
    "loss, and what does it cost?",
    "Others report a loss that spikes twice and 42.4 % for the plain network at 1e-3, and 50.1 % at 1e-4.",
    answer,
    [SWEEP],
    notes=[NOTE, RULE],
)
