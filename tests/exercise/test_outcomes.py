"""What is said of trained networks compared with each other, from results that are made up."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import exp
from pathlib import Path

import pytest

from exercise import outcomes
from exercise.formatting import with_label
from trainlab.report.descriptions import describe_convergence
from trainlab.report.groups import Group, group_runs
from trainlab.report.runs import find_runs
from trainlab.runs.result import Result
from trainlab.statistics import Ratio


@pytest.fixture
def group(leave: Callable[..., Path], tmp_path: Path) -> Callable[..., Group]:
    def left(
        label: str, epochs: Sequence[int], epoch_s: float | None = 2.0, status: str = "completed", **more
    ) -> Group:
        """Runs whose loss falls evenly to 1.0 in so many epochs, a seed each."""
        for seed, count in enumerate(epochs, 1):
            losses = [2.0 - i / (count - 1) for i in range(count)]
            folder = leave(f"{label}/{seed}", losses, [0.5] * count, seed=seed, epoch_s=epoch_s or 1.0, **more)
            result = Result.read(folder)
            assert result
            result.status = status
            if epoch_s is None:
                del result.time["epoch_s"]
            result.write(folder)
        (found,) = group_runs(find_runs([tmp_path / label]))
        return with_label(found, label)

    return left


@pytest.mark.parametrize(
    ("epochs", "step", "fewer", "less"),
    [
        ((5, 5, 6), (0.99, 1.01), True, True),
        ((5, 5, 6), (3.9, 4.1), True, False),  # four times as long a step: the lower end of the interval is above 1
        ((5, 5, 6), (1.9, 2.1), True, None),
        ((10, 13, 10), (0.99, 1.01), None, None),
        ((10, 13, 10), (0.09, 0.11), None, True),
        ((20, 25, 21), (0.99, 1.01), False, False),
        ((20, 25, 21), (0.09, 0.11), False, True),
        ((20, 25, 21), None, False, None),
        ((5,), (0.99, 1.01), None, None),
    ],
)
def test_fewer_epochs_and_less_time_are_two_things(
    group: Callable[..., Group],
    epochs: Sequence[int],
    step: tuple[float, float] | None,
    fewer: bool | None,
    less: bool | None,
):
    old, new = group("old", (10, 12, 11)[: len(epochs)]), group("new", epochs)
    assert outcomes.takes_fewer_epochs(old, new) is fewer
    time = outcomes.time_to_as_low(old, new, step and Ratio(sum(step) / 2, *step))
    assert outcomes.is_less(time) is less


def test_nothing_is_claimed_of_runs_that_did_not_come_to_an_end(group: Callable[..., Group]):
    three, lost = group("three", (10, 12, 11)), group("lost", (3,), status="diverged")
    assert outcomes.takes_fewer_epochs(three, lost) is None
    assert outcomes.time_to_as_low(three, lost, Ratio(1.0, 0.9, 1.1)) is None


def test_time_is_epochs_times_a_step_and_so_is_its_interval(group: Callable[..., Group]):
    old, new = group("old", (10, 12, 11)), group("new", (5, 5, 6))
    time = outcomes.time_to_as_low(old, new, Ratio(0.8, 0.7, 0.9))
    assert time
    # 5 / 10, 5 / 12 and 6 / 11: 0.4843. Their logarithms deviate by 0.1375, times 4.303 / sqrt(3): 0.3415; ln(9 / 8) is
    # 0.1178, and the root of the sum of the squares 0.3612.
    assert time.value == pytest.approx(0.8 * 0.4843, rel=1e-3)
    assert (time.low, time.high) == pytest.approx((0.3875 / exp(0.3612), 0.3875 * exp(0.3612)), rel=1e-3)


def test_what_does_not_beat_guessing_is_not_compared_in_speed(group: Callable[..., Group]):
    old, new, step = group("old", (10, 12, 11)), group("new", (5, 5, 6)), Ratio(1.0, 0.9, 1.1)
    assert outcomes.describe_convergence_of(old, new) == describe_convergence(old, new)
    assert outcomes.takes_fewer_epochs(old, new)
    lost = replace(new, settings=new.settings | {"model.num_classes": 2})  # ln 2 is below its lowest loss, 1.0
    never = "The validation loss of new never fell below 0.69, that of guessing."
    assert outcomes.describe_convergence_of(old, lost) == outcomes.describe_convergence_of(lost, old) == never
    for pair in ((old, lost), (lost, old)):
        assert outcomes.takes_fewer_epochs(*pair) is outcomes.time_to_as_low(*pair, step) is None
    assert new.runs[1].curve
    new.runs[1].curve.by_name["val/loss"][:] = 2.5  # of ten classes: ln 10 is 2.30
    some = "The validation loss of new fell below 2.30, that of guessing, in 2 of 3 runs."
    assert outcomes.describe_convergence_of(old, new) == some
    assert outcomes.takes_fewer_epochs(old, new) is None
    none = group("no", (3,), status="diverged")
    assert outcomes.describe_convergence_of(old, none) == describe_convergence(old, none)


def test_results_of_a_group(group: Callable[..., Group]):
    old = group("old", (10, 12, 11))
    assert outcomes.describe_result(old) == (
        "old: validation accuracy 50.0 ± 0.0 % (3 seeds), test accuracy † 25.0 ± 0.0 % (3 seeds), at the epoch with "
        "the lowest validation loss. Learning rate 0.0001, given."
    )
    assert outcomes.format_best_epochs(old) == "10 to 12"
    assert outcomes.format_best_epochs(group("even", (4, 4))) == "4"
    assert outcomes.describe_peaks(old) == (
        "The lowest validation loss came at epoch 10 to 12, the highest validation accuracy at epoch 1."
    )
    assert outcomes.result_cells(old) == [
        ("50.0 ± 0.0 % (3 seeds)", 0.5),
        ("25.0 ± 0.0 % (3 seeds)", 0.25),
        ("2.0 ± 0.0", 2.0),
    ]
    lost = group("lost", (3, 3), status="diverged")
    assert outcomes.describe_result(lost) == "lost: no run was completed, 2 of 2 diverged."
    assert outcomes.format_best_epochs(lost) == "-"


@pytest.mark.parametrize(
    ("method", "lr", "words"),
    [
        ("grid", 1e-3, "Learning rate 0.001, found by a grid from 1e-04 to 1e-02 on validation loss."),
        (
            "grid",
            1e-2,
            "Learning rate 0.01, found by a grid from 1e-04 to 1e-02 on validation loss. That is the end of the range: "
            "better ones may lie beyond.",
        ),
        ("range_test", 1e-3, "Learning rate 0.001, found by a range test."),
    ],
)
def test_how_a_rate_was_found(group: Callable[..., Group], tmp_path: Path, method: str, lr: float, words: str):
    group("searched", (3, 4))
    for seed in (1, 2):
        result = Result.read(tmp_path / "searched" / str(seed))
        assert result
        curve = {"lr": [1e-4, 1e-3, 1e-2], "losses": [[2.0], [1.0], [1.5]]}
        result.lr_search = {"method": method, "lr": lr, "rule": "r", "suggestions": {"r": lr}, "curve": curve}
        result.write(tmp_path / "searched" / str(seed))
    (found,) = group_runs(find_runs([tmp_path / "searched"]))
    assert outcomes.describe_result(found).endswith(words)
    longer = replace(found, settings=found.settings | {"lr_search.epochs": 3})
    assert ("trainings of up to 3 epochs" in outcomes.describe_learning_rate(longer)) is (method == "grid")
