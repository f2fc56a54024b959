"""Lightning's own callbacks on a training whose steps the module makes: they work, or are refused with the reason."""

import pytest
import torch
from lightning.pytorch.callbacks import Callback, StochasticWeightAveraging

from conftest import STEPS, cases, compose_tiny
from faults import PressCtrlC
from same_runs import assert_same_run
from trainlab.config.build import build
from trainlab.inference.network import evaluate
from trainlab.inference.rebuild import rebuild_data, rebuild_network
from trainlab.population.eligibility import ineligible_reason
from trainlab.run import Interrupted
from trainlab.runs.checkpoints import load_checkpoint, network_weights
from trainlab.training.foreign_callbacks import check_callbacks
from trainlab.training.module import TaskModule

OF_LIGHTNING = "+callbacks.x._target_=lightning.pytorch.callbacks."
REFUSED = {
    "StochasticWeightAveraging +callbacks.x.swa_lrs=0.1": "automatic optimization; use .*WeightAveraging",
    "GradientAccumulationScheduler +callbacks.x.scheduling={0:2}": "set trainer.accumulate_grad_batches",
    "LearningRateFinder": "set lr_search=range_test",
    "BatchSizeFinder": "set data.batch_size",
    "BackboneFinetuning": "which are fixed here; set freeze",
    "ModelPruning +callbacks.x.pruning_fn=l1_unstructured": "best.ckpt could not be loaded",
    "SpikeDetection": "a loss that is not finite ends a run",
    "EMAWeightAveraging +callbacks.x.update_starting_at_epoch=1": "after the validation of an epoch",
}


@pytest.mark.parametrize("settings", REFUSED)
def test_a_callback_that_cannot_work_is_refused_before_the_run(settings, compose_config):
    with pytest.raises(ValueError, match=rf"^{settings.split()[0]} .*{REFUSED[settings]}.*; leave out callbacks\.x$"):
        build(compose_config(*f"{OF_LIGHTNING}{settings}".split()))


@pytest.mark.parametrize("cpu_stats", [None, True, False])
def test_device_statistics_of_a_cpu_need_psutil(cpu_stats, compose_config, monkeypatch):
    monkeypatch.setattr("trainlab.training.lightning_internals._PSUTIL_AVAILABLE", False)
    word = {None: "null", True: "true", False: "false"}[cpu_stats]
    cfg = compose_config(f"{OF_LIGHTNING}DeviceStatsMonitor", f"+callbacks.x.cpu_stats={word}")
    if cpu_stats is False:
        build(cfg)
    else:
        with pytest.raises(ValueError, match=r"^DeviceStatsMonitor needs psutil .*\(pip install psutil\); leave out "):
            build(cfg)


class BeforeZeroGrad(Callback):
    def on_before_zero_grad(self, trainer, pl_module, optimizer):
        raise AssertionError("never called")


def test_a_hook_that_is_never_called_is_refused():
    with pytest.raises(ValueError, match=r"has on_before_zero_grad, .*; use on_train_batch_end; leave"):
        check_callbacks({"callbacks.x": BeforeZeroGrad()}, on_cpu=True)
    with pytest.raises(ValueError, match="neither validated nor saved; use lightning"):
        check_callbacks({"callbacks.x": StochasticWeightAveraging(0.1)}, on_cpu=True, automatic=True)


def test_two_averages_of_the_weights_are_refused(compose_config):
    second = ("+callbacks.y._target_=lightning.pytorch.callbacks.WeightAveraging",)
    with pytest.raises(ValueError, match=r"one average of the weights, got callbacks.x and callbacks.y; leave out one"):
        build(compose_config(*EMA, *second))


class Gradients(Callback):
    """Halves the gradient of one parameter and notes the norm of all of them."""

    def __init__(self):
        self.norms, self.after_backward = [], 0

    def on_after_backward(self, trainer, pl_module):
        self.after_backward += 1

    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        gradients = [p.grad for p in pl_module.network.parameters()]
        self.norms.append(float(torch.cat([g.flatten() for g in gradients]).norm()))
        bias = pl_module.network.module.output.bias
        bias.grad = torch.zeros_like(bias)


@pytest.mark.parametrize("accumulated", [1, 4])
def test_callbacks_see_and_change_the_gradient_that_a_step_is_made_with(accumulated, train):
    class Watch(Callback):
        moved = 0.0

        def on_train_batch_end(self, trainer, pl_module, *_):
            self.moved = max(self.moved, float(pl_module.network.module.output.bias.detach().abs().max()))

    gradients, watch = Gradients(), Watch()
    settings = ["trainer.max_epochs=1", "optim=sgd", f"trainer.accumulate_grad_batches={accumulated}"]
    train(*settings, name="watched", callbacks=(gradients, watch))
    assert watch.moved == 0.0, "biases start at zero, and their gradient was taken away"
    assert gradients.after_backward == 19
    assert len(gradients.norms) == -(-19 // accumulated)
    assert min(gradients.norms) > 0


class Losses(Callback):
    """Keeps what it is given."""

    def __init__(self):
        self.seen, self.of_epoch = [], []

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.seen.append(outputs["loss"])

    def on_train_epoch_end(self, trainer, pl_module):
        self.of_epoch += pl_module.losses_of_epoch.tolist()


@pytest.mark.parametrize("settings", cases([[], ["trainer.accumulate_grad_batches=4"], ["optim=lbfgs"]], []))
def test_callbacks_get_the_loss_of_each_batch(settings, train):
    losses = Losses()
    train(*settings, "trainer.max_epochs=1", callbacks=(losses,))
    assert [float(loss) for loss in losses.seen] == losses.of_epoch
    assert len(losses.seen) == STEPS
    assert not any(loss.requires_grad for loss in losses.seen)


def test_the_loss_before_backward_is_weighted_as_in_a_full_step(train):
    class Weighted(Losses):
        def on_train_start(self, *_):
            self.before = []

        def on_before_backward(self, trainer, pl_module, loss):
            self.before.append(float(loss.detach()))

    losses = Weighted()
    train("trainer.accumulate_grad_batches=4", "trainer.max_epochs=1", callbacks=(losses,))
    sizes = [16] * 18 + [12]
    expected = [float(loss) * size / 64 for loss, size in zip(losses.seen, sizes, strict=True)]
    assert losses.before == pytest.approx(expected, rel=1e-6)  # float32


def test_a_run_without_such_a_callback_returns_no_loss(train, monkeypatch):
    returned, step = [], TaskModule.training_step
    monkeypatch.setattr(TaskModule, "training_step", lambda *a: returned.append(step(*a)))
    train("trainer.max_epochs=1")
    assert returned == [None] * STEPS


class Weights(Callback):
    """Weights after every step, during the training."""

    def __init__(self):
        self.of_step = []

    def on_train_batch_end(self, trainer, pl_module, *_):
        state = pl_module.network.state_dict()
        self.of_step.append({key: value.clone() for key, value in state.items()})


EMA = (f"{OF_LIGHTNING}EMAWeightAveraging", "+callbacks.x.decay=0.9")
OPTIONS = {
    "adam, bn": ["model=bn", "optim=adam", "optim.lr=2e-3"],
    "float64": ["optim.lr=2e-3", "trainer.precision=64-true"],
    "separate parameters": [
        *("optim=sgd", "optim._target_=torch.optim.Adafactor", "optim.lr=2e-2"),
        *("~optim.momentum", "~optim.dampening", "~optim.nesterov"),
    ],
}


@pytest.mark.parametrize("option", cases(OPTIONS, "adam, bn"))
def test_averaged_weights_are_validated_saved_tested_and_resumed(option, train):
    weights = Weights()
    settings = [*OPTIONS[option], *EMA, "trainer.max_epochs=3"]
    result, whole = train(*settings, name="whole", callbacks=(weights,))
    average = {key: value.clone() for key, value in weights.of_step[0].items()}
    for step in weights.of_step[1 : 19 * (result.metrics["best_epoch"] + 1)]:
        for key, value in step.items():
            if value.is_floating_point():
                average[key] = 0.9 * average[key] + 0.1 * value
    best = load_checkpoint(whole / "checkpoints" / "best.ckpt")
    saved = network_weights(best)
    assert saved.keys() == average.keys()
    for key, value in saved.items():
        if value.is_floating_point():
            # 57 float32 roundings of 6e-8; those of an average fade with 0.9.
            torch.testing.assert_close(value, average[key], rtol=1e-5, atol=1e-6, msg=lambda m, key=key: f"{key}: {m}")
    assert not torch.equal(saved["module.output.weight"], weights.of_step[-1]["module.output.weight"])

    held_out = evaluate(rebuild_network(best), rebuild_data(best).val_dataloader())
    assert result.metrics["val_acc"] == held_out.accuracy
    assert result.metrics["val_loss"] == pytest.approx(held_out.loss, rel=1e-5)
    tested = evaluate(rebuild_network(best), rebuild_data(best).test_dataloader())
    assert (result.metrics["test_acc"], result.metrics["test_loss"]) == (tested.accuracy, pytest.approx(tested.loss))

    with pytest.raises(Interrupted):
        train(*settings, name="cut", callbacks=(PressCtrlC(1),))
    _, cut = train(*settings, name="cut")
    assert_same_run(cut, whole)
    _, plain = train(*OPTIONS[option], "trainer.max_epochs=3", name="plain")
    states = [load_checkpoint(folder / "checkpoints" / "last.ckpt") for folder in (cut, whole, plain)]
    current, not_averaged = states[1]["current_model_state"], states[2].pop("state_dict")
    assert all(torch.equal(current[name], not_averaged[name]) for name in not_averaged), "the training is the same"
    for key in ("current_model_state", "averaging_state"):
        ours, theirs = (state[key] for state in states[:2])
        assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


@pytest.mark.slow
def test_the_mean_of_all_weights_is_saved_and_resumed(train):
    settings, weights = [f"{OF_LIGHTNING}WeightAveraging", "optim.lr=2e-3", "trainer.max_epochs=3"], Weights()
    _, whole = train(*settings, name="whole", callbacks=(weights,))
    saved = network_weights(load_checkpoint(whole / "checkpoints" / "last.ckpt"))
    assert len(weights.of_step) == 57
    for key, value in saved.items():
        mean = torch.stack([step[key] for step in weights.of_step]).double().mean(0).float()
        # 57 float32 roundings of 6e-8, each divided by the number of steps.
        torch.testing.assert_close(value, mean, rtol=1e-5, atol=1e-6, msg=lambda m, key=key: f"{key}: {m}")
    with pytest.raises(Interrupted):
        train(*settings, name="cut", callbacks=(PressCtrlC(1),))
    _, cut = train(*settings, name="cut")
    assert_same_run(cut, whole)


def test_averaged_weights_are_not_continued_without_their_average(train):
    _, folder = train(*EMA, "trainer.max_epochs=1", name="averaged")
    start = f"ckpt_path={folder / 'checkpoints' / 'last.ckpt'}"
    with pytest.raises(ValueError, match=r"holds averaged weights.*callbacks.x.*keep these callbacks as they were"):
        train("trainer.max_epochs=2", start, name="plain")


def test_callbacks_by_name_see_every_batch_and_resume(train):
    of = "lightning.pytorch.callbacks"
    settings = [
        *("+callbacks.mine._target_=foreign_networks.SeesBatches", "+callbacks.mine.every=2"),
        *(f"+callbacks.rate._target_={of}.LearningRateMonitor", f"+callbacks.summary._target_={of}.ModelSummary"),
        *(f"+callbacks.device._target_={of}.DeviceStatsMonitor", "+callbacks.device.cpu_stats=false"),
        *("+trainer.log_every_n_steps=5", "scheduler=cosine"),
    ]
    _, folder = train(*settings, name="whole")
    with pytest.raises(Interrupted):
        train(*settings, name="cut", callbacks=(PressCtrlC(0),))
    train(*settings, name="cut")
    for name in ("whole", "cut"):
        last = load_checkpoint(folder.parent / name / "checkpoints" / "last.ckpt")
        assert last["callbacks"]["SeesBatches"] == {"batches": 2 * STEPS}
    assert_same_run(folder.parent / "cut", folder)
    assert ineligible_reason(compose_tiny(folder.parent, *settings[:2]).settings, 1) == (
        "callbacks.mine is foreign_networks.SeesBatches, "
        "and batches of a population are trained outside Lightning's loop"
    )
