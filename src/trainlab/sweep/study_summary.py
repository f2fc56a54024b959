"""What people and reports read of a search: its progress in one line, and `study.json`.

Needs Optuna, so only searches import it.
"""

from collections import Counter
from pathlib import Path
from typing import Any

from optuna.distributions import CategoricalDistribution
from optuna.trial import FrozenTrial

from trainlab.runs.files import write_json
from trainlab.runs.fingerprint import as_typed
from trainlab.runs.result import STATUSES
from trainlab.sweep.space import Dimension
from trainlab.sweep.study import Study, reason_of, status_of
from trainlab.sweep.study_storage import SUMMARY
from trainlab.tasks.reported import describe_metric


def describe_progress(study: Study) -> str:
    """Progress of the search in one line."""
    trials = study.trials()
    counts = Counter(map(status_of, trials))
    ends = ", ".join(f"{counts[status]} {status}" for status in STATUSES if counts[status])
    line = f"search: {len(trials)} of {study.settings.trials} trials{': ' * bool(ends)}{ends}"
    if len(trials) < study.settings.trials and study.space.unseen([trial.params for trial in trials]) == []:
        line += "; all combinations of the values have been tried"
    if best := study.best():
        values = " ".join(as_typed([f"{key}={value}" for key, value in best.params.items()]))
        reached = f"{study.metric.label} {study.metric.format(best.values[0])}"
        line += f"; best {reached} (trial {best.number}: {values})"
    return line


def write_summary(study: Study) -> None:
    """Write `study.json` for reports, which do not use Optuna."""
    trials = study.trials()
    content = {
        **{key: getattr(study.settings, key) for key in ("sampler", "seed", "pruner", "objective")},
        "metric": describe_metric(study.metric),
        "planned": study.settings.trials,
        "space": {key: _plain(dimension) for key, dimension in study.space.dimensions.items()},
        "trials": [
            _trial(study, trial, folder) for trial, folder in zip(trials, study.folders_of(trials), strict=True)
        ],
        "importance": study.importance(),
    }
    write_json(study.folder / SUMMARY, content, indent=1)


def _trial(study: Study, trial: FrozenTrial, folder: Path) -> dict[str, Any]:
    return {
        "number": trial.number,
        "status": status_of(trial),
        "reason": reason_of(trial),
        study.metric.key: trial.value,
        "params": trial.params,
        "folder": folder.name,
    }


def _plain(dimension: Dimension) -> dict[str, Any]:
    if isinstance(dimension, CategoricalDistribution):
        return {"values": dimension.choices}
    return {key: getattr(dimension, key) for key in ("low", "high", "log", "step")}
