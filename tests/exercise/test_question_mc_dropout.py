"""Whether MC dropout is better: by accuracy and by likelihood, from figures that are made up."""

import pytest

from exercise.questions.mc_dropout import answer_of

PLAIN, BETTER, WORSE, ALIKE = (50.0, 50.4, 50.1), (51.0, 51.5, 51.1), (49.0, 49.5, 49.1), (49.9, 50.5, 50.1)
LOSS, LOWER, HIGHER, SAME = (1.50, 1.51, 1.52), (1.45, 1.46, 1.475), (1.55, 1.56, 1.575), (1.49, 1.52, 1.52)


@pytest.mark.parametrize(
    ("accuracy", "loss", "agrees"),
    [
        (BETTER, LOWER, True),
        (WORSE, LOWER, False),
        (BETTER, HIGHER, False),
        (ALIKE, LOWER, None),
        (BETTER, SAME, None),
    ],
)
def test_both_have_to_be_better(accuracy, loss, agrees: bool | None):
    def sides(plain, sampled) -> dict[str, dict[str, float]]:
        return {
            side: {str(seed): value for seed, value in enumerate(values, 1)}
            for side, values in (("deterministic", plain), ("mc_dropout", sampled))
        }

    found = answer_of("8e", {"accuracy": sides(PLAIN, accuracy), "nll": sides(LOSS, loss)})
    assert found.agrees is agrees
    assert len(found.sentences) == 2
    ((_, table),) = found.tables
    assert [cell[1] for cell in table.rows[1]] == [2, PLAIN[1], accuracy[1], LOSS[1], loss[1]]
    assert [cell[0] for cell in table.rows[-1][:2]] == ["mean", "50.17"]


def test_without_a_run_nothing_is_said():
    found = answer_of("8e", {})
    assert (found.agrees, found.sentences) == (
        None,
        ["No run of 8e was completed, so there is no dropout to leave on."],
    )
