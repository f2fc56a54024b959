"""The best recipe for 20 hidden layers of 100 units: dense layers alone, no connection that skips one."""

from math import isnan

from exercise.formatting import format_accuracy, format_initializer, format_list, with_label
from exercise.plots import plot_curves
from exercise.section import Answer, Section
from exercise.store import Evidence
from exercise.trainings import Sweep
from trainlab.report import Group
from trainlab.statistics import Interval

GOAL = 0.60
PLAIN_LOOP = 0.581  # test accuracy, one seed: AdamW under 1cycle to 4e-3, flips, crops of 2, 30 epochs of batch 256
PLAIN_LOOP_IS = "what a plain loop had in 30 epochs with one seed"

SEARCH = (
    "Learning rate, weight decay and the padding of the crops are those of the lowest validation loss of 16 trainings "
    "of the project's own search; its command stands in conf/experiment/best_20x100.yaml."
)
RECIPE = Sweep("best_20x100", ("experiment=best_20x100", "seed=1,2,3"))


def answer(evidence: Evidence) -> Answer:
    """The accuracy it reaches, compared with the goal and what a plain loop had."""
    group = with_label(evidence.group(RECIPE, experiment="best_20x100"), "best recipe")
    if not group.runs:
        return Answer(["No run was completed."])
    test, val = group.summary("metrics", "test_acc"), group.summary("metrics", "val_acc")
    return Answer(
        [
            f"Test accuracy † {format_accuracy(test)}, validation accuracy {format_accuracy(val)}.",
            describe_recipe(group),
            f"{describe_against_mark(test, GOAL, 'the goal')} {describe_against_mark(test, PLAIN_LOOP, PLAIN_LOOP_IS)}",
        ],
        figures=[plot_curves([group], metric, "best") for metric in ("loss", "acc")],
    )


def describe_against_mark(mean: Interval, mark: float, name: str) -> str:
    """A sentence on a mean accuracy compared with a fixed one."""
    apart = 100 * (mean.mean - mark)
    side = f"{abs(apart):.1f} points {'above' if apart >= 0 else 'below'} {name}, {100 * mark:.1f} %"
    if isnan(mean.half_width):
        return f"That is {side}; with one seed nothing more can be claimed."
    low, high = (100 * (mean.mean + sign * mean.half_width) for sign in (-1, 1))
    place = "above it" if low > 100 * mark else "below it" if high < 100 * mark else "on both sides of it"
    return f"That is {side}; the 95 % interval, {low:.1f} to {high:.1f} %, lies {place}."


def describe_recipe(group: Group) -> str:
    """A sentence on what was trained."""
    of = group.settings
    name = str(of["optim._target_"]).rpartition(".")[2]
    steps = "under a 1cycle schedule up to" if str(of["scheduler._target_"]).endswith("one_cycle") else "at"
    norm = "batch normalization and " if of["model.batch_norm"] else ""
    changes = [text for key, text in (("data.flip", "flips"), ("data.crop_padding", "crops")) if of[key]]
    start = format_initializer(of["model.initializer"])
    return (
        f"The recipe: {of['model.activation'].upper()} with {norm}{start} initialization; {name} {steps} "
        f"{of['optim.lr']:g}, weight decay {of['optim.weight_decay']:g}; {of['trainer.max_epochs']} epochs in batches "
        f"of {of['data.batch_size']}{f'; {format_list(changes)} of the training images' if changes else ''}."
    )


SECTION = Section(
    "best",
    "best",
    "The best recipe for twenty layers of a hundred units",
    "How far does a network of 20 hidden dense layers of 100 units get, with any optimizer, schedule and "
    "augmentation, but without connections that skip layers?",
    "",
    answer,
    [RECIPE],
    notes=[SEARCH],
)
