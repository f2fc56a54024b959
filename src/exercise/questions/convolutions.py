"""The convolutional networks of another solution, compared with what it reports of them; MC dropout of one."""

from statistics import fmean

from exercise.contrast import POINTS, Claim, contrast_values
from exercise.formatting import accuracy_cells, text_cells, with_label
from exercise.plots import plot_curves
from exercise.questions.mc_dropout import answer_of, measure_mc_dropout
from exercise.section import Answer, Measurement, Section
from exercise.store import Evidence, Measured, require_completed
from exercise.trainings import Sweep
from trainlab.report import Group, Table, format_epoch_seconds

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


def group(evidence: Evidence, experiment: str) -> Group:
    """The runs of one of ``NETWORKS``."""
    return with_label(evidence.group(SWEEP, experiment=experiment), NETWORKS[experiment][0])


def answer(evidence: Evidence) -> Answer:
    """All four, compared with what is reported, and MC dropout of the last."""
    groups = {experiment: group(evidence, experiment) for experiment in NETWORKS}
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
        "spread": f"{max(ours) - min(ours):.1f} points",
        "is_wider": max(ours) - min(ours) > max(theirs) - min(theirs),
        "mc": mc.figures,
    }
    plot = plot_curves([*groups.values()], "acc", "cnn")
    return Answer(figures, claims, plot, [("The convolutional networks", table(groups)), *mc.tables])


def table(groups: dict[str, Group]) -> Table:
    """One row per network."""
    rows = []
    for key, of in groups.items():
        lr, reported = of.settings["optim.lr"], NETWORKS[key][1]
        seconds = (format_epoch_seconds(of), of.summary("time", "epoch_s").mean)
        rows.append([*text_cells(of.label), (f"{lr:g}", lr), *accuracy_cells(of), (f"{reported}", reported), seconds])
    return Table(["network", "highest rate", "validation %", "test % †", "reported, test %", "s an epoch"], rows)


def measure_mc(evidence: Evidence) -> Measured:
    """MC dropout of each seed. One takes minutes, so each is stored as soon as it is there."""
    of = evidence.what_ran([SWEEP])
    found: Measured = {}
    for seed, run in group(evidence, "cnn_alpha_dropout").runs.items():
        name = f"{MC}_{seed}"
        if not evidence.is_measured(name, of):
            evidence.keep(name, measure_mc_dropout([run], SAMPLES), of)
        for metric, sides in evidence.measured(name).items():
            for side, values in sides.items():
                found.setdefault(metric, {}).setdefault(side, {}).update(values)
    return found


SECTION = Section(
    "cnn",
    "cnn",
    "Convolutional networks of another solution",
    "Two or four convolutions in the place of 20 dense layers, which was not asked for: how good are they?",
    answer,
    [SWEEP],
    [Measurement(MC, measure_mc, 7)],
    [
        "Flips and 10 epochs of AdamW under a 1cycle schedule; the other solution has neither. Each has its own "
        f"learning rate. MC dropout: {SAMPLES} predictions of each image."
    ],
)
