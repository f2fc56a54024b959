"""The answer to question 2, from figures that are made up."""

import pytest
import torch

from exercise.questions.biases import AT_THE_END, NAMES, SECTION, SWEEP, answer, bias_sizes
from exercise.store import Evidence, NotAvailable
from exercise.trainings import Setting
from exercise_texts import text_of, verdicts
from run_folders import leave_run

ZERO = (0.500, 0.502, 0.498, 0.503, 0.499, 0.501)
WIDE = (0.47, 0.53, 0.49, 0.51, 0.48, 0.52)
SETTING = Setting(overrides=("seed=1,2,3,4,5,6",))


@pytest.fixture
def made(tmp_path):
    """Leaves runs of six seeds: accuracies by start, of those that are not given zero's in another order."""

    def leave(size: float = 0.1, **by_start) -> Evidence:
        for name in NAMES:
            accuracies = by_start.get(name, ZERO if name == "zeros" else (*ZERO[1:], ZERO[0]))
            for seed in range(1, 7):
                folder = tmp_path / SWEEP.name / f"{name},{seed}"
                status = "completed" if accuracies else "diverged"
                value = accuracies[seed - 1] if accuracies else 0.1
                given = (f"model.bias_initializer={name}", f"seed={seed}")
                leave_run(folder, [1.5], [value], seed, overrides=given, status=status, bias_initializer=name)
        evidence = Evidence(tmp_path, SETTING)
        sizes = {"zeros": [0.003, 0.004], "constant": [size, size], "normal": [0.1, 0.2]}
        evidence.keep(AT_THE_END, {name: dict.fromkeys("12", of) for name, of in sizes.items()})
        return evidence

    return leave


def shifted(by: float) -> tuple[float, ...]:
    """Zero's accuracies, ahead by so much but for a little that differs by seed."""
    return tuple(value + by + 0.0004 * (i % 3) for i, value in enumerate(ZERO))


def test_little_room_for_a_better_start_is_what_the_textbook_says(made):
    found = answer(made())
    assert verdicts(found) == ["confirmed", "confirmed"]
    assert [one.mean for one in found.contrasts] == pytest.approx([0, 0], abs=1e-9)
    text = text_of(SECTION, found)
    assert "accuracy is 50.1 ± 0.2 % from zero, 50.1 % from a constant of 0.1" in text
    assert "root mean square is 0.004 from zero, still 0.100 from 0.1" in text
    # The mean square of 0.1 and 0.2 is 0.025.
    assert [row[-1][0] for row in found.tables[0][1].rows][2].startswith("0.158")


def test_biases_that_move_are_not_said_to_stay(made):
    assert "biases hardly move" not in text_of(SECTION, answer(made(size=0.05)))


@pytest.mark.parametrize(
    ("by_start", "expected", "said"),
    [
        ({"constant": WIDE}, ["undecided", "confirmed"], "leaves room for a gain"),
        (
            {"normal": shifted(0.02)},
            ["confirmed", "contradicted"],
            "start at random values reach 2.0 points more",
        ),
        (
            {"normal": shifted(-0.02), "constant": shifted(-0.02)},
            ["confirmed", "confirmed"],
            "neither is better by a point",
        ),
    ],
)
def test_room_for_a_better_start_and_one_that_is_better(made, by_start, expected: list[str], said: str):
    found = answer(made(**by_start))
    assert verdicts(found) == expected
    assert said in text_of(SECTION, found)


def test_a_start_without_a_completed_run_leaves_no_answer(made):
    with pytest.raises(NotAvailable, match=r"a constant of 0\.1: no run was completed"):
        answer(made(constant=()))


def test_without_runs_there_is_no_answer_yet(tmp_path):
    with pytest.raises(NotAvailable):
        answer(Evidence(tmp_path, SETTING))


def test_sizes_are_those_of_the_hidden_layers():
    biases = {"linear_1": [3.0, 4.0], "linear_2": [0.0, 0.0], "output": [9.0]}
    state = {f"network.module.{name}.bias": torch.tensor(values) for name, values in biases.items()}
    state["network.module.linear_1.weight"] = torch.ones(2, 2)
    assert bias_sizes(state) == pytest.approx([12.5**0.5, 0.0])  # (9 + 16) / 2
