"""The trainer against a plain loop written here, and what it says of losses that are not finite."""

import math
import random
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from lightning.pytorch.callbacks import Callback

from conftest import BATCH_SIZE, NUM_TRAIN, NUM_VAL, STEPS, cases, first
from trainlab.data.shapes import Shapes
from trainlab.data.split import split
from trainlab.models import MLP, image_network
from trainlab.randomness import generator
from trainlab.runs.checkpoints import load_checkpoint, network_weights
from trainlab.runs.errors import Diverged
from trainlab.runs.files import read_rows
from trainlab.tasks import Classification
from trainlab.training.loss_checks import checks_loss
from trainlab.training.optimizer_checks import needs_closure

# Adam divides by the gradient's size + 1e-8: where a gradient is near zero, its rounding error of 1e-16 becomes
# 1e-16 / 1e-8 * 2e-3 (the rate) = 2e-11 a step.
DOUBLE = {"rtol": 0, "atol": 1e-10}
# SGD divides by nothing: gradients near 10 with float32's 1e-7 of error, times a rate of 0.05 and a momentum that
# sums ten of them, over 38 steps: 2e-5 if all errors had one sign.
SINGLE = {"rtol": 0, "atol": 2e-5}

NADAM = (torch.optim.NAdam, {"lr": 2e-3, "momentum_decay": 4e-3})
SGD = (torch.optim.SGD, {"lr": 0.05, "momentum": 0.9})
ADAM = (torch.optim.Adam, {"lr": 2e-3})
# Its rule looks at rows and columns of each parameter.
ADAFACTOR = (torch.optim.Adafactor, {"lr": 2e-2})
OF_SGD = ("~optim.momentum", "~optim.dampening", "~optim.nesterov", "~optim.weight_decay")
CASES = {
    "adafactor clipped": (
        ["optim=sgd", "optim._target_=torch.optim.Adafactor", *OF_SGD, "optim.lr=2e-2", "trainer.gradient_clip_val=5"],
        ADAFACTOR,
        {"max_norm": 5.0},
    ),
    "nadam": (["optim=nadam", "optim.lr=2e-3"], NADAM, {}),
    "sgd one_cycle": (["optim=sgd", "optim.lr=0.05", "scheduler=one_cycle"], SGD, {"one_cycle": True}),
    "adam clipped": (["optim=adam", "optim.lr=2e-3", "trainer.gradient_clip_val=5"], ADAM, {"max_norm": 5.0}),
    # 19 batches an epoch, the last one smaller: a step of three is left, and one of all.
    "adam accumulated": (["optim=adam", "optim.lr=2e-3", "trainer.accumulate_grad_batches=4"], ADAM, {"every": 4}),
    "sgd, a step an epoch": (
        ["optim=sgd", "optim.lr=0.05", "trainer.accumulate_grad_batches=100"],
        SGD,
        {"every": 100},
    ),
    "nadam smoothed": (["optim=nadam", "optim.lr=2e-3", "task.label_smoothing=0.2"], NADAM, {"smoothing": 0.2}),
}


def pictures():
    """Training and validation (pictures, labels), from the definition of the split."""
    images = Shapes(num_train=NUM_TRAIN + NUM_VAL, num_test=100, val_size=NUM_VAL, batch_size=BATCH_SIZE).read()
    parts = split(images.train_labels, NUM_VAL, "stratified", 0)
    return [(images.train, images.train_labels, indices) for indices in parts]


def negative_log_likelihoods(logits, labels, smoothing=0.0):
    logs = logits - logits.exp().sum(1, keepdim=True).log()
    return -(1 - smoothing) * logs[range(len(labels)), labels] - smoothing * logs.mean(1)


@contextmanager
def default_dtype(dtype):
    """NAdam keeps its running product of momenta in the default type; a training in float64 has that as its default."""
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


def plain_loop(optimizer, dtype, one_cycle=False, max_norm=math.inf, every=1, smoothing=0.0, epochs=2):
    """Weights, and the mean loss and accuracy of each epoch on training and validation images."""
    (images, all_labels, train), (_, _, val) = pictures()
    network = image_network(MLP, seed=1, depth=3, width=16).to(dtype)
    kind, settings = optimizer
    optimizer = kind(network.parameters(), **settings)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.05, epochs * STEPS) if one_cycle else None
    rows, norms = [], []
    for epoch in range(epochs):
        order = train[torch.randperm(NUM_TRAIN, generator=generator(1, "order", epoch))]
        row = {"train/loss": 0.0, "train/acc": 0.0}
        for i, chosen in enumerate(order.split(BATCH_SIZE)):
            of_step = len(order[i // every * every * BATCH_SIZE :][: every * BATCH_SIZE])
            logits = network.module(images[chosen].to(dtype) / 255)
            losses = negative_log_likelihoods(logits, all_labels[chosen], smoothing)
            (losses.sum() / of_step).backward()

            def evaluate(chosen=chosen):  # again, for an optimizer that does so several times a step
                if not needs_closure(optimizer):
                    return None
                optimizer.zero_grad()
                logits = network.module(images[chosen].to(dtype) / 255)
                loss = negative_log_likelihoods(logits, all_labels[chosen]).mean()
                loss.backward()
                return loss

            row["train/loss"] += float(losses.detach().sum()) / NUM_TRAIN
            row["train/acc"] += int((logits.argmax(1) == all_labels[chosen]).sum()) / NUM_TRAIN
            if (i + 1) % every == 0 or i + 1 == STEPS:
                norms.append(float(torch.nn.utils.clip_grad_norm_(network.parameters(), max_norm)))
                with default_dtype(dtype):
                    optimizer.step(evaluate)
                optimizer.zero_grad()
                if schedule:
                    schedule.step()
        with torch.no_grad():
            logits = network.module(images[val].to(dtype) / 255)
        row["val/loss"] = float(negative_log_likelihoods(logits, all_labels[val]).mean())
        row["val/acc"] = float((logits.argmax(1) == all_labels[val]).double().mean())
        rows.append(row)
    assert max_norm == math.inf or min(norms) < max_norm < max(norms), "some gradients are clipped and some are not"
    return network.state_dict(), rows


def last_weights(folder):
    return network_weights(load_checkpoint(folder / "checkpoints" / "last.ckpt"))


def assert_same_weights(ours, theirs, tolerance):
    assert ours.keys() == theirs.keys()
    for key, weights in ours.items():
        torch.testing.assert_close(weights, theirs[key], msg=lambda m, key=key: f"{key}: {m}", **tolerance)


def compare(case, precision, dtype, tolerance, train):
    overrides, optimizer, settings = CASES[case]
    weights, rows = plain_loop(optimizer, dtype, **settings)
    result, folder = train(*overrides, f"trainer.precision={precision}")
    assert_same_weights(last_weights(folder), weights, tolerance)
    logged = read_rows(folder / "metrics.csv")
    assert len(logged) == len(rows) == result.metrics["epochs"]
    for row, expected in zip(logged, rows, strict=True):
        for key, value in expected.items():
            # The losses of the steps and the sums of the validation are float32.
            assert float(row[key]) == pytest.approx(value, rel=1e-5 if dtype == torch.float32 else 1e-6), key


@pytest.mark.parametrize("case", first(1, ["adam clipped", "adafactor clipped"]), ids=["flat", "separate"])
def test_accumulated_batches_with_class_weights_train_as_one_batch(case, train):
    weights = "task.class_weights=[0.25,4,1,2,0.5,1,1,3,1,0.25]"
    weighted = [*CASES[case][0], weights, "trainer.max_epochs=1", "trainer.precision=64-true"]
    _, whole = train(*weighted, "data.batch_size=64", name="whole")
    _, parts = train(*weighted, "data.batch_size=16", "trainer.accumulate_grad_batches=4", name="parts")
    assert_same_weights(last_weights(parts), last_weights(whole), DOUBLE)  # sums of these weights are exact


@pytest.mark.parametrize("case", cases(CASES, "sgd one_cycle", "adam clipped", "adam accumulated", "nadam smoothed"))
def test_weights_and_figures_are_those_of_a_plain_loop_in_float64(case, train):
    compare(case, "64-true", torch.float64, DOUBLE, train)


def test_weights_and_figures_are_those_of_a_plain_loop_in_float32(train):
    compare("sgd one_cycle", "32-true", torch.float32, SINGLE, train)


# All in one process and with one shape: none may take another's graph.
COMPILED = {
    "sgd, dropout": ["optim=sgd", "optim.lr=0.01", "model.dropout=0.1", "model.dropout_kind=standard"],
    "nadam, bn, clipped": ["optim.lr=1e-3", "model.batch_norm=true", "trainer.gradient_clip_val=1"],
    "adamw, 1cycle": ["optim=adamw", "optim.lr=1e-3", "model.activation=selu", "scheduler=one_cycle"],
    "rmsprop, accumulated": ["optim=rmsprop", "trainer.accumulate_grad_batches=2"],
}


@pytest.mark.slow
@pytest.mark.parametrize("case", COMPILED)
def test_compiling_changes_nothing_but_rounding(case, train):
    overrides = [*COMPILED[case], "trainer.precision=64-true"]
    plain_result, plain = train(*overrides, name="plain")
    result, compiled = train(*overrides, "compile=true", name="compiled")
    assert_same_weights(last_weights(compiled), last_weights(plain), DOUBLE)
    assert result.metrics["val_loss"] == pytest.approx(plain_result.metrics["val_loss"], rel=1e-6)
    saved = [load_checkpoint(folder / "checkpoints" / "last.ckpt") for folder in (compiled, plain)]
    assert saved[0]["global_step"] == saved[1]["global_step"] > 0
    ours, theirs = (next(iter(s["optimizer_states"][0]["state"].values())) for s in saved)
    assert ours.keys() == theirs.keys()


def test_a_plateau_halves_the_rate_once_an_epoch_and_before_the_checkpoint(train):
    # An epoch counts as better only if it halves the loss, so all but the first are bad, and patience is 0.
    settings = ["scheduler.patience=0", "scheduler.threshold=0.5", "optim.lr=1e-3", "trainer.max_epochs=4"]
    _, folder = train("scheduler=plateau", *settings)
    rates = [float(row["lr"]) for row in read_rows(folder / "metrics.csv")]
    assert rates == [1e-3, 1e-3, 5e-4, 2.5e-4]
    saved = load_checkpoint(folder / "checkpoints" / "last.ckpt")
    assert saved["optimizer_states"][0]["param_groups"][0]["lr"] == 1.25e-4


class Poison(Callback):
    """Makes all weights NaN before one step."""

    def __init__(self, step):
        self.step = step

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if trainer.global_step == self.step:
            for parameter in pl_module.network.parameters():
                parameter.data.fill_(math.nan)


def test_a_huge_learning_rate_diverges_at_the_second_step(train):
    # The first loss is that of the initial weights. The first update leaves weights near 1e30 times a gradient, and
    # the products of four layers of them are beyond float32's 3e38.
    with pytest.raises(
        Diverged, match=r"step 2 \(epoch 1, batch 2, learning rate 1e\+30\); lower optim.lr or set trainer.grad"
    ):
        train("optim=sgd", "optim.lr=1e30", "optim.momentum=0")


def test_divergence_is_noticed_where_the_last_steps_end_no_epoch(train):
    with pytest.raises(Diverged, match="step 2 "):
        train("optim=sgd", "optim.lr=1e30", "optim.momentum=0", "trainer.max_steps=3")


def test_divergence_by_the_last_update_of_an_epoch_shows_in_validation(train):
    # One batch: its loss is that of the initial weights.
    with pytest.raises(Diverged, match=r"the validation loss is not finite after epoch 1, though"):
        train("optim=sgd", "optim.lr=1e30", "optim.momentum=0", f"data.batch_size={NUM_TRAIN}")


def test_divergence_in_a_later_epoch_names_its_step(train):
    with pytest.raises(Diverged, match=rf"step {STEPS + 7} \(epoch 2, batch 7, learning rate 0.0001\)"):
        train(callbacks=(Poison(STEPS + 6),))


def test_divergence_ends_the_run_at_its_step(train):
    class Count(Callback):
        steps = 0

        def on_train_batch_end(self, *args):
            self.steps += 1

    count = Count()
    with pytest.raises(Diverged, match="step 8 "):
        train("data.batch_size=2", callbacks=(count, Poison(7)))
    assert count.steps == 7 + 1 < NUM_TRAIN // 2


def test_only_on_a_cpu_every_loss_is_checked():
    steps = range(1, 301)
    assert all(checks_loss(step, torch.device("cpu")) for step in steps)
    early, regular = [1, 2, 4, 8, 16, 32, 64], [100, 200, 300]
    assert [step for step in steps if checks_loss(step, torch.device("cuda"))] == early + regular
    assert [step for step in steps if checks_loss(step, torch.device("cpu"), processes=2)] == regular


def test_label_smoothing_out_of_range_is_refused():
    for value in (-0.1, 1.0):
        rule = rf"label_smoothing must be in \[0, 1\), got {value}; set task\.label_smoothing"
        with pytest.raises(ValueError, match=rule):
            Classification(label_smoothing=value)


@pytest.mark.parametrize(
    "overrides",
    first(
        1,
        [
            ["model=alpha_dropout", "model.dropout_after=every", "data.flip=true", "data.crop_padding=2"],
            ["model.activation=rrelu", "model.dropout=0.1", "model.dropout_kind=standard"],
        ],
    ),
    ids=["alpha dropout, augmentation", "rrelu, dropout"],
)
def test_training_draws_nothing_from_global_generators(overrides, train):
    torch.manual_seed(0)
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()
    train("trainer.max_epochs=1", *overrides)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert random.getstate() == before[1]
    assert all(np.array_equal(x, y) for x, y in zip(np.random.get_state(), before[2], strict=True))
