import pytest
from omegaconf import OmegaConf

from conftest import cases, compose_settings
from trainlab.config.resolvers import PROJECT
from trainlab.loggers.hyperparameters import SWEPT_VARIABLE, Swept, hyperparameters, pass_swept, swept

TEXTS = {
    "model",
    "layers",
    "activation",
    "initializer",
    "dropout_kind",
    "optimizer",
    "scheduler",
    "augmentation",
    "data",
}
NUMBERS = {
    *("lr", "momentum", "weight_decay", "batch_size", "label_smoothing", "gradient_clip", "max_epochs"),
    *("dropout", "seed"),
}
COLUMNS = dict.fromkeys(TEXTS, str) | dict.fromkeys(NUMBERS, float) | {"batch_norm": bool, "standardize": bool}
GROUPS = ("model", "optim", "scheduler", "data")
OPTIONS = [f"{group}={path.stem}" for group in GROUPS for path in sorted((PROJECT / "conf" / group).glob("*.yaml"))]


def compose(*overrides):
    return compose_settings("run_dir=run", *overrides)


def plain(cfg):
    return OmegaConf.to_container(cfg, resolve=True)


@pytest.mark.parametrize("option", cases(OPTIONS, *{option.partition("=")[0]: option for option in OPTIONS}.values()))
def test_every_option_fills_the_same_columns_with_the_same_types(option):
    found = hyperparameters(plain(compose(option)), {})
    assert {key: type(value) for key, value in found.items()} == COLUMNS


def test_a_dense_network(compose_config):
    overrides = (
        "model=alpha_dropout",
        "data.flip=true",
        "data.crop_padding=4",
        "trainer.gradient_clip_val=1",
        "seed=0",
    )
    cfg = compose_config(*overrides)
    found = hyperparameters(cfg.settings, cfg.choices, cfg.overrides)
    assert found == {
        "model": "alpha_dropout",
        "layers": "3 x 16",
        "activation": "selu",
        "initializer": "lecun_normal",
        "batch_norm": False,
        "dropout": 0.1,
        "dropout_kind": "alpha, last",
        "standardize": True,
        "optimizer": "nadam",
        "lr": 1e-4,
        "momentum": 0.9,
        "weight_decay": 0.0,
        "scheduler": "constant",
        "batch_size": 16.0,
        "augmentation": "flip, crop 4",
        "label_smoothing": 0.0,
        "gradient_clip": 1.0,
        "data": "shapes",
        "max_epochs": 2.0,
        "seed": 0.0,
    }


def test_what_a_part_lacks_is_named_as_what_it_amounts_to():
    config = {
        "model": {"_target_": "mine.Net", "stages": [[32, 32], [64]], "dense": [64], "dropout": [0.25, 0.0, 0.5]},
        "optim": {"_target_": "torch.optim.Rprop", "lr": 0.01},
        "scheduler": {"_target_": "trainlab.training.schedules.cosine"},
        "data": {"_target_": "mine.Data", "batch_size": 8},
        "trainer": {"max_epochs": 1, "gradient_clip_val": None},
        "task": {"label_smoothing": 0.1},
        "seed": 1,
    }
    found = hyperparameters(config, {})
    assert found["model"] == "Net"
    assert found["layers"] == "32 32, 64 + 64"
    assert (found["dropout"], found["dropout_kind"]) == (0.5, "0.25, 0, 0.5")
    assert (found["activation"], found["augmentation"]) == ("none", "none")
    assert (found["momentum"], found["weight_decay"], found["gradient_clip"]) == (0.0, 0.0, 0.0)
    assert (found["batch_norm"], found["standardize"]) == (False, False)


@pytest.mark.parametrize(
    ("options", "shown"),
    [
        (("model=alpha_dropout", "model.dropout_after=every"), (0.1, "alpha, every")),
        (("model=alpha_dropout", "model.dropout_kind=standard"), (0.1, "standard, last")),
        (("model=selu",), (0.0, "none")),
    ],
)
def test_two_kinds_or_places_of_dropout_do_not_look_alike(options, shown):
    found = hyperparameters(plain(compose(*options)), {})
    assert (found["dropout"], found["dropout_kind"]) == shown


@pytest.mark.parametrize("rates", ["high", None, {"first": 0.5}, []])
def test_dropout_of_a_foreign_network_that_is_no_number_is_none(rates, compose_config):
    config = compose_config().settings
    config["model"]["dropout"] = rates
    found = hyperparameters(config, {})
    assert (found["dropout"], found["dropout_kind"]) == (0.0, "none")


@pytest.mark.parametrize("size", ["auto", {"train": 8}, [8, 16]])
def test_settings_of_foreign_data_may_be_anything(size, compose_config):
    config = compose_config().settings
    config["data"] |= {"batch_size": size, "name": ["a", "b"]}
    found = hyperparameters(config, {})
    assert (found["batch_size"], found["data"]) == (0.0, "['a', 'b']")


def test_augmentation_is_in_one_column(compose_config):
    more = ("data.flip=alternating", "data.crop_padding=2", "data.padding_mode=reflect", "data.cutout=8")
    cfg = compose_config(*more, "data.transforms=[{_target_: torchvision.transforms.v2.RandomRotation, degrees: 9}]")
    augmentation = hyperparameters(cfg.settings, {})["augmentation"]
    assert augmentation == "alternating flip, crop 2 reflect, cutout 8, RandomRotation"


@pytest.mark.parametrize(
    ("typed", "column", "name"),
    [
        (["optim=sgd"], "optimizer", "sgd"),
        (["data=shapes"], "data", "shapes"),
        (["data=torchvision", "data.name=KMNIST"], "data", "KMNIST"),
        (["model._target_=torchvision.models.resnet18"], "model", "resnet18"),
    ],
)
def test_parts_have_the_names_that_were_typed(typed, column, name, compose_config):
    cfg = compose_config(*typed)
    assert hyperparameters(cfg.settings, cfg.choices, cfg.overrides)[column] == name


def test_a_class_of_an_experiment_file_has_no_name_of_an_option(compose_config):
    cfg = compose_config()
    cfg.settings["data"]["_target_"] = "mine.Stripes"
    assert hyperparameters(cfg.settings, cfg.choices, cfg.overrides)["data"] == "Stripes"


def test_swept_settings_get_columns_of_their_own(compose_config, monkeypatch):
    monkeypatch.setenv(SWEPT_VARIABLE, "{}")
    cfg, jobs = compose_config(), []
    assert swept() == Swept()
    for width, betas in (("16", "[0.9,0.99]"), ("8", "[0.5,0.99]"), ("8", "[0.9,0.99]")):
        typed = ["model=selu", f"model.width={width}", "optim.lr=1e-3", f"optim.betas={betas}", "logger=csv"]
        jobs.append((hyperparameters(cfg.settings, cfg.choices, typed), typed))
    pass_swept(jobs)
    sweep = swept()
    assert sweep.columns == ["model.width", "optim.betas"]
    assert sweep.values["model.width"] == [8, 16]
    found = [hyperparameters(cfg.settings, cfg.choices, typed, sweep) for _, typed in jobs]
    assert [(one["model.width"], one["optim.betas"]) for one in found] == [
        (16.0, "[0.9,0.99]"),
        (8.0, "[0.5,0.99]"),
        (8.0, "[0.9,0.99]"),
    ]
