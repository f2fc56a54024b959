"""The folder of a sweep with `seed=auto`, as its runs leave it, without any training."""

import json
from collections.abc import Sequence
from pathlib import Path

from run_folders import leave_run
from trainlab.report.decision import Rules
from trainlab.report.decisions import Decisions, content_of, read_decisions
from trainlab.tasks.metrics import METRICS, Metric

SPREAD = (0.0, 0.004, -0.004, 0.002, -0.002, 0.001, -0.001, 0.003, -0.003, 0.0)


def leave_decisions(
    folder: Path,
    groups: dict[str, Sequence[float | str | None]],
    margin: float = 1.0,
    baseline: str | None = None,
    metric: Metric = METRICS["val/acc"],
) -> Decisions:
    """A sweep whose groups reached these values by seed, a status in the place of those that were lost."""
    for name, values in groups.items():
        for seed, value in enumerate(values, 1):
            if isinstance(value, str):
                error = {"type": "Error", "message": "loss is not finite"}
                leave_run(folder / f"{name},{seed}", [2.3], [0.1], seed, name, status=value, error=error)
            elif value is not None:
                value_of = [value] if metric is METRICS["val/loss"] else [1.5]
                leave_run(folder / f"{name},{seed}", value_of, [value], seed, name, epoch_s=9.0)
    rules = Rules(metric, margin, 0.05, baseline, {name: (f"model={name}",) for name in groups})
    folders = {name: {seed: f"{name},{seed}" for seed in range(1, len(of) + 1)} for name, of in groups.items()}
    (folder / "decisions.json").write_text(json.dumps(content_of(rules, folders)))
    found = read_decisions(folder)
    assert found is not None
    return found


def with_spread(mean: float, n: int = 7, times: float = 1.0) -> list[float]:
    """Values of ``n`` seeds."""
    return [mean + times * SPREAD[i] for i in range(n)]
