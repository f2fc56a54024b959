"""Question 8: one change at a time to a network of 20 hidden layers of 100 units."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from math import nan

from exercise.contrast import Claim, Contrast, contrast_epochs, contrast_groups, contrast_ratio, judge
from exercise.formatting import accuracy_cells, format_rate, format_val_acc, text_cells, with_label
from exercise.outcomes import format_best_epochs, rate_of
from exercise.plots import plot_curves
from exercise.questions.mc_dropout import SAMPLES, answer_of, measure_mc_dropout
from exercise.section import Answer, Measurement, Section
from exercise.step_costs import step_times
from exercise.store import Evidence, Measured
from exercise.trainings import Sweep, experiments
from trainlab.report import Cell, Group, Table, format_epoch_seconds, plot_intervals

# Published by two worked solutions on the web and the notebook of the book: validation accuracy in % of one run each.
# Solution B's figures are test accuracies of convolutional networks, which are not part of the exercise.
_ELU, _SELU = ("50.06", "42.4 (CNN 70.43)", "46.76"), ("50.02", "CNN 69.91", "50.26")
RECIPES = (
    "Changes are compared within one of two recipes. Plain, the exercise's own: batches of 32. With decay: batches of "
    "128, an L2 penalty of 3e-3; found on validation data for networks without batch normalization."
)
RATES = (
    "Each network's learning rate: of 12 from 1e-5 to 1e-1, halved by validation loss in up to 3 epochs, and refined."
)
AUTO = ("lr_search=grid", "seed=auto", "sweep.margin=1.0", "sweep.max_seeds=30")
PLAIN = Sweep(
    "question_8_plain",
    (experiments("plain_elu_he", "part_8c_bn", "plain_selu"), *AUTO, "sweep.baseline=part_8c_bn"),
    minutes=22,
)
DECAY = Sweep(
    "question_8_decay",
    (
        experiments("part_8d_selu", "part_8e_alpha_dropout", "part_8f_one_cycle"),
        *(*AUTO, "sweep.baseline=part_8e_alpha_dropout"),
    ),
    minutes=18,
)
ELU_DECAY = Sweep("question_8b", (experiments("part_8b_elu_he"), "lr_search=grid", "seed=1,2,3"), minutes=4)
SWEEPS = [ELU_DECAY, PLAIN, DECAY]
MC, STEPS = "question_8e_mc_dropout", "question_8_steps"
ROUNDS = 40


@dataclass(frozen=True)
class Part:
    """Networks of the question that differ in the seed alone.

    Attributes:
        sweep: that trains them.
        experiment: option of `conf/experiment/exercise/`.
        name: short, for texts and figures.
        published: what others report.
    """

    sweep: Sweep
    experiment: str
    name: str
    published: tuple[str, str, str]


PARTS = {
    "8b": Part(PLAIN, "plain_elu_he", "ELU", _ELU),
    "8b, decay": Part(ELU_DECAY, "part_8b_elu_he", "ELU, decay", _ELU),
    "8c": Part(PLAIN, "part_8c_bn", "batch norm", ("52.74", "CNN 69.52", "50.74")),
    "8d": Part(PLAIN, "plain_selu", "SELU", _SELU),
    "8d, decay": Part(DECAY, "part_8d_selu", "SELU, decay", _SELU),
    "8e": Part(DECAY, "part_8e_alpha_dropout", "alpha dropout", ("49.12", "CNN 69.81", "49.82")),
    "8f": Part(DECAY, "part_8f_one_cycle", "1cycle", ("49.80", "-", "52.42")),
}
# What each change is compared with; the recipe's own two besides.
COMPARED = {"8c": "8b", "8d": "8c", "8e": "8d, decay", "8f": "8e", "8b, decay": "8b", "8d, decay": "8d"}
# What is claimed of a change: the part, and by what, in which direction and how each claim is usually made.
CLAIMS: dict[str, tuple[str, list[tuple[str, str, str]]]] = {
    "8b": ("8b, decay", [("accuracy", "higher", "Weight decay and larger batches make it better")]),
    "8c": (
        "8c",
        [
            ("epochs", "lower", "Batch normalization converges in fewer epochs"),
            ("accuracy", "higher", "It reaches a better model"),
            ("step", "higher", "Each step takes longer"),
        ],
    ),
    "8d": (
        "8d",
        [
            ("accuracy", "lower", "SELU is less accurate than batch normalization"),
            ("step", "lower", "A step of it takes less time"),
        ],
    ),
    "8e": ("8e", [("accuracy", "higher", "Alpha dropout makes a self-normalizing network generalize better")]),
    "8f": (
        "8f",
        [
            ("time", "lower", "1cycle takes less time to as low a loss"),
            ("accuracy", "higher", "It reaches a better model"),
        ],
    ),
}


def group_of(evidence: Evidence, key: str) -> Group:
    """The runs of a part."""
    return with_label(evidence.experiment(PARTS[key].sweep, PARTS[key].experiment), PARTS[key].name)


def pair_of(evidence: Evidence, key: str) -> tuple[Group, Group]:
    """The runs of a part, and of what it is compared with."""
    return group_of(evidence, key), group_of(evidence, COMPARED[key])


def measure_steps(evidence: Evidence) -> Measured:
    """Milliseconds of a training step of each part, timed alternately."""
    groups = {key: group_of(evidence, key) for key in PARTS}
    return step_times(groups, 3 if evidence.setting.quick else ROUNDS)


def compare(evidence: Evidence, key: str, what: str, direction: str) -> Contrast:
    """A part with what it is compared with: by accuracy, the time of a step, or epochs or time to as low a loss."""
    new, old = pair_of(evidence, key)
    if what == "accuracy":
        return contrast_groups(new, old, direction)
    if what == "epochs":
        return contrast_epochs(new, old, direction)
    steps, keys = evidence.measured(STEPS), (key, COMPARED[key])
    ours, theirs = ((PARTS[of].name, steps.get(of, [])) for of in keys)
    step = contrast_ratio(ours, theirs, direction, "time of a step", counted="round")
    return step if what == "step" else contrast_epochs(new, old, direction, step)


def answer(key: str, evidence: Evidence) -> Answer:
    """What one change brings: each claim that is made of it, and the figures of both networks."""
    part, claimed = CLAIMS[key]
    new, old = pair_of(evidence, part)
    directions = dict.fromkeys(("accuracy", "epochs", "step"), "lower") | {what: to for what, to, _ in claimed}
    found = {what: compare(evidence, part, what, direction) for what, direction in directions.items()}
    found |= dict(zip((what for what, _, _ in claimed), judge([found[what] for what, _, _ in claimed]), strict=True))
    figures = {
        **{"val": format_val_acc(new), "lr": format_rate(rate_of(new)), "best_epochs": format_best_epochs(new)},
        **{"old_val": format_val_acc(old), "old_lr": format_rate(rate_of(old))},
        **{
            "old_best_epochs": format_best_epochs(old),
            "loss": contrast_groups(new, old, "lower", "val_loss", digits=3),
        },
    }
    claims = [Claim(statement, [found[what]]) for what, _, statement in claimed]
    return Answer(figures | found, claims, plot_curves([old, new], "loss", key))


def answer_8(evidence: Evidence) -> Answer:
    """Which changes are worth it, and all parts compared with what others report."""
    groups = {key: group_of(evidence, key) for key in PARTS}
    done = sorted((of for of in groups.values() if of.runs), key=lambda of: of.score)
    found = judge([contrast_groups(groups[key], groups[old], "higher") for key, old in COMPARED.items()])
    changes = dict(zip(COMPARED, found, strict=True))
    sides: dict[str, list[Contrast]] = {"gains": [], "losses": [], "neither": [], "open": []}
    for one in found:
        side = "losses" if one.high < 0 else "neither" if one.verdict == "contradicted" else "open"
        sides["gains" if one.verdict == "confirmed" else side].append(one)
    best = {"best": done[0].label, "best_val": format_val_acc(done[0])} if done else {"best": "", "best_val": ""}
    values = [of.of("metrics", "val_acc").values() for of in done]
    best["spread"] = f"{100 * max((max(own) - min(own) for own in values), default=0):.1f} points"
    plot = replace(plot_intervals(done), name="8_accuracy_intervals") if len(done) > 1 else None
    return Answer(
        {**sides, **best},
        plot=plot,
        tables=[("What each change brings", gains_table(evidence, changes)), ("All parts", parts_table(groups))],
        more_plots=[plot_curves(done, "loss", "8")] if done else [],
    )


def gains_table(evidence: Evidence, changes: Mapping[str, Contrast]) -> Table:
    """One row per change: accuracy, epochs and the time of a step."""
    rows = []
    for key, one in changes.items():
        others = [compare(evidence, key, what, "lower") for what in ("epochs", "step")]
        cells: list[Cell] = [(of.amount.removesuffix(" points"), of.mean) for of in (one, *others)]
        rows.append([*text_cells(one.a, one.b), *cells])
    return Table(
        ["change", "compared with", "points of validation accuracy", "epochs to as low a loss", "time of a step"],
        rows,
        "95 % intervals. With decay, a step is of four times as many images.",
    )


def parts_table(groups: Mapping[str, Group]) -> Table:
    """One row per part: its rate and results, and what others report."""
    rows: list[list[Cell]] = []
    for key, group in groups.items():
        rate, best = rate_of(group), group.of("metrics", "best_epoch").values()
        seconds = (format_epoch_seconds(group), group.summary("time", "epoch_s").mean)
        epochs = (format_best_epochs(group), min(best, default=nan))
        cells = [(format_rate(rate), rate), *accuracy_cells(group), (str(len(group.runs)), len(group.runs))]
        rows.append([*text_cells(PARTS[key].name), *cells, epochs, seconds, *text_cells(*PARTS[key].published)])
    headings = ["network", "rate", "validation %", "test % †", "seeds", "best epochs", "s an epoch"]
    return Table(
        [*headings, "solution A", "solution B", "book's notebook"],
        rows,
        "Last columns: what others report, of one run each; solution B's of the test set.",
    )


TITLES = {
    "8b": (
        "8a, 8b. Twenty layers of ELU",
        "Train 20 hidden layers of 100 units with He initialization, ELU, Nadam and early stopping; search the rate.",
    ),
    "8c": (
        "8c. Batch normalization",
        "Normalize before each activation: does it converge faster, is it better, and what does it cost?",
    ),
    "8d": (
        "8d. SELU instead",
        "SELU, LeCun initialization and standardized inputs in the place of batch normalization: which is better?",
    ),
    "8e": (
        "8e. Alpha dropout",
        "Alpha dropout at a rate of 0.1 before the output layer: does the network generalize better?",
    ),
    "8e_mc": (
        "8e. MC dropout",
        f"Leave dropout on in {SAMPLES} predictions of each image and take their mean: is that more accurate?",
    ),
    "8f": (
        "8f. 1cycle",
        "SGD under a 1cycle schedule of 15 epochs in the place of Nadam and early stopping: faster, and better?",
    ),
    "8": ("8. All parts compared", "Which changes are worth it?"),
}
TIMED = Measurement(STEPS, measure_steps, minutes=1)
SAMPLED = Measurement(MC, lambda evidence: measure_mc_dropout(group_of(evidence, "8e").runs.values()), minutes=2)
ANSWERS: dict[str, Callable[[Evidence], Answer]] = {key: partial(answer, key) for key in CLAIMS}
ANSWERS |= {"8e_mc": lambda evidence: answer_of(evidence.measured(MC)), "8": answer_8}
SECTIONS = tuple(
    Section(
        *(key, "8", *titles, ANSWERS[key]),
        sweeps=[DECAY] if key == "8e_mc" else SWEEPS,
        measurements=[SAMPLED] if key == "8e_mc" else [TIMED],
        notes=[RECIPES, RATES] if key == "8b" else [],
    )
    for key, titles in TITLES.items()
)
