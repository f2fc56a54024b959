"""The answer to question 2, from figures that are made up."""

import pytest
import torch

from exercise.questions.biases import AT_THE_END, NAMES, SWEEP, answer, bias_sizes
from exercise.store import Evidence, NotAvailable
from exercise.trainings import Setting
from run_folders import leave_run

ZERO = (0.500, 0.502, 0.498, 0.503, 0.499, 0.501)
SIZES = {name: {"1": [0.1, 0.2], "2": [0.1, 0.2]} for name in NAMES}


@pytest.fixture
def made(tmp_path):
    """Leaves runs of six seeds: accuracies by start, of those that are not given zero's in another order."""

    def leave(**by_start) -> Evidence:
        for name in NAMES:
            accuracies = by_start.get(name, ZERO if name == "zeros" else (*ZERO[1:], ZERO[0]))
            for seed in range(1, 7):
                folder = tmp_path / SWEEP.name / f"{name},{seed}"
                status = "completed" if accuracies else "diverged"
                value = accuracies[seed - 1] if accuracies else 0.1
                given = (f"model.bias_initializer={name}", f"seed={seed}")
                leave_run(folder, [1.5], [value], seed, overrides=given, status=status, bias_initializer=name)
        evidence = Evidence(tmp_path, Setting())
        evidence.keep(AT_THE_END, SIZES)
        return evidence

    return leave


def shifted(by: float) -> tuple[float, ...]:
    """Zero's accuracies, ahead by so much but for a little that differs by seed."""
    return tuple(value + by + 0.0004 * (i % 3) for i, value in enumerate(ZERO))


def test_no_difference_with_little_room_for_one_is_what_the_textbook_says(made):
    found = answer(made())
    assert found.agrees is True
    assert "No significant difference between a bias of zero and a bias of 0.1 with 6 seeds" in found.sentences[0]
    assert "No significant difference between a bias of zero and a random bias (deviation 0.1)" in found.sentences[0]
    assert "Holm over 2 pairs" in found.sentences[0]  # those that are spoken of
    # Differences of neighbours: 0.2, -0.4, 0.5, -0.4, 0.2, -0.1 points; mean 0, sd 0.363, and t of 5 degrees is 2.571.
    assert found.sentences[1:] == [
        "The 95 % intervals leave room for another start to be up to 0.4 points better; up to 1 point is called "
        "harmless here, so zero does no harm."
    ]
    # The mean square of 0.1 and 0.2 is 0.025.
    assert "have a size of 0.158 ± 0.000 at the best epoch" in found.figures[0].caption
    assert [picture.name for picture in found.figures] == ["2_differences", "2_loss_by_epoch"]
    assert len(found.tables[0][1].rows) == 3


def test_no_difference_with_room_for_a_large_one_leaves_it_open(made):
    found = answer(made(constant=(0.47, 0.53, 0.49, 0.51, 0.48, 0.52)))
    assert found.agrees is None
    # Of the differences to zero the mean is 0.05 points, and half the interval 2.571 * 2.245 / sqrt(6) = 2.36.
    assert "leave room for another start to be up to 2.3 points better; up to 1 point is" in found.sentences[1]
    assert "so 6 seeds cannot show that zero does no harm." in found.sentences[1]


def test_a_start_that_is_clearly_better_contradicts_it(made):
    found = answer(made(normal=shifted(0.02)))
    assert found.agrees is False
    assert "A random bias (deviation 0.1) is better than a bias of zero by 2.0" in " ".join(found.sentences)
    assert "leave room" not in " ".join(found.sentences)


def test_a_start_that_is_clearly_worse_does_not(made):
    found = answer(made(normal=shifted(-0.02), constant=shifted(-0.02)))
    assert found.agrees is True
    assert "A bias of zero is better than" in found.sentences[0]
    assert len(found.sentences) == 1  # no other start can be better


def test_a_start_that_is_clearly_worse_leaves_the_other_open(made):
    found = answer(made(normal=shifted(-0.02), constant=(0.47, 0.53, 0.49, 0.51, 0.48, 0.52)))
    assert found.agrees is None
    assert "6 seeds cannot show that zero does no harm" in found.sentences[1]


def test_a_start_that_diverged_is_counted_and_the_other_compared(made):
    found = answer(made(constant=()))
    assert found.sentences[0].startswith(
        "6 of 6 runs with a bias of 0.1 diverged. No significant difference between a bias of zero and a random bias"
    )
    assert "No significant difference" in found.sentences[0]


@pytest.mark.parametrize(
    ("by_start", "missing"), [({"zeros": ()}, "a bias of zero"), ({"constant": (), "normal": ()}, "another start")]
)
def test_with_nothing_to_compare_it_says_what_is_missing(made, by_start, missing: str):
    found = answer(made(**by_start))
    assert found.agrees is None
    assert found.sentences[0].endswith(f"No run with {missing} was completed: nothing to compare.")


def test_without_runs_there_is_no_answer_yet(tmp_path):
    with pytest.raises(NotAvailable):
        answer(Evidence(tmp_path, Setting()))


def test_sizes_are_those_of_the_hidden_layers():
    biases = {"linear_1": [3.0, 4.0], "linear_2": [0.0, 0.0], "output": [9.0]}
    state = {f"network.module.{name}.bias": torch.tensor(values) for name, values in biases.items()}
    state["network.module.linear_1.weight"] = torch.ones(2, 2)
    assert bias_sizes(state) == pytest.approx([12.5**0.5, 0.0])  # (9 + 16) / 2
