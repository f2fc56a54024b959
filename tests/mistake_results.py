"""Results of the mistakes that are made up."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from exercise.questions import mistakes
from exercise.section import Answer
from exercise.store import Evidence

Leave = Callable[..., Path]  # `run_folders.leave`
RIGHT = (0.450, 0.455, 0.452)


def leave_network(
    leave: Leave, experiment: str, accuracies: Sequence[float], status: str = "completed", **model: Any
) -> list[Path]:
    return [
        leave(
            f"mistakes/{experiment},{seed}",
            [2.0, 1.9 - accuracy],
            [accuracy / 2, accuracy],
            seed=seed,
            status=status,
            overrides=(f"experiment=exercise/{experiment}", f"seed={seed}"),
            name_of_network=experiment,
            **model,
        )
        for seed, accuracy in enumerate(accuracies, 1)
    ]


def answer(key: str, evidence: Evidence) -> Answer:
    (section,) = (section for section in mistakes.SECTIONS if section.key == key)
    return section.answer(evidence)


def leave_and_lose(leave: Leave, experiment: str, accuracies: Sequence[float], lost: int) -> None:
    """Completed runs, and after them some that diverged."""
    leave_network(leave, experiment, accuracies)
    for seed in range(len(accuracies) + 1, len(accuracies) + 1 + lost):
        overrides = (f"experiment=exercise/{experiment}", f"seed={seed}")
        name = f"mistakes/{experiment},{seed}"
        leave(name, [2.3], [0.1], seed, status="diverged", overrides=overrides, name_of_network=experiment)
