"""Networks of other worked solutions, each compared with the part of question 8 that it varies."""

from dataclasses import dataclass

from exercise.contrast import Claim, Contrast, contrast_groups, contrast_ratio, judge
from exercise.formatting import accuracy_cells, format_rate, format_val_acc, text_cells, with_label
from exercise.outcomes import format_best_epochs, guessing_accuracy, rate_of
from exercise.plots import plot_curves
from exercise.questions.tuning import sections as tuning
from exercise.section import Answer, Measurement, Section
from exercise.step_costs import step_times
from exercise.store import Evidence, Measured
from exercise.trainings import Sweep, experiments
from trainlab.report import Group, Table, format_epoch_seconds

STEPS, ROUNDS = "variants_steps", 40
SWISH = Sweep(
    "variant_swish",
    (
        experiments("plain_elu_he", "variant_swish"),
        *("lr_search=grid", "seed=auto", "sweep.margin=1.0", "sweep.max_seeds=20"),
    ),
    minutes=24,
)
INPUT = Sweep("variant_bn_input", (experiments("variant_bn_input"), "lr_search=grid", "seed=1,2,3,4,5,6"), minutes=14)
DROPOUT = Sweep(
    "variants_alpha_dropout",
    (experiments("variant_elu_alpha_dropout", "variant_bn_elu_alpha_dropout"), "lr_search=grid", "seed=1,2,3"),
    minutes=8,
)


@dataclass(frozen=True)
class Variant:
    """A network of another solution.

    Attributes:
        sweep: that trains it.
        name: short, for texts and figures.
        part: of question 8 that it is compared with.
        claim: what is usually expected of it.
        direction: of its accuracy, if the claim holds.
    """

    sweep: Sweep
    name: str
    part: str
    claim: str
    direction: str


VARIANTS = {
    "variant_swish": Variant(SWISH, "Swish", "8b", "Swish does better than ELU in a deep network", "higher"),
    "variant_bn_input": Variant(
        INPUT, "batch norm, input too", "8c", "Normalizing the input, too, makes batch normalization better", "higher"
    ),
    "variant_elu_alpha_dropout": Variant(
        DROPOUT, "ELU, alpha dropout 0.5", "8b", "Alpha dropout of 0.5 after every ELU layer costs accuracy", "lower"
    ),
    "variant_bn_elu_alpha_dropout": Variant(
        *(DROPOUT, "batch norm, alpha dropout 0.2", "8c"),
        *("Alpha dropout of 0.2 after every layer costs accuracy under batch normalization", "lower"),
    ),
}


def group_of(evidence: Evidence, experiment: str) -> Group:
    """The runs of a variant."""
    variant = VARIANTS[experiment]
    return with_label(evidence.experiment(variant.sweep, experiment), variant.name)


def compared_with(evidence: Evidence, experiment: str) -> Group:
    """The runs of the part that it varies: those of its own sweep, where that adds seeds to both."""
    variant = VARIANTS[experiment]
    part = tuning.PARTS[variant.part]
    sweep = variant.sweep if variant.sweep is SWISH else part.sweep
    return with_label(evidence.experiment(sweep, part.experiment), part.name)


def answer(evidence: Evidence) -> Answer:
    """Whether each variant is better or worse than the part that it varies."""
    groups = {experiment: group_of(evidence, experiment) for experiment in VARIANTS}
    others = {experiment: compared_with(evidence, experiment) for experiment in VARIANTS}
    found = judge([contrast_groups(groups[key], others[key], of.direction) for key, of in VARIANTS.items()])
    claims = [Claim(of.claim, [one]) for of, one in zip(VARIANTS.values(), found, strict=True)]
    done = [group for group in (*others.values(), *groups.values()) if group.runs]
    shown = list({group.label: group for group in done}.values())
    figures = {
        **{key.removeprefix("variant_"): one for key, one in zip(VARIANTS, found, strict=True)},
        **{f"{key.removeprefix('variant_')}_val": format_val_acc(group) for key, group in groups.items()},
        "guessing": f"{100 * guessing_accuracy(groups['variant_swish']):.0f} %",
    }
    table = variants_table(groups, others, evidence.measured(STEPS))
    return Answer(figures, claims, plot_curves(shown, "acc", "variants"), [("Each network", table)])


def variants_table(groups: dict[str, Group], others: dict[str, Group], steps: Measured) -> Table:
    """One row per variant: its results, and what a step takes over one of what it is compared with."""
    rows = []
    for key, group in groups.items():
        rate, part = rate_of(group), VARIANTS[key].part
        step: Contrast = contrast_ratio(
            (group.label, steps.get(key, [])), (part, steps.get(part, [])), "higher", "time of a step", counted="round"
        )
        cells = [(format_rate(rate), rate), *accuracy_cells(group)]
        seconds = (format_epoch_seconds(group), group.summary("time", "epoch_s").mean)
        epochs = text_cells(format_best_epochs(group))
        rows.append([*text_cells(group.label, others[key].label), *cells, *epochs, seconds, (step.amount, step.mean)])
    headings = ["network", "compared with", "rate", "validation %", "test % †", "best epochs", "s an epoch"]
    return Table([*headings, "time of a step"], rows)


def measure_steps(evidence: Evidence) -> Measured:
    """Milliseconds of a training step of each variant and of the parts that they vary, timed alternately."""
    groups = {experiment: group_of(evidence, experiment) for experiment in VARIANTS}
    groups |= {of.part: compared_with(evidence, experiment) for experiment, of in VARIANTS.items()}
    return step_times(groups, 3 if evidence.setting.quick else ROUNDS)


SECTION = Section(
    "variants",
    "variants",
    "Networks of other solutions",
    "Swish, a normalized input, and alpha dropout without SELU, as other solutions have them: what do they change?",
    "",
    answer,
    [SWISH, INPUT, DROPOUT, tuning.PLAIN],
    [Measurement(STEPS, measure_steps, minutes=1)],
)
