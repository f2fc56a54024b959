"""Sentences that the page and the Markdown share."""

from collections import Counter

from trainlab.report.findings import Findings
from trainlab.report.runs import Run

QUESTIONS_NOTE = (
    "Each of the second group beside the first. The mark to reach is the first one's best validation loss, seed by "
    "seed where the second has the same seed, otherwise the mean. That mark favours the second group, and of two equal "
    "models the share is below 1: the first is timed at its own lowest loss, the second at the first loss that is as "
    "low. So whether it is faster is said of a mark that is the same to both: the higher of the two best losses. "
    "Ratios are geometric means. Times are of training and validation, those of an epoch medians. ± and intervals are "
    "95 %, and not corrected for the number of questions."
)
_NOISE_NOTE = (
    "By validation accuracy at the epoch with the lowest validation loss. ± is half the width of the 95 % interval of "
    "the difference. Groups with the same seeds are compared seed by seed (paired t-test), others by Welch's t-test; "
    "p is corrected for the number of pairs by Holm's method, and below 0.05 a difference counts."
)


def noise_note(findings: Findings) -> str:
    """How differences are told from noise, and what their noise is of."""
    if findings.same_held_out:
        held_out = (
            "The seeds vary the training; the images held out for validation are the same, so nothing is said here of "
            "other images."
        )
    else:
        held_out = (
            "Groups that hold other images out for validation are compared by Welch's t-test, those of other images "
            "not at all."
        )
    return f"{_NOISE_NOTE} {held_out}"


def title(findings: Findings) -> str:
    """The report's name: that of its folders."""
    names = [folder.resolve().name for folder in findings.folders]
    return f"Report: {', '.join(names[:4])}{' and others' if len(names) > 4 else ''}"


def headline(findings: Findings) -> str:
    """How many runs there are, by status."""
    counts = Counter(run.status for run in findings.runs)
    statuses = ", ".join(f"{n} {status}" for status, n in counts.most_common())
    groups = f" {len(findings.groups)} groups of settings." if len(findings.groups) > 1 else ""
    return f"{len(findings.runs)} run{'s' if len(findings.runs) > 1 else ''}: {statuses}.{groups}"


def best_figures(run: Run) -> str:
    """The figures of the run with the lowest validation loss."""
    assert run.result
    m = run.result.metrics
    accuracy = f", accuracy {m['val_acc']:.2%}" if "val_acc" in m else ""
    at = f" at epoch {m['best_epoch'] + 1} of {m.get('epochs', '-')}" if "best_epoch" in m else ""
    test = f" Test accuracy †: {m['test_acc']:.2%}." if "test_acc" in m else ""
    return f"Validation loss {run.val_loss:.4f}{accuracy}{at}.{test}"


def best_in_context(findings: Findings, run: Run) -> str:
    """What the best run's figures are worth: it is the winner among others."""
    group = findings.group_of().get(run.folder)
    several = len(findings.runs) > 1
    optimistic = "The figures of a best run are optimistic: it was chosen by them. " if several else ""
    if group is None or not (accuracy := group.summary("metrics", "val_acc")).n:
        return optimistic.strip()
    if accuracy.n == 1:
        return f"{optimistic}It is the one seed of {group.label}."
    mean = f"{accuracy.mean:.2%} ± {accuracy.half_width:.2%}"
    return f"{optimistic}It is one of {accuracy.n} seeds of {group.label}, whose mean accuracy is {mean}."


def no_best(findings: Findings) -> str:
    """Why there is no best run."""
    if any(run.status == "completed" for run in findings.runs):
        return "No completed run has a finite validation loss, so there is no best one."
    return "No run is completed, so there is no best one."
