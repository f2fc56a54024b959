"""What is claimed of the best recipe."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from conftest import compose_settings
from exercise.questions import best
from exercise.store import Evidence
from exercise.trainings import Setting
from exercise_texts import text_of, verdicts
from trainlab.runs.result import Result

YES, NO, OPEN = "confirmed", "contradicted", "undecided"


@pytest.fixture
def evidence(leave: Callable[..., Path], tmp_path: Path) -> Callable[..., Evidence]:
    def left(tests: Sequence[float]) -> Evidence:
        """Runs with the settings of the experiment, which reach these test accuracies."""
        for seed, test in enumerate(tests, 1):
            folder = leave(
                f"best_20x100/{seed}", [1.0], [0.62], seed=seed, overrides=("experiment=best_20x100", f"seed={seed}")
            )
            cfg = compose_settings("experiment=best_20x100", "name=x", "run_dir=x", f"seed={seed}")
            OmegaConf.save(cfg, folder / "config.yaml", resolve=True)
            result = Result.read(folder)
            assert result
            result.metrics["test_acc"] = test
            result.write(folder)
        return Evidence(tmp_path, Setting())

    return left


@pytest.mark.parametrize(
    ("tests", "found"),
    [
        ((0.611, 0.612, 0.614), [YES, YES]),
        ((0.590, 0.591, 0.593), [NO, YES]),
        ((0.590, 0.605, 0.615), [OPEN, OPEN]),
        ((0.560, 0.561, 0.563), [NO, NO]),
    ],
)
def test_it_is_compared_with_the_goal_and_with_a_plain_loop(
    evidence: Callable[..., Evidence], tests: Sequence[float], found: list[str]
):
    answer = best.answer(evidence(tests))
    assert verdicts(answer) == found
    assert answer.figures["val"] == "62.0 ± 0.0 %"
    assert text_of(best.SECTION, answer)
