"""Question 8: one change at a time to a network of 20 hidden layers of 100 units."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import nan

from exercise.contrast import Claim, Contrast, contrast_epochs, contrast_groups, contrast_ratio, contrast_time, judge
from exercise.formatting import accuracy_cells, format_rate, format_val_acc, text_cells, with_label
from exercise.outcomes import format_best_epochs, rate_of
from exercise.plots import plot_curves
from exercise.questions.mc_dropout import SAMPLES, answer_of, measure_mc_dropout
from exercise.section import Answer, Measurement, Section
from exercise.step_costs import step_times
from exercise.store import Evidence, Measured
from exercise.trainings import Sweep, experiments
from trainlab.report import Cell, Group, Plot, Table, format_epoch_seconds, plot_intervals

# Published by two worked solutions on the web and the notebook of the book: validation accuracy in % of one run each.
# Solution B's figures are test accuracies of convolutional networks, which are not part of the exercise.
_ELU, _SELU = ("50.06", "42.4 (CNN 70.43)", "46.76"), ("50.02", "CNN 69.91", "50.26")
RECIPES = (
    "Two recipes, and changes are compared within one. Plain, the exercise's own: batches of 32, no weight decay. With "
    "decay: batches of 128 and a weight decay of 3e-3, as an L2 penalty; it was found on validation data for the "
    "networks without batch normalization, and with it ended early and low."
)
RATES = (
    "Every network has a learning rate of its own: 12 from 1e-5 to 1e-1, halved by validation loss in trainings of up "
    "to 3 epochs, and refined."
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
Figures = dict[str, str | Contrast]


def group_of(evidence: Evidence, key: str) -> Group:
    """The runs of a part."""
    return with_label(evidence.experiment(PARTS[key].sweep, PARTS[key].experiment), PARTS[key].name)


def pair_of(evidence: Evidence, key: str) -> tuple[Group, Group]:
    """The runs of a part, and of what it is compared with."""
    return group_of(evidence, key), group_of(evidence, COMPARED[key])


def contrast_steps(evidence: Evidence, key: str, direction: str) -> Contrast:
    """What a training step of a part takes over one of what it is compared with."""
    steps, names = evidence.measured(STEPS), (key, COMPARED[key])
    new, old = ((PARTS[of].name, steps.get(of, [])) for of in names)
    return contrast_ratio(new, old, direction, "time of a step", counted="round")


def measure_steps(evidence: Evidence) -> Measured:
    """Milliseconds of a training step of each part, timed alternately."""
    groups = {key: group_of(evidence, key) for key in PARTS}
    return step_times(groups, 3 if evidence.setting.quick else ROUNDS)


def figures_of(new: Group, old: Group, **contrasts: Contrast) -> Figures:
    """What the texts say of a part and of what it is compared with."""
    found: Figures = {"val": format_val_acc(new), "old_val": format_val_acc(old), **contrasts}
    found |= {"lr": format_rate(rate_of(new)), "old_lr": format_rate(rate_of(old))}
    return found | {"best_epochs": format_best_epochs(new), "old_best_epochs": format_best_epochs(old)}


def answer_8b(evidence: Evidence) -> Answer:
    """The network of the exercise, and what the recipe with decay brings it."""
    new, old = pair_of(evidence, "8b, decay")
    (better,) = judge([contrast_groups(new, old, "higher")])
    return Answer(
        figures_of(new, old, better=better),
        [Claim("Weight decay and larger batches make it better", [better])],
        _curves("8b", old, new),
    )


def answer_8c(evidence: Evidence) -> Answer:
    """Batch normalization: epochs, accuracy and the time of a step."""
    new, old = pair_of(evidence, "8c")
    found = [contrast_epochs(new, old, "lower"), contrast_groups(new, old, "higher")]
    epochs, better, step = judge([*found, contrast_steps(evidence, "8c", "higher")])
    claims = [
        Claim("Batch normalization converges in fewer epochs", [epochs]),
        Claim("It reaches a better model", [better]),
        Claim("Each step takes longer", [step]),
    ]
    return Answer(figures_of(new, old, better=better, epochs=epochs, step=step), claims, _curves("8c", old, new))


def answer_8d(evidence: Evidence) -> Answer:
    """SELU in the place of batch normalization: accuracy and the time of a step."""
    new, old = pair_of(evidence, "8d")
    found = [contrast_groups(new, old, "lower"), contrast_steps(evidence, "8d", "lower")]
    worse, step = judge(found)
    decay = contrast_groups(group_of(evidence, "8d, decay"), new, "higher")
    claims = [
        Claim("SELU is less accurate than batch normalization", [worse]),
        Claim("A step of it takes less time", [step]),
    ]
    return Answer(figures_of(new, old, worse=worse, decay=decay, step=step), claims, _curves("8d", old, new))


def answer_8e(evidence: Evidence) -> Answer:
    """Alpha dropout before the output layer."""
    new, old = pair_of(evidence, "8e")
    (better,) = judge([contrast_groups(new, old, "higher")])
    others = {
        "epochs": contrast_epochs(new, old, "higher"),
        "loss": contrast_groups(new, old, "lower", "val_loss", margin=0, digits=3),
    }
    claims = [Claim("Alpha dropout makes a self-normalizing network generalize better", [better])]
    return Answer(figures_of(new, old, better=better, **others), claims, _curves("8e", old, new))


def answer_8f(evidence: Evidence) -> Answer:
    """1cycle: the time to as low a loss, and accuracy."""
    new, old = pair_of(evidence, "8f")
    step = contrast_steps(evidence, "8f", "lower")
    time, better = judge([contrast_time(new, old, step), contrast_groups(new, old, "higher")])
    claims = [
        Claim("1cycle takes less time to as low a loss", [time]),
        Claim("It reaches a better model", [better]),
    ]
    figures = figures_of(new, old, better=better, time=time, step=step, epochs=contrast_epochs(new, old, "lower"))
    return Answer(figures, claims, _curves("8f", old, new))


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
        epochs = contrast_epochs(*pair_of(evidence, key), "lower")
        step = contrast_steps(evidence, key, "lower")
        cells: list[Cell] = [(of.amount.removesuffix(" points"), of.mean) for of in (one, epochs, step)]
        rows.append([*text_cells(one.a, one.b), *cells])
    return Table(
        ["change", "compared with", "points of validation accuracy", "epochs to as low a loss", "time of a step"],
        rows,
        "95 % intervals, each alone. Steps of batches of 128 hold four times as many images.",
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
        "Last columns: validation accuracy of one run that others report; solution B's are of the test set.",
    )


def _curves(key: str, *groups: Group) -> Plot:
    return plot_curves(groups, "loss", key)


TIMED = Measurement(STEPS, measure_steps, minutes=1)
SECTIONS = (
    Section(
        "8b",
        "8",
        "8a, 8b. Twenty layers of ELU",
        "Train 20 hidden layers of 100 units with He initialization, ELU, Nadam and early stopping; search the rate.",
        "",
        answer_8b,
        [ELU_DECAY, PLAIN],
        notes=[RECIPES, RATES],
    ),
    Section(
        "8c",
        "8",
        "8c. Batch normalization",
        "Normalize before each activation: does it converge faster, is it better, and what does it cost?",
        "",
        answer_8c,
        SWEEPS,
        [TIMED],
    ),
    Section(
        "8d",
        "8",
        "8d. SELU instead",
        "SELU, LeCun initialization and standardized inputs in the place of batch normalization: which is better?",
        "",
        answer_8d,
        SWEEPS,
        [TIMED],
    ),
    Section(
        "8e",
        "8",
        "8e. Alpha dropout",
        "Alpha dropout at a rate of 0.1 before the output layer: does the network generalize better?",
        "",
        answer_8e,
        [DECAY],
    ),
    Section(
        "8e_mc",
        "8",
        "8e. MC dropout",
        f"Leave dropout on in {SAMPLES} predictions of each image and take their mean: is that more accurate?",
        "",
        lambda evidence: answer_of(evidence.measured(MC)),
        [DECAY],
        [Measurement(MC, lambda evidence: measure_mc_dropout(group_of(evidence, "8e").runs.values()), minutes=2)],
    ),
    Section(
        "8f",
        "8",
        "8f. 1cycle",
        "SGD under a 1cycle schedule of 15 epochs in the place of Nadam and early stopping: faster, and better?",
        "",
        answer_8f,
        SWEEPS,
        [TIMED],
    ),
    Section(
        "8",
        "8",
        "8. All parts compared",
        "Which changes are worth it?",
        "",
        answer_8,
        SWEEPS,
        [TIMED],
    ),
)
