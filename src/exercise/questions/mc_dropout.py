"""MC dropout of trained networks, without retraining: what it is measured by, and whether it is better."""

from collections.abc import Collection, Mapping
from math import nan

from exercise.formatting import all_hold, describe_difference, holds, verdict
from exercise.section import Answer
from exercise.store import Measured
from trainlab.inference import evaluate_checkpoint
from trainlab.report import Cell, Run, Table
from trainlab.statistics import difference, interval

SAMPLES = 100
TEXTBOOK = (
    "MC dropout gives more accurate predictions without retraining, and better estimates of their uncertainty (a lower "
    "negative log-likelihood)."
)
SIDES = ("deterministic", "mc_dropout")
DIGITS = (2, 2, 3, 3)  # of the columns of the table


def measure_mc_dropout(runs: Collection[Run]) -> Measured:
    """Test accuracy in % and negative log-likelihood of each run by its seed, without and with dropout left on."""
    found: Measured = {}
    for run in runs:
        figures = evaluate_checkpoint(run.folder / "checkpoints" / "best.ckpt", mc_samples=SAMPLES)
        for metric, factor in (("accuracy", 100), ("nll", 1)):
            for side in SIDES:
                value = figures["metrics"][metric][side]["value"] * factor
                found.setdefault(metric, {}).setdefault(side, {})[str(run.seed)] = value
    return found


def answer_of(name: str, found: Measured) -> Answer:
    """Whether MC dropout is better, for the runs of the part ``name``."""
    if not found:
        return Answer([f"No run of {name} was completed, so there is no dropout to leave on."])
    plain, sampled = ({int(s): v for s, v in found["accuracy"][side].items()} for side in SIDES)
    plain_loss, sampled_loss = ({int(s): v for s, v in found["nll"][side].items()} for side in SIDES)
    with_it, without = "MC dropout", "the same networks without"
    return Answer(
        [
            describe_difference("Test accuracy †", (with_it, sampled), (without, plain), digits=2),
            describe_difference(
                "Test negative log-likelihood †", (with_it, sampled_loss), (without, plain_loss), "nats", 3
            ),
        ],
        all_hold(
            holds(verdict(difference(sampled, plain)), "higher"),
            holds(verdict(difference(sampled_loss, plain_loss)), "lower"),
        ),
        tables=[("Each seed, dropout off and left on", table(plain, sampled, plain_loss, sampled_loss))],
    )


def table(*columns: Mapping[int, float]) -> Table:
    """One row per seed and one of means: accuracy without and with dropout left on, then negative log-likelihood."""
    rows: list[list[Cell]] = [
        [(str(seed), seed), *((f"{of[seed]:.{digits}f}", of[seed]) for of, digits in zip(columns, DIGITS, strict=True))]
        for seed in columns[0]
    ]
    means = [interval([*of.values()]).mean for of in columns]
    rows.append([("mean", nan), *((f"{mean:.{d}f}", mean) for mean, d in zip(means, DIGITS, strict=True))])
    return Table(
        ["seed", "accuracy †, %", "with MC dropout †, %", "negative log-likelihood †, nats", "with MC dropout †, nats"],
        rows,
        "The negative log-likelihood is the mean of -ln(probability given to the right class): the lower, the better "
        "are the probabilities.",
    )
