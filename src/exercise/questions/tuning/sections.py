"""Question 8: one change at a time to a network of 20 hidden layers of 100 units."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import nan

from exercise.claims import Claim, all_claims_hold, describe_claims
from exercise.formatting import (
    compare_pairs,
    describe_against_reported,
    format_difference,
    format_margin,
    format_ratio,
    format_val_acc,
    holds,
    join_sentences,
    text_cells,
    verdict,
    with_label,
)
from exercise.outcomes import (
    describe_convergence_of,
    describe_peaks,
    describe_result,
    epochs_ratio,
    format_best_epochs,
    is_less,
    rate_of,
    result_cells,
    takes_fewer_epochs,
    time_to_as_low,
)
from exercise.plots import plot_curves
from exercise.questions.mc_dropout import SAMPLES, TEXTBOOK, answer_of, measure_mc_dropout
from exercise.section import Answer, Measurement, Section
from exercise.step_costs import describe_step_cost, is_slower, step_ratio, step_times
from exercise.store import Evidence, Measured, NotAvailable, diverged_runs
from exercise.trainings import Sweep, experiments
from trainlab.report import (
    Cell,
    Group,
    Pair,
    Table,
    describe_pair,
    format_bounds,
    format_epoch_seconds,
    format_p,
    plot_intervals,
)
from trainlab.statistics import Ratio

# Published by two worked solutions on the web and the notebook of the book. Solution B's figures are test accuracies of
# convolutional networks, which are not part of the exercise.
_ELU, _SELU = ("50.06", "42.4 (CNN 70.43)", "46.76"), ("50.02", "CNN 69.91", "50.26")
RECIPE = "batches of 128 with a weight decay of 3e-3"
# What each section compares, networks that differ in one change of the exercise; and what the recipe is compared with.
COMPARED = {"8c": ("8b, plain", "8c"), "8d": ("8c", "8d, plain"), "8e": ("8d", "8e"), "8f": ("8e", "8f")}
OF_RECIPE = {"8b": ("8b, plain", "8b"), "8d": ("8d, plain", "8d")}
RECIPES = (
    "There are two recipes, and sections compare networks of one recipe. Plain, the exercise's own: batches of 32, no "
    f"weight decay. The other, {RECIPE} (added to the gradient, as an L2 penalty), was found on validation data for "
    "the networks without batch normalization; with batch normalization, trials with it ended early and low, so 8c is "
    "plain. Each network has a learning rate of its own. 8f has another optimizer than 8e, too, and 15 epochs instead "
    "of early stopping, as in the book's own notebook."
)
MC, STEPS = "question_8e_mc_dropout", "question_8_steps"
ROUNDS = 40
# The second network of a part compared with the first, and what a step costs, new over old; None if not measured.
Claims = Callable[[Pair, Ratio | None], list[Claim]]
OF_DENSE_NETWORKS = (0, 2)  # of `Part.published`


@dataclass(frozen=True)
class Part:
    """Networks of the question that differ in the seed alone.

    Attributes:
        experiment: option of `conf/experiment/exercise/`.
        name: short, for sentences and figures.
        change: what sets it apart, where a section is on that.
        published: validation accuracy in % that others report, of one run each.
    """

    experiment: str
    name: str
    change: str
    published: tuple[str, ...]


PARTS = {
    "8b, plain": Part("plain_elu_he", "plain ELU", "", _ELU),
    "8b": Part("part_8b_elu_he", "ELU with decay", "", _ELU),
    "8c": Part(
        "part_8c_bn", "batch norm", "Batch normalization before each activation", ("52.74", "CNN 69.52", "50.74")
    ),
    "8d, plain": Part(
        "plain_selu",
        "plain SELU",
        "SELU, LeCun initialization and standardized inputs in the place of batch normalization",
        _SELU,
    ),
    "8d": Part("part_8d_selu", "SELU with decay", "", _SELU),
    "8e": Part(
        "part_8e_alpha_dropout",
        "alpha dropout",
        "Alpha dropout at a rate of 0.1 before the output layer",
        ("49.12", "CNN 69.81", "49.82"),
    ),
    "8f": Part("part_8f_one_cycle", "1cycle", "SGD under a 1cycle schedule of 15 epochs", ("49.80", "-", "52.42")),
}
ALL = Sweep("question_8", (experiments(*(part.experiment for part in PARTS.values())), "lr_search=grid", "seed=1,2,3"))


def group_of(evidence: Evidence, key: str) -> Group:
    """The runs of a part."""
    return with_label(evidence.experiment(ALL, PARTS[key].experiment), PARTS[key].name)


def pairs_of(evidence: Evidence, compared: Mapping[str, tuple[str, str]]) -> dict[str, Pair]:
    """Each second part compared with the first, Holm's correction over the pairs with completed runs of both."""
    found = {}
    for key, (before, after) in compared.items():
        try:
            old, new = group_of(evidence, before), group_of(evidence, after)
        except NotAvailable:
            continue
        if old.runs and new.runs:
            found[key] = new, old
    return dict(zip(found, compare_pairs([*found.values()]), strict=True))


def answer_8b(evidence: Evidence) -> Answer:
    """8b: its results, and compared with the plain network."""
    plain, group = group_of(evidence, "8b, plain"), group_of(evidence, "8b")
    sentences = [describe_result(group)]
    if group.runs:
        sentences.append(f"{describe_peaks(group)} An epoch took {format_epoch_seconds(group)} s.")
    return Answer(
        [*sentences, *describe_recipe_gain(evidence, "8b")], figures=[plot_curves([plain, group], "loss", "8b")]
    )


def describe_recipe_gain(evidence: Evidence, key: str) -> list[str]:
    """What the recipe does for a network."""
    pair = pairs_of(evidence, OF_RECIPE).get(key)
    if pair is None:
        return []
    change = f"{pair.first.label} is trained in {RECIPE}, {pair.second.label} in batches of 32 without."
    return [join_sentences(change, describe_pair(pair))]


def make_answer(key: str, claims: Claims) -> Callable[[Evidence], Answer]:
    """The answer to a part that changes something: faster, better, at what cost?

    Where the part itself is not what is compared, what the recipe does for it is described, too.
    """
    before, after = COMPARED[key]

    def answer(evidence: Evidence) -> Answer:
        old, new, part = (group_of(evidence, which) for which in (before, after, key))
        sentences, agrees = [describe_result(new)], None
        pair = pairs_of(evidence, COMPARED).get(key)
        if pair:
            steps = measured_steps(evidence)
            found = claims(pair, step_ratio(steps, before, after))
            if diverged_runs(old) or diverged_runs(new):
                found = [replace(claim, holds=None) for claim in found]  # those that are left are a choice
            sentences += [*describe_change(pair, steps, before, after), describe_claims(found)]
            agrees = all_claims_hold(found)
        if key != after:
            sentences += [describe_result(part), *describe_recipe_gain(evidence, key)]
        shown = [old, new] if key == after else [old, new, part]
        return Answer(sentences, agrees, [plot_curves(shown, "loss", key)])

    return answer


def describe_change(pair: Pair, steps: Measured, before: str, after: str) -> list[str]:
    """Whether the first network of a pair is better, whether it converges faster, and the cost of its steps."""
    new, old = pair.first, pair.second
    return [
        describe_pair(pair),
        join_sentences(describe_peaks(new), describe_convergence_of(old, new)),
        describe_step_cost(steps, (before, old.label), (after, new.label)),
    ]


def measured_steps(evidence: Evidence) -> Measured:
    """Milliseconds of a step by part; none while networks are being trained.

    Raises:
        NotAvailable: all are trained, and no step was timed.
    """
    return {} if ALL.name in evidence.under_way() else evidence.measured(STEPS)


def measure_steps(evidence: Evidence) -> Measured:
    """Milliseconds of a training step of each part, timed alternately."""
    groups = {key: group_of(evidence, key) for key in PARTS}
    return step_times(groups, 3 if evidence.setting.quick else ROUNDS)


def _is_better(pair: Pair) -> Claim:
    statement = f"{pair.first.label} is better than {pair.second.label}"
    return Claim(statement, "", holds(verdict(pair.difference, pair.p), "higher"))


def _batch_normalization(pair: Pair, step: Ratio | None) -> list[Claim]:
    new, old = pair.first, pair.second
    fewer = f"{new.label} takes fewer epochs than {old.label} to as low a loss"
    return [
        Claim(fewer, "", takes_fewer_epochs(old, new)),
        _is_better(pair),
        Claim(f"a step of {new.label} takes longer", "", is_slower(step)),
    ]


def _self_normalization(pair: Pair, step: Ratio | None) -> list[Claim]:
    new, dearer = pair.first.label, is_slower(step)
    return [
        Claim(f"{new} is less accurate than {pair.second.label}", "", holds(verdict(pair.difference, pair.p), "lower")),
        Claim(f"a step of {new} takes less time", "", None if dearer is None else not dearer),
    ]


def _one_cycle(pair: Pair, step: Ratio | None) -> list[Claim]:
    time, figure = time_to_as_low(pair.second, pair.first, step), ""
    if time:
        figure = f"{format_ratio(time)} as long: ratio of epochs, over seeds, times that of a step, over rounds"
    return [Claim(f"{pair.first.label} takes less time to as low a loss", figure, is_less(time)), _is_better(pair)]


# What is usually claimed of each change, and the rule for each claim in it.
CLAIMS: dict[str, tuple[str, Claims]] = {
    "8c": (
        "Batch normalization converges in fewer epochs and to a better model; each epoch takes longer.",
        _batch_normalization,
    ),
    "8d": (
        "A self-normalizing network does without batch normalization: not as accurate, as in the notebook that goes "
        "with the book, but an epoch takes less time.",
        _self_normalization,
    ),
    "8e": ("With alpha dropout a self-normalizing network generalizes better.", lambda pair, step: [_is_better(pair)]),
    "8f": ("1cycle takes less time to as low a loss, and reaches a better model.", _one_cycle),
}


def _changed(key: str) -> Section:
    (before, after), (usual, claims) = COMPARED[key], CLAIMS[key]
    return Section(
        key,
        "8",
        f"{key}. {PARTS[after].change}",
        f"Compared with {PARTS[before].name}: does it converge faster, is it better, and what does an epoch cost?",
        usual,
        make_answer(key, claims),
        [ALL],
        [Measurement(STEPS, measure_steps)],
        notes=[RECIPES],
    )


def answer_all_parts(evidence: Evidence) -> Answer:
    """Which changes bring more than the noise, and all parts compared with what others report."""
    groups = {key: group_of(evidence, key) for key in PARTS}
    done = [group for group in groups.values() if group.runs]
    if not done:
        return Answer(["No run was completed."])
    best = max(done, key=lambda group: group.summary("metrics", "val_acc").mean)
    changes, recipes = pairs_of(evidence, COMPARED), pairs_of(evidence, OF_RECIPE)
    reported = {}
    for key, group in groups.items():
        highest = max(float(PARTS[key].published[i]) for i in OF_DENSE_NETWORKS)
        reported[group.label] = (group.summary("metrics", "val_acc"), highest)
    return Answer(
        [*describe_gains(changes), f"{best.label} has the highest validation accuracy: {format_val_acc(best)}."],
        figures=[plot_curves(done, "loss", "8"), replace(plot_intervals(done), name="8_accuracy_intervals")],
        tables=[("What each change brings", gains(evidence, changes)), ("All parts", _table(groups))],
        details=[
            describe_against_reported("Validation accuracy compared with the best that others report", reported),
            "What others report is of one run each, whose noise is not known, in batches of 32 without weight decay "
            "except in 8f. Networks with decay are trained otherwise than theirs.",
            join_sentences(*(describe_pair(pair) for pair in recipes.values())),
        ],
    )


def describe_gains(changes: Mapping[str, Pair]) -> list[str]:
    """Which changes are larger than the noise, and which are not; nothing where there is none."""
    sides: dict[str, list[str]] = {"brings": [], "costs": [], "open": []}
    for key, pair in changes.items():
        lost = diverged_runs(pair.first) or diverged_runs(pair.second)
        side = "open" if lost or not pair.is_clear else "brings" if pair.difference.mean > 0 else "costs"
        tested = f"{format_margin(pair)} points {'ahead of' if pair.difference.mean > 0 else 'behind'}"
        sides[side].append(f"{pair.first.label} ({key}), {tested} {pair.second.label}")
    words = {
        "brings": "Worth it by accuracy, more than the noise",
        "costs": "At a cost in accuracy, more than the noise",
        "open": "Not shown to matter with these seeds",
    }
    sentences = [f"{words[side]}: {'; '.join(found)}." for side, found in sides.items() if found]
    if sentences:
        tests = next(pair.tests for pair in changes.values())
        sentences[-1] += f" Noise is judged by Holm over {tests} pairs; ± is of one alone."
    return sentences


def gains(evidence: Evidence, changes: Mapping[str, Pair]) -> Table:
    """One row per change: accuracy, epochs and the time of a step."""
    steps, rows = measured_steps(evidence), []
    for key, pair in changes.items():
        rows.append(
            [
                *text_cells(key, pair.first.label, pair.second.label),
                (format_difference(pair.difference), 100 * pair.difference.mean),
                (format_p(pair.p), pair.p),
                _ratio(epochs_ratio(pair.second, pair.first)),
                _ratio(step_ratio(steps, *COMPARED[key])),
            ]
        )
    headings = ["part", "network", "compared with", "points of validation accuracy", "p by Holm", "epochs, ratio"]
    return Table(
        [*headings, "a step, ratio"],
        rows,
        "Points: ± is of one pair alone, p is corrected for all. Epochs: to the higher of the two best validation "
        "losses, with a 95 % interval over the seeds. A step: time of the processor, with one over alternate rounds. "
        "Below 1 the network takes less than the one it is compared with.",
    )


def _ratio(of: Ratio | None) -> Cell:
    if of is None or of.value != of.value:
        return ("-", nan)
    within = "" if of.low != of.low else f" ({format_bounds(of)})"
    return (f"{of.value:.2f}{within}", of.value)


def _table(groups: Mapping[str, Group]) -> Table:
    rows: list[list[Cell]] = []
    for key, group in groups.items():
        part, best = PARTS[key], group.of("metrics", "best_epoch").values()
        val, test, time = result_cells(group)
        lr, batch, decay = rate_of(group), group.settings["data.batch_size"], group.settings["optim.weight_decay"]
        recipe: list[Cell] = [(f"{batch}, {decay:g}", batch), (f"{lr:.2g}", lr)]
        epochs = (format_best_epochs(group), min(best, default=nan))
        rows.append([*text_cells(key, part.name), *recipe, val, test, epochs, time, *text_cells(*part.published)])
    headings = ["part", "network", "batch, weight decay", "learning rate", "validation accuracy", "test accuracy †"]
    return Table(
        [*headings, "best epochs", "s an epoch", "solution A", "solution B", "book's notebook"],
        rows,
        "The last three columns are what others report, % of validation images, of one run each: two solutions from "
        "the web (B's are test accuracies, mostly of convolutional networks) and the notebook that goes with the book.",
    )


SECTIONS = (
    Section(
        "8b",
        "8",
        "8a, 8b. Twenty layers, ELU, He initialization, Nadam",
        "Train 20 hidden layers of 100 units with He initialization, ELU, Nadam and early stopping; search the "
        "learning rate.",
        "",
        answer_8b,
        [ALL],
        notes=[RECIPES],
    ),
    *(_changed(key) for key in ("8c", "8d", "8e")),
    Section(
        "8e_mc",
        "8",
        "8e. MC dropout, without retraining",
        f"Leave dropout on in {SAMPLES} predictions of each image and take their mean: is it more accurate?",
        TEXTBOOK,
        lambda evidence: answer_of("8e", evidence.measured(MC)),
        [ALL],
        [Measurement(MC, lambda evidence: measure_mc_dropout(group_of(evidence, "8e").runs.values()))],
    ),
    _changed("8f"),
    Section(
        "8",
        "8",
        "8. All parts compared with each other",
        "Which changes are worth it?",
        "",
        answer_all_parts,
        [ALL],
        [Measurement(STEPS, measure_steps)],
        notes=[RECIPES],
    ),
)
