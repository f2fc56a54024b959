"""The deep network under SGD with six momenta, at one learning rate and at rates that give one final speed."""

import csv
from collections.abc import Mapping

from matplotlib.ticker import PercentFormatter

from exercise.formatting import Verdict, compare_pair, format_difference, verdict, with_label
from exercise.plots import marked
from exercise.questions.mistakes.accuracy_cost import describe_cost
from exercise.store import Evidence
from exercise.trainings import Sweep
from trainlab.report import COLORS, Group, Plot, band, canvas, legend_below, render

MOMENTA = (0.0, 0.5, 0.9, 0.99, 0.999, 0.99999)
USUAL, EXTREME = 0.9, 0.99999
RATE, PACE = 0.001, 0.01  # of a step; of the sum of the steps of equal gradients. They meet at 0.9
ALL = Sweep(
    "question_5_momentum",
    (
        *("model=selu", "optim=sgd", f"optim.momentum={','.join(f'{m:g}' for m in MOMENTA)}"),
        f"optim.lr={RATE},'${{same_pace:{PACE},${{optim.momentum}}}}'",
        *("seed=1,2,3", "trainer.max_epochs=6", "trainer.limit_train_batches=200", "callbacks.early_stopping=null"),
        *("callbacks.figures=null", "logger.tensorboard=null", "sweep.population=10"),
    ),
    quick=("optim.momentum=0,0.9,0.99999", "model.depth=3", "trainer.limit_train_batches=20"),
)
ENOUGH = 0.9  # of the way: from that on the final speed counts as kept. A choice
ByMomentum = Mapping[float, Group]


def groups_by_momentum(evidence: Evidence, at_one_pace: bool) -> dict[float, Group]:
    """Groups with the learning rate ``RATE``, or with the one at which equal gradients add up to ``PACE`` of them.

    Raises:
        NotAvailable: a run has not ended.
    """
    found = {
        (float(group.settings["optim.momentum"]), float(group.settings["optim.lr"])): group
        for group in evidence.ended_groups(ALL)
    }
    # as `${same_pace:}` has it
    rates = {m: float(f"{PACE * (1 - m):.6g}") if at_one_pace else RATE for m in MOMENTA}
    return {m: with_label(found[m, lr], f"momentum {m:g}") for m, lr in rates.items() if (m, lr) in found}


def speed(momentum: float, steps: int) -> float:
    """Speed after ``steps`` steps of equal gradients, as a share of the final speed lr g / (1 - momentum)."""
    return 1 - momentum**steps


def share_of_distance(momentum: float, steps: int) -> float:
    """How far they have carried it, as a share of the way at the final speed: the mean of ``speed`` over the steps."""
    return 1 - momentum * speed(momentum, steps) / (steps * (1 - momentum))


def steps_of(groups: ByMomentum) -> int:
    """Steps that the longest of the completed runs made; 0 where there is none."""
    made = [0]
    for run in (run for group in groups.values() for run in group.runs.values() if run.curve):
        with (run.folder / "metrics.csv").open(newline="") as file:
            made += [int(row["step"]) for row in csv.DictReader(file) if row.get("step")]
    return max(made)


def describe_extreme(groups: ByMomentum) -> tuple[str, bool | None]:
    """What the extreme momentum costs compared with the usual one, and whether it clearly does."""
    if USUAL not in groups or EXTREME not in groups:
        return f"There are no runs with {USUAL:g} and {EXTREME:g}.", None
    return describe_cost(groups[EXTREME], groups[USUAL])


def describe_one_rate(rate: ByMomentum) -> str:
    """The extreme momentum in the network at one learning rate, in words."""
    cost, _ = describe_extreme(rate)
    return (
        f"The deep network with {EXTREME:g} in the place of {USUAL:g}, at a learning rate of {RATE:g} for all: "
        f"{cost[:1].lower()}{cost[1:]}"
    )


def describe_one_pace(pace: ByMomentum) -> str:
    """The same where the rate is lowered, and what share of the final speed the steps reach."""
    text = (
        f"With the learning rate lowered to {PACE:g} (1 - momentum), equal gradients lead to the same final speed, but "
        "only after about 1/(1 - momentum) steps."
    )
    steps = steps_of(pace)
    if not steps:
        return f"{text} {describe_extreme(pace)[0]}"
    covered = share_of_distance(EXTREME, steps)
    text += (
        f" In these {steps:,} steps {EXTREME:g} reaches {format_percent(speed(EXTREME, steps))} of it and covers "
        f"{format_percent(covered)} of the way. {describe_extreme(pace)[0]}"
    )
    return text if covered >= ENOUGH else f"{text} This can show that it starts slowly, and nothing of overshooting."


def format_percent(share: float) -> str:
    """Two digits or more: "0.6 %", "42 %"."""
    return f"{100 * share:.{1 if share < 0.0995 else 0}f} %"


def describe_momentum_alone(rate: ByMomentum, pace: ByMomentum) -> str:
    """What of the gain by a usual momentum is left where the final speed is the same."""
    if not all(groups.get(momentum) and groups[momentum].runs for groups in (rate, pace) for momentum in (0.0, USUAL)):
        return f"Whether {USUAL:g} helps by more than its speed is undecided: runs without or with it are missing."
    gains = [compare_pair(groups[USUAL], groups[0.0]).difference for groups in (rate, pace)]
    at_rate, at_pace = (verdict(gain) for gain in gains)
    first, second = (f"{format_difference(gain)} points" for gain in gains)
    if at_rate == "higher":
        rest = {
            "higher": f"{second.lstrip('+')} stay, so momentum helps by more than a higher rate would",
            "lower": f"nothing of that stays ({second}), so it came of the higher speed alone",
            "not distinguishable": f"it is not shown that any of that stays ({second})",
            "unknown": f"what of that stays is undecided ({second})",
        }[at_pace]
        return (
            f"At one learning rate a momentum of {USUAL:g} is {first.lstrip('+')} ahead of no momentum. Where the rate "
            f"is lowered so that the final speed is the same, {rest}."
        )
    places: dict[Verdict, str] = {
        **{"higher": "ahead of", "lower": "behind"},
        **{"not distinguishable": "not significantly different from", "unknown": "not tested against"},
    }
    return (
        f"At one learning rate a momentum of {USUAL:g} is {places[at_rate]} no momentum ({first}). Where the rate is "
        f"lowered so that the final speed is the same, it is {places[at_pace]} it ({second})."
    )


def plot_curves(rate: ByMomentum, pace: ByMomentum) -> Plot:
    """Validation accuracy of the deep network by epoch, at one rate and at one final speed."""
    lost = [
        f"at {title} with {m:g}"
        for title, of in (("one rate", rate), ("one final speed", pace))
        for m in of
        if of[m].others
    ]
    ended = f" Not all of their runs completed: {'; '.join(lost)}." if lost else ""
    with canvas(8.6, 3.6, 2, scale_a_row=True) as (figure, axes):
        for one, groups, title in zip(axes, (rate, pace), ("one learning rate", "one final speed"), strict=True):
            for i, (momentum, group) in enumerate(groups.items()):
                runs = [*group.runs.values()] or group.others
                lines = band([run.curve for run in runs if run.curve], "val/acc")
                style = {**marked(i), "linestyle": "-" if group.runs else ":", "linewidth": 1.6}
                one.plot(lines.x, lines.mean, label=f"momentum {momentum:g}", **style)
                one.fill_between(lines.x, lines.low, lines.high, color=COLORS[i], alpha=0.15, linewidth=0)
            one.set_ylim(bottom=0)
            one.set_xlim(left=0)
            one.set(title=title, xlabel="epochs")
        axes[0].set_ylabel("validation accuracy")
        axes[0].yaxis.set_major_formatter(PercentFormatter(1.0))
        legend_below(figure, axes[0] if len(rate) >= len(pace) else axes[1])
        return Plot(
            "5_curves",
            "The deep network",
            "Left: one learning rate for all, so that a higher momentum is also a higher speed. Right: the rate "
            f"lowered so that equal gradients lead to the same final speed.{_describe_slow(pace)} Line: mean over the "
            f"seeds; band: from the lowest to the highest. Epochs are short, of a few hundred steps.{ended} See left "
            "which momentum learns fastest and which fall back or stay at guessing, and right which have hardly begun.",
            *render(figure),
        )


def _describe_slow(pace: ByMomentum) -> str:
    """Which momenta do not reach the final speed in the steps that there are."""
    steps = steps_of(pace)
    covered = {m: share_of_distance(m, steps) for m in pace} if steps else {}
    short = [f"{m:g} {format_percent(share)}" for m, share in covered.items() if share < ENOUGH]
    if not short:
        return ""
    return (
        f" High momenta reach it late. Of the way that they would go at that speed, {steps:,} steps cover: "
        f"{', '.join(short)}."
    )
