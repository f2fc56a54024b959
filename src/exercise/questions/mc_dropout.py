"""MC dropout of trained networks, without retraining: what it is measured by, and whether it is better."""

from collections.abc import Collection, Sequence

from exercise.contrast import POINTS, contrast_values, judge_claims
from exercise.formatting import number_cell
from exercise.section import Answer
from exercise.store import Measured, NotAvailable
from trainlab.inference import evaluate_checkpoint
from trainlab.report import COLORS, Plot, Run, Table, canvas, render
from trainlab.statistics import interval

SAMPLES = 100
SEEDS = 6  # the first ones, which a sweep begins with whatever they result in
NAMES = {"deterministic": "dropout off", "mc_dropout": "MC dropout"}


def measure_mc_dropout(runs: Collection[Run], samples: int = SAMPLES) -> Measured:
    """Test accuracy in % and negative log-likelihood of the first runs by seed, without and with dropout left on."""
    found: Measured = {}
    for run in sorted(runs, key=lambda run: run.seed)[:SEEDS]:
        figures = evaluate_checkpoint(run.folder / "checkpoints" / "best.ckpt", mc_samples=samples)
        for metric, factor in (("accuracy", 100), ("nll", 1)):
            for side in NAMES:
                value = figures["metrics"][metric][side]["value"] * factor
                found.setdefault(metric, {}).setdefault(side, {})[str(run.seed)] = value
    return found


def answer_of(found: Measured, key: str = "8e_mc", samples: int = SAMPLES) -> Answer:
    """Whether MC dropout is better; ``key`` names the picture."""
    if not found:
        raise NotAvailable("no run with dropout was completed")
    accuracy, loss = (
        [(NAMES[side], {int(seed): value for seed, value in found[metric][side].items()}) for side in NAMES]
        for metric in ("accuracy", "nll")
    )
    more = contrast_values(accuracy[1], accuracy[0], "higher", "accuracy †", POINTS, digits=2)
    less = contrast_values(loss[1], loss[0], "lower", "negative log-likelihood †", 0, "nats", 3)
    claims = judge_claims({"MC dropout is more accurate": [more], "Its negative log-likelihood is lower": [less]})
    more, less = (claim.contrasts[0] for claim in claims)
    off, on = ([*of.values()] for _, of in loss)
    figures = {"accuracy": more, "loss": less, "loss_off": interval(off).mean, "loss_on": interval(on).mean}
    columns = [(of, digits) for side, digits in ((accuracy, 2), (loss, 3)) for _, of in side]
    rows = [[(str(seed), seed), *(number_cell(of[seed], digits) for of, digits in columns)] for seed in loss[0][1]]
    table = Table(["seed", "off, % †", "on, % †", "off, nats †", "on, nats †"], rows)
    return Answer(
        figures | {"samples": samples}, claims, plot_losses(key, off, on), [("Each seed, dropout off and on", table)]
    )


def plot_losses(key: str, off: Sequence[float], on: Sequence[float]) -> Plot:
    """The negative log-likelihood of each seed, dropout off and left on, joined by a line."""
    with canvas(4.8, 3.2) as (figure, (axes,)):
        axes.plot((0, 1), (off, on), "o-", color=COLORS[0], linewidth=1, markersize=5)
        axes.set(xlim=(-0.4, 1.4), ylabel="negative log-likelihood †, nats")
        axes.set_xticks((0, 1), [*NAMES.values()])
        return Plot(f"{key}_loss", "Each seed, dropout off and on", "Lower: better probabilities.", *render(figure))
