"""Question 7: what dropout costs in training and in predictions, and what MC dropout costs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from math import inf, isnan
from typing import Any

import torch
from torch import Tensor

from exercise.contrast import Claim, Contrast, contrast_ratio, judge
from exercise.formatting import format_percent, mean_cell, text_cells, with_label
from exercise.plots import REFERENCE
from exercise.section import Answer, Measurement, Section
from exercise.step_costs import one_thread, random_batch, time_alternately, training_step
from exercise.store import Evidence, Measured, require_completed
from exercise.trainings import Sweep, experiments
from trainlab.inference import mc_probabilities
from trainlab.models import MLP, ImageNetwork, image_network
from trainlab.report import COLORS, Group, Plot, Table, canvas, render
from trainlab.statistics import Interval, interval

RATE, BATCH, PREDICTED = 0.1, 128, 250
NONE, PASS = "none", "one pass"
WHERE = ("last", "every")  # after the last hidden layer, or after each
KINDS = ("standard", "alpha")
VARIANTS = {
    NONE: {},
    **{f"{w}, {k}": {"dropout": RATE, "dropout_after": w, "dropout_kind": k} for w in WHERE for k in KINDS},
}
SAMPLES = (1, 10, 100)
RATES = (0.0, 0.1, 0.2, 0.5)
# A third of the images and large batches, so that a training reaches its lowest validation loss in seconds.
_GIVEN = (
    *(experiments("plain_selu"), "model.dropout_kind=standard", "optim.lr=2e-4", "data.val_size=35000"),
    *("data.batch_size=128", "trainer.max_epochs=16", "callbacks.early_stopping.patience=4"),
)
_QUICK = ("data.num_train=1200", "data.val_size=200", "data.num_test=200", "data.batch_size=32")
# Many seeds, since epochs to the lowest loss differ by a third from one to the next.
_SEEDS = f"seed={','.join(map(str, range(1, 25)))}"
SWEEP = Sweep("question_7", (*_GIVEN, "model.dropout=0,0.5", _SEEDS), _QUICK, minutes=7)
BETWEEN = Sweep("question_7_rates", (*_GIVEN, "model.dropout=0.1,0.2", "seed=1,2,3"), _QUICK, minutes=1)
STEPS, PREDICTIONS = "question_7_steps", "question_7_predictions"
Times = Mapping[str, Sequence[float]]  # milliseconds by round of what was timed


def measure_steps(evidence: Evidence) -> Measured:
    """Milliseconds of a training step by variant, one number per round: the shortest of eight."""
    images, labels = random_batch(BATCH)
    nadam = partial(torch.optim.NAdam, lr=1e-6)
    actions = {name: training_step(make_network(**given), nadam, images, labels) for name, given in VARIANTS.items()}
    with one_thread():
        return dict(time_alternately(actions, rounds=5 if evidence.setting.quick else 60, times=8))


@torch.inference_mode()
def measure_predictions(evidence: Evidence) -> Measured:
    """Milliseconds of predictions by variant, with dropout off (the shortest of five) and on, one number per round."""
    images, _ = random_batch(PREDICTED)
    variants = {NONE: {}, **{where: VARIANTS[f"{where}, alpha"] for where in WHERE}}
    networks = {name: make_network(**given).eval() for name, given in variants.items()}
    single: dict[str, Callable[[], object]] = {
        f"{name}, {PASS}": partial(_predict, network, images) for name, network in networks.items()
    }
    sampled = {
        f"{where}, {samples}": partial(_sample, networks[where], images, samples)
        for where in WHERE
        for samples in SAMPLES[: 2 if evidence.setting.quick else None]
    }
    rounds = (3, 3) if evidence.setting.quick else (60, 12)
    with one_thread():
        inference = time_alternately(single, rounds[0], times=5)
        mc_dropout = time_alternately({f"{w}, {PASS}": single[f"{w}, {PASS}"] for w in WHERE} | sampled, rounds[1])
    return {"inference": inference, "mc_dropout": mc_dropout}


def make_network(**settings: object) -> ImageNetwork:
    """SELU, LeCun initialization, inputs standardized as if all values of a pixel were equally frequent."""
    selu = {"activation": "selu", "initializer": "lecun_normal", "standardize": True}
    network = image_network(MLP, seed=1, **selu, **settings)  # type: ignore[arg-type]  # settings are of many types
    shape = network.scaling.gain.shape
    network.scaling.set_statistics(torch.full(shape, 127.5), torch.full(shape, 73.9))  # of 0 to 255: 256 / sqrt(12)
    return network


def _predict(network: ImageNetwork, images: Tensor) -> object:
    return network(images).softmax(1)


def _sample(network: ImageNetwork, images: Tensor, samples: int) -> object:
    return mc_probabilities(network, images, samples).mean(0)


def epochs_to_best(group: Group) -> dict[int, float]:
    """Epochs to the lowest validation loss by seed."""
    return {seed: epoch + 1 for seed, epoch in group.of("metrics", "best_epoch").items()}


def is_cut(group: Group) -> bool:
    """Whether the last epoch of one of its runs was the best one, so that a better one may lie beyond."""
    ends = group.of("metrics", "epochs")
    return any(ends.get(seed) == epochs for seed, epochs in epochs_to_best(group).items())


def compare_epochs(group: Group, without: Group, scale: float = 1) -> Contrast:
    """Epochs to the lowest loss, times what a step costs: ``scale``. Nothing is claimed of trainings that were cut."""
    ours = {seed: scale * epochs for seed, epochs in epochs_to_best(group).items()}
    theirs = (without.label, epochs_to_best(without))
    found = contrast_ratio((group.label, ours), theirs, "about 2", "time to the lowest validation loss")
    if not (is_cut(group) or is_cut(without)):
        return found
    return replace(found, low=0.0, high=inf, tested=None, note="a training ended at its lowest loss")


def compare_times(label: str, times: Times, name: str, base: str, direction: str = "equal") -> Contrast:
    """What was timed over ``base``, round by round."""
    other = "no dropout" if base.startswith(NONE) else "one prediction"
    return contrast_ratio((label, times[name]), (other, times[base]), direction, "time", counted="round")


def answer(evidence: Evidence) -> Answer:
    """In time a step, in epochs, and in predictions."""
    sweeps = dict(zip(RATES, (SWEEP, BETWEEN, BETWEEN, SWEEP), strict=True))
    groups = {r: with_label(evidence.group(of, model__dropout=r), f"dropout {r:g}") for r, of in sweeps.items()}
    require_completed(*groups.values())
    steps, predicted = evidence.measured(STEPS), evidence.measured(PREDICTIONS)
    inference, sampled = predicted["inference"], predicted["mc_dropout"]
    of_steps = {f"step, {name}": name for name in steps}
    of_one = {f"prediction, {name.replace(PASS, 'off')}": name for name in inference}
    of_samples = {f"MC, {name}": name.split(", ") for name in sampled if not name.endswith(PASS)}
    timed = {label: compare_times(label, steps, name, NONE) for label, name in of_steps.items()}
    timed |= {label: compare_times(label, inference, name, f"{NONE}, {PASS}") for label, name in of_one.items()}
    for label, (where, n) in of_samples.items():
        timed[label] = compare_times(label, sampled, f"{where}, {n}", f"{where}, {PASS}", f"about {n}")
    rates = {rate: compare_epochs(group, groups[0.0]) for rate, group in groups.items()}
    scaled = compare_epochs(groups[0.5], groups[0.0], timed["step, last, standard"].mean)
    of_claims = (scaled, *(timed[name] for name in ("prediction, every, off", "MC, every, 10", "MC, last, 10")))
    slower, free, ten_every, ten_last = judge(of_claims)
    claims = [
        Claim("Training takes about twice as long", [slower]),
        Claim("Predictions take no longer", [free]),
        Claim("10 MC samples take about 10 predictions", [ten_every]),
        Claim("Also with dropout before the output alone", [ten_last]),
    ]
    most = max(int(n) for _, n in of_samples.values())
    figures: dict[str, Any] = {
        **{"last": timed["step, last, alpha"], "every": timed["step, every, alpha"], "slower": slower, "free": free},
        **{"ten_every": ten_every, "ten_last": ten_last, "most": most, "most_last": timed[f"MC, last, {most}"]},
        **{f"epochs_{100 * rate:.0f}": f"{_epochs(groups[rate]).mean:.1f}" for rate in RATES},
    }
    drawn = {f"epochs, rate {rate:g}": of for rate, of in rates.items() if rate}
    drawn |= {name: of for name, of in timed.items() if NONE not in name}
    values = [*steps.values(), *inference.values(), *(sampled[", ".join(of)] for of in of_samples.values())]
    tables = [("Rates", table_by_rate(groups, rates)), ("Times", table_of_times(timed, values))]
    return Answer(figures, claims, plot(drawn), tables)


def _epochs(group: Group) -> Interval:
    return interval([*epochs_to_best(group).values()])


def plot(ratios: Mapping[str, Contrast]) -> Plot:
    """All ratios on one scale, a color for each kind."""
    kinds = list(dict.fromkeys(name.partition(",")[0] for name in ratios))
    with canvas(7.0, 3.9) as (figure, (axes,)):
        for i, (name, of) in enumerate(ratios.items()):
            bar = None if isnan(of.alone[0]) else [[of.mean - of.alone[0]], [of.alone[1] - of.mean]]
            color = COLORS[kinds.index(name.partition(",")[0])]
            axes.errorbar(of.mean, i, xerr=bar, fmt="o", color=color, capsize=3, markersize=5)
        for times in (1, 2, 10):
            axes.axvline(times, **REFERENCE)
        axes.set_yticks(range(len(ratios)), [*ratios], fontsize=8.5)
        axes.invert_yaxis()
        axes.set(xscale="log", xlabel="times as much as without dropout, or as one prediction")
        axes.set_xticks([1, 2, 5, 10, 20, 50], ["1", "2", "5", "10", "20", "50"])
        axes.minorticks_off()
        caption = "After the last hidden layer, or every one."
        return Plot("7_costs", "What dropout costs", caption, *render(figure))


def table_by_rate(groups: Mapping[float, Group], rates: Mapping[float, Contrast]) -> Table:
    """Epochs, losses and accuracies, one row per rate."""
    rows = []
    for rate, group in groups.items():
        epochs, loss, accuracy = _epochs(group), *(group.summary("metrics", f"val_{of}") for of in ("loss", "acc"))
        ratio = (_format_ratio(rates[rate]) if rate else "-", rates[rate].mean)
        rows.append(
            [(f"{rate:g}", rate), mean_cell(epochs), ratio, mean_cell(loss, 3), *text_cells(format_percent(accuracy))]
        )
    return Table(["rate", "epochs to the lowest loss", "ratio", "validation loss", "validation accuracy"], rows)


def _format_ratio(of: Contrast) -> str:
    return f"{of.mean:.2f}" if isnan(of.alone[0]) else f"{of.mean:.2f} ({of.alone[0]:.2f}-{of.alone[1]:.2f})"


def table_of_times(timed: Mapping[str, Contrast], values: Sequence[Sequence[float]]) -> Table:
    """Milliseconds and ratios of all that was timed."""
    rows = [
        [*text_cells(name), mean_cell(interval(ms), 2), ("-" if NONE in name else _format_ratio(of), of.mean)]
        for (name, of), ms in zip(timed.items(), values, strict=True)
    ]
    note = f"Steps on {BATCH} images, predictions of {PREDICTED}; processor time of one thread, in turn in each round."
    return Table(["what", "ms", "ratio"], rows, note)


SECTION = Section(
    "7",
    "7",
    "7. What dropout costs",
    "Does dropout slow down training? Predictions? What does MC dropout cost?",
    answer,
    [SWEEP, BETWEEN],
    [Measurement(STEPS, measure_steps, 1), Measurement(PREDICTIONS, measure_predictions, 1)],
    [
        "Epochs to the lowest loss are counted on 15,000 images with standard dropout before the output layer; time is "
        "epochs times what such a step takes.",
    ],
)
