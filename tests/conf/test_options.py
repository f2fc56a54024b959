"""Every option of every group, and what the project promises of them."""

import inspect
from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf, open_dict
from PIL import Image

from trainlab.config.build import Parts, build
from trainlab.config.load import load_config
from trainlab.config.resolvers import PROJECT, register_resolvers
from trainlab.config.run_config import resolve
from trainlab.inference import evaluate_checkpoint
from trainlab.inference.rebuild import rebuild_network
from trainlab.models import ImageNetwork
from trainlab.models.activations import ACTIVATIONS
from trainlab.models.image_network import NOT_OF_NETWORK
from trainlab.runs.fingerprint import DATA
from trainlab.training.lookahead import Lookahead

# What people can choose. An option that comes or goes fails the test below: on purpose, it is a public name.
OPTIONS = {
    "callbacks": {"default"},
    "data": {"arrays", "cifar10", "image_folder", "shapes", "torchvision"},
    "debug": {"anomaly", "fast", "overfit", "profile"},
    "experiment": {
        "airbench94",
        "cnn",
        "cnn_alpha_dropout",
        "cnn_bn",
        "cnn_selu",
        "best_20x100",
        "demo",
        "keras_like",
    },
    "experiment/exercise": {
        "mistake_alpha_dropout_under_elu",
        "mistake_half_dropped_everywhere",
        "mistake_learning_rate",
        "mistake_selu_raw_inputs",
        "part_8b_elu_he",
        "part_8c_bn",
        "part_8d_selu",
        "part_8e_alpha_dropout",
        "part_8f_one_cycle",
        "plain_elu_he",
        "plain_selu",
        "question_4_activations",
        "selu_alpha_dropout_every_layer",
        "variant_bn_elu_alpha_dropout",
        "variant_bn_input",
        "variant_elu_alpha_dropout",
        "variant_swish",
    },
    "logger": {"csv", "default", "mlflow", "tensorboard", "wandb"},
    "lr_search": {"coarse", "grid", "none", "range_test"},
    "model": {
        "alpha_dropout",
        "bn",
        "cnn",
        "cnn_alpha_dropout",
        "cnn_bn",
        "cnn_selu",
        "cnn_whitening",
        "elu_he",
        "relu_he",
        "resnet18",
        "selu",
        "selu_lecun",
        "timm",
        "torchvision",
    },
    "module": {"none"},
    "optim": {
        *("adadelta", "adafactor", "adagrad", "adam", "adamax", "adamw", "asgd", "lbfgs"),
        *("muon", "nadam", "nadam_keras", "radam", "rmsprop", "rprop", "sgd"),
    },
    "scheduler": {"constant", "cosine", "one_cycle", "one_cycle_linear", "plateau", "triangular"},
    "sweep/executor": {"local", "ray", "slurm", "slurm_local"},
    "task": {"classification", "logged", "multilabel", "regression"},
    "trainer": {"auto", "cpu", "ddp", "gpu"},
}
CONF = PROJECT / "conf"
FOUND = {
    str(group.relative_to(CONF)): {option.stem for option in group.glob("*.yaml")}
    for group in CONF.rglob("*")
    if any(group.glob("*.yaml")) and not group.is_relative_to(CONF / "hydra") and group != CONF / "local"
}
DEFEATED = {
    f"experiment=exercise/{name}"
    for name in (
        *("mistake_alpha_dropout_under_elu", "mistake_selu_raw_inputs"),
        *("variant_bn_elu_alpha_dropout", "variant_elu_alpha_dropout"),
    )
}
EACH = [
    f"{group}={option}" if group.startswith("sweep/") else "{}={}".format(*f"{group}/{option}".split("/", 1))
    for group, options in sorted(FOUND.items())
    for option in sorted(options)
]

Compose = Callable[..., DictConfig]
LOOKAHEAD = {key: p.default for key, p in inspect.signature(Lookahead).parameters.items()}


@pytest.fixture
def compose(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Compose:
    """A composed `train.yaml`, its data and its outputs in a temporary folder."""
    monkeypatch.setenv("TRAINLAB_DATA", str(tmp_path / "data"))

    def composed(*overrides: str) -> DictConfig:
        register_resolvers()
        where = ["name=run", f"output_dir={tmp_path}", f"run_dir={tmp_path / 'run'}"]
        cfg = load_config("train", [*overrides, *where])
        with open_dict(cfg):
            del cfg["hydra"]
        return cfg

    return composed


def build_parts(cfg: DictConfig) -> Parts:
    return build(resolve(cfg, (), {}))


def targets(node: Any, path: str = "") -> Iterator[tuple[str, Callable[..., Any], dict[str, Any]]]:
    """Path, target and arguments of everything in a config that names a target."""
    if not isinstance(node, Mapping):
        return
    if "_target_" in node:
        arguments = {key: value for key, value in node.items() if key not in ("_target_", "_partial_")}
        yield path, get_object(node["_target_"]), arguments
    for key, value in node.items():
        yield from targets(value, f"{path}.{key}".strip("."))


def test_the_public_options():
    assert FOUND == OPTIONS
    assert {*DATA} == OPTIONS["data"], "any other is the user's"


NOT_BUILT = ("trainer=gpu", "task=logged", *(["model=timm"] if find_spec("timm") is None else []))
# Of other data than the shapes; tests/tasks builds them.
OF_OTHER_DATA = ("data=", "task=multilabel", "task=regression")


@pytest.mark.parametrize("option", EACH)
def test_every_option(option: str, compose: Compose, recwarn: pytest.WarningsRecorder, tmp_path: Path):
    """It is composed once, and built."""
    tiny = [] if option.startswith("trainer=") else ["trainer=cpu"]
    if not option.startswith(("experiment=", *OF_OTHER_DATA)):
        tiny.append("data=shapes")
    cfg = compose(*tiny, option)
    assert_keys_and_defaults_are_those_of_the_constructor(option, cfg)
    if option.startswith(OF_OTHER_DATA) or option in NOT_BUILT:
        return
    parts = build_parts(cfg)
    logits = parts.network.eval()(torch.zeros(2, 3, 32, 32, dtype=torch.uint8))
    assert logits.shape == (2, 10)
    # No option defeats its own purpose, but for those that show what becomes of it.
    assert bool([w for w in recwarn if "will not keep mean 0" in str(w.message)]) == (option in DEFEATED)
    assert not any(tmp_path.iterdir())  # building writes nothing


def assert_keys_and_defaults_are_those_of_the_constructor(option: str, cfg: DictConfig) -> None:
    group, _, name = option.partition("=")
    plain = OmegaConf.to_container(cfg, resolve=True)
    section = plain["sweep"]["executor"] if group == "sweep/executor" else plain.get(group)
    found = list(targets(section))
    assert found or group in ("experiment", "debug") or option in ("lr_search=none", "module=none")
    # the other models are variants of these two, coarse is one of grid, one_cycle_linear of one_cycle
    base = name in ("elu_he", "cnn") or (group != "model" and name not in ("coarse", "one_cycle_linear"))
    for path, target, arguments in found:
        parameters = dict(inspect.signature(target).parameters)
        if group == "model":
            parameters |= {key: inspect.signature(ImageNetwork).parameters[key] for key in NOT_OF_NETWORK}
        if group == "optim":
            assert arguments.pop("groups") == []  # of all optimizers, in train.yaml
            assert arguments.pop("lookahead") == LOOKAHEAD  # the same
        assert set(arguments) <= set(parameters), path
        made_by = target.__init__ if inspect.isclass(target) else target
        if not made_by.__module__.startswith("trainlab."):
            continue
        defaults = {key: p.default for key, p in parameters.items() if p.default is not p.empty}
        for key in {"image_shape", "num_classes"} - set(arguments):  # follow from the data
            defaults.pop(key, None)
        if path == "checkpoint":
            assert defaults.pop("mode") is None  # follows from the metric
        assert set(defaults) <= set(arguments), path
        defaults.pop("seed", None)  # one for all, at the top of train.yaml
        if base:
            assert {key: arguments[key] for key in defaults} == as_lists(defaults), path


def as_lists(value: Any) -> Any:
    """Tuples as the lists that YAML has in their place."""
    if isinstance(value, dict):
        return {key: as_lists(item) for key, item in value.items()}
    return [as_lists(item) for item in value] if isinstance(value, tuple | list) else value


def test_cifar10_builds_without_its_images(compose: Compose, tmp_path: Path):
    assert build_parts(compose("data=cifar10", "trainer=cpu", "model.depth=1")).data.image_shape == (3, 32, 32)
    assert not any(tmp_path.iterdir())


def test_image_folder_takes_classes_and_size_from_its_folder(compose: Compose, tmp_path: Path):
    for split in ("train", "test"):
        for name in ("cat", "dog", "owl"):
            folder = tmp_path / "pets" / split / name
            folder.mkdir(parents=True)
            for i in range(4):
                Image.new("RGB", (40, 30)).save(folder / f"{i}.png")
    settings = ["data=image_folder", f"data.root={tmp_path / 'pets'}", "data.val_size=3", "data.batch_size=4"]
    cfg = compose(*settings, "data.image_size=24", "model.num_classes=3", "model.depth=1", "trainer=cpu")
    network = build_parts(cfg).network
    assert network(torch.zeros(2, 3, 24, 24, dtype=torch.uint8)).shape == (2, 3)


@pytest.mark.gpu
def test_gpu_trainer_builds(compose: Compose):
    parts = build_parts(compose("trainer=gpu", "data=shapes"))
    assert parts.trainer.strategy.root_device.type != "cpu"


def test_gpu_trainer_composes(compose: Compose):
    assert compose("trainer=gpu").trainer.accelerator == "gpu"


def test_defaults_of_a_run(compose: Compose):
    cfg = compose()
    assert cfg.model == compose("model=elu_he").model
    assert (cfg.optim["_target_"], cfg.optim.lr) == ("torch.optim.NAdam", 1e-4)
    assert cfg.scheduler["_target_"] == "trainlab.training.schedules.constant"
    assert cfg.data["_target_"] == "trainlab.data.cifar10.CIFAR10"
    assert cfg.data.batch_size == 32
    assert cfg.trainer.max_epochs == 100
    stopping = cfg.callbacks.early_stopping
    assert (stopping.patience, stopping.monitor, stopping.mode) == (10, "val/loss", None)
    assert (cfg.seed, cfg.compile, cfg.ckpt_path) == (1, "auto", None)


def test_defaults_of_an_evaluation():
    cfg = load_config("eval", ["ckpt_path=best.ckpt"])
    with open_dict(cfg):
        del cfg["hydra"]
    parameters = inspect.signature(evaluate_checkpoint).parameters
    assert cfg == {"ckpt_path": "best.ckpt", **{p.name: as_lists(p.default) for p in list(parameters.values())[1:]}}
    assert list(parameters)[1:] == [
        *("data_root", "cache_dir", "eval_batch_size", "test_views", "device", "out", "mc_samples", "mc_seed"),
        "trust",
    ]


def test_elu_he_has_as_many_parameters_as_the_exercise_says(compose: Compose):
    network = build_parts(compose("data=shapes", "trainer=cpu")).network
    # 3072 inputs to 100 units, 19 times 100 to 100, 100 to 10; biases everywhere
    by_hand = 3072 * 100 + 100 + 19 * (100 * 100 + 100) + 100 * 10 + 10
    assert by_hand == 500_210
    assert sum(p.numel() for p in network.parameters()) == by_hand


def test_variants_differ_from_their_base_in_what_they_say(compose: Compose):
    base = OmegaConf.to_container(compose("model=elu_he").model)

    def changes(option: str) -> dict[str, Any]:
        variant = OmegaConf.to_container(compose(f"model={option}").model)
        assert variant.keys() == base.keys()
        return {key: value for key, value in variant.items() if value != base[key]}

    self_normalizing = {"activation": "selu", "initializer": "lecun_normal", "standardize": True}
    assert changes("bn") == {"batch_norm": True}
    assert changes("selu_lecun") == changes("selu") == self_normalizing
    assert changes("alpha_dropout") == {**self_normalizing, "dropout": 0.1}


def test_a_coarse_search_is_a_grid_with_less_of_everything(compose: Compose):
    grid, coarse = compose("lr_search=grid").lr_search, compose("lr_search=coarse").lr_search
    changed = {key for key in grid if grid[key] != coarse[key]}
    assert changed == {"min_lr", "max_lr", "num_rates", "epochs"}
    assert coarse.num_rates < grid.num_rates
    assert coarse.epochs < grid.epochs


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_has_an_initializer_that_fits(activation: str, compose: Compose):
    cfg = compose("experiment=exercise/question_4_activations", f"model.activation={activation}")
    rule = {"selu": "lecun", "tanh": "glorot", "sigmoid": "glorot"}.get(activation, "he")
    assert cfg.model.initializer == f"{rule}_normal"
    assert (cfg.model.depth, cfg.model.standardize) == (20, True)


def test_cpu_gpu_and_ddp_are_auto_but_for_the_device(compose: Compose):
    auto = compose("trainer=auto").trainer
    assert compose("trainer=cpu").trainer == {**auto, "accelerator": "cpu"}
    assert compose("trainer=gpu").trainer == {**auto, "accelerator": "gpu"}
    assert compose("trainer=ddp").trainer == {**auto, "strategy": "ddp", "devices": 2}


LIBRARIES = {"resnet18", "timm", "torchvision"}  # see models/test_foreign_networks.py


@pytest.mark.parametrize("option", sorted(OPTIONS["model"] - LIBRARIES))
def test_the_network_of_every_model_is_rebuilt_from_its_checkpoint(option: str, compose: Compose):
    sizes = () if option.startswith("cnn") else ("model.depth=3", "model.width=16")
    cfg = compose("data=shapes", "trainer=cpu", f"model={option}", *sizes)
    config = OmegaConf.to_container(cfg, resolve=False)
    model = OmegaConf.to_container(cfg.model, resolve=True)
    network = build_parts(cfg).network
    weights = {f"network.{key}": value for key, value in network.state_dict().items()}
    about = {"config": config | {"model": model}, "image_shape": [3, 32, 32], "classes": list("abcdefghij")}
    rebuilt = rebuild_network({"trainlab": about, "state_dict": weights, "path": "best.ckpt"})
    found = {f"network.{key}": value for key, value in rebuilt.state_dict().items()}
    torch.testing.assert_close(found, weights, rtol=0, atol=0, equal_nan=True)  # statistics before training are NaN
