"""Networks of other worked solutions, each compared with the part of question 8 that it varies."""

from dataclasses import dataclass

from exercise.contrast import Claim, contrast_groups, contrast_ratio, judge
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
SWISH = Sweep("variant_swish", (experiments("variant_swish"), "lr_search=grid", "seed=1,2,3,4,5,6"), minutes=8)
OTHERS = Sweep(
    "variants",
    (
        experiments("variant_bn_input", "variant_elu_alpha_dropout", "variant_bn_elu_alpha_dropout"),
        *("lr_search=grid", "seed=1,2,3"),
    ),
    minutes=16,
)


@dataclass(frozen=True)
class Variant:
    """A network of another solution.

    Attributes:
        sweep: that trains it.
        name: short, for texts and figures.
        part: of question 8 that it is compared with.
        direction: of its accuracy, if the claim holds that is usually made of it.
    """

    sweep: Sweep
    name: str
    part: str
    direction: str
    claim: str


VARIANTS = {
    "swish": Variant(SWISH, "Swish", "8b", "higher", "Swish does better than ELU in a deep network"),
    "bn_input": Variant(
        *(OTHERS, "batch norm, input too", "8c", "higher"),
        "Normalizing the input, too, makes batch normalization better",
    ),
    "elu_alpha_dropout": Variant(
        *(OTHERS, "ELU, alpha dropout 0.5", "8b", "lower"), "Alpha dropout of 0.5 after every ELU layer costs accuracy"
    ),
    "bn_elu_alpha_dropout": Variant(
        *(OTHERS, "batch norm, alpha dropout 0.2", "8c", "lower"),
        "Alpha dropout of 0.2 after every layer costs accuracy under batch normalization",
    ),
}
Pairs = dict[str, tuple[Group, Group]]


def pairs_of(evidence: Evidence) -> Pairs:
    """The runs of each variant, and of the part that it varies."""
    return {
        key: (
            with_label(evidence.experiment(of.sweep, f"variant_{key}"), of.name),
            tuning.group_of(evidence, of.part),
        )
        for key, of in VARIANTS.items()
    }


def answer(evidence: Evidence) -> Answer:
    """Whether each variant is better or worse than the part that it varies."""
    pairs = pairs_of(evidence)
    contrasts = judge([contrast_groups(*pairs[key], of.direction) for key, of in VARIANTS.items()])
    found = dict(zip(VARIANTS, contrasts, strict=True))
    groups = {group.label: group for pair in pairs.values() for group in pair[::-1] if group.runs}
    figures = {f"{key}_val": format_val_acc(new) for key, (new, _) in pairs.items()}
    guessing = f"{100 * guessing_accuracy(pairs['swish'][0]):.0f} %"
    return Answer(
        {**found, **figures, "guessing": guessing},
        [Claim(of.claim, [found[key]]) for key, of in VARIANTS.items()],
        plot_curves([*groups.values()], "acc", "variants"),
        [("Each network", variants_table(pairs, evidence.measured(STEPS)))],
    )


def variants_table(pairs: Pairs, steps: Measured) -> Table:
    """One row per variant: its results, and what a step takes over one of what it is compared with."""
    rows = []
    for key, (new, old) in pairs.items():
        ours, theirs = ((of.label, steps.get(name, [])) for of, name in ((new, key), (old, VARIANTS[key].part)))
        step = contrast_ratio(ours, theirs, "higher", "time of a step", counted="round")
        cells = [(format_rate(rate_of(new)), rate_of(new)), *accuracy_cells(new), *text_cells(format_best_epochs(new))]
        seconds = (format_epoch_seconds(new), new.summary("time", "epoch_s").mean)
        rows.append([*text_cells(new.label, old.label), *cells, seconds, (step.amount, step.mean)])
    headings = ["network", "compared with", "rate", "validation %", "test % †", "best epochs", "s an epoch"]
    return Table([*headings, "time of a step"], rows)


def measure_steps(evidence: Evidence) -> Measured:
    """Milliseconds of a training step of each variant and of the parts that they vary, timed alternately."""
    pairs = pairs_of(evidence)
    groups = {key: new for key, (new, _) in pairs.items()} | {
        VARIANTS[key].part: old for key, (_, old) in pairs.items()
    }
    return step_times(groups, 3 if evidence.setting.quick else ROUNDS)


SECTION = Section(
    "variants",
    "variants",
    "Networks of other solutions",
    "Swish, a normalized input, and alpha dropout without SELU, as other solutions have them: what do they change?",
    answer,
    [SWISH, OTHERS, tuning.PLAIN],
    [Measurement(STEPS, measure_steps, minutes=1)],
)
