"""The networks of question 8: what trains them, and what they are compared with."""

from collections.abc import Mapping
from dataclasses import dataclass

from exercise.formatting import compare_pairs, with_label
from exercise.store import Evidence, NotAvailable
from exercise.trainings import Sweep, experiments
from trainlab.report import Group, Pair


@dataclass(frozen=True)
class Part:
    """Networks of the question that differ in the seed alone.

    Attributes:
        experiment: option of `conf/experiment/exercise/`.
        name: short, for sentences and figures.
        change: what sets it apart, where a section is on that.
        published: validation accuracy in % that others report, of one run each.
    """

    experiment: str
    name: str
    change: str
    published: tuple[str, ...]


# Published by two worked solutions on the web and the notebook of the book. Solution B's figures are test accuracies of
# convolutional networks, which were not asked for.
_ELU, _SELU = ("50.06", "42.4 (CNN 70.43)", "46.76"), ("50.02", "CNN 69.91", "50.26")
PARTS = {
    "8b, plain": Part("plain_elu_he", "plain ELU", "", _ELU),
    "8b": Part("part_8b_elu_he", "ELU with decay", "", _ELU),
    "8c": Part(
        "part_8c_bn", "batch norm", "Batch normalization before each activation", ("52.74", "CNN 69.52", "50.74")
    ),
    "8d, plain": Part(
        "plain_selu",
        "plain SELU",
        "SELU, LeCun initialization and standardized inputs in the place of batch normalization",
        _SELU,
    ),
    "8d": Part("part_8d_selu", "SELU with decay", "", _SELU),
    "8e": Part(
        "part_8e_alpha_dropout",
        "alpha dropout",
        "Alpha dropout at a rate of 0.1 before the output layer",
        ("49.12", "CNN 69.81", "49.82"),
    ),
    "8f": Part("part_8f_one_cycle", "1cycle", "SGD under a 1cycle schedule of 15 epochs", ("49.80", "-", "52.42")),
}
ALL = Sweep("question_8", (experiments(*(part.experiment for part in PARTS.values())), "lr_search=grid", "seed=1,2,3"))
RECIPE = "batches of 128 with a weight decay of 3e-3"
# What each section compares, networks that differ in one change of the exercise; and what the recipe is compared with.
COMPARED = {"8c": ("8b, plain", "8c"), "8d": ("8c", "8d, plain"), "8e": ("8d", "8e"), "8f": ("8e", "8f")}
OF_RECIPE = {"8b": ("8b, plain", "8b"), "8d": ("8d, plain", "8d")}


def group_of(evidence: Evidence, key: str) -> Group:
    """The runs of a part."""
    return with_label(evidence.experiment(ALL, PARTS[key].experiment), PARTS[key].name)


def pairs_of(evidence: Evidence, compared: Mapping[str, tuple[str, str]]) -> dict[str, Pair]:
    """Each second part compared with the first, Holm's correction over the pairs with completed runs of both."""
    found = {}
    for key, (before, after) in compared.items():
        try:
            old, new = group_of(evidence, before), group_of(evidence, after)
        except NotAvailable:
            continue
        if old.runs and new.runs:
            found[key] = new, old
    return dict(zip(found, compare_pairs([*found.values()]), strict=True))
