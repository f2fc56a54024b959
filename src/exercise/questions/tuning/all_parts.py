"""Question 8 as a whole: all networks compared with each other, and what each change brings."""

from collections.abc import Mapping
from dataclasses import replace
from math import nan

from exercise.formatting import (
    describe_against_reported,
    format_accuracy,
    format_difference,
    format_margin,
    join_sentences,
    text_cells,
)
from exercise.outcomes import convergence_below_guessing, format_best_epochs, rate_of, result_cells
from exercise.plots import plot_curves
from exercise.questions.tuning.sections import (
    ALL,
    COMPARED,
    OF_RECIPE,
    PARTS,
    RECIPES,
    STEPS,
    group_of,
    measure_steps,
    measured_steps,
    pairs_of,
)
from exercise.section import Answer, Measurement, Section
from exercise.step_costs import step_ratio
from exercise.store import Evidence, diverged_runs
from trainlab.report import Cell, Group, Pair, Table, describe_pair, format_bounds, format_p, plot_accuracy_bars
from trainlab.statistics import Interval, Ratio

OF_DENSE_NETWORKS = (0, 2)  # of `Part.published`


def answer(evidence: Evidence) -> Answer:
    """Which changes bring more than the noise, and all parts compared with what others report."""
    groups = {key: group_of(evidence, key) for key in PARTS}
    done = [group for group in groups.values() if group.runs]
    if not done:
        return Answer(["No run was completed."])
    best = max(done, key=lambda group: group.summary("metrics", "val_acc").mean)
    changes, recipes = pairs_of(evidence, COMPARED), pairs_of(evidence, OF_RECIPE)
    return Answer(
        [
            *describe_gains(changes),
            f"{best.label} has the highest validation accuracy: {format_accuracy(best.summary('metrics', 'val_acc'))}.",
        ],
        figures=[plot_curves(done, "loss", "8"), replace(plot_accuracy_bars(done), name="8_accuracy_bars")],
        tables=[("What each change brings", gains(evidence, changes)), ("All parts", _all(groups))],
        details=[
            describe_against_reported(
                "Validation accuracy compared with the best that others report", _reported(groups)
            ),
            "What others report is of one run each, whose noise is not known, in batches of 32 without weight decay "
            "except in 8f. Networks with decay are trained otherwise than theirs.",
            join_sentences(*(describe_pair(pair) for pair in recipes.values())),
        ],
    )


def describe_gains(changes: Mapping[str, Pair]) -> list[str]:
    """Which changes are larger than the noise, and which are not; nothing where there is none."""
    sides: dict[str, list[str]] = {"brings": [], "costs": [], "open": []}
    for key, pair in changes.items():
        lost = diverged_runs(pair.first) or diverged_runs(pair.second)
        side = "open" if lost or not pair.is_clear else "brings" if pair.difference.mean > 0 else "costs"
        tested = f"{format_margin(pair)} points {'ahead of' if pair.difference.mean > 0 else 'behind'}"
        sides[side].append(f"{pair.first.label} ({key}), {tested} {pair.second.label}")
    words = {
        "brings": "Worth it by accuracy, more than the noise",
        "costs": "At a cost in accuracy, more than the noise",
        "open": "Not shown to matter with these seeds",
    }
    sentences = [f"{words[side]}: {'; '.join(found)}." for side, found in sides.items() if found]
    if sentences:
        tests = next(pair.tests for pair in changes.values())
        sentences[-1] += f" Noise is judged by Holm over {tests} pairs; ± is of one alone."
    return sentences


def gains(evidence: Evidence, changes: Mapping[str, Pair]) -> Table:
    """One row per change: accuracy, epochs and the time of a step."""
    steps, rows = measured_steps(evidence), []
    for key, pair in changes.items():
        found = convergence_below_guessing(pair.second, pair.first)
        rows.append(
            [
                *text_cells(key, pair.first.label, pair.second.label),
                (format_difference(pair.difference), 100 * pair.difference.mean),
                (format_p(pair.p), pair.p),
                _ratio(found.common_epochs_ratio if found else None),
                _ratio(step_ratio(steps, *COMPARED[key])),
            ]
        )
    headings = ["part", "network", "compared with", "points of validation accuracy", "p by Holm", "epochs, ratio"]
    return Table(
        [*headings, "a step, ratio"],
        rows,
        "Points: ± is of one pair alone, p is corrected for all. Epochs: to the higher of the two best validation "
        "losses, with a 95 % interval over the seeds. A step: time of the processor, with one over alternate rounds. "
        "Below 1 the network takes less than the one it is compared with.",
    )


def _ratio(of: Ratio | None) -> Cell:
    if of is None or of.value != of.value:
        return ("-", nan)
    within = "" if of.low != of.low else f" ({format_bounds(of)})"
    return (f"{of.value:.2f}{within}", of.value)


def _reported(groups: Mapping[str, Group]) -> dict[str, tuple[Interval, float]]:
    """Validation accuracy of each part, and the highest that others report of a dense network."""
    found = {}
    for key, group in groups.items():
        best = max(float(PARTS[key].published[i]) for i in OF_DENSE_NETWORKS)
        found[group.label] = (group.summary("metrics", "val_acc"), best)
    return found


def _all(groups: Mapping[str, Group]) -> Table:
    headings = ["part", "network", "batch, weight decay", "learning rate", "validation accuracy", "test accuracy †"]
    return Table(
        [*headings, "best epochs", "s an epoch", "solution A", "solution B", "book's notebook"],
        [_row(key, group) for key, group in groups.items()],
        "The last three columns are what others report, % of validation images, of one run each: two solutions from "
        "the web (B's are test accuracies, mostly of convolutional networks) and the notebook that goes with the book.",
    )


def _row(key: str, group: Group) -> list[Cell]:
    part, best = PARTS[key], group.of("metrics", "best_epoch").values()
    val, test, time = result_cells(group)
    lr, batch, decay = rate_of(group), group.settings["data.batch_size"], group.settings["optim.weight_decay"]
    return [
        *text_cells(key, part.name),
        (f"{batch}, {decay:g}", batch),
        (f"{lr:.2g}", lr),
        val,
        test,
        (format_best_epochs(group), min(best, default=nan)),
        time,
        *text_cells(*part.published),
    ]


SECTION = Section(
    "8",
    "8",
    "8. All parts compared with each other",
    "Which changes are worth it?",
    "",
    answer,
    [ALL],
    [Measurement(STEPS, measure_steps)],
    notes=[RECIPES],
)
