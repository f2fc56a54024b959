"""What is said of trained networks beside each other, from results that are made up."""

from collections.abc import Callable, Sequence
from math import exp, log, sqrt
from pathlib import Path

import pytest

from trainlab.exercise import outcomes
from trainlab.exercise.wording import named
from trainlab.report.groups import Group, group_runs
from trainlab.report.runs import find_runs
from trainlab.results import Result

T_2 = 4.302653  # Student's t for 95 % and three values


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
        return named(found, label)

    return left


def test_epochs_have_an_interval_and_seconds_have_none(group: Callable[..., Group]):
    old, new = group("old", (10, 12, 11), 2.0), group("new", (5, 5, 6), 3.0)
    logs = [log(5 / 10), log(5 / 12), log(6 / 11)]
    mean = sum(logs) / 3
    half = T_2 * sqrt(sum((x - mean) ** 2 for x in logs) / 2 / 3)
    low, high = exp(mean - half), exp(mean + half)
    assert outcomes.converging(old, new) == (
        f"To the higher of the two best validation losses (1.0000) new takes {exp(mean):.2f} times (95 %: {low:.2f} to "
        f"{high:.2f}) the epochs of old: fewer; and {1.5 * exp(mean):.2f} times the seconds."
    )
    assert outcomes.an_epoch(old, new) == "An epoch of new takes 1.50 times as long as one of old: 3.0 s against 2.0 s."
    assert outcomes.takes_fewer_epochs(old, new) is True
    assert outcomes.takes_fewer_epochs(new, old) is False
    assert "the epochs of new: more; and " in outcomes.converging(new, old)


@pytest.mark.parametrize(
    ("epochs", "epoch_s", "fewer", "less"),
    [
        ((5, 5, 6), 2.0, True, True),
        ((5, 5, 6), 8.0, True, False),  # four times as long an epoch: the lower end of the interval is above 1.1
        ((5, 5, 6), 4.0, True, None),
        ((10, 13, 10), 2.0, None, None),
        ((10, 13, 10), 0.2, None, True),
        ((20, 25, 21), 2.0, False, False),
        ((20, 25, 21), 0.2, False, True),
        ((20, 25, 21), None, False, None),
        ((5,), 2.0, None, None),
    ],
)
def test_fewer_epochs_and_less_time_are_two_things(
    group: Callable[..., Group], epochs: Sequence[int], epoch_s: float | None, fewer: bool | None, less: bool | None
):
    old, new = group("old", (10, 12, 11)[: len(epochs)]), group("new", epochs, epoch_s)
    assert outcomes.takes_fewer_epochs(old, new) is fewer
    assert outcomes.takes_less_time(old, new) is less


def test_what_cannot_be_claimed_is_said(group: Callable[..., Group]):
    one, other = group("one", (10,)), group("other", (5,), None)
    assert outcomes.converging(one, other).endswith("other takes 0.50 times the epochs of one: no claim.")
    assert outcomes.an_epoch(one, other) == "There are no times to compare one and other with."
    three, same = group("three", (10, 12, 11)), group("same", (10, 13, 10))
    assert ": not clearly different; and 0.99 times the seconds." in outcomes.converging(three, same)
    lost = group("lost", (3,), status="diverged")
    assert outcomes.converging(three, lost) == "There is no validation loss by epoch to compare three and lost with."
    assert outcomes.takes_fewer_epochs(three, lost) is None
    assert outcomes.takes_less_time(three, lost) is None
    assert outcomes.is_dearer(three, lost) is None


def test_networks_that_saw_other_images_are_not_compared(group: Callable[..., Group]):
    old, new = group("old", (10, 12, 11)), group("new", (5, 5, 6), provenance_data_digest="0ther")
    for sentence in (outcomes.converging(old, new), outcomes.an_epoch(old, new)):
        assert sentence.startswith("old and new are not compared: other images")


@pytest.mark.parametrize(("epoch_s", "dearer"), [(2.3, True), (2.1, None), (1.9, None), (1.7, False), (None, None)])
def test_an_epoch_is_dearer_beyond_a_margin(group: Callable[..., Group], epoch_s: float | None, dearer: bool | None):
    assert outcomes.is_dearer(group("old", (3, 4, 5)), group("new", (3, 4, 5), epoch_s)) is dearer


def test_what_a_group_came_to(group: Callable[..., Group]):
    old = group("old", (10, 12, 11))
    assert outcomes.reached(old) == (
        "old: validation accuracy 50.0 ± 0.0 % (3 seeds), test accuracy † 25.0 ± 0.0 % (3 seeds), at the epoch with "
        "the lowest validation loss. Learning rate 0.0001, given."
    )
    assert outcomes.best_epochs(old) == "10 to 12"
    assert outcomes.best_epochs(group("even", (4, 4))) == "4"
    assert outcomes.cells(old) == [("50.0 ± 0.0 % (3 seeds)", 0.5), ("25.0 ± 0.0 % (3 seeds)", 0.25), ("2.0", 2.0)]
    lost = group("lost", (3, 3), status="diverged")
    assert outcomes.reached(lost) == "lost: no run was completed, 2 of 2 diverged."
    assert (outcomes.best_epochs(lost), outcomes.epoch_s(lost)) == ("-", "-")


@pytest.mark.parametrize(
    ("method", "words"), [("grid", "found by a grid on validation loss"), ("range_test", "found by a range test")]
)
def test_how_a_rate_was_found(group: Callable[..., Group], tmp_path: Path, method: str, words: str):
    group("searched", (3, 4))
    for seed in (1, 2):
        result = Result.read(tmp_path / "searched" / str(seed))
        assert result
        curve = {"lr": [1e-4, 1e-3], "losses": [[2.0], [1.0]]}
        result.lr_search = {"method": method, "lr": 1e-3, "rule": "r", "suggestions": {"r": 1e-3}, "curve": curve}
        result.write(tmp_path / "searched" / str(seed))
    (found,) = group_runs(find_runs([tmp_path / "searched"]))
    assert outcomes.reached(found).endswith(f"Learning rate 0.001, {words}.")
