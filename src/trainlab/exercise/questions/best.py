"""The best recipe for 20 hidden layers of 100 units: dense layers alone, no connection that skips one."""

from dataclasses import replace
from math import isnan

from trainlab.exercise.evidence import Evidence
from trainlab.exercise.section import Answer, Section
from trainlab.exercise.trainings import Sweep
from trainlab.exercise.wording import accuracy, named
from trainlab.report.figures import learning_curves
from trainlab.report.statistics import Interval

GOAL = 0.60
PLAIN_LOOP = 0.581  # test accuracy, one seed: AdamW under 1cycle to 4e-3, flips, crops of 2, 30 epochs of batch 256

RECIPE = Sweep("best_20x100", ("experiment=best_20x100", "seed=1,2,3"))


def answer(evidence: Evidence) -> Answer:
    """What it comes to, beside the goal and what a plain loop had."""
    group = named(evidence.group(RECIPE, experiment="best_20x100"), "best recipe")
    if not group.runs:
        return Answer(["No run was completed."])
    test, val = group.summary("metrics", "test_acc"), group.summary("metrics", "val_acc")
    pictures = [
        replace(learning_curves([group], metric, "epochs"), name=f"best_{metric}") for metric in ("loss", "acc")
    ]
    return Answer(
        [
            f"Test accuracy † {accuracy(test)}, validation accuracy {accuracy(val)}.",
            f"{beside_mark(test, GOAL, 'the goal')} {beside_mark(test, PLAIN_LOOP, 'the plain loop it started from')}",
        ],
        figures=pictures,
    )


def beside_mark(mean: Interval, mark: float, name: str) -> str:
    """A sentence on a mean accuracy beside a fixed one."""
    apart = 100 * (mean.mean - mark)
    side = f"{abs(apart):.1f} points {'above' if apart >= 0 else 'below'} {name}, {100 * mark:.1f} %"
    if isnan(mean.half_width):
        return f"That is {side}; with one seed nothing more can be said."
    clear = abs(mean.mean - mark) > mean.half_width
    return f"That is {side}, {'more' if clear else 'no more'} than the interval of the mean is wide to one side."


SECTIONS = (
    Section(
        "best",
        "best",
        "The best recipe for twenty layers of a hundred units",
        "How far does a network of 20 hidden dense layers of 100 units get, with any optimizer, schedule and "
        "augmentation, but without connections that skip layers?",
        "",
        answer,
        [RECIPE],
    ),
)
