"""Question 4 and how it is answered."""

from collections.abc import Mapping, Sequence
from math import nan

from trainlab.exercise.claims import Claim, told
from trainlab.exercise.evidence import Evidence
from trainlab.exercise.questions.activations import outputs
from trainlab.exercise.questions.activations.claims import MATTERS, claims
from trainlab.exercise.questions.activations.drawn import curves, price
from trainlab.exercise.questions.activations.steps import BATCH, NAME, relative, step_times
from trainlab.exercise.questions.activations.trained import ALL, groups_by_activation
from trainlab.exercise.section import Answer, Measurement, Section
from trainlab.exercise.wording import SMALL, accuracy, all_hold, family, listed, margin, outcome, times
from trainlab.report.comparisons import Pair
from trainlab.report.groups import Group
from trainlab.report.sections import Cell, Table
from trainlab.report.statistics import Ratio, interval
from trainlab.report.verdicts import number

GUESSING = 1.5  # up to so many times the accuracy of guessing, a network has learned next to nothing


def answer(evidence: Evidence) -> Answer:
    """Who is ahead, who learned next to nothing, what the book says, what a step costs."""
    groups = groups_by_activation(evidence)
    taken = evidence.measured(NAME)["ms"]
    costs = relative(taken)
    ranked = ranking(groups)
    if not ranked:
        return Answer([f"No run was completed: {_outcomes(list(groups.values()))}."])
    found = claims(groups, costs)
    return Answer(
        [" ".join([ahead(ranked), *failed(groups)]), told(found), *cost(groups, taken, costs)],
        all_hold(*(claim.holds for claim in found)),
        [curves({key: group for key, group in groups.items() if group.runs}), price(groups, costs)],
        [("All activations", _table(groups, ranked, taken, costs)), ("What the book says", _claims_table(found))],
    )


def ranking(groups: Mapping[str, Group]) -> list[Group]:
    """Groups with a completed run, the most accurate first."""
    done = [group for group in groups.values() if group.of("metrics", "val_acc")]
    return sorted(done, key=lambda group: -group.summary("metrics", "val_acc").mean)


def ahead(ranked: Sequence[Group]) -> str:
    """The most accurate one, and which others are told apart from it."""
    best, *others = ranked
    said = f"{best.label} is ahead with {accuracy(best.summary('metrics', 'val_acc'))} validation accuracy"
    pairs = family([(best, other) for other in others])
    clear = [pair for pair in pairs if pair.is_clear]
    open_ = [f"{pair.second.label} ({margin(pair)})" for pair in pairs if not pair.is_clear]
    tests = pairs[0].tests if pairs else 0
    parts = [f"not told apart from it, in points: {listed(open_)}"] if open_ else []
    parts += [f"clearly behind it by {margin(clear[0])} points and more: {_names(clear)}"] if clear[1:] else []
    parts += [f"clearly behind it: {clear[0].second.label} by {margin(clear[0])} points"] if len(clear) == 1 else []
    how = f"95 %, paired by seed, Holm over {tests} pairs" if tests > 1 else "95 %, paired by seed"
    return f"{said}; {'; '.join(parts)} ({how})." if parts else f"{said}."


def _names(pairs: Sequence[Pair]) -> str:
    return listed([pair.second.label for pair in pairs])


def failed(groups: Mapping[str, Group]) -> list[str]:
    """Which activations learned next to nothing, or have runs that were not completed."""
    nothing, lost, chance = [], [], 0.0
    for group in groups.values():
        chance = 1 / group.settings.get("model.num_classes", 10)
        found = group.summary("metrics", "val_acc")
        if group.runs and found.mean <= GUESSING * chance:
            nothing.append(f"{group.label} ({outcome(group)})")
        elif group.others:
            lost.append(f"{group.label} ({outcome(group)})")
    mark = f"At most {GUESSING:g} times the {100 * chance:.0f} % of guessing"
    said = [f"{mark}: {listed(nothing)}."] if nothing else []
    return said + ([f"Not all runs came to the end with {listed(lost)}."] if lost else [])


def cost(groups: Mapping[str, Group], taken: Mapping[str, list[float]], costs: Mapping[str, Ratio]) -> list[str]:
    """What a step takes with ReLU, and how many times that with the others, the dearest first."""
    if not costs:
        return []
    relu = interval(taken["relu"])
    ranked = sorted(costs, key=lambda key: -costs[key].value)
    sides = {
        "dearer": [key for key in ranked if costs[key].low > 1 + MATTERS],
        f"within {100 * MATTERS:.0f} %": [
            key for key in ranked if costs[key].low >= 1 - MATTERS and costs[key].high <= 1 + MATTERS
        ],
        "cheaper": [key for key in ranked if costs[key].high < 1 - MATTERS],
    }
    sides["not to be told"] = [key for key in ranked if not any(key in keys for keys in sides.values())]
    parts = [
        f"{word}: {listed([f'{groups[key].label} {times(costs[key])}' for key in keys])}"
        for word, keys in sides.items()
        if keys
    ]
    each = f"{number(relu)} ms ({relu.n} rounds)"
    return [f"A training step with ReLU takes {each}; {'; '.join(parts)}."]


def _outcomes(groups: Sequence[Group]) -> str:
    return "; ".join(f"{group.label}: {outcome(group)}" for group in groups)


def _table(
    groups: Mapping[str, Group],
    ranked: Sequence[Group],
    taken: Mapping[str, list[float]],
    costs: Mapping[str, Ratio],
) -> Table:
    keys = {group.label: key for key, group in groups.items()}
    rest = [group for group in groups.values() if group not in ranked]
    headings = ["activation", "initializer", "rate", "validation accuracy", "test accuracy †", "ms a step"]
    return Table(
        [*headings, "to ReLU"],
        [_row(group, taken.get(keys[group.label], []), costs.get(keys[group.label])) for group in [*ranked, *rest]],
        f"Means over the seeds with 95 % intervals; a step is of one network and {BATCH} images, on one thread, "
        "its interval over rounds in which all take turns.",
    )


def _row(group: Group, taken: Sequence[float], relative_cost: Ratio | None) -> list[Cell]:
    lr = group.search["lr"] if group.search else group.settings.get("optim.lr", nan)
    val, test = (group.summary("metrics", name) for name in ("val_acc", "test_acc"))
    ms = interval(taken)
    return [
        (group.label, group.label),
        (str(group.settings.get("model.initializer")),) * 2,
        (f"{lr:.2g}", lr),
        (outcome(group), val.mean),
        (accuracy(test), test.mean),
        (number(ms), ms.mean),
        (times(relative_cost), relative_cost.value) if relative_cost else ("1", 1.0),
    ]


def _claims_table(found: Sequence[Claim]) -> Table:
    words = {True: "holds", False: "contradicted", None: "open"}
    rows: list[list[Cell]] = [[(text, text) for text in (c.says, c.found, words[c.holds])] for c in found]
    return Table(
        ["the book says", "measured", "here"],
        rows,
        "Holm's correction over the pairs with SELU, and over the neighbours in the book's order. No other is better "
        "than SELU where none clearly is, and the 95 % intervals have no room for one that is more than "
        f"{100 * SMALL:.0f} point better; steps that are less than {100 * MATTERS:.0f} % apart count as alike. Both "
        "margins are choices.",
    )


SECTIONS = (
    Section(
        "4",
        "4",
        "4. Which activation?",
        "When is SELU the one to use, when leaky ReLU and its variants, ReLU, ELU, tanh, the logistic function, or the "
        "newer GELU, Swish and Mish? Each in the same network of 20 hidden layers, at a learning rate of its own.",
        "In deep dense networks SELU is a good default, and in general SELU > ELU > leaky ReLU and its variants > ReLU "
        "> tanh > logistic. ReLU is simple and fast. The logistic function and tanh are for outputs.",
        answer,
        [ALL],
        [Measurement(NAME, step_times)],
        [
            "Inputs are standardized for all. He initialization for ReLU and what is like it, LeCun's for SELU, "
            "Glorot's for tanh and the logistic function. Nadam under a cosine schedule, two passes over the images.",
        ],
    ),
    *outputs.SECTIONS,
)
