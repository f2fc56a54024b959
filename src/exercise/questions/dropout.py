"""Question 7: what dropout costs in training and in predictions, and what MC dropout costs."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from math import inf
from typing import Any

import torch
from torch import Tensor

from exercise.contrast import Contrast, contrast_ratio, judge_claims
from exercise.formatting import accuracy_cells, mean_cell, number_cell, with_label
from exercise.plots import REFERENCE, draw_contrasts
from exercise.section import Answer, Measurement, Section
from exercise.step_costs import one_thread, random_batch, step_times, time_alternately, untrained_network
from exercise.store import Evidence, Measured, require_completed
from exercise.trainings import Sweep, experiments
from trainlab.inference import mc_probabilities
from trainlab.models import ImageNetwork
from trainlab.report import Cell, Group, Plot, Table, canvas, render
from trainlab.statistics import interval

RATE, PREDICTED = 0.1, 250
NONE, PASS = "none", "one pass"
WHERE = ("last", "every")  # after the last hidden layer, or after each
KINDS = ("standard", "alpha")
VARIANTS = {
    NONE: {},
    **{f"{w}, {k}": {"dropout": RATE, "dropout_after": w, "dropout_kind": k} for w in WHERE for k in KINDS},
}
SAMPLES = (1, 10, 100)
# A third of the images and large batches, so that a training reaches its lowest validation loss in seconds.
_GIVEN = (
    *(experiments("plain_selu"), "model.dropout_kind=standard", "optim.lr=2e-4", "data.val_size=35000"),
    *("data.batch_size=128", "trainer.max_epochs=16", "callbacks.early_stopping.patience=4"),
)
_QUICK = ("data.num_train=1200", "data.val_size=200", "data.num_test=200", "data.batch_size=32")
# Many seeds, since epochs to the lowest loss differ by a third from one to the next.
_SEEDS = f"seed={','.join(map(str, range(1, 25)))}"
SWEEP = Sweep("question_7", (*_GIVEN, "model.dropout=0,0.5", _SEEDS), _QUICK, minutes=24)
BETWEEN = Sweep("question_7_rates", (*_GIVEN, "model.dropout=0.1,0.2", "seed=1,2,3"), _QUICK, minutes=1)
RATES = {0.0: SWEEP, 0.1: BETWEEN, 0.2: BETWEEN, 0.5: SWEEP}
STEPS, PREDICTIONS = "question_7_steps", "question_7_predictions"


def measure_steps(evidence: Evidence) -> Measured:
    """Milliseconds of a training step by variant, one number per round: the shortest of eight."""
    without = evidence.group(SWEEP, model__dropout=0.0)
    changed = {name: {f"model.{key}": value for key, value in given.items()} for name, given in VARIANTS.items()}
    groups = {name: replace(without, settings=without.settings | given) for name, given in changed.items()}
    return step_times(groups, rounds=5 if evidence.setting.quick else 60, times=8)


@torch.inference_mode()
def measure_predictions(evidence: Evidence) -> Measured:
    """Milliseconds of predictions by variant, with dropout off (the shortest of five) and on, one number per round."""
    quick, settings = evidence.setting.quick, evidence.group(SWEEP, model__dropout=0.0).settings
    images, _ = random_batch(PREDICTED)
    variants: dict[str, dict[str, Any]] = {NONE: {}, **{where: VARIANTS[f"{where}, alpha"] for where in WHERE}}
    # Inputs are not standardized, since an untrained network knows no statistics.
    networks = {name: untrained_network(settings, standardize=False, **of).eval() for name, of in variants.items()}
    once = {f"{name}, {PASS}": partial(_predict, network, images) for name, network in networks.items()}
    sampled = {
        f"{where}, {samples}": partial(_predict, networks[where], images, samples)
        for where in WHERE
        for samples in SAMPLES[: 2 if quick else None]
    }
    with one_thread():
        inference = time_alternately(once, rounds=3 if quick else 60, times=5)
        one_pass = {name: of for name, of in once.items() if not name.startswith(NONE)}
        return {"inference": inference, "mc_dropout": time_alternately(one_pass | sampled, rounds=3 if quick else 12)}


def _predict(network: ImageNetwork, images: Tensor, samples: int = 0) -> object:
    return mc_probabilities(network, images, samples).mean(0) if samples else network(images).softmax(1)


def epochs_to_best(group: Group) -> dict[int, float]:
    """Epochs to the lowest validation loss by seed."""
    return {seed: epoch + 1 for seed, epoch in group.of("metrics", "best_epoch").items()}


def compare_epochs(group: Group, without: Group, scale: float = 1) -> Contrast:
    """Epochs to the lowest loss, times what a step costs: ``scale``; without a bound where the last was the best."""
    ours = {seed: scale * epochs for seed, epochs in epochs_to_best(group).items()}
    theirs = (without.label, epochs_to_best(without))
    found = contrast_ratio((group.label, ours), theirs, "about 2", "time to the lowest loss")
    for of in (group, without):
        if any(of.of("metrics", "epochs").get(seed) == epochs for seed, epochs in epochs_to_best(of).items()):
            return replace(found, low=0.0, high=inf, tested=None, note="a training ended at its lowest loss")
    return found


def answer(evidence: Evidence) -> Answer:
    """In time a step, in epochs, and in predictions."""
    groups = {r: with_label(evidence.group(of, model__dropout=r), f"dropout {r:g}") for r, of in RATES.items()}
    require_completed(*groups.values())
    steps, predicted = evidence.measured(STEPS), evidence.measured(PREDICTIONS)
    inference, sampled = predicted["inference"], predicted["mc_dropout"]
    # Its name in tables, milliseconds by round, those that they are compared with, and what is claimed.
    taken = [(f"step, {name}", ms, ("no dropout", steps[NONE]), "equal") for name, ms in steps.items()]
    for name, ms in inference.items():
        taken.append((f"prediction, {name.split(',')[0]}", ms, ("no dropout", inference[f"{NONE}, {PASS}"]), "equal"))
    for name, ms in sampled.items():
        where, n = name.split(", ")
        if n != PASS:
            taken.append((f"MC, {name}", ms, ("one prediction", sampled[f"{where}, {PASS}"]), f"about {n}"))
    timed = {
        label: contrast_ratio((label, ms), base, direction, "time", counted="round")
        for label, ms, base, direction in taken
    }
    rates = {rate: compare_epochs(group, groups[0.0]) for rate, group in groups.items()}
    scaled = compare_epochs(groups[0.5], groups[0.0], timed["step, last, standard"].mean)
    claims = judge_claims(
        {
            "Training takes about twice as long": [scaled],
            "Predictions take no longer": [timed["prediction, every"]],
            "10 MC samples take about 10 predictions": [timed["MC, every, 10"]],
            "Also with dropout before the output alone": [timed["MC, last, 10"]],
        }
    )
    names = ("slower", "free", "ten_every", "ten_last")
    most = max(n for n in SAMPLES if f"MC, last, {n}" in timed)
    epochs = {rate: interval([*epochs_to_best(group).values()]) for rate, group in groups.items()}
    figures: dict[str, Any] = {
        **{name: claim.contrasts[0] for name, claim in zip(names, claims, strict=True)},
        **{"last": timed["step, last, alpha"], "every": timed["step, every, alpha"]},
        **{"free_last": timed["prediction, last"], "epochs": rates[0.5]},
        **{"most": most, "most_last": timed[f"MC, last, {most}"]},
        **{f"epochs_{100 * rate:.0f}": f"{of.mean:.1f}" for rate, of in epochs.items()},
    }
    drawn = {f"epochs, rate {rate:g}": of for rate, of in rates.items() if rate}
    drawn |= {name: of for name, of in timed.items() if NONE not in name}
    by_rate, by_time = list[list[Cell]](), list[list[Cell]]()
    for rate, group in groups.items():
        ratio = (rates[rate].amount if rate else "-", rates[rate].mean)
        loss, (acc, _) = mean_cell(group.summary("metrics", "val_loss"), 3), accuracy_cells(group)
        seeds = number_cell(len(group.runs), 0)
        by_rate.append([(f"{rate:g}", rate), seeds, mean_cell(epochs[rate]), ratio, loss, acc])
    for label, ms, *_ in taken:
        ratio = ("-" if NONE in label else timed[label].amount, timed[label].mean)
        by_time.append([(label.replace(", ", "/"), label), mean_cell(interval(ms), 2), ratio])
    rounds = len(steps[NONE]), min(map(len, sampled.values()))
    note = f"Steps of 128 images, predictions of {PREDICTED}; processor time over {rounds[0]} rounds, MC {rounds[1]}."
    tables = [
        ("Rates", Table(["rate", "seeds", "epochs to lowest loss", "ratio", "this loss", "validation, %"], by_rate)),
        ("Times", Table(["what", "ms", "ratio"], by_time, note)),
    ]
    return Answer(figures, claims, plot(drawn), tables, are_tabled=True)


def plot(ratios: Mapping[str, Contrast]) -> Plot:
    """All ratios on one scale."""
    with canvas(7.0, 3.9) as (figure, (axes,)):
        for times in (1, 2, 10):
            axes.axvline(times, **REFERENCE)
        draw_contrasts(axes, ratios)
        axes.set(xscale="log", xlabel="times as much as without dropout, or as one prediction")
        axes.set_xticks([1, 2, 5, 10, 20, 50], ["1", "2", "5", "10", "20", "50"])
        axes.minorticks_off()
        return Plot("7_costs", "What dropout costs", "After the last hidden layer, or every one.", *render(figure))


MEASUREMENTS = Measurement(STEPS, measure_steps, 1), Measurement(PREDICTIONS, measure_predictions, 1)
SECTION = Section("7", "7", answer, [SWEEP, BETWEEN], MEASUREMENTS)
