"""The convolutional networks of another solution, from results that are made up."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from exercise.questions import convolutions
from exercise.store import Evidence
from exercise.trainings import Setting
from exercise_results import MC
from exercise_texts import text_of, verdicts
from trainlab.runs.result import Result

Leave = Callable[..., Path]


def leave_runs(leave: Leave, experiment: str, test: float) -> None:
    for seed in (1, 2, 3):
        overrides = (f"experiment={experiment}", f"seed={seed}")
        folder = leave(f"cnn/{experiment},{seed}", [1.9], [0.7], seed, overrides=overrides, name_of_network=experiment)
        result = Result.read(folder)
        assert result is not None
        result.metrics["test_acc"] = test + 0.001 * seed
        result.write(folder)


@pytest.mark.parametrize(
    ("tests", "verdict"),
    [
        ((0.72, 0.76, 0.71, 0.77), "confirmed"),
        ((0.70, 0.70, 0.70, 0.70), "confirmed"),  # within a point of what is reported
        ((0.60, 0.61, 0.72, 0.72), "contradicted"),
    ],
)
def test_compared_with_what_is_reported(leave: Leave, tmp_path: Path, tests: Sequence[float], verdict: str):
    evidence = Evidence(tmp_path, Setting())
    for experiment, test in zip(convolutions.NETWORKS, tests, strict=True):
        leave_runs(leave, experiment, test)
    evidence.keep(convolutions.MC, MC)
    found = convolutions.answer(evidence)
    assert verdicts(found)[0] == verdict
    text = text_of(convolutions.SECTION, found)
    assert f"They reach {100 * tests[0] + 0.2:.1f} % of the test images" in text
    assert ("the same networks end" in text) is (tests[1] != 0.7)
    assert len(found.tables[0][1].rows) == 4 and len(found.claims) == 3
