"""The range test: the rate of every step, where it ends, and what it reads off its curves."""

import math
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from conftest import first
from trainlab.config.build import build
from trainlab.lr_search.apply import run_search
from trainlab.lr_search.base import SearchFailed
from trainlab.lr_search.range_test import RangeTest, exponential
from trainlab.randomness import derive_seed

SHORT = ("lr_search=range_test", "lr_search.num_steps=60", "lr_search.num_seeds=2", "optim.weight_decay=0")


@pytest.fixture
def find(compose_config: Any) -> Any:
    """What a range test of a tiny run finds."""

    def found(*overrides: str) -> dict[str, Any]:
        cfg = compose_config(*SHORT, *overrides)
        return run_search(cfg, build(cfg))

    return found


@pytest.fixture
def float64() -> Iterator[None]:
    """What new tensors are, as Lightning sets it for precision 64-true."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def test_the_rate_rises_by_one_factor_a_step():
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1e-6)
    schedule = exponential(optimizer, 0, factor=10.0)
    rates = []
    for _ in range(4):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule["scheduler"].step()
    assert rates == pytest.approx([1e-6, 1e-5, 1e-4, 1e-3])
    assert schedule["interval"] == "step"


def test_suggestions_of_known_curves_are_averaged_over_seeds():
    test = RangeTest(cache_dir="", min_lr=1e-6, max_lr=1.0, num_steps=601, num_seeds=2, rule="steepest")
    curves = [[2.3 - 1 / (1 + math.exp(-4 * (math.log10(lr) - centre))) for lr in test.rates] for centre in (-4, -2)]
    found = test.evaluate(curves)
    assert (found.method, found.rule) == ("range_test", "steepest")
    assert found.suggestions["steepest"] == pytest.approx(1e-3, rel=1e-6)
    assert found.suggestions["tenth_of_minimum"] == pytest.approx(0.1)
    # Both fall from the first point that counts, the 60th, to the last.
    assert found.suggestions["valley"] == pytest.approx(test.rates[60] ** (1 / 3))
    assert found.lr == found.suggestions["steepest"]
    assert len(found.curve["lr"]) == 601 and [len(losses) for losses in found.curve["losses"]] == [601, 601]


@pytest.mark.parametrize(
    ("slopes", "message"),
    [
        ((-1, -2), "the loss decreases up to lr_search.max_lr; a better rate may lie above it"),
        ((1, 2), "the loss increases from the first step; a better rate may lie below lr_search.min_lr"),
        ((-1, 1), ""),
    ],
)
def test_minima_at_a_boundary_of_the_range_are_warned_of(slopes: Any, message: str, caplog: pytest.LogCaptureFixture):
    test = RangeTest(cache_dir="", num_steps=100)
    test.evaluate([[50 + slope * step / 10 for step in range(100)] for slope in slopes])
    assert [record.message for record in caplog.records if record.levelname == "WARNING"] == [message] * bool(message)


def test_the_losses_are_those_of_a_loop_by_hand(find: Any, compose_config: Any, float64: None):
    """Plain SGD in float64, the rate of each step by the formula, smoothing switched off."""
    settings = (
        "optim=sgd",
        "optim.momentum=0",
        "lr_search.smoothing=0",
        "lr_search.num_seeds=1",
        "lr_search.max_lr=0.1",
    )
    settings = (
        *settings,
        "trainer.precision=64-true",
        "lr_search.num_steps=30",
        "data.flip=true",
        "task.label_smoothing=0.1",
    )
    ((losses),) = find(*settings)["curve"]["losses"]
    cfg = compose_config(*SHORT, *settings, f"seed={derive_seed(0, 'lr_search', 0)}")
    parts = build(cfg)
    network, data = parts.network.double(), parts.data
    expected: list[float] = []
    for epoch in range(2):
        batches = data.train_dataloader()
        batches.set_epoch(epoch)
        for images, labels in batches:
            if len(expected) == 30:
                break
            loss = torch.nn.functional.cross_entropy(network(images), labels, label_smoothing=0.1)
            network.zero_grad()
            loss.backward()
            lr = 1e-6 * (0.1 / 1e-6) ** (len(expected) / 29)
            with torch.no_grad():
                for parameter in network.parameters():
                    parameter -= lr * parameter.grad
            expected.append(loss.item())
    assert losses == pytest.approx(expected, rel=1e-5)  # kept to six digits


@pytest.mark.parametrize("optim", first(2, ["nadam", "adam", "adamw", "sgd", "rmsprop"]))
def test_every_optimizer_is_tested(optim: str, find: Any):
    found = find(f"optim={optim}", "lr_search.num_seeds=1")
    assert set(found["suggestions"]) == {"steepest", "valley", "tenth_of_minimum"}
    assert all(1e-7 <= lr <= 1 for lr in found["suggestions"].values())
    assert found["lr"] == found["suggestions"]["valley"]


def test_it_ends_where_the_loss_explodes(find: Any):
    found = find("optim=sgd", "lr_search.max_lr=1e6", "lr_search.smoothing=0.5", "lr_search.early_stop_threshold=3")
    for losses in found["curve"]["losses"]:
        assert len(losses) < 60
        assert all(map(math.isfinite, losses))
        assert max(losses) <= 3 * min(losses)


def test_where_all_explodes_at_once_there_is_nothing_to_be_found(find: Any):
    with pytest.raises(SearchFailed, match=r"the loss diverged within \d steps, .* set lr_search.min_lr lower"):
        find("optim=sgd", "lr_search.min_lr=1e5", "lr_search.max_lr=1e30")


def test_a_step_is_one_of_the_optimizer(find: Any):
    steps = ("lr_search.num_steps=25", "lr_search.max_lr=1e-3")
    found = find("trainer.accumulate_grad_batches=3", "lr_search.num_seeds=1", *steps)
    assert [len(losses) for losses in found["curve"]["losses"]] == [25]


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"min_lr": 0.0}, "set lr_search.min_lr"),
        ({"min_lr": 1.0, "max_lr": 0.1}, "set lr_search.min_lr, lr_search.max_lr"),
        ({"num_steps": 19}, "set lr_search.num_steps"),
        ({"num_seeds": 0}, "set lr_search.num_seeds"),
        ({"smoothing": 1.0}, "set lr_search.smoothing"),
        ({"early_stop_threshold": 1.0}, "set lr_search.early_stop_threshold"),
        ({"rule": "guess"}, "set lr_search.rule"),
    ],
)
def test_arguments_are_checked(setting: dict[str, Any], message: str):
    with pytest.raises(ValueError, match=message):
        RangeTest(cache_dir="", **setting)


def test_a_suggestion_is_the_geometric_mean_over_the_seeds():
    search = RangeTest(cache_dir="", min_lr=1e-4, max_lr=1.0, num_steps=41)  # ten steps a decade
    curves = [[1 + abs(step - lowest) for step in range(41)] for lowest in (20, 30)]  # lowest at 1e-2 and at 1e-1
    assert search.evaluate(curves).suggestions["tenth_of_minimum"] == pytest.approx(10**-1.5 / 10)
