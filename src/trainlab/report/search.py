"""A search over settings, as `study.json` in its folder has it: its trials, and what they say."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainlab.report.formatting import format_metric
from trainlab.report.records import read_record
from trainlab.runs.result import STATUSES
from trainlab.tasks.metrics import METRICS, Metric, key_of
from trainlab.tasks.reported import read_metric

FILE = "study.json"
_EDGE = 0.05  # of an interval: a best value that lies so near its end asks for a wider one


@dataclass(frozen=True)
class Trial:
    """A run of a search.

    Attributes:
        value: its objective, of the best epoch; of the last one if it was pruned; None if it failed.
    """

    number: int
    status: str
    value: float | None
    params: Mapping[str, Any]


@dataclass(frozen=True)
class Dimension:
    """What values a key was searched over.

    Attributes:
        low, high: of numbers.
        log: whether they were searched on a log scale.
        values: of a choice, else empty.
    """

    low: float = math.nan
    high: float = math.nan
    log: bool = False
    values: Sequence[str] = ()

    def place(self, value: Any) -> float:
        """Where a number lies between the lowest, 0, and the highest, 1."""
        low, high, at = (math.log(x) if self.log else float(x) for x in (self.low, self.high, value))
        return (at - low) / (high - low) if high > low else 0.5


@dataclass(frozen=True)
class Search:
    """A hyperparameter search.

    Attributes:
        importance: of each key for being among the best trials, as a fraction of 1; empty if there are too few trials.
        metric: the one that is searched by.
    """

    sampler: str
    seed: int
    pruner: str
    planned: int
    space: Mapping[str, Dimension]
    trials: Sequence[Trial]
    importance: Mapping[str, float]
    metric: Metric

    def of(self, *statuses: str) -> list[Trial]:
        """Trials with one of ``statuses``."""
        return [trial for trial in self.trials if trial.status in statuses]

    @property
    def best(self) -> Trial | None:
        """The completed trial with the best objective, the first of equal ones."""
        known = [trial for trial in self.of("completed") if trial.value is not None]
        return min(known, key=lambda trial: (self.metric.rank(trial.value), trial.number), default=None)


def read_search(folder: Path) -> Search | None:
    """The search whose runs are in ``folder``; None if they belong to none.

    Raises:
        ValueError: the file is damaged.
    """
    return read_record(folder / FILE, _search, "the report has no section on the search")


def _search(content: Mapping[str, Any]) -> Search:
    objective = content.get("objective", "val/loss")
    about = content.get("metric")  # searches by a metric of the default classification need not describe it
    metric = read_metric(key_of(objective), about) if about else METRICS[objective]
    return Search(
        **{key: content[key] for key in ("sampler", "seed", "pruner", "planned", "importance")},
        space={
            key: Dimension(**{name: about[name] for name in ("low", "high", "log", "values") if name in about})
            for key, about in content["space"].items()
        },
        trials=[
            Trial(one["number"], one["status"], _finite(one[metric.key]), one["params"]) for one in content["trials"]
        ],
        metric=metric,
    )


def describe_search(search: Search) -> list[str]:
    """What was searched, how far the search is, and whether the best trial lies at an end of it."""
    counted = Counter(trial.status for trial in search.trials)
    counts = ", ".join(f"{counted[status]} {status}" for status in STATUSES if counted[status])
    over = "; ".join(f"{key}: {_range(dimension)}" for key, dimension in search.space.items())
    pruned = "" if search.pruner == "none" else f", and ended early by its {search.pruner} pruner"
    sentences = [
        f"{len(search.trials)} of {search.planned} trials: {counts}.",
        f"Drawn by Optuna's {search.sampler} sampler (seed {search.seed}){pruned}, from {over}.",
    ]
    if best := search.best:
        sentences += [_at_the_edge(key, best.params[key], search.space[key]) for key in search.space]
    return [sentence for sentence in sentences if sentence]


def describe_best_trial(search: Search) -> str:
    """What the best trial reached, and with what settings."""
    best = search.best
    assert best is not None and best.value is not None
    values = ", ".join(f"{key} = {value}" for key, value in best.params.items())
    reached = f"{search.metric.label} {format_metric(best.value, search.metric)}"
    return f"Best of {len(search.trials)} trials: trial {best.number}, {reached}, with {values}."


def _at_the_edge(key: str, value: Any, dimension: Dimension) -> str:
    """A hint if the value lies at an end of its interval."""
    if dimension.values or not dimension.high > dimension.low or _EDGE < dimension.place(value) < 1 - _EDGE:
        return ""
    end, further = ("upper", "higher") if dimension.place(value) > 0.5 else ("lower", "lower")
    return f"The best {key} lies at the {end} end of what was searched: {further} values may be better."


def _range(dimension: Dimension) -> str:
    if dimension.values:
        return " or ".join(dimension.values)
    return f"{dimension.low:g} to {dimension.high:g}{' on a log scale' if dimension.log else ''}"


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
