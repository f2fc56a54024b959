"""Networks of other packages train, resume, are tested, evaluated and exported like those of trainlab."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from lightning.pytorch.callbacks import Callback
from PIL import Image
from torch import nn

from conftest import cases, compose_tiny
from faults import PressCtrlC
from same_runs import assert_same, assert_same_run
from trainlab import load_network
from trainlab.config.build import build
from trainlab.config.compose import compose
from trainlab.inference import evaluate_checkpoint
from trainlab.inference.export import export_checkpoint
from trainlab.inference.predict import Predictor
from trainlab.models.libraries import TorchvisionNetwork
from trainlab.run import run
from trainlab.runs.errors import Interrupted
from trainlab.runs.fingerprint import fingerprint
from trainlab.runs.result import Result

RESIDUAL = {"_target_": "foreign_networks.ResidualMLP", "dropout": 0.2}
NOISY = {"_target_": "foreign_networks.Noisy"}
CONV = {"_target_": "foreign_networks.convolutional", "norm": {"_target_": "torch.nn.BatchNorm2d", "_partial_": True}}


def config(tmp_path: Path, model: dict, *overrides: str, name: str = "run"):
    keep = [override for override in overrides if not override.startswith("model.")]
    cfg = compose_tiny(tmp_path, *keep, name=name)
    return replace(cfg, settings=cfg.settings | {"model": model}, references=dict(cfg.references) | {"model": model})


def train(tmp_path: Path, model: dict, *overrides: str, name: str = "run", callbacks: tuple[Callback, ...] = ()):
    with pytest.MonkeyPatch.context() as patch:

        def build_with_callbacks(cfg, context):
            parts = build(cfg, context)
            parts.trainer.callbacks[:0] = callbacks
            return parts

        patch.setattr("trainlab.run.build", build_with_callbacks)
        return run(config(tmp_path, model, *overrides, name=name)), tmp_path / name


@pytest.mark.parametrize("model", cases([RESIDUAL, NOISY], NOISY))
@pytest.mark.slow
def test_an_interrupted_run_of_a_network_that_draws_resumes_to_the_bit(model, tmp_path):
    _, whole = train(tmp_path, model, "trainer.max_epochs=3", name="whole")
    with pytest.raises(Interrupted):
        train(tmp_path, model, "trainer.max_epochs=3", name="cut", callbacks=(PressCtrlC(1),))
    assert Result.read(tmp_path / "cut").metrics["epochs"] == 2
    torch.manual_seed(99)  # nothing depends on what the process has drawn before
    _, cut = train(tmp_path, model, "trainer.max_epochs=3", name="cut")
    assert_same_run(cut, whole)


def test_a_network_that_draws_in_evaluation_is_tested_with_the_same_draws_again(tmp_path):
    result, folder = train(tmp_path, NOISY | {"_target_": "foreign_networks.AlwaysNoisy"}, "trainer.max_epochs=1")
    np.random.rand(3), torch.rand(3)  # nothing depends on what the process has drawn before
    before = torch.get_rng_state()
    figures = evaluate_checkpoint(folder / "checkpoints" / "best.ckpt", device="cpu", trust=["foreign_networks"])
    assert figures["test_loss"] == result.metrics["test_loss"]
    assert torch.equal(torch.get_rng_state(), before)


def test_initial_weights_follow_from_the_seed_alone(tmp_path):
    def weights(seed: int):
        return build(config(tmp_path, RESIDUAL, f"seed={seed}")).network.state_dict()

    first = weights(1)
    torch.randn(3)
    before = torch.get_rng_state()
    again = weights(1)
    assert torch.equal(torch.get_rng_state(), before), "building a run must leave the global generator as it is"
    assert_same(again, first)
    assert not torch.equal(weights(2)["module.head.weight"], first["module.head.weight"])


def test_evaluation_needs_trust_and_runs_nothing_without_it(tmp_path, monkeypatch):
    result, folder = train(tmp_path, RESIDUAL)
    path = folder / "checkpoints" / "best.ckpt"
    monkeypatch.delitem(sys.modules, "foreign_networks")
    for use in (
        lambda: evaluate_checkpoint(path, device="cpu"),
        lambda: Predictor.load(path, device="cpu"),
        lambda: export_checkpoint(path, "torch_export"),
        lambda: load_network(folder),
        lambda: load_network(folder, trust=["foreign"]),  # only the start of its name
    ):
        with pytest.raises(
            ValueError, match=r"names foreign_networks\.ResidualMLP.*trust=\[foreign_networks\] \(trainlab eval\)"
        ):
            use()
        assert "foreign_networks" not in sys.modules
    with monkeypatch.context() as patch:
        patch.setattr(sys, "path", [entry for entry in sys.path if "tests" not in entry])
        with pytest.raises(ValueError, match=r"No module named 'foreign_networks'\); --config-dir names the"):
            load_network(folder, trust=["foreign_networks"])
    with pytest.raises(
        ValueError, match=r"packages and modules, got foreign_networks\.ResidualMLP, .* trust=\[foreign_netw"
    ):
        load_network(folder, trust=["foreign_networks.ResidualMLP"])
    figures = evaluate_checkpoint(path, device="cpu", mc_samples=3, trust=["foreign_networks"])
    assert figures["test_loss"] == result.metrics["test_loss"], "the test of the run was of the same weights"
    with pytest.raises(ValueError, match="cannot be imported"):
        monkeypatch.setitem(sys.modules, "foreign_networks", None)
        load_network(folder, trust=["foreign_networks"])


def test_a_checkpoint_predicts_on_raw_images_and_is_exported(tmp_path):
    _, folder = train(tmp_path, CONV | {"standardize": True})
    path = folder / "checkpoints" / "best.ckpt"
    Image.effect_noise((40, 40), 50).convert("RGB").save(tmp_path / "image.png")
    (prediction,) = Predictor.load(path, device="cpu", trust=["foreign_networks"]).predict([tmp_path / "image.png"])
    assert abs(sum(prediction.probabilities) - 1) < 1e-5
    assert export_checkpoint(path, "torch_export", trust=["foreign_networks"]).exists()


def test_mc_dropout_of_torch_layers_samples_and_leaves_the_network_and_the_generators_alone(tmp_path):
    model = {"_target_": "torchvision.models.alexnet", "num_classes": 10, "dropout": 0.5}
    with pytest.raises(ValueError, match="AlexNet cannot compute logits of images"):  # of 32 x 32 pixels
        build(config(tmp_path, model))
    model = {"_target_": "torchvision.models.squeezenet1_1", "num_classes": 10}
    network = build(config(tmp_path, model)).network.eval()
    from trainlab.inference import mc_probabilities

    images = torch.randint(0, 256, (3, 3, 32, 32), dtype=torch.uint8)
    state = torch.get_rng_state()
    samples = mc_probabilities(network, images, 3, seed=1)
    assert torch.equal(torch.get_rng_state(), state) and not any(m.training for m in network.modules())
    assert not torch.equal(samples[0], samples[1])
    assert torch.equal(samples, mc_probabilities(network, images, 3, seed=1))
    assert not torch.equal(samples, mc_probabilities(network, images, 3, seed=2))


MISTAKES = {
    "foreign_networks.tuple_of_logits": r"Pair must return logits \(2, 10\) of 2 images.*got tuple",
    "foreign_networks.no_module": r"model must build a torch\.nn\.Module, got int; set model\._target_",
    "foreign_networks.Missing": r"foreign_networks\.Missing cannot be imported .*set model\._target_",
    "foreign_networks.ResidulMLP": r"\(foreign_networks has no ResidulMLP; did you mean ResidualMLP\?\); set model",
    "no_such_package.Net": r"no_such_package\.Net cannot be imported \(.*No module named 'no_such_package'",
    "torchvision.models.resnet18": r"got torch\.float32 \(2, 1000\); set model\.num_classes",
}


class Nested(nn.Module):
    def __init__(self, body, make_head):
        super().__init__()
        self.body, self.head = body, make_head()

    def forward(self, images):
        return self.body(images) + self.head(images)


def test_nested_networks_get_the_facts_of_the_data(tmp_path):
    body, head = (RESIDUAL | {"dropout": 0.0} | more for more in ({}, {"_partial_": True, "width": 8}))
    model = {"_target_": f"{__name__}.Nested", "body": body, "make_head": head}
    result, folder = train(tmp_path, model, "trainer.max_epochs=1")
    path, trust = folder / "checkpoints" / "best.ckpt", ["foreign_networks", __name__]
    figures = evaluate_checkpoint(path, device="cpu", trust=trust)
    assert figures["test_loss"] == result.metrics["test_loss"]
    assert export_checkpoint(path, "torch_export", trust=trust).exists()
    given = model | {"body": body | {"num_classes": 3}}
    with pytest.raises(ValueError, match=r"Nested cannot compute logits"):
        build(config(tmp_path, given))


class NoGradient(nn.Linear):
    def __init__(self, num_classes):
        super().__init__(3 * 32 * 32, num_classes)

    def forward(self, images):
        return super().forward(images.flatten(1)).detach()


class TwoInTraining(NoGradient):
    def forward(self, images):
        logits = nn.functional.linear(images.flatten(1), self.weight, self.bias)
        return (logits, logits) if self.training else logits


class Softmax(NoGradient):
    def forward(self, images):
        return nn.functional.linear(images.flatten(1), self.weight, self.bias).softmax(1)


UNTRAINABLE = {
    "NoGradient": r"^NoGradient cannot be trained \(its outputs have no gradient: no_grad, detach and NumPy cut it off",
    "TwoInTraining": r"^TwoInTraining cannot be trained \(it must return logits \(2, 10\) in training mode, too\); set",
}


@pytest.mark.parametrize("name", UNTRAINABLE)
def test_a_network_that_cannot_make_a_training_step_is_an_error_before_the_training(name, tmp_path):
    model = {"_target_": f"{__name__}.{name}"}
    with pytest.raises(ValueError, match=UNTRAINABLE[name]):
        run(config(tmp_path, model))
    assert not (tmp_path / "run").exists()
    build(config(tmp_path, model, "train=false"))


def test_probabilities_as_outputs_of_a_classification_are_warned_of(tmp_path):
    with pytest.warns(UserWarning, match=r"^the outputs of Softmax are probabilities, and the loss expects logits"):
        build(config(tmp_path, {"_target_": f"{__name__}.Softmax"}))


@pytest.mark.parametrize("target", MISTAKES)
def test_what_is_no_network_of_these_images_is_an_error_before_the_training(target, tmp_path, caplog):
    with pytest.raises(ValueError, match=MISTAKES[target]):
        run(config(tmp_path, {"_target_": target}))
    assert not (tmp_path / "run").exists()
    assert not caplog.messages, "the error is all that is said"


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"sparse": True}, "got sparse=true in 'levels', EmbeddingBag of the network; set sparse=false there$"),
        ({"by_function": True}, "got a sparse one of levels.weight; set sparse=false$"),
    ],
)
def test_sparse_gradients_are_refused(model, message, tmp_path):
    with pytest.raises(ValueError, match=f"^gradients must be dense, {message}"):
        train(tmp_path, {"_target_": "foreign_networks.Bag", **model})
    assert (tmp_path / "run").exists() == ("by_function" in model), "nothing is written where the network shows it"


def test_a_frozen_embedding_may_be_sparse(tmp_path):
    build(config(tmp_path, {"_target_": "foreign_networks.Bag", "sparse": True}, "freeze=[levels.*]"))


def test_trust_is_no_part_of_the_fingerprint(tmp_path):
    one, other = (config(tmp_path, RESIDUAL, *more).settings for more in ((), ("trust=[foreign_networks]",)))
    assert one != other and fingerprint(one) == fingerprint(other)


def test_a_network_of_torchvision_trains_by_name(tmp_path):
    model = compose(["model=torchvision", "model.name=shufflenet_v2_x0_5", "name=run"]).settings["model"]
    result, folder = train(tmp_path, model, "trainer.limit_train_batches=2", "trainer.max_epochs=1")
    assert (
        evaluate_checkpoint(folder / "checkpoints" / "best.ckpt", device="cpu")["test_loss"]
        == (result.metrics["test_loss"])
    )
    assert Result.read(folder).status == "completed"


STEMS = {"resnet18": 4, "densenet121": 4, "mobilenet_v2": 16, "regnet_x_400mf": 2, "shufflenet_v2_x0_5": 4}


@pytest.mark.parametrize("name", ["resnet18", *[pytest.param(name, marks=pytest.mark.slow) for name in STEMS]])
def test_a_small_stem_keeps_the_size_of_small_images(name):
    sizes = {}
    for stem in ("imagenet", "small"):
        network = TorchvisionNetwork((3, 32, 32), name=name, stem=stem).eval()
        first = next(layer for layer in network.modules() if isinstance(layer, nn.Conv2d))
        first.register_forward_hook(lambda _, inputs, output, stem=stem: sizes.update({stem: output.shape[-1]}))
        assert network(torch.zeros(2, 1, 32, 32)).shape == (2, 10), "grey images, too"
    assert sizes == {"imagenet": 16, "small": 32}


@pytest.mark.slow
def test_initial_weights_come_from_a_file_of_the_same_network(tmp_path):
    published = TorchvisionNetwork((3, 32, 32), name="resnet18", num_classes=1000)
    torch.save(published.network.state_dict(), tmp_path / "w.pth")
    network = TorchvisionNetwork((3, 32, 32), name="resnet18", weights=str(tmp_path / "w.pth"))
    assert torch.equal(network.network.layer1[0].conv1.weight, published.network.layer1[0].conv1.weight)
    assert network.network.fc.weight.shape == (10, 512)
    with pytest.raises(ValueError, match=r"w\.pth has weights of another network: .* set model\.weights"):
        TorchvisionNetwork((3, 32, 32), name="resnet34", weights=str(tmp_path / "w.pth"))
    with pytest.raises(ValueError, match=r"published network, .* \(conv1\.weight\); set model\.stem=imagenet$"):
        TorchvisionNetwork((3, 32, 32), name="resnet18", stem="small", weights=str(tmp_path / "w.pth"))
    torch.save(nn.Linear(2, 2), tmp_path / "module.pth")
    with pytest.raises(
        ValueError, match=r"^\S+module\.pth holds other objects .* save module\.state_dict\(\), and set"
    ):
        TorchvisionNetwork((3, 32, 32), name="resnet18", weights=str(tmp_path / "module.pth"))
    with pytest.raises(ValueError, match=r"gone\.pth cannot be read as weights .* set model\.weights"):
        TorchvisionNetwork((3, 32, 32), name="resnet18", weights=str(tmp_path / "gone.pth"))


def test_mistakes_in_a_network_of_torchvision_name_the_setting():
    for settings, message in (
        ({"name": "resnet19"}, r"no network 'resnet19', but .*resnet18.* set model\.name"),
        ({"name": "resnet18", "stem": "tiny"}, r"stem must be one of imagenet, small, got 'tiny'; set model\.stem"),
        ({"name": "vit_b_16", "stem": "small", "image_size": 32}, r"vit_b_16 has patches; set model\.stem=imagenet"),
        ({"name": "resnet18", "depth": 3}, r"unexpected keyword argument 'depth'; leave out"),
    ):
        with pytest.raises(ValueError, match=message):
            TorchvisionNetwork((3, 32, 32), **settings)
