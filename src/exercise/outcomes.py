"""What trained networks leave besides their accuracy: learning rates, epochs, and whether they learned anything."""

from dataclasses import replace
from math import log, nan

from trainlab.report import Group, compare_convergence

NEXT_TO_NOTHING = 1.5  # times the accuracy of guessing: up to there a network cannot lose more


def rate_of(group: Group) -> float:
    """The learning rate that was found, or given."""
    return float(group.search["lr"] if group.search else group.settings.get("optim.lr", nan))


def is_at_an_end(group: Group) -> bool:
    """Whether the rate found is the lowest or the highest of those tried, so that a better one may lie beyond."""
    tried = group.search["curve"]["lr"] if group.search else []
    return bool(tried) and rate_of(group) in (min(tried), max(tried))


def format_best_epochs(group: Group) -> str:
    """Epochs with the lowest validation loss: "13 to 15"."""
    found = sorted(round(epoch + 1) for epoch in group.of("metrics", "best_epoch").values())
    return " to ".join(str(epoch) for epoch in dict.fromkeys((found[0], found[-1]))) if found else "-"


def epoch_ratios(old: Group, new: Group) -> dict[int, float]:
    """Epochs of the new one to a loss that both reach over the old one's, by seed; none where a run does not learn."""
    found: dict[int, float] = {}
    if beats_guessing(old) and beats_guessing(new):
        for seed in sorted(old.runs.keys() & new.runs.keys()):
            one = compare_convergence(*(replace(of, runs={seed: of.runs[seed]}) for of in (old, new)))
            found |= {seed: one.epochs_ratio.value} if one else {}
    return found


def guessing_accuracy(group: Group) -> float:
    """Accuracy of guessing one of the classes, each as often as the others."""
    return 1 / int(group.settings["model.num_classes"])


def beats_guessing(group: Group) -> bool:
    """Whether the validation loss of every run fell below that of naming all classes as equally probable."""
    bests = [run.curve.best(run.metrics.primary) for run in group.runs.values() if run.curve]
    return all(best < -log(guessing_accuracy(group)) for best in bests)
