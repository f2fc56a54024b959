"""Slow weights, against their definition, and in runs that are cut short."""

import pytest
import torch
from torch import nn

from conftest import STEPS, cases
from faults import PressCtrlC
from same_runs import assert_same_run
from trainlab.runs.checkpoints import load_checkpoint
from trainlab.runs.errors import Interrupted
from trainlab.training.lookahead import Lookahead

SLOW = ("optim.lookahead.every_n_steps=5", "optim.lookahead.decay=0.9", "optim=sgd", "optim.lr=0.01", "model=bn")


def network_at(value: float) -> nn.Module:
    """Batch normalization whose weight, bias and running statistics all have one value."""
    network = nn.BatchNorm1d(2)
    set_to(network, value)
    return network


def set_to(network: nn.Module, value: float) -> None:
    with torch.no_grad():
        for tensor in network.state_dict().values():
            tensor.fill_(value)


def values_of(network: nn.Module) -> set[float]:
    return {
        float(value) for tensor in network.state_dict().values() if tensor.dtype.is_floating_point for value in tensor
    }


def test_every_few_steps_the_weights_go_back_to_their_average():
    slow, network = Lookahead(2, start_epoch=1, decay=0.5, decay_power=3), network_at(8)
    for step in (1, 2):
        slow.after_step(network, 0, step, 8)
    slow.after_step(network, 1, 4, 8)  # a copy of 8 here
    set_to(network, 16)
    slow.after_step(network, 1, 5, 8)
    assert values_of(network) == {16}
    slow.after_step(network, 1, 6, 8)
    keep = 0.5**2 * (6 / 8) ** 3
    assert values_of(network) == {8 * keep + 16 * (1 - keep)}
    average = values_of(network)
    assert int(network.num_batches_tracked) == 16, "a count is no weight"
    set_to(network, 1)
    slow.settle(network)
    assert values_of(network) == average
    slow.begin_epoch(network)
    assert values_of(network) == {1}, "the next epoch continues with the weights in training"


def test_nothing_happens_before_it_starts():
    slow, network = Lookahead(2, start_epoch=1), network_at(8)
    slow.begin_epoch(network)
    slow.after_step(network, 0, 2, 8)
    slow.settle(network)
    assert slow.state() == {}


@pytest.mark.parametrize("epoch", cases([0, 2], 2))
def test_an_average_is_trained_and_resumes_to_the_bit(epoch, train):
    settings = (*SLOW, "trainer.max_epochs=4", "optim.lookahead.start_epoch=1", "optim.lookahead.decay_power=1.0")
    _, whole = train(*settings, name="whole")
    with pytest.raises(Interrupted):
        train(*settings, name="cut", callbacks=(PressCtrlC(epoch),))
    begun = "lookahead" in load_checkpoint(whole.parent / "cut" / "checkpoints" / "last.ckpt")
    assert begun == (epoch == 2)
    _, cut = train(*settings, name="cut")
    assert_same_run(cut, whole)


def test_a_run_that_ended_inside_an_epoch_continues_with_the_weights_in_training(train):
    _, whole = train(*SLOW, "trainer.max_epochs=9", f"trainer.max_steps={3 * STEPS}", name="whole")
    train(*SLOW, "trainer.max_epochs=9", f"trainer.max_steps={STEPS + 7}", name="longer")
    _, longer = train(*SLOW, "trainer.max_epochs=9", f"trainer.max_steps={3 * STEPS}", "ckpt_path=last", name="longer")
    one, other = (load_checkpoint(folder / "checkpoints" / "last.ckpt")["state_dict"] for folder in (longer, whole))
    assert all(torch.equal(value, other[key]) for key, value in one.items())


def test_an_average_that_grows_spans_the_run(train):
    settings = (*SLOW, "optim.lookahead.decay_power=1")
    train(*settings, "trainer.max_epochs=1")
    with pytest.raises(ValueError, match=r"trainer\.max_epochs: 1, now 2"):
        train(*settings, "trainer.max_epochs=2", "ckpt_path=last")
    with pytest.raises(ValueError, match=r"decay_power needs a known number of steps.*set trainer.max_epochs"):
        train(*settings, "trainer.max_epochs=-1", name="endless")


def test_an_average_without_steps_between_updates_warns(train, caplog):
    train("optim.lookahead.decay=0.5", "trainer.max_epochs=1")
    warned = "optim.lookahead has no effect without every_n_steps; set optim.lookahead.every_n_steps"
    assert caplog.messages.count(warned) == 1


@pytest.mark.parametrize(
    ("key", "value", "rule"),
    [("every_n_steps", -1, "at least 0"), ("start_epoch", -1, "at least 0"), ("decay", 1.0, r"in \[0, 1\)")],
)
def test_errors_name_the_value_and_the_key(key, value, rule):
    with pytest.raises(ValueError, match=rf"^{key} must be {rule}, got {value}; set optim\.lookahead\.{key}$"):
        Lookahead(**{key: value})
