import copy
import json
import math

import pytest
from omegaconf import OmegaConf

from conftest import first
from trainlab.config.overrides import folder_name
from trainlab.runs.fingerprint import differences, fingerprint, of_the_first_command, training_overrides
from trainlab.runs.result import Result


@pytest.fixture
def settings(compose_config):
    cfg = compose_config().references

    def resolved(*changes):
        return OmegaConf.to_container(OmegaConf.merge(cfg, OmegaConf.from_dotlist(list(changes))), resolve=True)

    return resolved


IRRELEVANT = [
    "name=other",
    "output_dir=/elsewhere",
    "run_dir=/elsewhere/run",
    "ckpt_path=last",
    "sweep.jobs=2",
    "sweep.on_failure=stop",
    "sweep.population=off",
    "compile=true",
    "logger.csv=null",
    "callbacks.progress=null",
    "callbacks.checkpoint.dirpath=/elsewhere/checkpoints",
    "trainer.accelerator=gpu",
    "trainer.strategy=ddp",
    "trainer.profiler=simple",
]
RELEVANT = [
    "seed=2",
    "task.label_smoothing=0.1",
    "model.width=17",
    "model.batch_norm=true",
    "optim.lr=2e-4",
    "optim._target_=torch.optim.Adam",
    "scheduler._target_=trainlab.training.schedules.cosine",
    "data.batch_size=32",
    "data.flip=true",
    "data.val_size=90",
    "data.split_seed=1",
    "trainer.devices=2",
    "trainer.max_epochs=3",
    "trainer.precision=64-true",
    "trainer.gradient_clip_val=1",
    "trainer.accumulate_grad_batches=2",
    "callbacks.early_stopping.patience=3",
    "callbacks.early_stopping=null",
    "callbacks.checkpoint.monitor=val/acc",
]


@pytest.mark.parametrize("override", first(6, IRRELEVANT))
def test_where_and_how_a_run_is_made_is_not_in_its_fingerprint(override, settings):
    assert fingerprint(settings(override)) == fingerprint(settings())
    assert differences(settings(), settings(override)) == []


@pytest.mark.parametrize("key", ["root", "cache_dir"])
def test_where_images_lie_is_not_in_the_fingerprint(key, settings):
    config = settings()
    moved = {**config, "data": {**config["data"], key: "/elsewhere"}}
    assert fingerprint(moved) == fingerprint(config)


@pytest.mark.parametrize("key", ["root", "path", "cache_dir", "memory", "num_workers", "transforms"])
def test_all_settings_of_data_of_the_users_are_in_the_fingerprint(key):
    own, others = ({"data": {"_target_": target, key: None}} for target in ("stripes.Stripes", "trainlab.data.Shapes"))
    assert fingerprint(own) != fingerprint({"data": own["data"] | {key: 2}})
    assert key in ("transforms", "path") or fingerprint(others) == fingerprint({"data": others["data"] | {key: 2}})


@pytest.mark.parametrize("data", ["data=spots", "data._target_=spots.Spots", "data=mine/shapes"])
def test_overrides_of_data_of_the_users_all_affect_the_training(data):
    workers, others = "data.num_workers=2", ["seed=1", "name=x"]
    assert training_overrides([data, workers, *others]) == [data, workers, "seed=1"]
    for known in ("data=shapes", "data._target_=trainlab.data.Shapes"):
        assert training_overrides([known, workers, *others]) == [known, "seed=1"]
    assert training_overrides([workers, *others]) == ["seed=1"]
    assert folder_name([data, workers]) != folder_name([data, "data.num_workers=3"])


def test_the_fingerprint_is_that_of_runs_whose_settings_had_a_direction(settings):
    for monitor, mode in (("val/loss", None), ("val/loss", "min"), ("val/acc", "max"), ("val/r2", None)):
        config = settings(f"callbacks.checkpoint.monitor={monitor}")
        former = copy.deepcopy(config)
        former["callbacks"]["checkpoint"]["mode"] = mode
        assert "mode" not in config["callbacks"]["checkpoint"]
        assert fingerprint(former) == fingerprint(config)


def test_all_that_changes_a_training_is_in_its_fingerprint(settings):
    fingerprints = [fingerprint(settings(override)) for override in ["seed=1", *RELEVANT]]
    assert len(set(fingerprints)) == 1 + len(RELEVANT)


def test_settings_of_an_average_of_weights_are_in_the_fingerprint_while_it_is_on(settings):
    set_up, steps = ("optim.lookahead.start_epoch=2", "optim.lookahead.decay=0.5"), "optim.lookahead.every_n_steps=5"
    assert len({fingerprint(settings(*overrides)) for overrides in ((), *((one,) for one in set_up))}) == 1
    assert len({fingerprint(settings(steps, *overrides)) for overrides in ((), *((one,) for one in set_up))}) == 3


def test_the_order_of_settings_does_not_matter():
    a = {"seed": 1, "model": {"depth": 2, "width": 3}}
    b = {"model": {"width": 3, "depth": 2}, "seed": 1}
    assert fingerprint(a) == fingerprint(b) != fingerprint(a | {"seed": 2})


def test_the_fingerprint_of_a_saved_configuration_is_that_of_the_run(settings):
    config = settings("optim.lr=3e-4")
    saved = OmegaConf.to_container(OmegaConf.create(OmegaConf.to_yaml(OmegaConf.create(config))))
    assert fingerprint(saved) == fingerprint(config)


def test_differences_name_key_and_both_values():
    old = {"seed": 1, "name": "a", "optim": {"lr": 0.1, "betas": [0.9, 0.999]}, "model": {"width": 100}}
    new = {"seed": 1, "name": "b", "optim": {"lr": 0.2, "betas": [0.8, 0.999]}, "scheduler": {"pct_start": None}}
    assert differences(old, new) == [
        "model.width: 100, now not set",
        "optim.betas: [0.9, 0.999], now [0.8, 0.999]",
        "optim.lr: 0.1, now 0.2",
        "scheduler.pct_start: not set, now None",
    ]
    assert differences(old, old) == []


def test_a_result_reads_back_as_it_was_written(tmp_path):
    assert Result.read(tmp_path) is None
    result = Result("completed", "abc", ["seed=2"], {"val_loss": 1 / 3}, {"total_s": 1.5}, {"seed": 2})
    result.write(tmp_path)
    assert Result.read(tmp_path) == result
    fields = json.loads((tmp_path / "result.json").read_text())
    assert list(fields) == [
        *("format", "status", "fingerprint", "overrides", "metrics", "time", "provenance", "error", "lr_search"),
        *("tags", "task", "compiled", "num_threads"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[1]", "null", '{"format": 2}', '{"format": 2, "status": "completed"}'),
        '{"format": 2, "status": "completed", "fingerprint": "a", "overridez": []}',
    ],
)
def test_a_damaged_result_is_an_error_that_says_what_to_do(text, tmp_path):
    (tmp_path / "result.json").write_text(text)
    with pytest.raises(ValueError, match=r"result.json is damaged \(.+\); remove it, or set another name="):
        Result.read(tmp_path)


def test_numbers_that_are_not_finite_are_null_in_json(tmp_path):
    metrics = {"val_loss": float("nan"), "rates": [1.0, float("inf")]}
    Result("diverged", "f", [], metrics, lr_search={"curve": {"losses": [[float("-inf")]]}}).write(tmp_path)
    written = json.loads((tmp_path / "result.json").read_text(), parse_constant=pytest.fail)
    assert written["metrics"] == {"val_loss": None, "rates": [1.0, None]}
    assert written["lr_search"] == {"curve": {"losses": [[None]]}}
    assert math.isnan(Result.read(tmp_path).metrics["val_loss"])


def test_a_run_that_is_resumed_keeps_the_overrides_by_which_a_sweep_finds_it():
    first, now = ["seed=1", "optim.lr=1e-3", "name=study"], ["optim.lr=1e-3", "name=study/a", "test=false"]
    assert of_the_first_command(first, now) == ["seed=1", "optim.lr=1e-3", "name=study/a", "test=false"]
    assert of_the_first_command(first, [*now, "seed=1"]) == [*now, "seed=1"]
