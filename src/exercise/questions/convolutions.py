"""The convolutional networks of another solution, compared with what it reports of them."""

from dataclasses import replace

from exercise.formatting import all_hold, beats, describe_against_reported, text_cells, with_label
from exercise.outcomes import result_cells
from exercise.plots import plot_curves
from exercise.questions.mc_dropout import SAMPLES, TEXTBOOK, answer_of, measure_mc_dropout
from exercise.section import Answer, Measurement, Section
from exercise.store import Evidence, Measured
from exercise.trainings import Sweep
from trainlab.report import Cell, Group, Table, compare_all, describe_pair, describe_pairs, plot_intervals

# Name, and test accuracy in % that the other solution reports, of one run.
NETWORKS = {
    "cnn": ("CNN", 70.4),
    "cnn_bn": ("CNN, batch norm", 69.5),
    "cnn_selu": ("CNN, SELU", 69.9),
    "cnn_alpha_dropout": ("CNN, alpha dropout", 69.8),
}
SWEEP = Sweep(
    "cnn", (f"experiment={','.join(NETWORKS)}", "seed=1,2,3"), ("trainer.max_epochs=1", "data.num_train=1000")
)
MC = "cnn_mc_dropout"


def group(evidence: Evidence, experiment: str) -> Group:
    """The runs of one of ``NETWORKS``."""
    return with_label(evidence.group(SWEEP, experiment=experiment), NETWORKS[experiment][0])


def answer(evidence: Evidence) -> Answer:
    """All four, compared with each other and what is reported."""
    groups = {experiment: group(evidence, experiment) for experiment in NETWORKS}
    done = [of for of in groups.values() if of.runs]
    if not done:
        return Answer(["No run was completed."])
    tests = {of.label: (of.summary("metrics", "test_acc"), NETWORKS[key][1]) for key, of in groups.items()}
    pairs = compare_all(done)
    clear = [f"By validation accuracy {describe_pair(pair)}" for pair in pairs if pair.is_clear]
    others = describe_pairs([pair for pair in pairs if not pair.is_clear])
    rows: list[list[Cell]] = []
    for key, of in groups.items():
        val, test, time = result_cells(of)
        lr, published = of.settings["optim.lr"], NETWORKS[key][1]
        rows.append([*text_cells(of.label), (f"{lr:g}", lr), val, test, (f"{published}", published), time])
    headings = ["network", "highest rate", "validation accuracy", "test accuracy †", "reported, test", "s an epoch"]
    note = "Reported: % of the test images, one run each, without flips and with a constant rate."
    return Answer(
        [describe_against_reported("Test accuracy †", tests), *clear],
        all_hold(*(beats(of, reported) for of, reported in tests.values())),
        [plot_curves(done, "acc", "cnn"), replace(plot_intervals(done), name="cnn_intervals")],
        [("The convolutional networks", Table(headings, rows, note))],
        ["Other pairs, by validation accuracy:", *others] if others else [],
    )


def mc_dropout(evidence: Evidence) -> Measured:
    """MC dropout of each seed. One takes minutes, so each is stored as soon as it is there."""
    of = evidence.what_ran([SWEEP])
    found: Measured = {}
    for seed, run in group(evidence, "cnn_alpha_dropout").runs.items():
        name = f"{MC}_{seed}"
        if not evidence.is_measured(name, of):
            evidence.keep(name, measure_mc_dropout([run]), of)
        for metric, sides in evidence.measured(name).items():
            for side, values in sides.items():
                found.setdefault(metric, {}).setdefault(side, {}).update(values)
    return found


SECTIONS = (
    Section(
        "cnn",
        "cnn",
        "Convolutional networks of another solution",
        "A network that is not part of the exercise: two or four convolutions in the place of 20 dense layers. Does "
        "it reach what others report of it?",
        "",
        answer,
        [SWEEP],
        notes=[
            "With horizontal flips and 10 epochs of AdamW under a 1cycle schedule; the other solution has neither. "
            "Each network has a learning rate of its own, so that of two networks more differs than their names say. "
            "That of SELU was chosen by validation loss in short trainings, the others were given."
        ],
    ),
    Section(
        "cnn_mc",
        "cnn",
        "MC dropout of the convolutional network",
        f"Leave alpha dropout on in {SAMPLES} predictions of each image: is their mean more accurate? The other "
        "solution reports 69.81 % with and without.",
        TEXTBOOK,
        lambda evidence: answer_of(group(evidence, "cnn_alpha_dropout").label, evidence.measured(MC)),
        [SWEEP],
        [Measurement(MC, mc_dropout)],
    ),
)
