"""Question 2: is it in order to begin with all biases zero?"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import count

import numpy as np
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from trainlab.checkpoints import load_checkpoint
from trainlab.exercise.evidence import Evidence, Measured, checkpoint_of, diverged
from trainlab.exercise.section import Answer, Measurement, Section
from trainlab.exercise.trainings import Sweep
from trainlab.exercise.wording import accuracy, named, seeds
from trainlab.report.comparisons import Pair, compare_all
from trainlab.report.drawing import COLOURS, MARKERS, canvas, legend_below, rendered
from trainlab.report.figures import Picture, learning_curves
from trainlab.report.groups import Group
from trainlab.report.sections import TEST_NOTE, Cell, Table
from trainlab.report.statistics import interval
from trainlab.report.verdicts import better, number

SCALE = 0.1
SWEEP = Sweep(
    "question_2",
    (
        *("model=elu_he", "model.bias_initializer=zeros,constant,normal", f"model.bias_scale={SCALE}", "optim.lr=5e-4"),
        *("seed=1,2,3,4,5,6", "data.batch_size=128", "scheduler=one_cycle"),
        *("trainer.max_epochs=7", "trainer.limit_train_batches=120", "callbacks.pictures=null"),
    ),
    ("trainer.limit_train_batches=10", "model.depth=5"),
)
NAMES = {"zeros": "zero biases", "constant": f"biases of {SCALE}", "normal": f"random biases (deviation {SCALE})"}
ZEROS = "zeros"
SMALL = 0.01  # accuracy that zero may cost before it is said to do harm
AT_THE_END = "question_2_biases"


def measure(evidence: Evidence) -> Measured:
    """How large the biases of each hidden layer are in the best checkpoint, by start and seed."""
    return {
        name: {
            str(seed): sizes_of(load_checkpoint(checkpoint_of(run))["state_dict"])
            for seed, run in sorted(group.runs.items())
        }
        for name, group in _groups(evidence).items()
    }


def sizes_of(state: Mapping[str, Tensor]) -> list[float]:
    """Root of the mean square of the biases of each hidden layer, by a state dictionary."""
    sizes: list[float] = []
    for i in count(1):
        found = [value for key, value in state.items() if key.endswith(f"layers.linear_{i}.bias")]
        if not found:
            return sizes
        sizes.append(float(found[0].square().mean().sqrt()))
    return sizes


def answer(evidence: Evidence) -> Answer:
    """Whether another start than zero makes a difference that is larger than the noise."""
    groups, sizes = _groups(evidence), evidence.measured(AT_THE_END)
    table = ("The three starts", _table([*groups.values()]))
    lost = [
        f"{_capital(group.label)} diverged in {seeds(len(diverged(group)))}."
        for group in groups.values()
        if diverged(group)
    ]
    zeros, done = groups[ZEROS], [group for group in groups.values() if group.runs]
    pairs = [pair for pair in compare_all(done) if zeros in (pair.first, pair.second)]
    if not pairs:
        return Answer([*lost, "There is nothing to compare zero biases with: no run was completed."], tables=[table])
    curves = replace(learning_curves(done, "loss", "epochs"), name="2_loss_by_epoch")
    said = [*lost, *(_capital(better(pair)) for pair in pairs), _bound(zeros, pairs), _grown(sizes.get(ZEROS, {}))]
    return Answer(
        [sentence for sentence in said if sentence],
        _agrees(zeros, pairs),
        [_picture(zeros, pairs, sizes), curves],
        [table],
    )


def _capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]


def _lead(zeros: Group, pair: Pair) -> float:
    """How far ahead zero biases are."""
    return pair.difference.mean if pair.first is zeros else -pair.difference.mean


def _bound(zeros: Group, pairs: Sequence[Pair]) -> str:
    """What the intervals leave room for, where no difference is clear."""
    tested = [pair for pair in pairs if pair.is_tested]
    if not tested or any(pair.is_clear for pair in pairs):
        return ""
    most = _most(zeros, tested)
    enough = "so zero does no harm" if most < SMALL else f"and {seeds(len(zeros.runs))} cannot rule that out"
    side = "less" if most < SMALL else "more"
    return (
        f"Another start is better than zero by {100 * most:.1f} points at most (upper end of the 95 % intervals), "
        f"{side} than a point, {enough}."
    )


def _most(zeros: Group, pairs: Sequence[Pair]) -> float:
    """By how much another start may be better than zero: the highest end of the intervals."""
    return max(pair.difference.half_width - _lead(zeros, pair) for pair in pairs)


def _agrees(zeros: Group, pairs: Sequence[Pair]) -> bool | None:
    """Whether zero does no harm: not clearly worse than any, and there is no room left for much."""
    if any(pair.is_clear and _lead(zeros, pair) < 0 for pair in pairs):
        return False
    if not all(pair.is_tested for pair in pairs):
        return None
    open_ones = [pair for pair in pairs if not pair.is_clear]
    return True if not open_ones or _most(zeros, open_ones) < SMALL else None


def _grown(by_seed: Mapping[str, Sequence[float]]) -> str:
    """What training has made of zeros by itself."""
    if not by_seed:
        return ""
    size = interval([float(np.sqrt(np.mean(np.square(layers)))) for layers in by_seed.values()])
    return (
        f"Training moves biases by itself: those that began at zero have a size of {number(size, 3)} at the best epoch "
        f"(root of the mean square over all hidden layers), where the other starts had {SCALE}."
    )


def _groups(evidence: Evidence) -> dict[str, Group]:
    return {name: named(evidence.group(SWEEP, model__bias_initializer=name), label) for name, label in NAMES.items()}


def _table(groups: Sequence[Group]) -> Table:
    rows: list[list[Cell]] = []
    for group in groups:
        val, test = (group.summary("metrics", name) for name in ("val_acc", "test_acc"))
        loss = group.summary("metrics", "val_loss")
        rows.append(
            [
                (group.label, group.label),
                (accuracy(val), val.mean),
                (number(loss, 3), loss.mean),
                (accuracy(test), test.mean),
            ]
        )
    return Table(["start", "validation accuracy", "validation loss", "test accuracy †"], rows, TEST_NOTE)


def _picture(zeros: Group, pairs: Sequence[Pair], sizes: Measured) -> Picture:
    """Differences seed by seed with their intervals, and the size of biases at the end by layer."""
    with canvas(8.6, 3.6, columns=2) as (figure, (left, right)):
        ours = zeros.of("metrics", "val_acc")
        left.axvline(0, color="#888888", linewidth=1, linestyle=(0, (4, 2)))
        for i, pair in enumerate(pairs):
            other = pair.second if pair.first is zeros else pair.first
            theirs = other.of("metrics", "val_acc")
            each = [100 * (theirs[seed] - ours[seed]) for seed in sorted(ours.keys() & theirs.keys())]
            half = 100 * pair.difference.half_width
            style = {"color": COLOURS[i + 1], "marker": MARKERS[i + 1], "capsize": 4, "markersize": 7, "linestyle": ""}
            # The style is declared piece by piece, not as a mapping.
            left.errorbar(-100 * _lead(zeros, pair), i, xerr=half if half == half else None, **style)  # type: ignore[arg-type]
            left.plot(each, [i + 0.2] * len(each), "|", color="#333333", markersize=9)
        left.set_yticks(
            range(len(pairs)), [(p.second if p.first is zeros else p.first).label.partition(" (")[0] for p in pairs]
        )
        left.set_ylim(len(pairs) - 0.4, -0.6)
        left.grid(axis="y", visible=False)
        left.set_xlabel("points of accuracy ahead of zero biases")
        for i, (name, by_seed) in enumerate(sizes.items()):
            if by_seed:
                mean = np.mean([*by_seed.values()], axis=0)
                right.plot(
                    np.arange(1, len(mean) + 1),
                    mean,
                    color=COLOURS[i],
                    marker=MARKERS[i],
                    markersize=4.5,
                    label=NAMES[name],
                )
        right.xaxis.set_major_locator(MaxNLocator(integer=True))
        right.set_ylim(bottom=0)
        right.set_xlabel("hidden layer")
        right.set_ylabel("size of the biases")
        legend_below(figure, right)
        png, svg = rendered(figure)
    return Picture(
        "2_differences",
        "What the start of the biases changes",
        "Left: difference in validation accuracy to zero biases, mean with its 95 % interval (Student's t, paired by "
        "seed: the same weights and batches), and each seed as a tick; an interval that crosses the dashed line shows "
        "nothing. Right: root of the mean square of each layer's biases at the best epoch, mean over the seeds.",
        png,
        svg,
    )


SECTIONS = (
    Section(
        "2",
        "2",
        "2. Biases that begin at zero",
        "Is it in order to begin with all biases zero, or is a small constant or a random number better?",
        "Zero is fine: it is the weights that break the symmetry. Random biases do, too; it makes little difference.",
        answer,
        [SWEEP],
        [Measurement(AT_THE_END, measure)],
        (
            "7 epochs of 120 batches of 128 images, under a 1cycle schedule, so that the runs are compared where they "
            "have settled; six seeds.",
        ),
    ),
)
