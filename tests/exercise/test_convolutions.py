"""The convolutional networks of another solution, from results that are made up."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from exercise.questions import convolutions
from exercise.store import Evidence, Measured
from exercise.trainings import Setting
from exercise_results import MC
from exercise_texts import text_of, verdicts
from trainlab.report.runs import Run
from trainlab.runs.result import Result

Leave = Callable[..., Path]


def leave_runs(leave: Leave, experiment: str, test: float, seeds: Sequence[int] = (1, 2, 3)) -> None:
    for seed in seeds:
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


@pytest.mark.parametrize("seeds", [(1, 2, 3), (1, 2)])
def test_mc_dropout_is_measured_of_the_seeds_that_there_are_and_of_none_twice(
    leave: Leave, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seeds: Sequence[int]
):
    evidence = Evidence(tmp_path, Setting(overrides=(f"seed={','.join(map(str, seeds))}",)))
    leave_runs(leave, "cnn_alpha_dropout", 0.7, seeds)
    taken = []

    def left_on(runs: Sequence[Run], samples: int) -> Measured:
        (run,) = runs
        taken.append(run.seed)
        if taken == [1, 2]:
            raise KeyboardInterrupt
        seed = str(run.seed)
        return {m: {side: {seed: of[seed]} for side, of in sides.items()} for m, sides in MC.items()}

    monkeypatch.setattr(convolutions, "measure_mc_dropout", left_on)
    with pytest.raises(KeyboardInterrupt):
        convolutions.measure_mc(evidence)
    found = convolutions.measure_mc(evidence)
    assert taken == [1, 2, *seeds[1:]]
    wanted = {str(seed) for seed in seeds}
    assert found == {m: {s: {k: v for k, v in of.items() if k in wanted} for s, of in x.items()} for m, x in MC.items()}
