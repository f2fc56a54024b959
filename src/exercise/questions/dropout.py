"""Question 7: what dropout costs in training and in predictions, and what MC dropout costs."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import isnan, nan, sqrt

import numpy as np
import torch
from torch import Tensor

from exercise.claims import Claim, all_claims_hold, describe_claims
from exercise.formatting import accuracy_cells, format_ratio, format_seeds, mean_cell, text_cells, with_label
from exercise.plots import REFERENCE, error_bar, plot_curves
from exercise.section import Answer, Measurement, Section
from exercise.step_costs import (
    CLOCK,
    one_thread,
    random_batch,
    ratio_product,
    time_alternately,
    time_ratio,
    training_step,
)
from exercise.store import Evidence, Measured
from exercise.trainings import Sweep, experiments
from trainlab.inference import mc_probabilities
from trainlab.models import MLP, ImageNetwork, image_network
from trainlab.report import COLORS, MARKERS, Cell, Group, Plot, Table, canvas, format_mean, render
from trainlab.statistics import Ratio, interval, ratio

RATE, BATCH, PREDICTED = 0.1, 128, 250
NONE = "none"
VARIANTS = {
    NONE: {},
    **{
        f"{where}, {kind}": {"dropout": RATE, "dropout_after": where, "dropout_kind": kind}
        for where in ("last", "every")
        for kind in ("standard", "alpha")
    },
}
WHERE = {"last": "after the last hidden layer", "every": "after every hidden layer"}
PLACES = {"last": VARIANTS["last, alpha"], "every": VARIANTS["every, alpha"]}
SAMPLES = (1, 10, 100)
PASS = "one pass"
Times = Mapping[str, Sequence[float]]  # milliseconds by round of what was timed
STEPS_IN_A_ROW, PREDICTIONS_IN_A_ROW = 8, 5  # the shortest counts
RATES = (0.0, 0.1, 0.2, 0.5)
# A third of the images and large batches: so a training reaches its lowest validation loss within the time there is.
SWEEP = Sweep(
    "question_7",
    (
        *(experiments("plain_selu"), "model.dropout=0,0.1,0.2,0.5", "model.dropout_kind=standard", "seed=1,2,3"),
        *("data.val_size=35000", "data.batch_size=128", "optim.lr=2e-4"),
        *("trainer.max_epochs=16", "callbacks.early_stopping.patience=4"),
    ),
    ("data.num_train=1200", "data.val_size=200", "data.num_test=200", "data.batch_size=32"),
)
STEPS, PREDICTIONS = "question_7_steps", "question_7_predictions"
FREE = 0.05  # a share of the time up to which predictions are called free; a choice
ABOUT = sqrt(2)  # "about twofold" is from 2 / ABOUT to 2 ABOUT: nearer to twofold than to none or fourfold
MC_SAMPLES = 10
TEXTBOOK = (
    "Dropout slows training, about twofold. It costs nothing in predictions, where it is off. MC dropout takes about "
    "as many times as long as there are samples."
)
SEE_CURVES = "See after how many epochs each line is lowest, and whether that comes later with a higher rate."


def measure_steps(evidence: Evidence) -> Measured:
    """Milliseconds of a training step by variant, one number per round."""
    images, labels = random_batch(BATCH)
    nadam = partial(torch.optim.NAdam, lr=1e-6)
    actions = {
        name: training_step(make_network(**settings), nadam, images, labels) for name, settings in VARIANTS.items()
    }
    with one_thread():
        return dict(time_alternately(actions, rounds=5 if evidence.setting.quick else 60, times=STEPS_IN_A_ROW))


@torch.inference_mode()
def measure_predictions(evidence: Evidence) -> Measured:
    """Milliseconds of predictions by variant, with dropout off and left on, one number per round."""
    images, _ = random_batch(PREDICTED)
    networks = {name: make_network(**settings).eval() for name, settings in {NONE: {}, **PLACES}.items()}
    single = {f"{name}, {PASS}": _prediction(network, images) for name, network in networks.items()}
    sampled = {
        f"{name}, {samples}": _samples(networks[name], images, samples)
        for name in PLACES
        for samples in SAMPLES[: 2 if evidence.setting.quick else None]
    }
    rounds = (3, 3) if evidence.setting.quick else (60, 12)
    with one_thread():
        inference = time_alternately(single, rounds[0], times=PREDICTIONS_IN_A_ROW)
        one_pass = {f"{name}, {PASS}": single[f"{name}, {PASS}"] for name in PLACES}
        mc_dropout = time_alternately(one_pass | sampled, rounds[1])
    return {"inference": inference, "mc_dropout": mc_dropout}


def mc_ratio(sampled: Times, place: str, samples: int) -> Ratio:
    """Of ``samples`` samples over one pass with dropout off."""
    return time_ratio(sampled[f"{place}, {samples}"], sampled[f"{place}, {PASS}"])


def make_network(**settings: object) -> ImageNetwork:
    """SELU, LeCun initialization, inputs standardized as if all values of a pixel were equally frequent."""
    # The settings are of several types, each that of its argument.
    selu = {"activation": "selu", "initializer": "lecun_normal", "standardize": True}
    network = image_network(MLP, seed=1, **selu, **settings)  # type: ignore[arg-type]  # settings are of many types
    shape = network.scaling.gain.shape
    network.scaling.set_statistics(torch.full(shape, 127.5), torch.full(shape, 73.9))  # of 0 to 255: 256 / sqrt(12)
    return network


def _prediction(network: ImageNetwork, images: Tensor) -> Callable[[], object]:
    return lambda: network(images).softmax(1)


def _samples(network: ImageNetwork, images: Tensor, samples: int) -> Callable[[], object]:
    return lambda: mc_probabilities(network, images, samples).mean(0)


def epochs_to_best(group: Group) -> dict[int, float]:
    """Epochs to the lowest validation loss by seed."""
    return {seed: epoch + 1 for seed, epoch in group.of("metrics", "best_epoch").items()}


def epochs_ratio(first: Group, second: Group) -> Ratio:
    """What the second takes of epochs over what the first takes; NaN where there is no run."""
    a, b = epochs_to_best(first), epochs_to_best(second)
    return ratio(b, a) if a and b else Ratio(nan, nan, nan)


def format_mean_epochs(group: Group) -> str:
    """With its interval."""
    return format_mean(interval([*epochs_to_best(group).values()]))


def is_cut(group: Group) -> bool:
    """Whether the last epoch of one of its runs was the best one."""
    ends = group.of("metrics", "epochs")
    return any(ends.get(seed) == epochs for seed, epochs in epochs_to_best(group).items())


def describe_epochs_to_best(first: Group, second: Group) -> str:
    """Epochs to the lowest validation loss, of two rates."""
    found = epochs_ratio(first, second)
    if isnan(found.value):
        without = [group.label for group in (first, second) if not group.runs]
        return f"No run with {' nor with '.join(without)} was completed, so epochs cannot be compared."
    each = (
        f"{format_mean_epochs(second)} epochs with {second.label}, after {format_mean_epochs(first)} with {first.label}"
    )
    verdict = "no difference that these runs show" if not found.is_clear else "more" if found.value > 1 else "fewer"
    if isnan(found.low):
        verdict = "nothing can be claimed"
    cut = [group.label for group in (second, first) if is_cut(group)]
    ended = f" (the training ended before it rose again with {' and '.join(cut)})" if cut else ""
    n = format_seeds(min(len(first.runs), len(second.runs)))
    return f"The lowest validation loss came after {each}{ended}: {format_ratio(found)} as many, {verdict} ({n})."


def plot_costs(taken: Times, sampled: Times) -> Plot:
    """Steps with dropout compared with those without; samples compared with passes."""
    with canvas(8.6, 3.4, 2) as (figure, (left, right)):
        names = [name for name in VARIANTS if name != NONE]
        for i, name in enumerate(names):
            found = time_ratio(taken[name], taken[NONE])
            rounds = np.array(taken[name]) / np.array(taken[NONE])
            left.plot(rounds, i + np.linspace(-0.25, 0.25, len(rounds)), ".", color="#BBBBBB", markersize=3)
            left.errorbar(found.value, i, xerr=error_bar(found), fmt="o", color=COLORS[0], capsize=4)
        left.axvline(1, **REFERENCE)
        left.set_yticks(range(len(names)), [f"{name.replace(', ', ' layer, ')}" for name in names])
        left.invert_yaxis()
        left.set(
            xlim=(0.5, 1.5 * max(time_ratio(taken[name], taken[NONE]).value for name in names)),
            xlabel="times a step without dropout",
        )
        for i, place in enumerate(PLACES):
            known = [n for n in SAMPLES if f"{place}, {n}" in sampled]
            values = [mc_ratio(sampled, place, n).value for n in known]
            right.plot(known, values, color=COLORS[i], marker=MARKERS[i], label=f"dropout after {place} layer")
        right.plot(SAMPLES, SAMPLES, **REFERENCE, label="a pass a sample")
        right.set(xscale="log", yscale="log", xlabel="samples of MC dropout", ylabel="times one prediction")
        right.legend(fontsize=9)
        return Plot(
            "7_costs",
            "What dropout costs",
            "Processor time. Left: a training step with dropout over one without, in each round (grey, far ones cut "
            "off) and on the mean with its 95 % interval over the rounds; see how far dropout after every layer is "
            "from dropout after the last. Right: predictions with MC dropout over one with dropout off; the dashed "
            "line is a whole prediction for each sample. See how far below it each place of the dropout is: there "
            "samples share work.",
            *render(figure),
        )


def table_by_variant(taken: Times, inference: Times, sampled: Times) -> Table:
    """Milliseconds and ratios of all that was timed."""
    rows: list[list[Cell]] = []

    def add(what: str, values: Sequence[float], base: Sequence[float]) -> None:
        found, mean = time_ratio(values, base), interval(values)
        compared = ("-", 1.0) if values is base else (format_ratio(found), found.value)
        rows.append([*text_cells(what), mean_cell(mean, 2), (str(mean.n), mean.n), compared])

    for name, values in taken.items():
        place, _, kind = name.partition(", ")
        what = "no dropout" if name == NONE else f"{kind} dropout {WHERE[place]}"
        add(f"step, {what}", values, taken[NONE])
    for name, values in inference.items():
        place = name.partition(",")[0]
        off = "no dropout" if place == NONE else f"dropout {WHERE[place]}, off"
        add(f"prediction, {off}", values, inference[f"{NONE}, {PASS}"])
    for name, values in sampled.items():
        place, _, samples = name.partition(", ")
        if samples != PASS:
            what = f"MC dropout {WHERE[place]}, {samples} sample{'' if samples == '1' else 's'}"
            add(what, values, sampled[f"{place}, {PASS}"])
    note = (
        f"Steps on {BATCH} images, predictions of {PREDICTED}; one thread. A round takes the shortest of "
        f"{STEPS_IN_A_ROW} steps, of {PREDICTIONS_IN_A_ROW} predictions, or of one with MC dropout, and all take turns "
        f"within it. Means with 95 % intervals, both over the rounds and not over seeds. {CLOCK}"
    )
    return Table(["what", "ms", "rounds", "compared with no dropout, or one prediction with it off"], rows, note)


def describe_step_costs(taken: Times) -> str:
    """Of a step in training, compared with one without dropout."""
    last, every, plain = (
        time_ratio(taken[name], taken[NONE]) for name in ("last, alpha", "every, alpha", "every, standard")
    )
    return (
        f"With alpha dropout after the last hidden layer a training step takes {format_ratio(last)} as long as without "
        f"any dropout; with it after each of the 20 layers {format_ratio(every)}, and with standard dropout there "
        f"{format_ratio(plain)}."
    )


def answer(evidence: Evidence) -> Answer:
    """In time a step, in epochs, and in predictions."""
    labels = {rate: f"rate {rate:g}" if rate else "no dropout" for rate in RATES}
    groups = {rate: with_label(evidence.group(SWEEP, model__dropout=rate), label) for rate, label in labels.items()}
    taken, predicted = evidence.measured(STEPS), evidence.measured(PREDICTIONS)
    without, half = groups[RATES[0]], groups[RATES[-1]]
    inference, sampled = predicted["inference"], predicted["mc_dropout"]
    done = [group for group in groups.values() if group.runs]
    # Time to the lowest validation loss: that of epochs times that of a step, with standard dropout before the output
    # layer, as it is trained here. NaN where a training ended before its loss rose again.
    epochs, slower = epochs_ratio(without, half), Ratio(nan, nan, nan)
    if not (is_cut(without) or is_cut(half) or isnan(epochs.value)):
        slower = ratio_product(epochs, time_ratio(taken["last, standard"], taken[NONE]))
    found = claims(slower, inference, sampled)
    training = describe_epochs_to_best(without, half)
    if not isnan(slower.value):
        words = {True: "about twofold", False: "not about twofold", None: "whether that is about twofold is not shown"}
        training += (
            f" Multiplied by the time of a step, that makes {format_ratio(slower)} the time: {words[about(slower, 2)]}."
        )
    steps, single, mc = (len(next(iter(of.values()))) for of in (taken, inference, sampled))
    rounds = (
        f"Times are those of the processor. The 95 % of steps are over {steps} rounds, those of predictions over "
        f"{single}, those of MC dropout over {mc}, those of epochs over seeds."
    )
    return Answer(
        [describe_step_costs(taken), describe_claims(found)],
        all_claims_hold(found),
        [*([plot_curves(done, "loss", "7", SEE_CURVES)] if done else []), plot_costs(taken, sampled)],
        [("Rates", table_by_rate(groups)), ("Times", table_by_variant(taken, inference, sampled))],
        [training, " ".join([*why_cheap(sampled), rounds])],
    )


def about(found: Ratio, mark: float) -> bool | None:
    """Whether a ratio is about ``mark``: its interval lies within a factor ``ABOUT`` of it; False where none of it."""
    low, high = mark / ABOUT, mark * ABOUT
    if found.low >= low and found.high <= high:
        return True
    return False if found.high < low or found.low > high else None


def claims(slower: Ratio, inference: Times, sampled: Times) -> list[Claim]:
    """That training takes twice as long, that predictions take no longer, and that samples cost a pass each.

    Args:
        slower: time to the lowest validation loss, with dropout over without.
    """
    training = "no time to the lowest validation loss can be given"
    if not isnan(slower.value):
        training = f"{format_ratio(slower)} the time to the lowest validation loss, at a dropout rate of {RATES[-1]:g}"
    off = f"{format_ratio(_off(inference))} as long with dropout that is off as without any"
    found = [
        Claim("training takes about twice as long", training, about(slower, 2)),
        Claim("predictions take no longer", f"{off}; up to {100 * FREE:.0f} % more counts as none", is_free(inference)),
    ]
    for place in PLACES:
        cost, n = mc_ratio(sampled, place, MC_SAMPLES), MC_SAMPLES
        statement = f"{n} samples of MC dropout {WHERE[place]} take about {n} times as long as one prediction"
        marks = f"about {n} is from {n / ABOUT:.1f} to {n * ABOUT:.1f}"
        found.append(Claim(statement, f"{format_ratio(cost)}; {marks}", about(cost, n)))
    return found


def why_cheap(sampled: Times) -> list[str]:
    """Why samples cost less than a prediction each, where dropout is before the output layer alone and they do."""
    if mc_ratio(sampled, "last", MC_SAMPLES).high >= MC_SAMPLES / ABOUT:
        return []
    return [
        "With dropout before the output layer alone, the samples share all layers before it, which are computed once; "
        "a loop over whole predictions would compute them for every sample."
    ]


def is_free(inference: Times) -> bool | None:
    """Whether dropout that is off takes at most ``FREE`` more time; None where the interval has room for both."""
    found = _off(inference)
    return True if found.high <= 1 + FREE else False if found.low > 1 + FREE else None


def _off(inference: Times) -> Ratio:
    return time_ratio(inference[f"every, {PASS}"], inference[f"{NONE}, {PASS}"])


def table_by_rate(groups: Mapping[float, Group]) -> Table:
    """Epochs and accuracies, one row per rate."""
    rows: list[list[Cell]] = []
    first = next(iter(groups.values()))
    for rate, group in groups.items():
        found = epochs_ratio(first, group)
        rows.append(
            [
                (f"{rate:g}", rate),
                mean_cell(interval([*epochs_to_best(group).values()])),
                ("-" if not rate or isnan(found.value) else format_ratio(found), found.value),
                mean_cell(group.summary("metrics", "val_loss"), 3),
                accuracy_cells(group)[0],
            ]
        )
    headings = [
        "rate",
        "epochs to the lowest validation loss",
        "compared with none",
        "validation loss",
        "validation accuracy",
    ]
    note = (
        "Ordinary dropout before the output layer of the SELU network; 15,000 training images, batches of 128. ± and "
        "95 % are over the seeds."
    )
    return Table(headings, rows, note)


SECTION = Section(
    "7",
    "7",
    "7. What dropout costs",
    "Does dropout slow down training, in time a step and in epochs? Does it slow down predictions? What does MC "
    "dropout cost?",
    TEXTBOOK,
    answer,
    [SWEEP],
    [Measurement(STEPS, measure_steps), Measurement(PREDICTIONS, measure_predictions)],
    [
        "Epochs are counted on 15,000 training images, with 35,000 held out for validation, so that a training "
        "reaches its lowest validation loss within seconds; steps and predictions are timed on one core. The time to "
        "the lowest loss is the epochs times what a step takes; its interval is over the seeds for the former and "
        "over the rounds for the latter.",
        "About twofold, or about as many passes as samples, is what lies with its whole 95 % interval within a factor "
        "of 1.41, the root of 2, of it: nearer to twofold than to none or fourfold. Free is what takes up to "
        f"{100 * FREE:.0f} % more. Both marks are choices. Training at all rates but 0 is with standard dropout "
        "before the output layer, so it says nothing of how many epochs dropout after every layer takes.",
    ],
)
