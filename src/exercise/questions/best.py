"""The best recipe for 20 hidden layers of 100 units: dense layers alone, no connection that skips one."""

from exercise.contrast import POINTS, Contrast, contrast_values, judge_claims
from exercise.formatting import format_percent, with_label
from exercise.plots import plot_curves
from exercise.section import Answer, Section
from exercise.store import Evidence, require_completed
from exercise.trainings import Sweep

GOAL = 60.0  # % of the test images
PLAIN_LOOP = 58.1  # one seed: AdamW under 1cycle to 4e-3, flips, crops of 2, 30 epochs of batch 256
RECIPE = Sweep("best_20x100", ("experiment=best_20x100", "seed=1,2,3"), minutes=11)


def answer(evidence: Evidence) -> Answer:
    """The accuracy it reaches, compared with the goal and what a plain loop had."""
    group = with_label(evidence.group(RECIPE, experiment="best_20x100"), "best recipe")
    require_completed(group)
    test = {seed: 100 * value for seed, value in group.of("metrics", "test_acc").items()}

    def beats(name: str, mark: float) -> list[Contrast]:
        others = name, dict.fromkeys(test, mark)
        return [contrast_values((group.label, test), others, "higher", "accuracy †", POINTS)]

    claims = judge_claims(
        {
            f"They reach {GOAL:.0f} %": beats(f"{GOAL:.0f} %", GOAL),
            f"They beat a plain loop of 30 epochs, {PLAIN_LOOP} %": beats("a plain loop", PLAIN_LOOP),
        }
    )
    figures = {
        "test": format_percent(group.summary("metrics", "test_acc")),
        "val": format_percent(group.summary("metrics", "val_acc")),
        "epochs": group.settings["trainer.max_epochs"],
        "goal": claims[0].contrasts[0],
    }
    acc, loss = (plot_curves([group], metric, "best") for metric in ("acc", "loss"))
    return Answer(figures, claims, acc, more_plots=[loss])


SECTION = Section("best", "best", answer, [RECIPE])
