"""What trained networks leave besides their accuracy, from results that are made up."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from exercise import outcomes
from exercise.formatting import with_label
from trainlab.report.groups import Group, group_runs
from trainlab.report.runs import find_runs
from trainlab.runs.result import Result


@pytest.fixture
def group(leave: Callable[..., Path], tmp_path: Path) -> Callable[..., Group]:
    def left(label: str, epochs: Sequence[int], status: str = "completed") -> Group:
        """Runs whose loss falls evenly to 1.0 in so many epochs, a seed each."""
        for seed, count in enumerate(epochs, 1):
            losses = [2.0 - i / (count - 1) for i in range(count)]
            leave(f"{label}/{seed}", losses, [0.5] * count, seed=seed, status=status)
        (found,) = group_runs(find_runs([tmp_path / label]))
        return with_label(found, label)

    return left


def test_epochs_are_compared_seed_by_seed(group: Callable[..., Group]):
    old, new = group("old", (10, 12, 11)), group("new", (5, 5, 6))
    assert outcomes.epoch_ratios(old, new) == pytest.approx({1: 5 / 10, 2: 5 / 12, 3: 6 / 11})
    assert outcomes.epoch_ratios(old, group("lost", (3,), "diverged")) == {}
    assert outcomes.epoch_ratios(old, group("one", (5,))) == pytest.approx({1: 0.5})


def test_what_does_not_beat_guessing_reaches_no_loss(group: Callable[..., Group]):
    old, new = group("old", (10, 12, 11)), group("new", (5, 5, 6))
    assert outcomes.guessing_accuracy(old) == 0.1 and outcomes.beats_guessing(old)
    lost = replace(new, settings=new.settings | {"model.num_classes": 2})  # ln 2 is below its lowest loss, 1.0
    assert not outcomes.beats_guessing(lost) and outcomes.guessing_accuracy(lost) == 0.5
    assert outcomes.epoch_ratios(old, lost) == outcomes.epoch_ratios(lost, old) == {}


def test_epochs_of_the_lowest_loss(group: Callable[..., Group]):
    assert outcomes.format_best_epochs(group("old", (10, 12, 11))) == "10 to 12"
    assert outcomes.format_best_epochs(group("even", (4, 4))) == "4"
    assert outcomes.format_best_epochs(group("lost", (3, 3), "diverged")) == "-"


@pytest.mark.parametrize(("lr", "at_an_end"), [(1e-3, False), (1e-2, True), (1e-4, True)])
def test_a_rate_may_lie_at_the_end_of_its_range(
    group: Callable[..., Group], tmp_path: Path, lr: float, at_an_end: bool
):
    assert outcomes.rate_of(group("given", (3,))) == 1e-4 and not outcomes.is_at_an_end(group("g", (3,)))
    group("searched", (3, 4))
    for seed in (1, 2):
        result = Result.read(tmp_path / "searched" / str(seed))
        assert result
        curve = {"lr": [1e-4, 1e-3, 1e-2], "losses": [[2.0], [1.0], [1.5]]}
        result.lr_search = {"method": "grid", "lr": lr, "rule": "r", "suggestions": {"r": lr}, "curve": curve}
        result.write(tmp_path / "searched" / str(seed))
    (found,) = group_runs(find_runs([tmp_path / "searched"]))
    assert outcomes.rate_of(found) == lr and outcomes.is_at_an_end(found) is at_an_end
