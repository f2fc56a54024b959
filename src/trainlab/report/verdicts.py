"""What the figures allow to say, in words."""

import math
from collections.abc import Sequence

from trainlab.report.comparisons import Pair
from trainlab.report.convergence import Reached, convergence
from trainlab.report.groups import Group
from trainlab.report.statistics import Interval, Ratio, ratio

MAX_NAMED = 10


def better(pair: Pair) -> str:
    """Whether the model is better, by validation accuracy."""
    good, bad, by = pair.ordered()
    single = [group.label for group in (good, bad) if len(group.runs) < 2]
    if pair.difference.method == "none":
        has = f"{' and '.join(single)} {'have' if len(single) > 1 else 'has'} one seed"
        return (
            f"{good.label} and {bad.label}: nothing can be claimed, {has} "
            f"(the means are {points(by)} points apart, {good.label} ahead)."
        )
    how = f"95 %; {_method(pair)}; p = {p_value(pair.p)}{_holm(pair)}"
    if pair.is_clear:
        return f"{good.label} is better than {bad.label} by {_by(pair, by)} points ({how})."
    return f"{good.label} and {bad.label} cannot be told apart with {_seeds(pair)} ({_by(pair, by)} points, {how})."


def told_apart(pairs: Sequence[Pair]) -> list[str]:
    """A sentence a pair, what is clear first. Groups with one seed share a sentence, and so do many unclear pairs."""
    clear = [pair for pair in pairs if pair.is_clear]
    unclear = [pair for pair in pairs if pair.difference.method != "none" and not pair.is_clear]
    said = [better(pair) for pair in clear[:MAX_NAMED]]
    if len(clear) > MAX_NAMED:
        said.append(f"{len(clear) - MAX_NAMED} more differences are larger than the noise: see the table of all pairs.")
    common = set.intersection(*({pair.first.label, pair.second.label} for pair in unclear)) if unclear else set()
    if len(unclear) > MAX_NAMED and len(common) == 1:
        (one,) = common
        others = [pair.second.label if pair.first.label == one else pair.first.label for pair in unclear]
        said.append(f"{one} cannot be told apart from {_some(others)} (Holm over {unclear[0].tests} pairs).")
    else:
        said += map(better, unclear)
    single = {g.label: g for pair in pairs for g in (pair.first, pair.second) if len(g.runs) == 1}
    if single:
        has = "have one seed each" if len(single) > 1 else "has one seed"
        said.append(f"{_some([*single])} {has}: nothing can be claimed; set seed=1,2,3 or more.")
    return said


def converging(first: Group, second: Group) -> str:
    """Whether the second converges faster: what it takes to the first one's best validation loss."""
    found = convergence(first, second)
    if found is None:
        return f"There is no validation loss by epoch to compare {first.label} and {second.label} with."
    mark = f"{first.label}'s best validation loss ({found.target:.4f})"
    own = f"{first.label} itself took {_took(found.first)}"
    if found.second.never == found.second.n:
        every = "its one run" if found.second.n == 1 else f"any of its {found.second.n} runs"
        return f"{second.label} never reached {mark} in {every}; {own}."
    reached = f"{second.label} reached {mark} after {_took(found.second)}; {own}."
    if found.second.never:
        never = f"{found.second.never} of {found.second.n} runs"
        return f"{reached} But {second.label} never reached it in {never}, so no ratio is given."
    epochs, seconds = _share(found.epochs_ratio, "epochs"), _share(found.seconds_ratio, "seconds")
    return f"{reached} {second.label} takes {epochs} and {seconds}{_one_seed(first, second)}."


def cost(first: Group, second: Group) -> str:
    """What an epoch costs."""
    a, b = first.of("time", "epoch_s"), second.of("time", "epoch_s")
    if not a or not b:
        return f"There are no times to compare {first.label} and {second.label} with."
    times = ratio(b, a)
    each = f"{number(second.summary('time', 'epoch_s'))} s against {number(first.summary('time', 'epoch_s'))} s"
    unclear = "" if times.is_clear or math.isnan(times.low) else "; it may as well be the same"
    within = "" if math.isnan(times.low) else f" ({_range(times)})"
    return (
        f"An epoch of {second.label} takes {times.value:.2f} times as long as one of {first.label}{within}: "
        f"{each}{unclear}{_one_seed(first, second)}."
    )


def number(of: Interval, digits: int = 1) -> str:
    """Mean, and half the width of its interval where there is one."""
    if of.n == 0:
        return "-"
    spread = "" if math.isnan(of.half_width) else f" ± {of.half_width:.{digits}f}"
    return f"{of.mean:.{digits}f}{spread}"


def points(fraction: float) -> str:
    """A difference of accuracies in percentage points."""
    return f"{100 * fraction:.{1 if abs(fraction) >= 0.001 else 2}f}"


def p_value(p: float) -> str:
    """Two digits that say something."""
    if math.isnan(p):
        return "-"
    return f"{p:.2f}" if p >= 0.1 else f"{p:.3f}" if p >= 0.001 else f"{p:.1g}" if p > 1e-9 else "0"


def _some(labels: Sequence[str]) -> str:
    more = f" and {len(labels) - MAX_NAMED} more" if len(labels) > MAX_NAMED else ""
    return f"{', '.join(labels[:MAX_NAMED])}{more}"


def _by(pair: Pair, by: float) -> str:
    digits = 1 if min(by, pair.difference.half_width) >= 0.001 else 2
    return f"{100 * by:.{digits}f} ± {100 * pair.difference.half_width:.{digits}f}"


def _method(pair: Pair) -> str:
    if pair.difference.method == "Welch":
        return f"Welch's t, {len(pair.first.runs)} and {len(pair.second.runs)} runs"
    return f"paired t over seeds {_listed(pair.difference.seeds)}"


def _holm(pair: Pair) -> str:
    return f", Holm over {pair.tests} pairs" if pair.tests > 1 else ""


def _listed(seeds: tuple[int, ...]) -> str:
    consecutive = len(seeds) > 3 and list(seeds) == list(range(seeds[0], seeds[-1] + 1))
    return f"{seeds[0]} to {seeds[-1]}" if consecutive else ", ".join(map(str, seeds))


def _seeds(pair: Pair) -> str:
    a, b = len(pair.first.runs), len(pair.second.runs)
    if pair.difference.method == "paired":
        return f"{len(pair.difference.seeds)} seeds"
    return f"{a} seeds" if a == b else f"{a} and {b} seeds"


def _took(reached: Reached) -> str:
    text = f"{number(reached.epochs)} epochs"
    if reached.seconds.n:
        text += f" ({number(reached.seconds, 0 if reached.seconds.mean >= 10 else 1)} s)"
    return text


def _share(of: Ratio, unit: str) -> str:
    if math.isnan(of.value):
        return f"an unknown share of the {unit}"
    if math.isnan(of.low):
        return f"{of.value:.2f} times the {unit}"
    verdict = "not clearly different" if not of.is_clear else "faster" if of.value < 1 else "slower"
    return f"{of.value:.2f} times the {unit} ({_range(of)}: {verdict})"


def _range(of: Ratio) -> str:
    high = f"{of.high:.2f}" if of.high < 1000 else "more than 1000"
    return f"95 %: {of.low:.2f} to {high}"


def _one_seed(first: Group, second: Group) -> str:
    return " (one seed: no claim)" if min(len(first.runs), len(second.runs)) < 2 else ""
