"""What is said of trained networks beside each other, from results that are made up."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from trainlab.exercise import outcomes
from trainlab.exercise.wording import named
from trainlab.report.groups import Group, group_runs
from trainlab.report.runs import find_runs
from trainlab.results import Result


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


def test_nothing_is_claimed_of_runs_that_did_not_come_to_an_end(group: Callable[..., Group]):
    three, lost = group("three", (10, 12, 11)), group("lost", (3,), status="diverged")
    assert outcomes.takes_fewer_epochs(three, lost) is None
    assert outcomes.takes_less_time(three, lost) is None
    assert outcomes.is_dearer(three, lost) is None


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
    assert outcomes.cells(old) == [
        ("50.0 ± 0.0 % (3 seeds)", 0.5),
        ("25.0 ± 0.0 % (3 seeds)", 0.25),
        ("2.0 ± 0.0", 2.0),
    ]
    lost = group("lost", (3, 3), status="diverged")
    assert outcomes.reached(lost) == "lost: no run was completed, 2 of 2 diverged."
    assert outcomes.best_epochs(lost) == "-"


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
