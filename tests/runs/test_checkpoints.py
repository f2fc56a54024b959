import copy
import errno
from collections import Counter

import numpy as np
import pytest
import torch

from conftest import NUM_TRAIN, STEPS, TINY, first
from faults import PressCtrlC
from trainlab.config.compose import compose
from trainlab.data.shapes import Shapes
from trainlab.inference.rebuild import rebuild_data, rebuild_network
from trainlab.models import MLP, image_network
from trainlab.run import Interrupted, run
from trainlab.runs.checkpoints import AtomicCheckpointIO, check_fits, load_checkpoint, network_weights

PLAIN = (str, int, float, bool, type(None))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Checkpoints of a run with all kinds of state: statistics of the data, momenta, a schedule, counters."""
    folder = tmp_path_factory.mktemp("run")
    run(
        compose(
            [*TINY, f"name={folder.name}", f"output_dir={folder.parent}", "model=alpha_dropout", "scheduler=plateau"]
        )
    )
    return folder / "checkpoints"


@pytest.fixture
def checkpoint(trained):
    return load_checkpoint(trained / "best.ckpt")


def assert_plain(value, place=""):
    if isinstance(value, dict):
        for key, item in value.items():
            assert type(key) in PLAIN, place
            assert_plain(item, f"{place}.{key}")
    elif isinstance(value, list | tuple):
        for item in value:
            assert_plain(item, f"{place}[]")
    else:
        assert type(value) in (torch.Tensor, *PLAIN), f"{place} is a {type(value)}"


@pytest.mark.parametrize("name", ["best.ckpt", "last.ckpt"])
def test_checkpoints_hold_tensors_and_plain_values_only(name, trained):
    checkpoint = torch.load(trained / name, weights_only=True)
    assert_plain(checkpoint)
    assert {type(value) for value in checkpoint["state_dict"].values()} == {torch.Tensor}


def test_a_rebuilt_network_predicts_on_raw_images_what_the_trained_one_does(checkpoint):
    network = rebuild_network(checkpoint)
    assert not network.training
    images = Shapes(num_train=400, num_test=50).read().test
    # By hand: standardized pixels through the saved layers, without dropout.
    weights = network_weights(checkpoint)
    x = images.flatten(1).float() * weights["scaling.gain"].flatten() + weights["scaling.shift"].flatten()
    for i in (1, 2, 3):
        x = torch.selu(x @ weights[f"module.linear_{i}.weight"].T + weights[f"module.linear_{i}.bias"])
    x = x @ weights["module.output.weight"].T + weights["module.output.bias"]
    # Sums of 3072 float32 products near 1 and spacing 1.2e-7, in another order, through three layers.
    torch.testing.assert_close(network(images), x, rtol=1e-4, atol=1e-4)


def test_rebuilt_data_are_those_of_the_run_with_the_requested_changes(checkpoint):
    data = rebuild_data(checkpoint, eval_batch_size=7)
    assert isinstance(data, Shapes)
    assert (data.num_train - data.val_size, data.eval_batch_size) == (NUM_TRAIN, 7)


@pytest.mark.parametrize(
    "target",
    [
        "os.system",
        "subprocess.run",
        "builtins.eval",
        "trainlab",
        "trainlab_evil.Network",
        "torch.save",
        "torch.nn.init.normal_",
        "torch.optim.swa_utils.update_bn",
        "trainlab.config.construct.instantiate",
        "trainlab.runs.files.write_atomically",
        "trainlab.runs.checkpoints.Path",
    ],
)
def test_a_checkpoint_may_not_build_anything_else(target, checkpoint, monkeypatch):
    calls = []
    for name in (
        "os.system",
        "subprocess.run",
        "trainlab.config.construct.instantiate",
        "trainlab.runs.files.write_atomically",
    ):
        monkeypatch.setattr(name, lambda *args, **kwargs: calls.append((args, kwargs)))
    for section, rebuild in (("model", rebuild_network), ("data", rebuild_data)):
        evil = copy.deepcopy(checkpoint)
        evil["trainlab"]["config"][section] = {"_target_": target}
        reason = "which is not of trainlab|is no class or function that a checkpoint may name|cannot be imported"
        with pytest.raises(ValueError, match=f"{target},? ({reason})"):
            rebuild(evil)
    assert not calls


def test_loading_runs_no_code(tmp_path):
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "proof"), "w"))

    torch.save({"trainlab": {}, "state_dict": Evil()}, tmp_path / "evil.ckpt")
    with pytest.raises(ValueError, match="cannot be read as a checkpoint"):
        load_checkpoint(tmp_path / "evil.ckpt")
    assert not (tmp_path / "proof").exists()


def test_a_file_that_is_no_checkpoint_is_named(trained, tmp_path):
    path = tmp_path / "other.ckpt"
    with pytest.raises(FileNotFoundError, match=f"there is no checkpoint {path}; set ckpt_path"):
        load_checkpoint(path)
    whole = (trained / "last.ckpt").read_bytes()
    for content in (b"", b"not a checkpoint at all\n", whole[: len(whole) // 2], whole[:-1000]):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=rf"{path} cannot be read as a checkpoint \(.+\); set another ckpt_path"):
            load_checkpoint(path)
    for strange in ({"state_dict": {}}, torch.zeros(3), [1, 2]):
        torch.save(strange, path)
        with pytest.raises(ValueError, match=f"{path} was not written by trainlab; set another ckpt_path"):
            load_checkpoint(path)


def test_a_checkpoint_fits_its_own_network_and_optimizer_only(checkpoint):
    config = checkpoint["trainlab"]["config"]
    network = rebuild_network(checkpoint)
    check_fits(checkpoint, network, config, STEPS * 2)

    settings = {"depth": 3, "width": 16, "activation": "selu", "initializer": "lecun_normal", "standardize": True}
    wrong = {
        r"module.linear_1.weight is \(16, 3072\) there and \(17, 3072\) here": settings | {"width": 17},
        r"module.linear_4.weight is absent there and \(16, 16\) here": settings | {"depth": 4},
        r"module.linear_3.weight is \(16, 16\) there and absent here": settings | {"depth": 2},
        r"scaling.gain is \(3, 32, 32\) there and absent here": settings | {"standardize": False, "activation": "elu"},
        r"module.output.weight is \(10, 16\) there and \(9, 16\) here": settings | {"num_classes": 9},
    }
    for message, arguments in wrong.items():
        # Of several keys that do not fit, the first is named; an output layer's input changes with the depth as well.
        with pytest.raises(ValueError, match=f"another architecture: {message}; use the model= options"):
            check_fits(checkpoint, image_network(MLP, **arguments), config, STEPS * 2)
    other_settings = {
        r"\(optim._target_: torch.optim.NAdam, now torch.optim.SGD\)": {"optim": {"_target_": "torch.optim.SGD"}},
        r"\(optim.lr: .*, now 0.5\)": {"optim": config["optim"] | {"lr": 0.5}},
        r"\(scheduler._target_: trainlab.training.schedules.plateau, now x\)": {"scheduler": {"_target_": "x"}},
    }
    for message, settings in other_settings.items():
        with pytest.raises(ValueError, match=f"a resumed run keeps optimizer and schedule, .*{message}"):
            check_fits(checkpoint, network, config | settings, STEPS * 2)
    check_fits(checkpoint, network, config | {"trainer": config["trainer"] | {"max_epochs": 7}}, STEPS * 7)


def test_a_schedule_over_the_steps_of_a_run_keeps_its_length(train):
    overrides = ["optim=sgd", "scheduler=one_cycle"]
    train("trainer.max_epochs=1", *overrides)
    with pytest.raises(ValueError, match=r"\(trainer.max_epochs: 1, now 2\); leave these as they were"):
        train("trainer.max_epochs=2", "ckpt_path=last", *overrides)


@pytest.mark.parametrize("schedule", first(1, ["cosine", "one_cycle"]))
def test_a_schedule_over_the_steps_of_a_run_keeps_the_length_of_its_epochs(schedule, train):
    overrides = ["optim=sgd", f"scheduler={schedule}"]
    with pytest.raises(Interrupted):
        train(*overrides, callbacks=(PressCtrlC(0),))
    for change, steps in (
        ("data.batch_size=8", 76),
        ("data.val_size=84", 40),
        ("trainer.limit_train_batches=0.5", 18),
        ("trainer.accumulate_grad_batches=4", 10),
        ("trainer.devices=2", 20),
    ):
        rule = (
            rf"spans {2 * STEPS} steps, and a run with these settings has {steps} \({change.partition('=')[0]}: .*leave"
        )
        with pytest.raises(ValueError, match=rule):
            train(*overrides, change, "ckpt_path=last")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["model=alpha_dropout", "model.width=8"], "another architecture"),
        (["model=alpha_dropout", "optim=sgd"], "optim._target_: torch.optim.NAdam, now torch.optim.SGD"),
    ],
)
def test_a_run_does_not_start_from_a_checkpoint_that_does_not_fit(overrides, message, trained, train, tmp_path):
    with pytest.raises(ValueError, match=message):
        train(*overrides, f"ckpt_path={trained / 'last.ckpt'}")
    assert not (tmp_path / "run" / "result.json").exists()


def test_continuing_a_run_that_is_not_there_is_an_error(train):
    with pytest.raises(FileNotFoundError, match=r"there is no .*last.ckpt to continue; set name="):
        train("ckpt_path=last")


@pytest.mark.parametrize("call", ["os.fsync", "pathlib.Path.replace"])
def test_a_full_disk_leaves_the_old_checkpoint_whole(call, tmp_path, monkeypatch):
    path = tmp_path / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint({"epoch": 1, "weights": torch.ones(3)}, path)

    def fail(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(call, fail)
    with pytest.raises(OSError, match="No space left"):
        AtomicCheckpointIO().save_checkpoint({"epoch": 2, "weights": torch.zeros(3)}, path)
    assert [p.name for p in tmp_path.iterdir()] == ["last.ckpt"]
    saved = torch.load(path, weights_only=True)
    assert saved["epoch"] == 1
    assert torch.equal(saved["weights"], torch.ones(3))


@pytest.mark.parametrize(
    ("more", "place"),
    [
        (
            {"hyper_parameters": {"net": {"layers": [torch.nn.Linear(1, 1)]}}},
            r"Linear at hyper_parameters\.net\.layers",
        ),
        ({"ema": {"decay": np.float64(0.9)}}, r"numpy\.float64 at ema\.decay"),
        ({"counts": {frozenset(): 0}}, r"frozenset at counts \(a key\)"),
    ],
)
def test_a_checkpoint_that_could_not_be_loaded_is_an_error_when_it_is_written(more, place, checkpoint, tmp_path):
    with pytest.raises(ValueError, match=f"^a checkpoint must hold tensors and plain values only, got .*{place};"):
        AtomicCheckpointIO().save_checkpoint(checkpoint | more, tmp_path / "x.ckpt")
    assert not list(tmp_path.iterdir())


def test_what_torch_loads_safely_is_written(checkpoint, tmp_path):
    more = {"more": [torch.Size([2]), torch.float16, complex(1, 2), Counter("ab"), {1}, b"x"]}
    AtomicCheckpointIO().save_checkpoint(checkpoint | more, tmp_path / "x.ckpt")
    assert load_checkpoint(tmp_path / "x.ckpt")["more"] == more["more"]
