"""CUDA graphs; without a GPU a function is just called."""

import pytest
import torch

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
