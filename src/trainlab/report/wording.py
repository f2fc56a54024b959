"""Sentences that the page and the Markdown share."""

from collections import Counter

from trainlab.report.findings import Findings
from trainlab.report.runs import Run

NOISE_NOTE = (
    "By validation accuracy at the epoch with the lowest validation loss. ± is half the width of the 95 % interval of "
    "the difference. Groups with the same seeds are compared seed by seed (paired t-test), others by Welch's t-test; "
    "p is corrected for the number of pairs by Holm's method, and below 0.05 a difference counts. The seeds vary the "
    "training; the images held out for validation are the same, so nothing is said here of other images."
)
QUESTIONS_NOTE = (
    "Each of the second group beside the first. The mark to reach is the first one's best validation loss, seed by "
    "seed where the second has the same seed, otherwise the mean. Times are of training and validation. ± and "
    "intervals are 95 %, and not corrected for the number of questions."
)


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
