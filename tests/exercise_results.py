"""Results of the exercise that are made up."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from exercise.questions import tuning
from exercise.trainings import Setting, Sweep
from trainlab.report.decision import Rules
from trainlab.report.decisions import content_of
from trainlab.tasks.metrics import METRICS

Leave = Callable[..., Path]  # `run_folders.leave`
THREE_SEEDS = Setting(overrides=("seed=1,2,3",))  # in the place of seed=auto, too
MC = {
    "accuracy": {"deterministic": {"1": 50.0, "2": 50.4, "3": 50.1}, "mc_dropout": {"1": 49.9, "2": 50.5, "3": 50.1}},
    "nll": {"deterministic": {"1": 1.50, "2": 1.51, "3": 1.52}, "mc_dropout": {"1": 1.45, "2": 1.46, "3": 1.475}},
}


def leave_part(
    leave: Leave, key: str, accuracies: Sequence[float | None], epoch_s: float = 2.0, epochs: int = 4
) -> None:
    """Runs of a part, which reach ``accuracies`` in ``epochs`` epochs of ``epoch_s`` each; None: it diverged."""
    part = tuning.PARTS[key]
    for seed, accuracy in enumerate(accuracies, 1):
        own = epochs + (epochs > 4) * seed  # a ratio of epochs needs some spread
        losses = [2.3 - (1.3 + 0.01 * seed) * (i + 1) / own for i in range(own)]
        leave(
            f"{part.sweep.name}/{part.experiment},{seed}",
            losses,
            [accuracy or 0.1] * own,
            seed=seed,
            epoch_s=epoch_s + 0.001 * seed,
            status="diverged" if accuracy is None else "completed",
            overrides=(f"experiment=exercise/{part.experiment}", f"seed={seed}"),
            name_of_part=key,
        )


def leave_decisions_of(folder: Path, sweep: Sweep, baseline: str) -> None:
    """The record of a sweep with `seed=auto`, of the runs that were left in its folder."""
    runs = sorted(path.name for path in (folder / sweep.name).iterdir() if path.is_dir())
    names = list(dict.fromkeys(run.partition(",")[0] for run in runs))
    rules = Rules(METRICS["val/acc"], 1.0, 0.05, baseline, {name: (f"experiment=exercise/{name}",) for name in names})
    folders = {
        name: {int(run.partition(",")[2]): run for run in runs if run.partition(",")[0] == name} for name in names
    }
    (folder / sweep.name / "decisions.json").write_text(json.dumps(content_of(rules, folders)))
