"""MC dropout of trained networks, without retraining: what it is measured by, and whether it is better."""

from collections.abc import Collection, Mapping
from math import nan

from exercise.contrast import POINTS, Claim, contrast_values, judge
from exercise.section import Answer
from exercise.store import Measured, NotAvailable
from trainlab.inference import evaluate_checkpoint
from trainlab.report import COLORS, Cell, Plot, Run, Table, canvas, render
from trainlab.statistics import interval

SAMPLES = 100
SEEDS = 6  # the first ones, which a sweep begins with whatever they result in
SIDES = ("deterministic", "mc_dropout")
NAMES = ("dropout off", "MC dropout")
DIGITS = (2, 2, 3, 3)  # of the columns of the table


def measure_mc_dropout(runs: Collection[Run], samples: int = SAMPLES) -> Measured:
    """Test accuracy in % and negative log-likelihood of the first runs by seed, without and with dropout left on."""
    found: Measured = {}
    for run in sorted(runs, key=lambda run: run.seed)[:SEEDS]:
        figures = evaluate_checkpoint(run.folder / "checkpoints" / "best.ckpt", mc_samples=samples)
        for metric, factor in (("accuracy", 100), ("nll", 1)):
            for side in SIDES:
                value = figures["metrics"][metric][side]["value"] * factor
                found.setdefault(metric, {}).setdefault(side, {})[str(run.seed)] = value
    return found


def answer_of(found: Measured, key: str = "8e_mc", samples: int = SAMPLES) -> Answer:
    """Whether MC dropout is better; ``key`` names the picture."""
    if not found:
        raise NotAvailable("no run with dropout was completed")
    accuracy, loss = ([_by_seed(found[name][side]) for side in SIDES] for name in ("accuracy", "nll"))
    off, on = NAMES
    more, less = judge(
        [
            contrast_values((on, accuracy[1]), (off, accuracy[0]), "higher", "test accuracy †", POINTS, digits=2),
            contrast_values((on, loss[1]), (off, loss[0]), "lower", "test log-likelihood, negative †", 0, "nats", 3),
        ]
    )
    means = {f"loss_{side}": interval([*of.values()]).mean for side, of in zip(("off", "on"), loss, strict=True)}
    claims = [
        Claim("Predictions with MC dropout are more accurate", [more]),
        Claim("Their probabilities are better: a lower negative log-likelihood", [less]),
    ]
    figures = {"accuracy": more, "loss": less, **means, "samples": samples}
    table = seeds_table(*accuracy, *loss)
    return Answer(figures, claims, plot_losses(key, *loss), [("Each seed, dropout off and left on", table)])


def _by_seed(values: Mapping[str, float]) -> dict[int, float]:
    return {int(seed): value for seed, value in values.items()}


def plot_losses(key: str, off: Mapping[int, float], on: Mapping[int, float]) -> Plot:
    """The negative log-likelihood of each seed, dropout off and left on, joined by a line."""
    with canvas(4.8, 3.2) as (figure, (axes,)):
        for seed in off:
            axes.plot((0, 1), (off[seed], on[seed]), "o-", color=COLORS[0], linewidth=1, markersize=5)
        axes.set_xticks((0, 1), NAMES)
        axes.set_xlim(-0.4, 1.4)
        axes.set_ylabel("negative log-likelihood †, nats")
        return Plot(
            f"{key}_loss", "Each seed, dropout off and left on", "Lower: better probabilities.", *render(figure)
        )


def seeds_table(*columns: Mapping[int, float]) -> Table:
    """One row per seed and one of means: accuracy without and with dropout left on, then negative log-likelihood."""
    rows: list[list[Cell]] = [
        [(str(seed), seed), *((f"{of[seed]:.{digits}f}", of[seed]) for of, digits in zip(columns, DIGITS, strict=True))]
        for seed in columns[0]
    ]
    means = [interval([*of.values()]).mean for of in columns]
    rows.append([("mean", nan), *((f"{mean:.{d}f}", mean) for mean, d in zip(means, DIGITS, strict=True))])
    return Table(["seed", "accuracy % †", "MC dropout % †", "nll, nats †", "MC dropout, nats †"], rows)
