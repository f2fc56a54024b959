"""Question 5: momentum from none to nearly one, in a bowl of two dimensions and in the deep network."""

import math
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

import numpy as np
from scipy.stats import fisher_exact

from exercise.contrast import POINTS, Claim, contrast_groups, format_share
from exercise.formatting import format_percent, text_cells, with_label
from exercise.outcomes import guessing_accuracy
from exercise.plots import REFERENCE
from exercise.section import Answer, Measurement, Section
from exercise.store import Evidence, Measured, require_completed
from exercise.trainings import Sweep
from trainlab.report import COLORS, MARKERS, Group, Plot, Table, canvas, legend_below, render
from trainlab.statistics import ALPHA

MOMENTA = (0.0, 0.5, 0.9, 0.99, 0.999, 0.99999)
NONE, USUAL, HIGH, EXTREME = 0.0, 0.9, 0.99, 0.99999
RATE, PACE = 0.001, 0.01  # of a step; of the sum of the steps of equal gradients. They meet at 0.9
ALL = Sweep(
    "question_5_momentum",
    (
        *("model=selu", "optim=sgd", f"optim.momentum={','.join(f'{m:g}' for m in MOMENTA)}"),
        f"optim.lr={RATE},'${{same_pace:{PACE},${{optim.momentum}}}}'",
        *("seed=1,2,3,4,5", "trainer.max_epochs=6", "trainer.limit_train_batches=200", "callbacks.early_stopping=null"),
        *("callbacks.figures=null", "logger.tensorboard=null", "sweep.population=10"),
    ),
    quick=("optim.momentum=0,0.9,0.99999", "model.depth=3", "trainer.limit_train_batches=20"),
    minutes=3.5,
)
BOWL, DRAWN_STEPS = "question_5_bowl", 150
CURVATURES, START, LR = (1.0, 20.0), (10.0, 3.0), 0.02  # along and across
NEAR, STILL = 0.01, 1e-4  # of the start's distance: arrived; so near and so slow that it stays near
ByMomentum = Mapping[float, Group]


def path(momentum: float) -> Iterator[tuple[float, float]]:
    """Places after 0, 1, ... steps, up to where it rests: those of torch's SGD, at a hundredth of its time."""
    (x, y), (along, across), (dx, dy) = START, CURVATURES, (0.0, 0.0)
    limit = (STILL * math.hypot(*START)) ** 2
    while True:
        yield x, y
        dx, dy = momentum * dx - LR * along * x, momentum * dy - LR * across * y
        x, y = x + dx, y + dy
        if x * x + y * y < limit and dx * dx + dy * dy < limit:
            return


def descend(evidence: Evidence) -> Measured:
    """By momentum: how far beyond the minimum it runs along the bowl, and the steps after which it stays ``NEAR``."""
    found: Measured = {}
    near = (NEAR * math.hypot(*START)) ** 2
    for momentum in MOMENTA:
        settled, overshoot = 0, 0.0
        for step, (x, y) in enumerate(path(momentum), 1):
            settled = step if x * x + y * y > near else settled
            overshoot = max(overshoot, -x / START[0])
        drawn = [x for x, _ in islice(path(momentum), DRAWN_STEPS + 1)]
        found[f"{momentum:g}"] = {"settled": settled, "overshoot": overshoot, "drawn": drawn}
    return found


def share_of_distance(momentum: float, steps: int) -> float:
    """How far equal gradients carry it in ``steps``, as a share of the way at the final speed lr g / (1 - momentum)."""
    return 1 - momentum * (1 - momentum**steps) / (steps * (1 - momentum))


def count_failures(group: Group) -> tuple[int, int]:
    """Runs that diverged or end within a point of guessing, and all."""
    guess = guessing_accuracy(group) + POINTS / 100
    lost = len(group.others) + sum(value <= guess for value in group.of("metrics", "val_acc").values())
    return lost, len(group.runs) + len(group.others)


def answer(evidence: Evidence) -> Answer:
    """The bowl, the network at one rate, the network at one final speed."""
    groups = {(of.settings["optim.momentum"], of.settings["optim.lr"]): of for of in evidence.ended_groups(ALL)}
    rate, pace = (
        {m: with_label(groups[m, lr(m)], f"momentum {m:g}") for m in MOMENTA if (m, lr(m)) in groups}
        for lr in (lambda m: RATE, lambda m: float(f"{PACE * (1 - m):.6g}"))  # as `${same_pace:}` has it
    )
    require_completed(*(of[momentum] for of in (rate, pace) for momentum in (NONE, USUAL)), pace[EXTREME])
    bowl = evidence.measured(BOWL)
    usual, high = bowl[f"{USUAL:g}"], bowl[f"{EXTREME:g}"]
    overshoots = usual["overshoot"] < high["overshoot"] and usual["settled"] < high["settled"]
    failures = (lost, of), (lost_usual, of_usual) = count_failures(rate[EXTREME]), count_failures(rate[USUAL])
    p = fisher_exact([[count, n - count] for count, n in failures]).pvalue
    fails = lost > lost_usual if p < ALPHA else None
    slow = contrast_groups(pace[EXTREME], pace[USUAL], "lower")
    figures: dict[str, Any] = {
        **{"usual_steps": f"{usual['settled']:,}", "high_steps": f"{high['settled']:,}", "fails": fails, "slow": slow},
        **{"past": f"{100 * high['overshoot']:.0f} %", "lost": f"{lost} of {of}", "share": format_share(lost, of)},
        **{"lost_usual": f"{lost_usual} of {of_usual}", "p": f"{p:.3f}", "pace": PACE, "bowl_rate": LR},
        "steepness": f"{CURVATURES[1] / CURVATURES[0]:g}",
        "usual_acc": format_percent(rate[USUAL].summary("metrics", "val_acc")),
        "at_rate": contrast_groups(rate[USUAL], rate[NONE], "higher"),
        "at_pace": contrast_groups(pace[USUAL], pace[NONE], "higher"),
    }
    claims = [
        Claim("In a bowl it overshoots and arrives later", holds=overshoots),
        Claim("The deep network fails more often than with 0.9", holds=fails),
        Claim(f"At a rate of {PACE:g} (1 - momentum) it learns less", [slow]),
    ]
    curves = (run.folder / "metrics.csv" for run in pace[USUAL].runs.values())
    steps = int(max(np.nanmax(np.genfromtxt(curve, delimiter=",", names=True)["step"]) for curve in curves))
    figures["way"] = f"{100 * share_of_distance(EXTREME, steps):.1f} %"
    rows = [
        text_cells(
            *(momentum, f"{of['settled']:,}", f"{100 * of['overshoot']:.0f}"),
            *(_format_accuracy(groups.get(float(momentum))) for groups in (rate, pace)),
            f"{100 * share_of_distance(float(momentum), steps):.1f}",
        )
        for momentum, of in bowl.items()
    ]
    headings = ["momentum", "steps", "overshoot, %", f"% at {RATE:g}", f"% at {PACE:g} (1 - momentum)", "of the way, %"]
    note = f"Steps to stay within {100 * NEAR:.0f} % of the start's distance; of the way at final speed: in {steps:,}."
    tables = [("By momentum", Table(headings, rows, note, is_sorted=False))]
    return Answer(figures, claims, plot(bowl, rate, pace), tables)


def _format_accuracy(group: Group | None) -> str:
    if group is None:
        return "-"
    reached = format_percent(group.summary("metrics", "val_acc")).removesuffix(" %")
    lost = f"{len(group.others)} of {len(group.runs) + len(group.others)} diverged"
    return f"{reached}, {lost}" if group.runs and group.others else reached if group.runs else lost


def plot(bowl: Measured, rate: ByMomentum, pace: ByMomentum) -> Plot:
    """The way along the bowl by step, and what the network reaches by momentum."""
    with canvas(7.2, 3.0, 2) as (figure, (left, right)):
        for i, momentum in enumerate((NONE, USUAL, HIGH, EXTREME)):
            left.plot(bowl[f"{momentum:g}"]["drawn"], color=COLORS[i], linewidth=1.5, label=f"momentum {momentum:g}")
        left.axhline(0, **REFERENCE)
        left.set(title="in the bowl", xlabel="step", ylabel="place along the bowl")
        for i, (groups, name) in enumerate(((rate, f"rate {RATE:g}"), (pace, f"rate {PACE:g} (1 - momentum)"))):
            scores = {m: group.summary("metrics", "val_acc") for m, group in groups.items() if group.runs}
            x, means = [MOMENTA.index(momentum) for momentum in scores], [100 * of.mean for of in scores.values()]
            spread = [100 * of.half_width for of in scores.values()]
            right.errorbar(x, means, spread, color=COLORS[4 + i], marker=MARKERS[i], capsize=3, label=name)
        right.axhline(100 * guessing_accuracy(rate[USUAL]), **REFERENCE)
        right.set_xticks(range(len(MOMENTA)), [f"{momentum:g}" for momentum in MOMENTA], fontsize=8)
        right.set(title="in the deep network", xlabel="momentum", ylabel="validation accuracy, %", ylim=(0, None))
        right.legend(fontsize=9)
        legend_below(figure, left)
        caption = "Dashed: the minimum; guessing. Without diverged runs."
        return Plot("5_momentum", "With hardly any friction", caption, *render(figure))


SECTION = Section("5", "5", answer, [ALL], [Measurement(BOWL, descend)])
