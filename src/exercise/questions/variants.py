"""Networks of other worked solutions, each compared with the part of question 8 that it varies."""

from dataclasses import dataclass

from exercise.formatting import compare_pair, holds, text_cells, verdict, with_label
from exercise.outcomes import describe_result, result_cells
from exercise.plots import plot_curves
from exercise.questions.mistakes.accuracy_cost import describe_cost
from exercise.questions.tuning.sections import ALL, PARTS, describe_change, group_of
from exercise.section import Answer, Measurement, Section
from exercise.step_costs import step_times
from exercise.store import Evidence, Measured, diverged_runs
from exercise.trainings import Sweep, experiments
from trainlab.report import Group, Table

STEPS, ROUNDS = "variants_steps", 40


@dataclass(frozen=True)
class Variant:
    """A network of another solution.

    Attributes:
        name: short, for sentences and figures.
        part: of question 8 that it is compared with.
        change: against it.
        usual: what is usually claimed of it, "" where that is nothing.
        harms: whether that is a loss; None where nothing is expected.
    """

    name: str
    part: str
    change: str
    usual: str = ""
    harms: bool | None = None


VARIANTS = {
    "variant_bn_input": Variant("batch norm, input too", "8c", "The input is batch-normalized, too."),
    "variant_elu_alpha_dropout": Variant(
        "ELU, alpha dropout 0.5",
        "8b, plain",
        "Alpha dropout of 0.5 after every layer, under ELU and He initialization.",
        "Alpha dropout is for SELU alone, and 0.5 after each of 20 layers leaves nothing to learn from: less accurate.",
        True,
    ),
    "variant_bn_elu_alpha_dropout": Variant(
        "batch norm, ELU, alpha dropout 0.2",
        "8c",
        "Alpha dropout of 0.2 after every layer, under batch normalization and ELU.",
        "Alpha dropout is for SELU alone: less accurate.",
        True,
    ),
    "variant_swish": Variant(
        "Swish",
        "8b, plain",
        "Swish (SiLU) in the place of ELU, as the book's own notebook has it.",
        "Swish does better than ELU in deep networks.",
        False,
    ),
}
SWEEP = Sweep("variants", (experiments(*VARIANTS), "lr_search=grid", "seed=1,2,3"))


def answer_of(experiment: str, evidence: Evidence) -> Answer:
    """Whether the variant is better or worse than the part that it varies."""
    variant = VARIANTS[experiment]
    old, new = group_of(evidence, variant.part), group(evidence, experiment)
    if not new.runs or not old.runs:
        cost, is_worse = describe_cost(new, old)
        return Answer([cost], variant.harms if is_worse else None)
    is_training = {SWEEP.name, ALL.name} & set(evidence.under_way())
    steps = {} if is_training else evidence.measured(STEPS)
    named = {f"{variant.part}: {PARTS[variant.part].name}": old, new.label: new}
    rows = [[*text_cells(name), *result_cells(of)] for name, of in named.items()]
    table = Table(["network", "validation accuracy", "test accuracy †", "s an epoch"], rows)
    return Answer(
        [describe_result(new), *describe_change(compare_pair(new, old), steps, variant.part, experiment)],
        agrees(new, old, variant.harms),
        [plot_curves([old, new], "loss", experiment)],
        [("Compared with the part", table)],
    )


def measure_steps(evidence: Evidence) -> Measured:
    """Milliseconds of a training step of each variant and of the parts that they vary, timed alternately."""
    groups = {experiment: group(evidence, experiment) for experiment in VARIANTS}
    groups |= {variant.part: group_of(evidence, variant.part) for variant in VARIANTS.values()}
    return step_times(groups, 3 if evidence.setting.quick else ROUNDS)


def group(evidence: Evidence, experiment: str) -> Group:
    """The runs of a variant."""
    return with_label(evidence.experiment(SWEEP, experiment), VARIANTS[experiment].name)


def agrees(new: Group, old: Group, harms: bool | None) -> bool | None:
    """Whether the clear difference, if there is one, is the one expected; None if runs of either diverged."""
    if diverged_runs(new) or diverged_runs(old):
        return None
    return None if harms is None else holds(verdict(compare_pair(new, old).difference), "lower" if harms else "higher")


def _section(experiment: str, variant: Variant) -> Section:
    return Section(
        experiment,
        "variants",
        f"Another solution: {variant.name}",
        f"{variant.change} Compared with {PARTS[variant.part].name}: is it better, is it converging faster, and what "
        "does an epoch cost?",
        variant.usual,
        lambda evidence: answer_of(experiment, evidence),
        [SWEEP, ALL],
        [Measurement(STEPS, measure_steps)],
    )


SECTIONS = tuple(_section(experiment, variant) for experiment, variant in VARIANTS.items())
