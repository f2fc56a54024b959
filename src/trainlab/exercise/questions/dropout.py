"""Question 7: what dropout costs in training and in predictions, and what MC dropout costs."""

from collections.abc import Mapping, Sequence
from math import exp, hypot, isnan, log, nan, sqrt
from typing import Any

import numpy as np

from trainlab.exercise.evidence import Evidence
from trainlab.exercise.questions.dropout_costs import NONE, PASS, PLACES, SAMPLES, VARIANTS, predictions, steps
from trainlab.exercise.section import Answer, Measurement, Section
from trainlab.exercise.timing import times_as_long
from trainlab.exercise.trainings import Sweep
from trainlab.exercise.wording import accuracy, all_hold, named, seeds, times
from trainlab.report.drawing import COLOURS, MARKERS, canvas, rendered
from trainlab.report.figures import Picture, learning_curves
from trainlab.report.groups import Group
from trainlab.report.sections import Cell, Table
from trainlab.report.statistics import Ratio, interval, ratio
from trainlab.report.verdicts import number

RATES = (0.0, 0.1, 0.2, 0.5)
# A third of the images and large batches: so a training comes to its lowest validation loss within the time there is.
SWEEP = Sweep(
    "question_7",
    (
        *("experiment=plain_selu", "model.dropout=0,0.1,0.2,0.5", "model.dropout_kind=ordinary", "seed=1,2,3"),
        *("data.val_size=35000", "data.batch_size=128", "optim.lr=2e-4"),
        *("trainer.max_epochs=16", "callbacks.early_stopping.patience=4"),
    ),
    ("data.num_train=1200", "data.val_size=200", "data.num_test=200", "data.batch_size=32"),
)
STEPS, PREDICTIONS = "question_7_steps", "question_7_predictions"
FREE = 0.05  # a share of the time up to which predictions are called free; a choice
ABOUT = sqrt(2)  # "about twofold" is from 2 / ABOUT to 2 ABOUT: nearer to twofold than to none or fourfold
TEXTBOOK = (
    "Dropout slows training, about twofold. It costs nothing in predictions, where it is off. MC dropout takes as many "
    "times as long as there are samples."
)


def answer(evidence: Evidence) -> Answer:
    """In time a step, in epochs, and in predictions."""
    groups = {rate: _group(evidence, rate) for rate in RATES}
    taken, predicted = evidence.measured(STEPS), evidence.measured(PREDICTIONS)
    without, half = groups[RATES[0]], groups[RATES[-1]]
    inference, sampled = predicted["inference"], predicted["mc_dropout"]
    done = [group for group in groups.values() if group.runs]
    slower = time_ratio(without, half, taken)
    return Answer(
        [
            step_costs(taken),
            f"{to_the_best(without, half)} {altogether(slower)}".strip(),
            prediction_costs(inference, sampled),
        ],
        all_hold(about(slower, 2), is_free(inference), costs_all_samples(sampled)),
        [learning_curves(done, "loss", "epochs"), costs(taken, sampled)] if done else [costs(taken, sampled)],
        [("Rates", by_rate(groups)), ("Times", by_variant(taken, inference, sampled))],
    )


def _group(evidence: Evidence, rate: float) -> Group:
    return named(evidence.group(SWEEP, model__dropout=rate), f"rate {rate:g}" if rate else "no dropout")


def step_costs(taken: Mapping[str, Sequence[float]]) -> str:
    """Of a step in training, beside one without dropout."""
    found = {name: times_as_long(taken[name], taken[NONE]) for name in VARIANTS if name != NONE}
    last, every, plain = found["last, alpha"], found["every, alpha"], found["every, ordinary"]
    return (
        f"A training step takes {times(last)} as long with alpha dropout after the last hidden layer as without any, "
        f"and {times(every)} with it after each of the 20 (ordinary dropout there: {times(plain)})."
    )


def epochs_to_best(group: Group) -> dict[int, float]:
    """Epochs to the lowest validation loss by seed."""
    return {seed: epoch + 1 for seed, epoch in group.of("metrics", "best_epoch").items()}


def epochs_ratio(first: Group, second: Group) -> Ratio:
    """What the second takes of epochs over what the first takes; NaN where there is no run."""
    a, b = epochs_to_best(first), epochs_to_best(second)
    return ratio(b, a) if a and b else Ratio(nan, nan, nan)


def to_the_best(first: Group, second: Group) -> str:
    """Epochs to the lowest validation loss, of two rates."""
    found = epochs_ratio(first, second)
    if isnan(found.value):
        without = [group.label for group in (first, second) if not group.runs]
        return f"No run with {' nor with '.join(without)} was completed, so epochs cannot be compared."
    each = f"{_epochs(second)} epochs with {second.label}, after {_epochs(first)} with {first.label}"
    verdict = "no difference that these runs show" if not found.is_clear else "more" if found.value > 1 else "fewer"
    if isnan(found.low):
        verdict = "nothing can be claimed"
    cut = [group.label for group in (second, first) if _is_cut(group)]
    ended = f" (the training ended before it rose again with {' and '.join(cut)})" if cut else ""
    n = seeds(min(len(first.runs), len(second.runs)))
    return f"The lowest validation loss came after {each}{ended}: {times(found)} as many, {verdict} ({n})."


def time_ratio(first: Group, second: Group, taken: Mapping[str, Sequence[float]]) -> Ratio:
    """Time to the lowest validation loss, the second's over the first's: that of epochs times that of a step.

    Of steps with ordinary dropout before the output layer, as it is trained here. The two are measured apart, so the
    squares of their relative uncertainties add up. NaN where a training ended before its loss rose again.
    """
    epochs, step = epochs_ratio(first, second), times_as_long(taken["last, ordinary"], taken[NONE])
    if _is_cut(first) or _is_cut(second) or isnan(epochs.value):
        return Ratio(nan, nan, nan)
    value = epochs.value * step.value
    within = exp(hypot(*(log(of.high / of.value) for of in (epochs, step))))
    return Ratio(value, value / within, value * within)


def altogether(found: Ratio) -> str:
    """What that comes to in time."""
    if isnan(found.value):
        return ""
    words = {True: "about twofold", False: "not about twofold", None: "whether that is about twofold is not shown"}
    return f"With what a step takes that is {times(found)} the time: {words[about(found, 2)]}."


def about(found: Ratio, mark: float) -> bool | None:
    """Whether a ratio is about ``mark``: its interval lies within a factor ``ABOUT`` of it; False where none of it."""
    low, high = mark / ABOUT, mark * ABOUT
    if found.low >= low and found.high <= high:
        return True
    return False if found.high < low or found.low > high else None


def _epochs(group: Group) -> str:
    return number(interval([*epochs_to_best(group).values()]))


def _is_cut(group: Group) -> bool:
    """Whether the last epoch of one of its runs was the best one."""
    ends = group.of("metrics", "epochs")
    return any(ends.get(seed) == epochs for seed, epochs in epochs_to_best(group).items())


def prediction_costs(inference: Mapping[str, Sequence[float]], sampled: Mapping[str, Sequence[float]]) -> str:
    """Of predictions with dropout off and left on."""
    words = {
        True: f"at most {100 * FREE:.0f} % more",
        False: f"more than {100 * FREE:.0f} % more",
        None: f"whether more than {100 * FREE:.0f} % is not shown",
    }
    off = f"{times(_off(inference))} as long as without, {words[is_free(inference)]}"
    last, every = (mc_ratio(sampled, place, 10) for place in ("last", "every"))
    why = "; what lies before the first dropout is computed once for all samples" if last.high < 10 / ABOUT else ""
    return (
        f"A prediction with dropout off takes {off}; 10 samples of MC dropout take {times(last)} one pass with dropout "
        f"after the last hidden layer alone and {times(every)} with dropout after every layer{why}."
    )


def mc_ratio(sampled: Mapping[str, Sequence[float]], place: str, samples: int) -> Ratio:
    """Of so many samples over one pass with dropout off."""
    return times_as_long(sampled[f"{place}, {samples}"], sampled[f"{place}, {PASS}"])


def is_free(inference: Mapping[str, Sequence[float]]) -> bool | None:
    """Whether dropout that is off takes at most ``FREE`` more time; None where the interval has room for both."""
    found = _off(inference)
    return True if found.high <= 1 + FREE else False if found.low > 1 + FREE else None


def _off(inference: Mapping[str, Sequence[float]]) -> Ratio:
    return times_as_long(inference[f"every, {PASS}"], inference[f"{NONE}, {PASS}"])


def costs_all_samples(sampled: Mapping[str, Sequence[float]]) -> bool | None:
    """Whether 10 samples take about 10 passes wherever the dropout is."""
    return all_hold(*(about(mc_ratio(sampled, place, 10), 10) for place in PLACES))


def costs(taken: Mapping[str, Sequence[float]], sampled: Mapping[str, Sequence[float]]) -> Picture:
    """Steps with dropout beside those without; samples beside passes."""
    with canvas(8.6, 3.4, 2) as (figure, (left, right)):
        names = [name for name in VARIANTS if name != NONE]
        for i, name in enumerate(names):
            found = times_as_long(taken[name], taken[NONE])
            spread: Any = None if isnan(found.low) else [[found.value - found.low], [found.high - found.value]]
            rounds = np.array(taken[name]) / np.array(taken[NONE])
            left.plot(rounds, i + np.linspace(-0.25, 0.25, len(rounds)), ".", color="#BBBBBB", markersize=3)
            left.errorbar(found.value, i, xerr=spread, fmt="o", color=COLOURS[0], capsize=4)
        left.axvline(1, color="#888888", linewidth=1, linestyle=(0, (4, 2)))
        left.set_yticks(range(len(names)), [f"{name.replace(', ', ' layer, ')}" for name in names])
        left.invert_yaxis()
        left.set_xlim(0.5, 1.5 * max(times_as_long(taken[name], taken[NONE]).value for name in names))
        left.set_xlabel("times a step without dropout")
        for i, place in enumerate(PLACES):
            known = [n for n in SAMPLES if f"{place}, {n}" in sampled]
            values = [mc_ratio(sampled, place, n).value for n in known]
            right.plot(known, values, color=COLOURS[i], marker=MARKERS[i], label=f"dropout after {place} layer")
        right.plot(SAMPLES, SAMPLES, color="#888888", linestyle=(0, (4, 2)), linewidth=1, label="a pass a sample")
        right.set_xscale("log")
        right.set_yscale("log")
        right.set_xlabel("samples of MC dropout")
        right.set_ylabel("times one prediction")
        right.legend(fontsize=9)
        png, svg = rendered(figure)
    return Picture(
        "7_costs",
        "What dropout costs",
        "Left: a training step with dropout over one without, in each round (grey, far ones cut off) and on the mean "
        "with its 95 % interval. Right: predictions with MC dropout over one with dropout off; below the dashed line "
        "samples share work.",
        png,
        svg,
    )


def by_rate(groups: Mapping[float, Group]) -> Table:
    """Epochs and accuracies, a line a rate."""
    rows: list[list[Cell]] = []
    first = groups[RATES[0]]
    for rate, group in groups.items():
        found, loss = epochs_ratio(first, group), group.summary("metrics", "val_loss")
        best, reached = epochs_to_best(group), group.summary("metrics", "val_acc")
        rows.append(
            [
                (f"{rate:g}", rate),
                (_epochs(group), interval([*best.values()]).mean),
                ("-" if not rate or isnan(found.value) else times(found), found.value),
                (number(loss, 3), loss.mean),
                (accuracy(reached), reached.mean),
            ]
        )
    headings = ["rate", "epochs to the lowest validation loss", "beside none", "validation loss", "validation accuracy"]
    note = "Ordinary dropout before the output layer of the SELU network; 15,000 training images, batches of 128."
    return Table(headings, rows, note)


def by_variant(
    taken: Mapping[str, Sequence[float]],
    inference: Mapping[str, Sequence[float]],
    sampled: Mapping[str, Sequence[float]],
) -> Table:
    """Milliseconds and ratios of all that was timed."""
    rows: list[list[Cell]] = []

    def add(what: str, values: Sequence[float], base: Sequence[float]) -> None:
        found, median = times_as_long(values, base), float(np.median(values))
        beside = "-" if values is base else times(found)
        rows.append([(what, what), (f"{median:.2f}", median), (beside, 1.0 if values is base else found.value)])

    for name, values in taken.items():
        add(f"step, dropout: {name}", values, taken[NONE])
    for name, values in inference.items():
        add(f"prediction, dropout: {name}", values, inference[f"{NONE}, {PASS}"])
    for name, values in sampled.items():
        if PASS not in name:
            add(f"MC dropout: {name} samples", values, sampled[f"{name.partition(',')[0]}, {PASS}"])
    note = "Steps on 32 images, predictions of 250; one thread; medians over rounds in which all take turns."
    return Table(["what", "ms", "beside none, or one pass"], rows, note)


SECTIONS = (
    Section(
        "7",
        "7",
        "7. What dropout costs",
        "Does dropout slow down training, in time a step and in epochs? Does it slow down predictions? What does MC "
        "dropout cost?",
        TEXTBOOK,
        answer,
        [SWEEP],
        [Measurement(STEPS, steps), Measurement(PREDICTIONS, predictions)],
        [
            "Epochs are counted on 15,000 training images, with 35,000 held out for validation, so that a training "
            "comes to its lowest validation loss within seconds; steps and predictions are timed on one core. About "
            "twofold, or about as many passes as samples, is what lies with its whole 95 % interval within a factor of "
            "1.41, the root of 2, of it: nearer to twofold than to none or fourfold. Free is what takes up to "
            f"{100 * FREE:.0f} % more. Both marks are choices.",
        ],
    ),
)
