"""Networks of other worked solutions, each compared with the part of question 8 that it varies."""

from typing import Any

from exercise.contrast import contrast_groups, contrast_ratio, judge_claims
from exercise.formatting import mean_accuracy
from exercise.outcomes import NEXT_TO_NOTHING, guessing_accuracy
from exercise.plots import plot_curves
from exercise.questions import tuning
from exercise.questions.tuning import Part
from exercise.section import Answer, Measurement, Section
from exercise.store import Evidence, Measured
from exercise.trainings import Sweep, experiments
from trainlab.report import Cell, Group, Table

STEPS = "variants_steps"
SWISH = Sweep("variant_swish", (experiments("variant_swish"), "lr_search=grid", "seed=1,2,3,4,5,6"), minutes=13)
OTHERS = Sweep(
    "variants",
    (
        experiments("variant_bn_input", "variant_elu_alpha_dropout", "variant_bn_elu_alpha_dropout"),
        *("lr_search=grid", "seed=1,2,3"),
    ),
    minutes=28,
)


# Each network, the part of question 8 that it varies, and what is claimed: the direction of its accuracy, and how.
VARIANTS = {
    "swish": (Part(SWISH, "variant_swish", "Swish"), "8b", "higher", "Swish does better than ELU"),
    "bn_input": (Part(OTHERS, "variant_bn_input", "batch norm, input too"), "8c", "higher", "A normalized input helps"),
    "elu_alpha_dropout": (
        *(Part(OTHERS, "variant_elu_alpha_dropout", "ELU, alpha dropout 0.5"), "8b", "lower"),
        "Alpha dropout of 0.5 costs ELU accuracy",
    ),
    "bn_elu_alpha_dropout": (
        *(Part(OTHERS, "variant_bn_elu_alpha_dropout", "batch norm, alpha dropout 0.2"), "8c", "lower"),
        "Alpha dropout of 0.2 costs batch normalization accuracy",
    ),
}


def pairs_of(evidence: Evidence) -> dict[str, tuple[Group, Group]]:
    """The runs of each variant, and of the part that it varies."""
    return {
        key: (tuning.runs_of_part(evidence, network), tuning.group_of(evidence, part))
        for key, (network, part, *_) in VARIANTS.items()
    }


def answer(evidence: Evidence) -> Answer:
    """Whether each variant is better or worse than the part that it varies."""
    pairs = pairs_of(evidence)
    claims = judge_claims(
        {statement: [contrast_groups(*pairs[key], direction)] for key, (*_, direction, statement) in VARIANTS.items()}
    )
    found = {key: claim.contrasts[0] for key, claim in zip(VARIANTS, claims, strict=True)}
    groups = {group.label: group for pair in pairs.values() for group in pair[::-1] if group.runs}
    figures: dict[str, Any] = {f"{key}_val": mean_accuracy(new) for key, (new, _) in pairs.items()}
    lost, guess = pairs["elu_alpha_dropout"][0], guessing_accuracy(pairs["swish"][0])
    is_guessing = lost.summary("metrics", "val_acc").mean <= NEXT_TO_NOTHING * guess
    steps, rows = evidence.measured(STEPS), list[list[Cell]]()
    for key, (new, old) in pairs.items():
        ours, theirs = ((of.label, steps.get(name, [])) for of, name in ((new, key), (old, VARIANTS[key][1])))
        step = contrast_ratio(ours, theirs, "higher", "time of a step", counted="round")
        rows.append([*tuning.cells_of(new), (step.amount, step.mean)])
    table = Table([*tuning.HEADINGS, "step"], rows, "Step: its time over that of what it varies.")
    figures |= {"guessing": f"{100 * guess:.0f} %", "is_guessing": is_guessing}
    plot = plot_curves([*groups.values()], "acc", "variants")
    return Answer(found | figures, claims, plot, [("Each network", table)])


def measure_steps(evidence: Evidence) -> Measured:
    """Milliseconds of a training step of each variant and of the parts that they vary, timed alternately."""
    pairs = pairs_of(evidence)
    parts = {VARIANTS[key][1]: old for key, (_, old) in pairs.items()}
    return tuning.time_steps(evidence, {key: new for key, (new, _) in pairs.items()} | parts)


SECTION = Section(
    *("variants", "variants", answer, [SWISH, OTHERS, tuning.PLAIN]), [Measurement(STEPS, measure_steps, minutes=1)]
)
