"""The convolutional networks of another solution, compared with what it reports of them; MC dropout of one."""

from statistics import fmean

from exercise.contrast import POINTS, Claim, contrast_values
from exercise.formatting import number_cell, with_label
from exercise.plots import plot_curves
from exercise.questions import tuning
from exercise.questions.mc_dropout import answer_of, measure_mc_dropout
from exercise.section import Answer, Measurement, Section
from exercise.store import Evidence, Measured, require_completed
from exercise.trainings import Sweep
from trainlab.report import Table

# Name, and test accuracy in % that the other solution reports, of one run.
NETWORKS = {
    "cnn": ("CNN", 70.4),
    "cnn_bn": ("CNN, batch norm", 69.5),
    "cnn_selu": ("CNN, SELU", 69.9),
    "cnn_alpha_dropout": ("CNN, alpha dropout", 69.8),
}
SWEEP = Sweep(
    "cnn",
    (f"experiment={','.join(NETWORKS)}", "seed=1,2,3"),
    ("trainer.max_epochs=1", "data.num_train=1000"),
    minutes=38,
)
MC = "cnn_mc_dropout"
SAMPLES = 30  # of MC dropout; of 100, each seed would take eight minutes


def measure_mc(evidence: Evidence) -> Measured:
    """MC dropout of the network that has dropout."""
    return measure_mc_dropout(evidence.group(SWEEP, experiment="cnn_alpha_dropout").runs.values(), SAMPLES)


def answer(evidence: Evidence) -> Answer:
    """All four, compared with what is reported, and MC dropout of the last."""
    groups = {key: with_label(evidence.group(SWEEP, experiment=key), name) for key, (name, _) in NETWORKS.items()}
    require_completed(*groups.values())
    mc = answer_of(evidence.measured(MC), "cnn_mc", SAMPLES)
    gaps = [
        {s: 100 * v - NETWORKS[key][1] for s, v in of.of("metrics", "test_acc").items()} for key, of in groups.items()
    ]
    mean = {seed: fmean(of[seed] for of in gaps) for seed in set.intersection(*map(set, gaps))}
    zeros = ("reported", dict.fromkeys(mean, 0.0))
    reached = contrast_values(("mean of four", mean), zeros, "not lower", "test accuracy †", POINTS)
    claims = [Claim("On average they reach what is reported", [reached]), *mc.claims]
    ours = [100 * of.summary("metrics", "test_acc").mean for of in groups.values()]
    theirs = [of for _, of in NETWORKS.values()]
    figures = {
        "tests": {key: f"{mean:.1f} %" for key, mean in zip(groups, ours, strict=True)},
        "reported": {key: f"{of} %" for key, (_, of) in NETWORKS.items()},
        **{"lowest": f"{min(ours):.1f} %", "highest": f"{max(ours):.1f} %"},
        "spread": f"{max(ours) - min(ours):.1f} points",
        "is_wider": max(ours) - min(ours) > max(theirs) - min(theirs),
        "mc": mc.figures,
    }
    rows = [[*tuning.cells_of(of)[:4], number_cell(it)] for of, it in zip(groups.values(), theirs, strict=True)]
    headings = [*tuning.HEADINGS[:4], "reported, test %"]
    tables = [("Networks", Table(headings, rows)), *mc.tables]
    return Answer(figures, claims, plot_curves([*groups.values()], "acc", "cnn"), tables)


SECTION = Section("cnn", "cnn", answer, [SWEEP], [Measurement(MC, measure_mc, 7)])
