"""Whether MC dropout is better: by accuracy and by likelihood, from figures that are made up."""

from types import SimpleNamespace

import pytest

from exercise.questions import mc_dropout
from exercise.questions.mc_dropout import answer_of
from exercise.store import NotAvailable
from exercise_texts import verdicts

YES, NO, OPEN = "confirmed", "contradicted", "undecided"
PLAIN, BETTER, WORSE, ALIKE = (50.0, 50.4, 50.1), (51.0, 51.5, 51.1), (49.0, 49.5, 49.1), (49.9, 50.5, 50.1)
NOISY = (49.0, 52.0, 50.9)
LOSS, LOWER, HIGHER, SAME = (1.50, 1.51, 1.52), (1.45, 1.46, 1.475), (1.55, 1.56, 1.575), (1.49, 1.52, 1.52)


@pytest.mark.parametrize(
    ("accuracy", "loss", "found"),
    [
        (BETTER, LOWER, [YES, YES]),
        (WORSE, LOWER, [NO, YES]),
        (BETTER, HIGHER, [YES, NO]),
        (ALIKE, LOWER, [NO, YES]),  # a gain of a point is ruled out
        (NOISY, SAME, [OPEN, OPEN]),
    ],
)
def test_accuracy_and_probabilities_are_two_claims(accuracy, loss, found: list[str]):
    def sides(plain, sampled) -> dict[str, dict[str, float]]:
        return {
            side: {str(seed): value for seed, value in enumerate(values, 1)}
            for side, values in (("deterministic", plain), ("mc_dropout", sampled))
        }

    answer = answer_of({"accuracy": sides(PLAIN, accuracy), "nll": sides(LOSS, loss)})
    assert verdicts(answer) == found
    ((_, table),) = answer.tables
    assert [cell[1] for cell in table.rows[1]] == [2, PLAIN[1], accuracy[1], LOSS[1], loss[1]]
    assert len(table.rows) == len(PLAIN)


def test_without_a_run_there_is_no_answer():
    with pytest.raises(NotAvailable, match="no run with dropout was completed"):
        answer_of({})


def test_it_is_measured_of_the_seeds_that_every_sweep_has(monkeypatch: pytest.MonkeyPatch, tmp_path):
    figures = {name: {side: {"value": 0.5} for side in mc_dropout.NAMES} for name in ("accuracy", "nll")}
    monkeypatch.setattr(mc_dropout, "evaluate_checkpoint", lambda path, mc_samples: {"metrics": figures})
    found = mc_dropout.measure_mc_dropout([SimpleNamespace(seed=seed, folder=tmp_path) for seed in range(9, 0, -1)])
    assert [*found["accuracy"]["mc_dropout"]] == ["1", "2", "3", "4", "5", "6"]
    assert found["accuracy"]["deterministic"]["1"] == 50.0 and found["nll"]["deterministic"]["1"] == 0.5
