"""How often a report claims a difference where there is none: simulated sweeps of equal groups.

    PYTHONPATH=src .venv/bin/python benchmarks/false_claims.py            # about ten minutes on one core
    PYTHONPATH=src .venv/bin/python benchmarks/false_claims.py --quick    # half a minute

Each row is a kind of sweep: how the accuracies of a group vary, the number of groups and of seeds. "better" is the
share of sweeps with at least one "is better than" or "significantly worse", "ratio" that with at least one ratio of
epochs or seconds whose interval excludes 1 and that is not marked as not significant. The first table reads the
sentences of real reports, the second one computes the same decisions for many more sweeps at once; that they agree is
checked on some of them.
"""

import argparse
import re
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.special import stdtr

from trainlab.report.answer import WORSE
from trainlab.report.comparisons import compare_all
from trainlab.report.curves import Curve
from trainlab.report.findings import Findings
from trainlab.report.groups import Group
from trainlab.report.runs import Run
from trainlab.runs.result import Result
from trainlab.statistics import ALPHA, holm, paired, welch
from trainlab.tasks.reported import DEFAULT

Values = NDArray[np.float64]
SHAPES = ((4, 3), (4, 5), (4, 10), (9, 3), (9, 10), (20, 10), (30, 3), (30, 10))  # groups, seeds
ARMS = ("normal", "heavy tails", "unequal spread", "one skewed")
SIZES = ((2, 2), (2, 3), (2, 4), (2, 5), (2, 10), (3, 3), (3, 4), (3, 5), (3, 6), (3, 7), (3, 10), (3, 30), (4, 8))
SIZES += ((4, 10), (5, 10), (5, 11), (5, 30), (10, 30))
SPREADS = (0.1, 0.2, 0.4, 0.7, 1.0, 1.5, 2.5, 5.0, 10.0)  # of one group over that of the other
EPOCHS = 20
_RATIO = re.compile(r"\(95 %: ([\d.]+) to (more than 1000|[\d.]+)([^)]*)\)")


def draw(arms: str, size: tuple[int, int, int], rng: Generator) -> Values:
    """Accuracies without any true difference (sweeps, groups, seeds): mean 0.5, deviation about 0.01."""
    if arms == "heavy tails":
        return 0.5 + 0.006 * rng.standard_t(3, size)
    noise = rng.normal(0, 0.01, size)
    if arms == "unequal spread":
        noise *= np.linspace(0.3, 3, size[1])[:, None]
    if arms == "one skewed":  # most seeds a little above the mean, some far below, three times the spread of the others
        noise[:, 0] = 0.03 * (1 - rng.exponential(1, (size[0], size[2])))
    return 0.5 + noise


def claims_better(accuracies: Values) -> NDArray[np.bool_]:
    """Which of the sweeps (sweeps, groups, seeds) have a significant pair: the smallest p, by Holm's first step."""
    pairs = [*combinations(range(accuracies.shape[1]), 2)]
    lowest = np.ones(len(accuracies))
    n = accuracies.shape[2]
    for a, b in pairs:
        change = accuracies[:, a] - accuracies[:, b]
        t = change.mean(axis=1) / (change.std(axis=1, ddof=1) / np.sqrt(n))
        np.minimum(lowest, 2 * stdtr(n - 1, -np.abs(t)), out=lowest)
    return lowest * len(pairs) < ALPHA


def check_fast_path(accuracies: Values) -> None:
    """Compare ``claims_better`` with the functions that reports use."""
    for sweep, found in zip(accuracies, claims_better(accuracies), strict=True):
        ps = holm([paired(a, b).p for a, b in combinations(sweep, 2)])
        assert (min(ps) < ALPHA) == found, sweep


def groups_of(accuracies: Values, rng: Generator) -> list[Group]:
    """Groups of one sweep (groups, seeds), whose runs have equal losses and times but for noise; the best first."""
    found = []
    for i, values in enumerate(accuracies):
        runs = {}
        for seed, accuracy in enumerate(values, 1):
            losses = 1 + np.exp(-np.arange(EPOCHS) / 3) + rng.normal(0, 0.02, EPOCHS)
            seconds = np.exp(rng.normal(0, 0.03)) * np.ones(EPOCHS)
            metrics = {"val_acc": float(accuracy), "val_loss": float(losses.min())}
            curve = Curve(np.arange(1.0, EPOCHS + 1), np.cumsum(seconds), {"val/loss": losses})
            result = Result("completed", "", [], metrics, {"epoch_s": float(seconds[0])})
            runs[seed] = Run(Path(f"{i},{seed}"), result, settings={"seed": seed}, curve=curve)
        found.append(Group(f"g{i}", {}, {}, runs))
    return sorted(found, key=lambda group: group.score)


def report_on(groups: list[Group]) -> Findings:
    """What a report on the groups says."""
    runs = [run for group in groups for run in group.runs.values()]
    return Findings([], runs, [], groups, compare_all(groups), [], [], None, [DEFAULT])


def claims_of(findings: Findings) -> tuple[bool, bool, int, int]:
    """Whether any sentence claims a better group, or a ratio; ratios whose interval excludes 1, and all ratios."""
    better = WORSE in findings.verdicts.values()
    claimed = excluding = ratios = 0
    for first, second in findings.asked():
        convergence, which, cost = findings.answers(first, second)
        better |= " is better than " in which
        for said, whole in ((convergence, ""), (cost, cost)):
            for low, high, doubt in _RATIO.findall(said):
                clear = float(low) > 1 or (high[0] != "m" and float(high) < 1)
                ratios, excluding = ratios + 1, excluding + clear
                claimed += clear and "not significant" not in doubt + whole
    return better, bool(claimed), excluding, ratios


def welch_errors(first: int, second: int, sweeps: int, rng: Generator) -> tuple[float, float]:
    """The largest share of false differences over ``SPREADS``: with Welch's degrees of freedom, and as reported."""
    worst = [0.0, 0.0]
    for spread in SPREADS:
        a, b = rng.normal(0, spread, (sweeps, first)), rng.normal(0, 1, (sweeps, second))
        u, v = a.var(axis=1, ddof=1) / first, b.var(axis=1, ddof=1) / second
        t = (a.mean(axis=1) - b.mean(axis=1)) / np.sqrt(u + v)
        own = (u + v) ** 2 / (u**2 / (first - 1) + v**2 / (second - 1))
        df = np.full(sweeps, welch(a[0], b[0]).df) if welch(a[0], b[0]).df == min(first, second) - 1 else own
        assert np.isclose(welch(a[0], b[0]).df, df[0])
        for i, each in enumerate((own, df)):
            worst[i] = max(worst[i], float((2 * stdtr(each, -np.abs(t)) < ALPHA).mean()))
    return worst[0], worst[1]


def main() -> None:
    """Print the three tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sweeps", type=int, default=20_000, help="of the second and third table")
    parser.add_argument("--reports", type=int, default=1000, help="sweeps of the first table")
    parser.add_argument("--quick", action="store_true", help="1000 sweeps and 40 reports, up to 9 groups")
    given = parser.parse_args()
    sweeps, reports = (1000, 40) if given.quick else (given.sweeps, given.reports)
    shapes = [shape for shape in SHAPES if not given.quick or shape[0] < 20]
    rng = np.random.default_rng(0)
    print(f"{reports} reports each | groups | seeds | better | ratio | either | intervals of ratios without 1")
    for groups, seeds in shapes:
        found = [claims_of(report_on(groups_of(one, rng))) for one in draw("normal", (reports, groups, seeds), rng)]
        better, ratio, excluding, ratios = np.array(found).T
        shares = [better.mean(), ratio.mean(), (better.astype(bool) | ratio.astype(bool)).mean()]
        shares.append(excluding.sum() / max(1, ratios.sum()))
        shares.append((excluding > 0).mean())
        print(f"normal | {groups} | {seeds} | {' | '.join(f'{100 * share:.1f} %' for share in shares)}", flush=True)
    print(f"\n{sweeps} sweeps each | groups | seeds | better")
    for arms in ARMS:
        for groups, seeds in shapes:
            at_once = max(1, 2_000_000 // (groups * seeds))
            parts = [draw(arms, (min(at_once, sweeps - i), groups, seeds), rng) for i in range(0, sweeps, at_once)]
            check_fast_path(parts[0][:20])
            share = np.concatenate([claims_better(part) for part in parts]).mean()
            print(f"{arms} | {groups} | {seeds} | {100 * share:.1f} %", flush=True)
    print(f"\n{sweeps} pairs of groups each, other seeds | runs | Welch's degrees of freedom | as reported")
    for first, second in SIZES:
        own, reported = welch_errors(first, second, sweeps, rng)
        kind = f"normal, the worst of {len(SPREADS)} spreads"
        print(f"{kind} | {first} and {second} | {100 * own:.1f} % | {100 * reported:.1f} %")


if __name__ == "__main__":
    main()
