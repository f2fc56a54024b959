"""Question 7: what dropout costs in training and in predictions, and what MC dropout costs."""

from collections.abc import Mapping, Sequence
from math import isnan, nan, sqrt

import numpy as np

from exercise.claims import Claim, all_claims_hold, describe_claims
from exercise.formatting import accuracy_cells, format_ratio, mean_cell, text_cells, with_label
from exercise.plots import REFERENCE, error_bar, plot_curves
from exercise.questions.dropout.measured import (
    BATCH,
    NONE,
    PASS,
    PLACES,
    PREDICTED,
    PREDICTIONS_IN_A_ROW,
    SAMPLES,
    STEPS_IN_A_ROW,
    VARIANTS,
    WHERE,
    describe_epochs_to_best,
    epochs_ratio,
    epochs_to_best,
    is_cut,
    mc_ratio,
    measure_predictions,
    measure_steps,
)
from exercise.section import Answer, Measurement, Section
from exercise.store import Evidence
from exercise.timing import CLOCK, ratio_product, time_ratio
from exercise.trainings import Sweep, experiments
from trainlab.report import COLORS, MARKERS, Cell, Group, Plot, Table, canvas, render
from trainlab.statistics import Ratio, interval

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
Times = Mapping[str, Sequence[float]]  # milliseconds by round of what was timed


def answer(evidence: Evidence) -> Answer:
    """In time a step, in epochs, and in predictions."""
    groups = {rate: _group(evidence, rate) for rate in RATES}
    taken, predicted = evidence.measured(STEPS), evidence.measured(PREDICTIONS)
    without, half = groups[RATES[0]], groups[RATES[-1]]
    inference, sampled = predicted["inference"], predicted["mc_dropout"]
    done = [group for group in groups.values() if group.runs]
    slower = training_time_ratio(without, half, taken)
    found = claims(slower, inference, sampled)
    return Answer(
        [describe_step_costs(taken), describe_claims(found)],
        all_claims_hold(found),
        [*([plot_curves(done, "loss", "7", SEE_CURVES)] if done else []), plot_costs(taken, sampled)],
        [("Rates", table_by_rate(groups)), ("Times", table_by_variant(taken, inference, sampled))],
        [
            f"{describe_epochs_to_best(without, half)} {altogether(slower)}".strip(),
            " ".join([*why_cheap(sampled), rounds(taken, inference, sampled)]),
        ],
    )


def _group(evidence: Evidence, rate: float) -> Group:
    return with_label(evidence.group(SWEEP, model__dropout=rate), f"rate {rate:g}" if rate else "no dropout")


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


def training_time_ratio(first: Group, second: Group, taken: Times) -> Ratio:
    """Time to the lowest validation loss, the second's over the first's: that of epochs times that of a step.

    Of steps with standard dropout before the output layer, as it is trained here. NaN where a training ended before
    its loss rose again.
    """
    epochs, step = epochs_ratio(first, second), time_ratio(taken["last, standard"], taken[NONE])
    if is_cut(first) or is_cut(second) or isnan(epochs.value):
        return Ratio(nan, nan, nan)
    return ratio_product(epochs, step)


def altogether(found: Ratio) -> str:
    """What that makes in time."""
    if isnan(found.value):
        return ""
    words = {True: "about twofold", False: "not about twofold", None: "whether that is about twofold is not shown"}
    return f"Multiplied by the time of a step, that makes {format_ratio(found)} the time: {words[about(found, 2)]}."


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
    return [
        Claim("training takes about twice as long", training, about(slower, 2)),
        Claim("predictions take no longer", f"{off}; up to {100 * FREE:.0f} % more counts as none", is_free(inference)),
        *(_samples_cost(sampled, place) for place in PLACES),
    ]


def _samples_cost(sampled: Times, place: str) -> Claim:
    found, n = mc_ratio(sampled, place, MC_SAMPLES), MC_SAMPLES
    says = f"{n} samples of MC dropout {WHERE[place]} take about {n} times as long as one prediction"
    marks = f"about {n} is from {n / ABOUT:.1f} to {n * ABOUT:.1f}"
    return Claim(says, f"{format_ratio(found)}; {marks}", about(found, n))


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


def rounds(taken: Times, inference: Times, sampled: Times) -> str:
    """What the intervals of times are over."""
    steps, single, mc = (len(next(iter(of.values()))) for of in (taken, inference, sampled))
    return (
        f"Times are those of the processor. The 95 % of steps are over {steps} rounds, those of predictions over "
        f"{single}, those of MC dropout over {mc}, those of epochs over seeds."
    )


def plot_costs(taken: Mapping[str, Sequence[float]], sampled: Mapping[str, Sequence[float]]) -> Plot:
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
        left.set_xlim(0.5, 1.5 * max(time_ratio(taken[name], taken[NONE]).value for name in names))
        left.set_xlabel("times a step without dropout")
        for i, place in enumerate(PLACES):
            known = [n for n in SAMPLES if f"{place}, {n}" in sampled]
            values = [mc_ratio(sampled, place, n).value for n in known]
            right.plot(known, values, color=COLORS[i], marker=MARKERS[i], label=f"dropout after {place} layer")
        right.plot(SAMPLES, SAMPLES, **REFERENCE, label="a pass a sample")
        right.set_xscale("log")
        right.set_yscale("log")
        right.set_xlabel("samples of MC dropout")
        right.set_ylabel("times one prediction")
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


def table_by_variant(
    taken: Mapping[str, Sequence[float]],
    inference: Mapping[str, Sequence[float]],
    sampled: Mapping[str, Sequence[float]],
) -> Table:
    """Milliseconds and ratios of all that was timed."""
    rows: list[list[Cell]] = []

    def add(what: str, values: Sequence[float], base: Sequence[float]) -> None:
        found, mean = time_ratio(values, base), interval(values)
        compared = ("-", 1.0) if values is base else (format_ratio(found), found.value)
        rows.append([*text_cells(what), mean_cell(mean, 2), (str(mean.n), mean.n), compared])

    for name, values in taken.items():
        add(f"step, {_format_variant(name)}", values, taken[NONE])
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


def _format_variant(name: str) -> str:
    """Of a variant: "alpha dropout after the last hidden layer"."""
    if name == NONE:
        return "no dropout"
    place, _, kind = name.partition(", ")
    return f"{kind} dropout {WHERE[place]}"


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
