"""CUDA graphs; without a GPU a function is just called."""

import threading

import pytest
import torch

from same_runs import assert_same_training
from trainlab.training.cuda_graph import GraphedCallable


def count_and_scale(total, scale):
    total.add_(scale)
    return total * 2


def test_on_the_processor_it_is_a_call():
    total = torch.zeros(3)
    step = GraphedCallable(lambda scale: count_and_scale(total, scale))
    for i in range(1, 6):
        assert torch.equal(step(torch.ones(3)), torch.full((3,), 2.0 * i))


@pytest.mark.gpu
def test_replays_are_calls():
    total = torch.zeros(3, device="cuda")
    step = GraphedCallable(lambda scale: count_and_scale(total, scale))
    expected = 0.0
    for i in range(10):
        expected += i
        assert torch.equal(step(torch.full((3,), float(i), device="cuda")).cpu(), torch.full((3,), 2 * expected))


@pytest.mark.gpu
def test_another_thread_may_pin_memory_meanwhile():
    def double(x):
        other = threading.Thread(target=lambda: torch.zeros(2**20 + len(threads)).pin_memory())
        other.start()
        other.join()
        threads.append(other)
        return x * 2

    threads: list[threading.Thread] = []
    step = GraphedCallable(double)
    for i in range(6):
        assert torch.equal(step(torch.full((3,), float(i), device="cuda")).cpu(), torch.full((3,), 2.0 * i))
    assert len(threads) == 4  # three calls and the capture


@pytest.mark.gpu
@pytest.mark.parametrize("compiled", ["false", "true"])
def test_a_run_resumes_to_the_bit(compiled, train):
    settings = ("trainer=gpu", "model=alpha_dropout", f"compile={compiled}")
    train(*settings, "trainer.max_epochs=1", name="resumed")
    _, resumed = train(*settings, "ckpt_path=last", name="resumed")
    _, whole = train(*settings, name="whole")
    assert_same_training(resumed, whole)
