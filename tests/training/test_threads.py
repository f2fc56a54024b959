"""How many threads a training has, and that whoever continues it keeps them."""

import json
import math
import threading

import pytest
import torch

from trainlab.config.build import build
from trainlab.runs.checkpoints import load_checkpoint
from trainlab.training import threads
from trainlab.training.threads import choose_num_threads, step_flops

SMALL = threads.SMALL_STEP_FLOPS


@pytest.fixture
def two_threads(monkeypatch):
    """A process with two threads, of which the user asks for none."""
    before = torch.get_num_threads()
    monkeypatch.delenv("OMP_NUM_THREADS")
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_operations_of_a_step_are_those_of_its_products(compose_config):
    network = build(compose_config("data=shapes", "model.depth=1", "model.width=16")).network
    features = torch.Size(network.image_shape).numel()
    assert step_flops(network, network.image_shape, 32) == 3 * 32 * 2 * (features * 16 + 16 * 10)


def test_threads_are_those_asked_for_then_those_recorded_then_by_size(monkeypatch, caplog):
    small, large = (lambda: SMALL), (lambda: SMALL + 1)
    monkeypatch.setattr(threads, "count_cores", lambda: 2)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert choose_num_threads(small, 8, None) == choose_num_threads(small, 8, 3) == 3
    assert not caplog.records
    assert choose_num_threads(small, 8, 2) == 3
    assert "begun with 2" in caplog.text
    monkeypatch.setenv("TRAINLAB_NUM_THREADS", "3")  # a sweep's share, not the user's wish
    assert choose_num_threads(large, 3, None) == 3
    assert choose_num_threads(small, 3, 2) == 2
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert [choose_num_threads(flops, 8, None) for flops in (small, large)] == [1, 8]
    assert "on 2 cores" not in caplog.text
    assert choose_num_threads(small, 2, 64) == 64
    assert "begun with 64 threads and keeps them, on 2 cores" in caplog.text


def test_the_size_of_a_network_that_cannot_be_copied_is_not_known():
    network = torch.nn.Linear(2, 2)
    network.lock = threading.Lock()
    assert step_flops(network, (1, 1, 2), 32) == math.inf


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize(("limit", "begun"), [(0.0, 2), (SMALL, 1)])
def test_who_continues_keeps_them(limit, begun, train, monkeypatch):
    monkeypatch.setattr(threads, "SMALL_STEP_FLOPS", limit)
    train("trainer.max_epochs=1")
    monkeypatch.setattr(threads, "SMALL_STEP_FLOPS", SMALL - limit)  # by which it would have the other number now
    torch.set_num_threads(2)
    _, folder = train("ckpt_path=last")
    result = json.loads((folder / "result.json").read_text())
    recorded = load_checkpoint(folder / "checkpoints" / "last.ckpt")["trainlab"]["num_threads"]
    assert result["num_threads"] == recorded == begun
    assert torch.get_num_threads() == 2, "as before, for what follows"
    assert f"{begun} thread" in result["time"]["device"]
