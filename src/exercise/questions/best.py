"""The best recipe for 20 hidden layers of 100 units: dense layers alone, no connection that skips one."""

from exercise.contrast import POINTS, Claim, contrast_values, judge
from exercise.formatting import format_initializer, format_list, format_percent, format_val_acc, text_cells, with_label
from exercise.plots import plot_curves
from exercise.section import Answer, Section
from exercise.store import Evidence, require_completed
from exercise.trainings import Sweep
from trainlab.report import Group, Table

GOAL = 60.0  # % of the test images
PLAIN_LOOP = 58.1  # one seed: AdamW under 1cycle to 4e-3, flips, crops of 2, 30 epochs of batch 256
SEARCH = (
    "Learning rate, weight decay and the padding of the crops have the lowest validation loss of 16 trainings; the "
    "command of the search stands in conf/experiment/best_20x100.yaml."
)
RECIPE = Sweep("best_20x100", ("experiment=best_20x100", "seed=1,2,3"), minutes=10)


def answer(evidence: Evidence) -> Answer:
    """The accuracy it reaches, compared with the goal and what a plain loop had."""
    group = with_label(evidence.group(RECIPE, experiment="best_20x100"), "best recipe")
    require_completed(group)
    test = {seed: 100 * value for seed, value in group.of("metrics", "test_acc").items()}
    goal, loop = judge(
        [
            contrast_values((group.label, test), (name, dict.fromkeys(test, mark)), "higher", "test accuracy †", POINTS)
            for name, mark in ((f"{GOAL:.0f} %", GOAL), (f"a plain loop's {PLAIN_LOOP} %", PLAIN_LOOP))
        ]
    )
    claims = [
        Claim(f"Twenty dense layers of a hundred units reach {GOAL:.0f} %", [goal]),
        Claim(f"The recipe beats a plain loop of 30 epochs, {PLAIN_LOOP} %", [loop]),
    ]
    figures = {
        "test": format_percent(group.summary("metrics", "test_acc")),
        "val": format_val_acc(group),
        "epochs": group.settings["trainer.max_epochs"],
        "goal": goal,
    }
    acc, loss = (plot_curves([group], metric, "best") for metric in ("acc", "loss"))
    recipe = Table(["recipe"], [text_cells(describe_recipe(group))], is_sorted=False)
    return Answer(figures, claims, acc, [("The recipe", recipe)], [loss])


def describe_recipe(group: Group) -> str:
    """What was trained."""
    of = group.settings
    name = str(of["optim._target_"]).rpartition(".")[2]
    steps = "under a 1cycle schedule up to" if str(of["scheduler._target_"]).endswith("one_cycle") else "at"
    norm = "batch normalization and " if of["model.batch_norm"] else ""
    changes = [text for key, text in (("data.flip", "flips"), ("data.crop_padding", "crops")) if of[key]]
    start = format_initializer(of["model.initializer"])
    return (
        f"{of['model.activation'].upper()} with {norm}{start} initialization; {name} {steps} {of['optim.lr']:g}, "
        f"weight decay {of['optim.weight_decay']:g}; {of['trainer.max_epochs']} epochs in batches of "
        f"{of['data.batch_size']}{f'; {format_list(changes)} of the training images' if changes else ''}"
    )


SECTION = Section(
    "best",
    "best",
    "The best recipe for 20 x 100",
    "How far do 20 hidden dense layers of 100 units get, without connections that skip layers?",
    answer,
    [RECIPE],
    notes=[SEARCH],
)
