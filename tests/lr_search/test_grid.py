"""The grid: who is dropped when, what is tried around the best, and that a rate's training is the one it would be."""

import logging
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from conftest import TINY
from trainlab.config.build import build
from trainlab.config.compose import compose
from trainlab.lr_search.apply import run_search
from trainlab.lr_search.base import SearchFailed
from trainlab.lr_search.grid import Grid, best_of, refined
from trainlab.randomness import derive_seed
from trainlab.report.plots.lr_search import draw_lr_searches
from trainlab.runs.files import read_rows
from trainlab.training.module import TaskModule

ALONE = ("+trainer.benchmark=false",)  # a setting that populations do not know


@pytest.fixture
def find(compose_config: Any) -> Any:
    """What a grid of a tiny run finds."""

    def found(*overrides: str) -> dict[str, Any]:
        cfg = compose_config("lr_search=grid", *overrides)
        return run_search(cfg, build(cfg))

    return found


def lengths(found: dict[str, Any]) -> list[int]:
    return sorted(map(len, found["curve"]["losses"]))


@pytest.mark.parametrize("kind", [(), ALONE])
@pytest.mark.slow
def test_the_better_half_continues_and_the_best_is_refined(kind: Any, find: Any, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO)
    found = find(*kind, "lr_search.num_rates=6", "lr_search.epochs=3", "lr_search.max_lr=0.01")
    rates, losses = found["curve"]["lr"], found["curve"]["losses"]
    grid = [1e-5 * 1000 ** (i / 5) for i in range(6)]
    first = {lr: row for lr, row in zip(rates, losses, strict=True) if min(abs(lr / g - 1) for g in grid) < 1e-9}
    # An epoch halves them and half an epoch divides by 1.41: 6, 5, 3, 3, 2 and 2 make each half, and 2, 2, 1, 1, 1, 1.
    assert sorted(map(len, first.values())) == [1, 2, 2, 4, 6, 6]
    after_one = sorted(min(row[:2]) for row in first.values() if len(row) > 1)
    assert sorted(min(row[:2]) for row in first.values() if len(row) > 2) == after_one[:3]
    best = min((lr for lr in first if len(first[lr]) == 6), key=lambda lr: min(first[lr]))
    between = {lr: row for lr, row in zip(rates, losses, strict=True) if lr not in first}
    assert sorted(between) == pytest.approx(refined(grid, min(grid, key=lambda g: abs(g - best)), 1))
    # With the best one these are 3, 3, 2, 2, 1 and 1.
    for row in between.values():
        others = [other for other in [first[best], *between.values()] if other is not row and len(other) > len(row)]
        better = sum(min(other[: len(row)]) < min(row) for other in others)
        assert better >= {2: 2, 4: 1, 6: 0}[len(row)]
    assert min(losses[rates.index(found["lr"])]) == min(min(row) for row in losses if len(row) == 6)
    assert found["suggestions"] == {"lowest": found["lr"]}
    log = caplog.text
    assert "after 0.5 of 3 epochs: best of 6 rates" in log and "; 5 continue" in log and "; 2 continue" in log
    assert ("training the rates one after the other, which takes longer: trainer.benchmark is set" in log) == bool(kind)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [(), ALONE])
def test_a_rate_is_trained_as_it_would_be_alone(kind: tuple[str, ...], find: Any, train: Any):
    same = (*kind, "trainer.precision=64-true", "data.flip=true", "scheduler=one_cycle", "optim=adam")
    found = find(
        *same, "lr_search.num_rates=2", "lr_search.epochs=2", "lr_search.num_refined=0", "lr_search.min_lr=1e-4"
    )
    lr = found["curve"]["lr"][0]
    halves = ("trainer.max_epochs=4", "trainer.limit_train_batches=0.5")
    _, folder = train(*same, f"optim.lr={lr}", f"seed={derive_seed(0, 'lr_search')}", *halves)
    expected = [float(row["val/loss"]) for row in read_rows(folder / "metrics.csv")]
    # A population sums in another order: rounding of float64, amplified by 36 steps.
    losses = found["curve"]["losses"][0]
    assert losses == pytest.approx(expected[: len(losses)], rel=1e-9)


@pytest.mark.slow
def test_several_processes_find_what_one_finds(find: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    settings = ("lr_search.num_rates=5", "lr_search.max_lr=1e4", "optim=sgd", "trainer.precision=64-true")
    found = []
    for processes in (1, 3):
        monkeypatch.setattr(torch, "get_num_threads", lambda processes=processes: processes)
        found.append(find(*settings, f"lr_search.cache_dir={tmp_path / str(processes)}"))
    one = found[0]["curve"]
    assert None in one["losses"][-1]  # some diverge
    three = found[1]["curve"]
    assert three["lr"] == one["lr"]
    for ours, theirs in zip(three["losses"], one["losses"], strict=True):
        assert [x is None for x in ours] == [x is None for x in theirs]
        finite = [[x for x in row if x is not None] for row in (ours, theirs)]
        assert finite[0] == pytest.approx(finite[1], rel=1e-9)  # a smaller population sums in another order
    assert found[0]["lr"] == found[1]["lr"]


@pytest.mark.slow
def test_what_goes_wrong_in_a_process_is_raised(find: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    with pytest.raises(ValueError, match=r"set trainer.limit_val_batches"):
        find("trainer.limit_val_batches=0", "lr_search.num_rates=2")


def test_rates_of_convolutional_networks_are_tried_one_after_the_other(tmp_path: Path, caplog: Any):
    caplog.set_level(logging.INFO)
    small = [setting for setting in TINY if not setting.startswith("model.")]
    cnn = ("model=cnn", "model.stages=[[4], [4]]", "model.dense=[8]", "lr_search=grid", "lr_search.num_rates=2")
    cfg = compose([*small, *cnn, "name=run", f"output_dir={tmp_path}", "lr_search.epochs=1"])
    assert lengths(run_search(cfg, build(cfg))) == [2, 2, 2]
    assert "batching runs does not speed up convolutional networks" in caplog.text


@pytest.mark.slow
def test_rates_that_diverge_lose(find: Any):
    found = find("optim=sgd", "lr_search.min_lr=1e-3", "lr_search.max_lr=1e33", "lr_search.num_rates=4")
    assert found["lr"] < 1
    assert found["curve"]["losses"][found["curve"]["lr"].index(max(found["curve"]["lr"]))] == [None]


@pytest.mark.slow
def test_where_all_diverge_there_is_nothing_to_be_found(find: Any):
    with pytest.raises(SearchFailed, match=r"no learning rate from 1e\+30 to 1e\+33 has a finite validation loss; set"):
        find("optim=sgd", "lr_search.min_lr=1e30", "lr_search.max_lr=1e33", "lr_search.num_rates=3")


@pytest.mark.slow
def test_without_validation_there_is_no_score(find: Any):
    with pytest.raises(ValueError, match=r"needs validations, got none; set trainer.limit_val_batches"):
        find("trainer.limit_val_batches=0", "lr_search.num_rates=2")


@pytest.mark.slow
@pytest.mark.parametrize("limit", ["null", "5", "0.3"])
def test_a_validation_comes_after_its_share_of_an_epoch(limit: str, find: Any, monkeypatch: pytest.MonkeyPatch):
    made: list[int] = []

    def noted(self: TaskModule, losses: torch.Tensor, *rest: Any) -> None:
        made.append(len(losses))
        take_epoch(self, losses, *rest)

    take_epoch = TaskModule.take_epoch
    monkeypatch.setattr(TaskModule, "take_epoch", noted)
    find("lr_search.num_rates=2", "lr_search.epochs=1", f"trainer.limit_train_batches={limit}")
    # Half of 19 batches, of 5 and of 0.3 * 19 = 5.7, without what is left over.
    assert set(made) == {{"null": 9, "5": 2, "0.3": 2}[limit]}


def test_there_are_no_more_validations_than_batches(find: Any):
    with pytest.raises(ValueError, match=r"at most the 19 batches of an epoch, got 20; set lr_search.validations_per"):
        find("lr_search.validations_per_epoch=20")


@pytest.mark.slow
def test_the_end_of_the_range_is_warned_of(find: Any, caplog: pytest.LogCaptureFixture):
    settings = ("lr_search.max_lr=1e-7", "lr_search.min_lr=1e-9", "lr_search.num_rates=2", "lr_search.epochs=1")
    assert find(*settings)["lr"] == pytest.approx(1e-7)
    assert "a better rate may lie outside" in caplog.text


def test_the_best_was_trained_longest():
    tried = {1e-4: [2.0, 1.5], 1e-3: [1.0], 1e-2: [1.9, 1.6], 1e-1: [1.2, math.inf]}
    assert best_of(tried) == 1e-4
    assert best_of({1e-4: [2.0, 1.5, 1.7], 1e-3: [2.0, 1.9, 1.6]}) == 1e-4  # the epoch that a run would keep
    with pytest.raises(SearchFailed):
        best_of({1e-4: [math.inf], 1e-3: [1.0, math.inf]})


def test_rates_around_the_best():
    grid = [1e-4, 1e-2, 1.0]
    assert refined(grid, 1e-2, 1) == pytest.approx([1e-3, 1e-1])
    assert refined(grid, 1e-4, 1) == pytest.approx([1e-3])
    assert refined(grid, 1.0, 3) == pytest.approx([10**-1.5, 10**-1, 10**-0.5])
    assert refined(grid, 1e-2, 0) == []


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"min_lr": -1.0}, "set lr_search.min_lr"),
        ({"num_rates": 1}, "set lr_search.num_rates"),
        ({"validations_per_epoch": 0}, "set lr_search.validations_per_epoch"),
        ({"epochs": 0}, "set lr_search.epochs"),
        ({"num_refined": -1}, "set lr_search.num_refined"),
    ],
)
def test_arguments_are_checked(setting: dict[str, Any], message: str):
    with pytest.raises(ValueError, match=message):
        Grid(cache_dir="", **setting)


def test_the_rate_with_the_best_primary_metric_is_chosen(find: Any, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO)
    found = find("task.primary=val/acc", "lr_search.num_rates=3", "lr_search.epochs=1", "lr_search.num_refined=0")
    longest = {lr: row for lr, row in zip(*(found["curve"][key] for key in ("lr", "losses")), strict=True) if row[1:]}
    assert found["lr"] == max(longest, key=lambda lr: max(longest[lr])) and found["rule"] == "highest"
    assert all(0 <= value <= 1 for row in longest.values() for value in row)
    assert "has the highest validation accuracy, " in caplog.text
    assert draw_lr_searches({"": found})[0].axes[0].get_ylabel() == "validation accuracy"
