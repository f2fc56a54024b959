"""Question 8: one change at a time to a network of 20 hidden layers of 100 units."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import nan

from trainlab.exercise.evidence import Evidence, Measured
from trainlab.exercise.outcomes import (
    best_epochs,
    cells,
    is_dearer,
    reached,
    takes_fewer_epochs,
    takes_less_time,
)
from trainlab.exercise.questions.mc_dropout import SAMPLES, TEXTBOOK, left_on, whether_better
from trainlab.exercise.questions.parts import ALL, COMPARED, PARTS, PLAIN, RECIPE, RECIPED, group_of
from trainlab.exercise.section import Answer, Measurement, Section
from trainlab.exercise.wording import accuracy, all_hold, beside_reported, holds, pair_of, verdict
from trainlab.report.comparisons import compare_all
from trainlab.report.figures import Picture, bars, learning_curves
from trainlab.report.groups import Group
from trainlab.report.sections import Cell, Table
from trainlab.report.statistics import Interval
from trainlab.report.verdicts import better, converging, cost, seconds_an_epoch, told_apart

OF_DENSE_NETWORKS = (0, 2)  # of `Part.published`
RECIPES = (
    f"There are two recipes, and sections compare networks of one recipe. Plain, the exercise's own: batches of 32, no "
    f"weight decay. The other, {RECIPE}, was found on validation data for the networks without batch normalization; "
    "with batch normalization, trials with it ended early and low, so 8c is plain. Each network has a learning rate of "
    "its own. 8f has another optimizer than 8e, too, and 15 epochs instead of early stopping, as in the book's own notebook."
)
MC = "question_8e_mc_dropout"


def first(evidence: Evidence) -> Answer:
    """8b: what it came to, and beside the plain network."""
    plain, group = group_of(evidence, "8b, plain"), group_of(evidence, "8b")
    said = [reached(group)]
    if group.runs:
        said.append(
            f"The lowest validation loss came at epoch {best_epochs(group)}; an epoch took {seconds_an_epoch(group)} s."
        )
    return Answer([*said, *beside_plain(plain, group)], figures=[_curves("8b", [plain, group])])


def beside_plain(plain: Group, group: Group) -> list[str]:
    """What the recipe does for a network."""
    if not plain.runs or not group.runs:
        return []
    change = (
        f"{group.label[:1].upper()}{group.label[1:]} is trained in {RECIPE}, {plain.label} in batches of 32 without."
    )
    return [f"{change} {better(pair_of(group, plain))}"]


def changed(
    key: str, before: str, after: str, agrees: Callable[[Group, Group], bool | None]
) -> Callable[[Evidence], Answer]:
    """The answer to a part that changes something: faster, better, at what cost?

    Where the part itself is not what is compared, it is also said what the recipe makes of that.
    """

    def answer(evidence: Evidence) -> Answer:
        old, new, part = (group_of(evidence, which) for which in (before, after, key))
        said = [reached(new)]
        if new.runs and old.runs:
            said += [better(pair_of(new, old)), converging(old, new), cost(old, new)]
        if key != after:
            said += [reached(part), *beside_plain(new, part)]
        shown = [old, new] if key == after else [old, new, part]
        return Answer(said, agrees(old, new) if new.runs and old.runs else None, [_curves(key, shown)])

    return answer


def _curves(key: str, groups: Sequence[Group]) -> Picture:
    picture = learning_curves(groups, "loss", "epochs")
    return replace(picture, name=f"{key}_{picture.name}")


def mc_dropout(evidence: Evidence) -> Measured:
    """Each seed of 8e, without and with dropout left on."""
    return left_on(group_of(evidence, "8e").runs.values())


def uncertain(evidence: Evidence) -> Answer:
    """8e's second half: whether leaving dropout on makes better predictions."""
    return whether_better("8e", evidence.measured(MC), group_of(evidence, "8e").runs.values(), evidence.folder)


def together(evidence: Evidence) -> Answer:
    """All parts beside what others report, and which differences between them are larger than the noise."""
    groups = {key: group_of(evidence, key) for key in PARTS}
    done = [group for group in groups.values() if group.runs]
    if not done:
        return Answer(["No run was completed."])
    recipes = [[groups[key] for key in keys if groups[key].runs] for keys in (PLAIN, RECIPED)]
    best = max(done, key=lambda group: group.summary("metrics", "val_acc").mean)
    headings = [
        "part",
        "network",
        "batch, weight decay",
        "learning rate",
        "validation accuracy",
        "test accuracy †",
        "best epochs",
        "s an epoch",
    ]
    table = Table(
        [*headings, "solution A", "solution B", "book's notebook"],
        [_row(key, group) for key, group in groups.items()],
        "The last three columns are what others report, % of validation images, of one run each: two solutions from "
        "the web (B's are test accuracies, mostly of convolutional networks) and the notebook that goes with the book.",
    )
    return Answer(
        [
            f"{best.label} is ahead with {accuracy(best.summary('metrics', 'val_acc'))} validation accuracy.",
            beside_reported("Validation accuracy beside the best that others report", _reported(groups)),
            "Compared with each other are networks of one recipe: batches of 32 without weight decay (plain ELU, batch "
            f"norm, plain SELU), or {RECIPE} (the others).",
            *(sentence for of_one in recipes for sentence in told_apart(compare_all(of_one))),
        ],
        figures=[_curves("8", done), replace(bars(done), name="8_accuracy_bars")],
        tables=[("All parts", table)],
    )


def _reported(groups: Mapping[str, Group]) -> dict[str, tuple[Interval, float]]:
    """Validation accuracy of each part, and the highest that others report of a dense network."""
    found = {}
    for key, group in groups.items():
        if not PARTS[key].published:
            continue
        best = max(float(PARTS[key].published[i]) for i in OF_DENSE_NETWORKS)
        found[f"{key} ({group.label})"] = (group.summary("metrics", "val_acc"), best)
    return found


def _row(key: str, group: Group) -> list[Cell]:
    part, best = PARTS[key], group.of("metrics", "best_epoch").values()
    val, test, time = cells(group)
    lr = group.search["lr"] if group.search else group.settings.get("optim.lr", nan)
    return [
        (key, key),
        (part.name, part.name),
        _recipe(group),
        (f"{lr:.2g}", lr),
        val,
        test,
        (best_epochs(group), min(best, default=nan)),
        time,
        *((text, text) for text in part.published or ("", "", "")),
    ]


def _recipe(group: Group) -> Cell:
    """What it is trained in: "128, 0.003"."""
    batch, decay = group.settings["data.batch_size"], group.settings["optim.weight_decay"]
    return f"{batch}, {decay:g}", batch


def is_better(old: Group, new: Group) -> bool | None:
    """Whether the new one is more accurate; False where it is less, None where neither is clear."""
    return holds(verdict(pair_of(new, old).difference), "higher")


def _in_fewer_epochs_better_and_dearer(old: Group, new: Group) -> bool | None:
    return all_hold(takes_fewer_epochs(old, new), is_better(old, new), is_dearer(old, new))


def _worse_but_cheaper(old: Group, new: Group) -> bool | None:
    return all_hold(is_better(new, old), is_dearer(new, old))


def _sooner_and_better(old: Group, new: Group) -> bool | None:
    return all_hold(takes_less_time(old, new), is_better(old, new))


# What the book has of each change, and the rule for all that the sentence says.
CLAIMS: dict[str, tuple[str, Callable[[Group, Group], bool | None]]] = {
    "8c": (
        "Batch normalization converges in fewer epochs and to a better model; each epoch takes longer.",
        _in_fewer_epochs_better_and_dearer,
    ),
    "8d": (
        "A self-normalizing network does without batch normalization: not as accurate, but an epoch takes less time.",
        _worse_but_cheaper,
    ),
    "8e": ("With alpha dropout a self-normalizing network generalizes better.", is_better),
    "8f": ("1cycle takes less time to as low a loss, and comes to a better model.", _sooner_and_better),
}


def _changed(key: str) -> Section:
    (before, after), (textbook, agrees) = COMPARED[key], CLAIMS[key]
    return Section(
        key,
        "8",
        f"{key}. {PARTS[after].change}",
        f"Beside {PARTS[before].name}: does it converge faster, is it better, and what does an epoch cost?",
        textbook,
        changed(key, before, after, agrees),
        [ALL],
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
        first,
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
        uncertain,
        [ALL],
        [Measurement(MC, mc_dropout)],
    ),
    _changed("8f"),
    Section(
        "8", "8", "8. All parts beside each other", "Which changes are worth it?", "", together, [ALL], notes=[RECIPES]
    ),
)
