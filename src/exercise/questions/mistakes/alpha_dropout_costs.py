"""What alpha dropout costs one activation and another, in words."""

from collections.abc import Mapping

from exercise.formatting import (
    corrected_verdicts,
    describe_test,
    format_accuracy,
    format_initializer,
    format_list,
    holds,
    verdict,
)
from exercise.outcomes import guessing_accuracy, num_classes
from exercise.questions.mistakes.accuracy_cost import at_guessing
from exercise.store import Measured
from trainlab.report import Group
from trainlab.statistics import difference, interval

Changes = Mapping[str, Mapping[int, float]]  # points of accuracy by seed, by activation


def change(with_it: Group, without: Group) -> dict[int, float]:
    """Points of validation accuracy that alpha dropout brings, by seed."""
    ours, theirs = (group.of("metrics", "val_acc") for group in (with_it, without))
    return {seed: 100 * (ours[seed] - theirs[seed]) for seed in ours.keys() & theirs.keys()}


def costs_more(changes: Changes, with_it: Mapping[str, Group]) -> tuple[str, bool | None]:
    """Whether it costs ELU more than SELU; open where the smaller cost is cut off by guessing."""
    what = "Alpha dropout of 0.1 after every layer"
    if not all(changes.values()):
        return "", None
    between = difference(changes["ELU"], changes["SELU"])
    said = verdict(between)
    if said == "unknown":
        return (
            f"Whether {what[0].lower()}{what[1:]} costs ELU more than SELU cannot be claimed: {between.reason}.",
            None,
        )
    by = f"{abs(between.mean):.1f} ± {between.half_width:.1f} points of validation accuracy"
    how = describe_test(between)
    if said == "not distinguishable":
        same = f"No significant difference between what {what[0].lower()}{what[1:]} costs ELU and SELU"
        return f"{same} ({by}, {how}).", None
    more, less = ("ELU", "SELU") if said == "lower" else ("SELU", "ELU")
    told = f"{what} costs {more} {by} more than {less} ({how})."
    if at_guessing(with_it[less].summary("metrics", "val_acc"), guessing_accuracy(with_it[less])):
        return f"{told} But {less} is down to guessing and cannot lose more, so which would is left open.", None
    return told, holds(said, "lower")


def describe_effect(name: str, changes: Mapping[int, float]) -> str:
    """Of alpha dropout in one network."""
    if not changes:
        return f"Under {name} there are no two runs to compare."
    found = difference(changes, dict.fromkeys(changes, 0.0))
    said = verdict(found)
    if said == "unknown":
        return f"Nothing can be claimed of its {found.mean:+.1f} points under {name}: {found.reason}."
    by = f"{abs(found.mean):.1f} ± {found.half_width:.1f} points"
    if said == "not distinguishable":
        signed = f"{found.mean:+.1f} ± {found.half_width:.1f} points"
        return f"Under {name} it changes the accuracy by no more than the noise ({signed})."
    return f"It {'costs' if said == 'lower' else 'gains'} {name} {by}, more than the noise."


def describe_cut_off(with_it: Mapping[str, Group]) -> list[str]:
    """Which of the networks cannot lose more, a sentence each."""
    return [
        f"With alpha dropout {name} does about as well as guessing one of {num_classes(group)} classes "
        f"({format_accuracy(group.summary('metrics', 'val_acc'))}): it cannot fall much lower, so its cost is cut off "
        "there."
        for name, group in with_it.items()
        if group.runs and at_guessing(group.summary("metrics", "val_acc"), guessing_accuracy(group))
    ]


def describe_end(with_it: Mapping[str, Group]) -> str:
    """Accuracies after the last epoch, which can be far from those at the lowest loss."""
    found = {name: [run.curve for run in group.runs.values() if run.curve] for name, group in with_it.items()}
    parts = [
        f"{name} {format_accuracy(interval([float(curve.by_name['val/acc'][-1]) for curve in curves]))}"
        for name, curves in found.items()
        if curves
    ]
    if not parts:
        return ""
    return (
        f"This is at the lowest validation loss; after the last epoch the accuracy with dropout is: {'; '.join(parts)}."
    )


def describe_rates(without: Mapping[str, Group]) -> str:
    """What else the two networks differ in, so that a difference need not be the activation's."""
    keys = {"model.initializer": "initialization", "optim.lr": "learning rate"}
    apart = [
        f"{word} "
        f"({', '.join(f'{name} {_describe_change(group.settings.get(key))}' for name, group in without.items())})"
        for key, word in keys.items()
        if len({str(group.settings.get(key)) for group in without.values()}) > 1
    ]
    if not apart:
        return ""
    return f"The two networks differ in {format_list(apart)}, too, so not all of this need be due to the activation."


def _describe_change(setting: str | float | None) -> str:
    return format_initializer(setting) if isinstance(setting, str) else f"{setting:g}" if setting else "unknown"


def describe_changes(found: Measured) -> str:
    """Whether dropout changes mean and deviation behind the last hidden layer, before training."""
    words = {"mean": "the mean", "std": "the deviation"}
    tested = [(name, key) for name in found for key in words]
    between = [difference(_last(found[name]["on"][key]), _last(found[name]["off"][key])) for name, key in tested]
    clear = {
        name: [
            f"{words[key]} by {one.mean:+.2f} ± {one.half_width:.2f}"
            for (of, key), one, (said, _) in zip(tested, between, corrected_verdicts(between), strict=True)
            if of == name and said in ("higher", "lower")
        ]
        for name in found
    }
    told = "Mean and deviation behind the last hidden layer are what alpha dropout is there to keep. Before training"
    if not any(clear.values()):
        return f"{told} no change of either is shown, neither under {' nor under '.join(found)}."
    parts = [
        f"under {name} it changes {format_list(its)}" if its else f"under {name} no change of either is shown"
        for name, its in clear.items()
    ]
    return f"{told}, {' and '.join(parts)}."


def _last(by_seed: Mapping[str, list[float]]) -> dict[int, float]:
    return {int(seed): values[-1] for seed, values in by_seed.items()}
