"""Question 8: one change at a time to a network of 20 hidden layers of 100 units."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from exercise.claims import Claim, all_claims_hold, describe_claims
from exercise.formatting import corrected_verdict, format_ratio, holds, join_sentences
from exercise.outcomes import (
    describe_convergence_of,
    describe_peaks,
    describe_result,
    is_less,
    takes_fewer_epochs,
    time_to_as_low,
)
from exercise.questions.mc_dropout import SAMPLES, TEXTBOOK, answer_of, measure_mc_dropout
from exercise.questions.tuning.parts import (
    ALL,
    COMPARED,
    OF_RECIPE,
    PARTS,
    RECIPE,
    group_of,
    pairs_of,
)
from exercise.section import Answer, Measurement, Section
from exercise.step_costs import describe_step_cost, is_slower, step_ratio, step_times
from exercise.store import Evidence, Measured, diverged_runs
from trainlab.report import Group, Pair, Plot, describe_pair, format_epoch_seconds, plot_learning_curves
from trainlab.statistics import Ratio

RECIPES = (
    f"There are two recipes, and sections compare networks of one recipe. Plain, the exercise's own: batches of 32, no "
    f"weight decay. The other, {RECIPE} (added to the gradient, as an L2 penalty), was found on validation data for "
    "the networks without batch normalization; with batch normalization, trials with it ended early and low, so 8c is "
    "plain. Each network has a learning rate of its own. 8f has another optimizer than 8e, too, and 15 epochs instead "
    "of early stopping, as in the book's own notebook."
)
MC, STEPS = "question_8e_mc_dropout", "question_8_steps"
ROUNDS = 40


@dataclass(frozen=True)
class Change:
    """What a part changes: networks before and after.

    Attributes:
        pair: ``new`` compared with ``old``, corrected.
        step: what a training step costs, new over old; None if it was not measured.
    """

    old: Group
    new: Group
    pair: Pair
    step: Ratio | None

    @property
    def is_better(self) -> bool | None:
        """Whether the new one is more accurate; False where it is less, None where neither is clear."""
        return holds(corrected_verdict(self.pair), "higher")


def answer_8b(evidence: Evidence) -> Answer:
    """8b: what it came to, and compared with the plain network."""
    plain, group = group_of(evidence, "8b, plain"), group_of(evidence, "8b")
    said = [describe_result(group)]
    if group.runs:
        said.append(f"{describe_peaks(group)} An epoch took {format_epoch_seconds(group)} s.")
    return Answer([*said, *describe_recipe_gain(evidence, "8b")], figures=[plot_curves("8b", [plain, group])])


def describe_recipe_gain(evidence: Evidence, key: str) -> list[str]:
    """What the recipe does for a network."""
    pair = pairs_of(evidence, OF_RECIPE).get(key)
    if pair is None:
        return []
    change = f"{pair.first.label} is trained in {RECIPE}, {pair.second.label} in batches of 32 without."
    return [join_sentences(change, describe_pair(pair))]


def make_answer(key: str, claims: Callable[[Change], list[Claim]]) -> Callable[[Evidence], Answer]:
    """The answer to a part that changes something: faster, better, at what cost?

    Where the part itself is not what is compared, it is also said what the recipe makes of that.
    """
    before, after = COMPARED[key]

    def answer(evidence: Evidence) -> Answer:
        old, new, part = (group_of(evidence, which) for which in (before, after, key))
        said, agrees = [describe_result(new)], None
        pair = pairs_of(evidence, COMPARED).get(key)
        if pair:
            steps = measured_steps(evidence)
            found = claims(Change(old, new, pair, step_ratio(steps, before, after)))
            if diverged_runs(old) or diverged_runs(new):
                found = [replace(claim, holds=None) for claim in found]  # those that are left are a choice
            said += [describe_pair(pair), join_sentences(describe_peaks(new), describe_convergence_of(old, new))]
            said += [describe_step_cost(steps, (before, old.label), (after, new.label)), describe_claims(found)]
            agrees = all_claims_hold(found)
        if key != after:
            said += [describe_result(part), *describe_recipe_gain(evidence, key)]
        shown = [old, new] if key == after else [old, new, part]
        return Answer(said, agrees, [plot_curves(key, shown)])

    return answer


def plot_curves(key: str, groups: Sequence[Group]) -> Plot:
    """Losses by epoch, for the section ``key``."""
    picture = plot_learning_curves(groups, "loss", "epochs")
    return replace(picture, name=f"{key}_{picture.name}")


def measured_steps(evidence: Evidence) -> Measured:
    """Milliseconds of a step by part; none while networks are being trained.

    Raises:
        NotYet: all are trained, and no step was timed.
    """
    return {} if ALL.name in evidence.under_way() else evidence.measured(STEPS)


def measure_steps(evidence: Evidence) -> Measured:
    """Milliseconds of a training step of each part, in turn."""
    groups = {key: group_of(evidence, key) for key in PARTS}
    return step_times(groups, 3 if evidence.setting.quick else ROUNDS)


def measure_8e_mc_dropout(evidence: Evidence) -> Measured:
    """Each seed of 8e, without and with dropout left on."""
    return measure_mc_dropout(group_of(evidence, "8e").runs.values())


def answer_mc_dropout(evidence: Evidence) -> Answer:
    """8e's second half: whether leaving dropout on makes better predictions."""
    return answer_of("8e", evidence.measured(MC))


def _batch_normalization(of: Change) -> list[Claim]:
    new, old = of.new.label, of.old.label
    return [
        Claim(f"{new} takes fewer epochs than {old} to as low a loss", "", takes_fewer_epochs(of.old, of.new)),
        Claim(f"{new} is better than {old}", "", of.is_better),
        Claim(f"a step of {new} takes longer", "", is_slower(of.step)),
    ]


def _self_normalization(of: Change) -> list[Claim]:
    dearer = is_slower(of.step)
    return [
        Claim(f"{of.new.label} is less accurate than {of.old.label}", "", holds(corrected_verdict(of.pair), "lower")),
        Claim(f"a step of {of.new.label} takes less time", "", None if dearer is None else not dearer),
    ]


def _alpha_dropout(of: Change) -> list[Claim]:
    return [Claim(f"{of.new.label} is better than {of.old.label}", "", of.is_better)]


def _one_cycle(of: Change) -> list[Claim]:
    time = time_to_as_low(of.old, of.new, of.step)
    figure = (
        f"{format_ratio(time)} as long: ratio of epochs, over seeds, times that of a step, over rounds" if time else ""
    )
    return [
        Claim(f"{of.new.label} takes less time to as low a loss", figure, is_less(time)),
        Claim(f"{of.new.label} is better than {of.old.label}", "", of.is_better),
    ]


# What is said of each change, and the rule for each claim in it.
CLAIMS: dict[str, tuple[str, Callable[[Change], list[Claim]]]] = {
    "8c": (
        "Batch normalization converges in fewer epochs and to a better model; each epoch takes longer.",
        _batch_normalization,
    ),
    "8d": (
        "A self-normalizing network does without batch normalization: not as accurate, as in the notebook that goes "
        "with the book, but an epoch takes less time.",
        _self_normalization,
    ),
    "8e": ("With alpha dropout a self-normalizing network generalizes better.", _alpha_dropout),
    "8f": ("1cycle takes less time to as low a loss, and comes to a better model.", _one_cycle),
}


def _changed(key: str) -> Section:
    (before, after), (usual, claims) = COMPARED[key], CLAIMS[key]
    return Section(
        key,
        "8",
        f"{key}. {PARTS[after].change}",
        f"Beside {PARTS[before].name}: does it converge faster, is it better, and what does an epoch cost?",
        usual,
        make_answer(key, claims),
        [ALL],
        [Measurement(STEPS, measure_steps)],
        notes=[RECIPES],
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
        answer_mc_dropout,
        [ALL],
        [Measurement(MC, measure_8e_mc_dropout)],
    ),
    _changed("8f"),
)
