"""Question 8: one change at a time to a network of 20 hidden layers of 100 units."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from math import nan
from typing import NamedTuple

from exercise.contrast import Contrast, contrast_epochs, contrast_groups, contrast_ratio, judge, judge_claims
from exercise.formatting import accuracy_cells, format_rate, mean_accuracy, number_cell, text_cells, with_label
from exercise.outcomes import format_best_epochs, rate_of
from exercise.plots import plot_curves
from exercise.questions.mc_dropout import answer_of, measure_mc_dropout
from exercise.section import Answer, Measurement, Section
from exercise.step_costs import step_times
from exercise.store import Evidence, Measured
from exercise.trainings import Sweep, experiments
from trainlab.report import Cell, Group, Table, plot_intervals

# Published by a worked solution on the web and the notebook of the book: validation accuracy in % of one run each.
_ELU, _SELU = ("50.06", "46.76"), ("50.02", "50.26")
AUTO = ("lr_search=grid", "seed=auto", "sweep.margin=1.0", "sweep.max_seeds=30")
PLAIN = Sweep(
    "question_8_plain",
    (experiments("plain_elu_he", "part_8c_bn", "plain_selu"), *AUTO, "sweep.baseline=part_8c_bn"),
    minutes=34,
)
DECAY = Sweep(
    "question_8_decay",
    (
        experiments("part_8d_selu", "part_8e_alpha_dropout", "part_8f_one_cycle"),
        *(*AUTO, "sweep.baseline=part_8e_alpha_dropout"),
    ),
    minutes=34,
)
ELU_DECAY = Sweep("question_8b", (experiments("part_8b_elu_he"), "lr_search=grid", "seed=1,2,3"), minutes=6)
SWEEPS = [ELU_DECAY, PLAIN, DECAY]
MC, STEPS = "question_8e_mc_dropout", "question_8_steps"
ROUNDS = 40


class Part(NamedTuple):
    """Networks that differ in the seed alone: their sweep, experiment and name, and what others report."""

    sweep: Sweep
    experiment: str  # option of `conf/experiment/exercise/`
    name: str
    published: tuple[str, ...] = ()


PARTS = {
    "8b": Part(PLAIN, "plain_elu_he", "ELU", _ELU),
    "8b, decay": Part(ELU_DECAY, "part_8b_elu_he", "ELU, decay", _ELU),
    "8c": Part(PLAIN, "part_8c_bn", "batch norm", ("52.74", "50.74")),
    "8d": Part(PLAIN, "plain_selu", "SELU", _SELU),
    "8d, decay": Part(DECAY, "part_8d_selu", "SELU, decay", _SELU),
    "8e": Part(DECAY, "part_8e_alpha_dropout", "alpha dropout", ("49.12", "49.82")),
    "8f": Part(DECAY, "part_8f_one_cycle", "1cycle", ("49.80", "52.42")),
}
# What each change is compared with; the recipe's own two besides.
COMPARED = {"8c": "8b", "8d": "8c", "8e": "8d, decay", "8f": "8e", "8b, decay": "8b", "8d, decay": "8d"}
# What is claimed of a change: by what, in which direction, and how it is usually put.
CLAIMS = {
    "8b, decay": [("accuracy", "higher", "Weight decay and larger batches make it better")],
    "8c": [
        ("epochs", "lower", "It converges in fewer epochs"),
        ("accuracy", "higher", "It reaches a better model"),
        ("step", "higher", "Each step takes longer"),
    ],
    "8d": [("accuracy", "lower", "SELU is less accurate"), ("step", "lower", "Its step takes less time")],
    "8e": [("accuracy", "higher", "It is more accurate")],
    "8f": [("time", "lower", "It takes less time to as low a loss"), ("accuracy", "higher", "The model is better")],
}
HEADINGS = ["network", "rate", "validation %", "test % †", "seeds", "best epochs"]
SHOWN: dict[str, Callable[[Group], str | float]] = {
    "val": mean_accuracy,
    "lr": lambda group: format_rate(rate_of(group)),
    "rate": rate_of,
    "best_epochs": format_best_epochs,
    "best_epoch": lambda group: group.summary("metrics", "best_epoch").mean + 1,
}


def runs_of_part(evidence: Evidence, part: Part) -> Group:
    """The runs of a part, with its name."""
    return with_label(evidence.group(part.sweep, experiment=f"exercise/{part.experiment}"), part.name)


def group_of(evidence: Evidence, key: str) -> Group:
    """The runs of one of ``PARTS``."""
    return runs_of_part(evidence, PARTS[key])


def time_steps(evidence: Evidence, groups: Mapping[str, Group]) -> Measured:
    """Milliseconds of a training step of each group's network, timed alternately."""
    return step_times(groups, 3 if evidence.setting.quick else ROUNDS)


def compare(evidence: Evidence, key: str, what: str, direction: str = "lower") -> Contrast:
    """A part with what it is compared with, by accuracy, loss, time of a step, epochs or time to as low a loss."""
    old_key = COMPARED[key]
    new, old = group_of(evidence, key), group_of(evidence, old_key)
    if what == "accuracy":
        return contrast_groups(new, old, direction)
    if what == "loss":
        return contrast_groups(new, old, direction, "val_loss", digits=3)
    if what == "epochs":
        return contrast_epochs(new, old, direction)
    steps = evidence.measured(STEPS)
    ours, theirs = (new.label, steps.get(key, [])), (old.label, steps.get(old_key, []))
    step = contrast_ratio(ours, theirs, direction, "time of a step", counted="round")
    return step if what == "step" else contrast_epochs(new, old, direction, step)


def answer(key: str, evidence: Evidence) -> Answer:
    """What one change brings: each claim that is made of it, and the figures of both networks."""
    new, old = group_of(evidence, key), group_of(evidence, COMPARED[key])
    found = {what: compare(evidence, key, what) for what in ("accuracy", "loss", "epochs", "step", "time")}
    claims = judge_claims({statement: [compare(evidence, key, what, to)] for what, to, statement in CLAIMS[key]})
    found |= {what: claim.contrasts[0] for (what, _, _), claim in zip(CLAIMS[key], claims, strict=True)}
    figures = {name: show(new) for name, show in SHOWN.items()}
    figures |= {f"old_{name}": show(old) for name, show in SHOWN.items()}
    return Answer(figures | found, claims, plot_curves([old, new], "loss", key[:2]))


def answer_8(evidence: Evidence) -> Answer:
    """Which changes are worth it, and all parts compared with what others report."""
    groups = {key: group_of(evidence, key) for key in PARTS}
    done = sorted((of for of in groups.values() if of.runs), key=lambda of: of.score)
    found = judge([compare(evidence, key, "accuracy", "higher") for key in COMPARED])
    sides: dict[str, list[Contrast]] = {"gains": [], "losses": [], "neither": [], "open": []}
    for one in found:
        side = "losses" if one.high < 0 else "neither" if one.verdict == "contradicted" else "open"
        sides["gains" if one.verdict == "confirmed" else side].append(one)
    best = {"best": done[0].label, "best_val": mean_accuracy(done[0])} if done else {"best": "", "best_val": ""}
    values = [of.of("metrics", "val_acc").values() for of in done]
    best["spread"] = f"{100 * max((max(own) - min(own) for own in values), default=0):.1f} points"
    changes: list[list[Cell]] = []
    for key, one in zip(COMPARED, found, strict=True):
        all_of = one, compare(evidence, key, "epochs"), compare(evidence, key, "step")
        cells = [(of.amount.removesuffix(" points"), of.mean) for of in all_of]
        changes.append([*text_cells(one.a, one.b), *cells, number_cell(one.seeds, 0)])
    headings = ["change", "compared with", "points", "epochs to as low a loss", "step", "n"]
    note = f"As low: the higher of both runs' lowest losses. Decay: steps of four times the images; {ROUNDS} rounds."
    gains = Table(headings, changes, note)
    parts = Table(
        [*HEADINGS, "solution A", "book's notebook"],
        [[*cells_of(group), *text_cells(*PARTS[key].published)] for key, group in groups.items()],
        "Last columns: reported by a solution on the web and the book, of one run each.",
    )
    return Answer(
        {**sides, **best},
        plot=replace(plot_intervals(done), name="8_accuracy_intervals") if len(done) > 1 else None,
        tables=[("What each change brings", gains), ("All parts", parts)],
        more_plots=[plot_curves(done, "loss", "8")] if done else [],
    )


def cells_of(group: Group) -> list[Cell]:
    """Of a table with ``HEADINGS``."""
    rate, epochs = rate_of(group), min(group.of("metrics", "best_epoch").values(), default=nan)
    return [
        *(*text_cells(group.label), (format_rate(rate), rate), *accuracy_cells(group)),
        *(number_cell(len(group.runs), 0), (format_best_epochs(group), epochs)),
    ]


TIMED = Measurement(STEPS, lambda evidence: time_steps(evidence, {key: group_of(evidence, key) for key in PARTS}), 1)
SAMPLED = Measurement(MC, lambda evidence: measure_mc_dropout(group_of(evidence, "8e").runs.values()), minutes=2)
SECTIONS = (
    *(Section(key[:2], "8", partial(answer, key), SWEEPS, [TIMED], "8") for key in [*CLAIMS][:-1]),
    Section("8e_mc", "8", lambda evidence: answer_of(evidence.measured(MC)), [DECAY], [SAMPLED], "8"),
    Section("8f", "8", partial(answer, "8f"), SWEEPS, [TIMED], "8"),
    Section("8", "8", answer_8, SWEEPS, [TIMED]),
)
