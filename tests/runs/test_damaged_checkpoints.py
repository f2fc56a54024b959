"""Checkpoints come from anywhere: what is wrong with one is a line that names the file, and nothing is written."""

import copy
import time

import pytest
import torch
from PIL import Image

from faults import PressCtrlC
from left_checkpoints import SIDE, leave_checkpoint
from trainlab.inference import evaluate_checkpoint
from trainlab.inference.export import export_checkpoint
from trainlab.inference.predict import Predictor
from trainlab.inference.rebuild import load_network, rebuild_data
from trainlab.runs.errors import Interrupted

GONE = object()
CLASSES = ("cat", "dog", "owl")
LAST = "network.module.output.weight"
TARGETS = (GONE, None, 5, "", "os.system", "trainlab", "trainlab.no.X", "trainlab..x", "torch.nn.Linear", "torch.nn.")
# Where in a checkpoint, and what is put there instead. Only `evaluate` needs the settings of the data.
DAMAGES = {
    ("epoch",): (GONE, None, [1], "x", -1, True),
    ("state_dict",): (GONE, None, [1], "x", {}, {1: 2}),
    ("state_dict", LAST): (
        *(GONE, None, [1.0], torch.zeros(3, 15), torch.zeros(1).expand(3, 16), torch.zeros(3, 16).to_sparse()),
        *(torch.full((3, 16), torch.nan), torch.full((3, 16), torch.inf)),
    ),
    ("state_dict", "network.of_a_newer_version"): (torch.zeros(3),),
    ("trainlab",): (GONE, None, [1], "x", {}),
    ("trainlab", "config"): (GONE, None, [1], "x", {}),
    ("trainlab", "image_shape"): (
        *(GONE, None, 3, [3, 12], [3, 12, "12"], [3.0, 12, 12], [3, 0, 12], [3, -12, -12]),
        *([3, 13, 13], [3, 10**6, 10**6]),
    ),
    ("trainlab", "classes"): (GONE, None, [], "cat", [1, 2, 3], ["cat", "cat", "owl"], ["cat"]),
    ("trainlab", "config", "model"): (GONE, None, {}, [], {1: 2}),
    ("trainlab", "config", "model", "_target_"): TARGETS,
    ("trainlab", "config", "model", "of_a_newer_version"): (1,),
    ("trainlab", "config", "model", "depth"): (GONE, None, "3", {"a": 1}, 0, 2, 4, 100_000, 10**30),
    ("trainlab", "config", "model", "width"): (8, 10**7, 10**12, [16]),
    ("trainlab", "config", "model", "num_classes"): (2, 10**9),
    ("trainlab", "config", "data"): (GONE, None, {}, [], {1: 2}),
    ("trainlab", "config", "data", "_target_"): TARGETS,
    ("trainlab", "config", "data", "of_a_newer_version"): (1,),
    ("trainlab", "config", "data", "image_size"): (13, 10**9, "12"),
    ("trainlab", "config", "data", "root"): (GONE, None, 5),
}


@pytest.fixture
def path(tmp_path):
    """A checkpoint whose images are there, two of each class and split."""
    path = leave_checkpoint(tmp_path / "run", classes=CLASSES)
    for split in ("train", "test"):
        for name in CLASSES:
            (tmp_path / "images" / split / name).mkdir(parents=True)
            for number in range(2):
                image = Image.effect_noise((SIDE, SIDE), 50).convert("RGB")
                image.save(tmp_path / "images" / split / name / f"{number}.png")
    checkpoint = torch.load(path)
    settings = {"root": str(tmp_path / "images"), "cache_dir": str(tmp_path / "cache"), "val_size": 1, "batch_size": 1}
    checkpoint["trainlab"]["config"]["data"] |= settings
    torch.save(checkpoint, path)
    return path


def uses(path):
    """What can be made of a checkpoint, by name."""
    folder = path.parent.parent
    return {
        "evaluate": lambda: evaluate_checkpoint(path, device="cpu"),
        "predict": lambda: list(Predictor.load(path, device="cpu").predict([folder.parent / "images"])),
        "export": lambda: export_checkpoint(path, "torch_export"),
    }


def left(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_whole_checkpoint_does_not_say_where_to_write(path, tmp_path):
    before = left(tmp_path)
    assert [name for name, use in uses(path).items() if use()] == ["evaluate", "predict", "export"]
    assert set(left(tmp_path)) - set(before) == {"run/eval.json", "run/model.pt2"}
    assert not (tmp_path / "cache").exists()
    evaluate_checkpoint(path, device="cpu", cache_dir=str(tmp_path / "my_cache"))
    assert len(list((tmp_path / "my_cache").glob("*.npy"))) == 1


def test_cifar10_is_not_downloaded_to_where_a_checkpoint_says(path, tmp_path, monkeypatch):
    module = "trainlab.data.torchvision_sets.TorchvisionImages"
    monkeypatch.setattr(f"{module}._download", lambda data: pytest.fail(f"downloads to {data.root}"))
    checkpoint = torch.load(path) | {"path": str(path)}
    checkpoint["trainlab"]["image_shape"] = [3, 32, 32]
    settings = {"_target_": "trainlab.data.cifar10.CIFAR10", "root": str(tmp_path / "new")}
    checkpoint["trainlab"]["config"]["data"] = settings
    data = rebuild_data(checkpoint)
    message = rf"^CIFAR-10 is not in {tmp_path}/new; set data\.root to the folder where it is"
    with pytest.raises(FileNotFoundError, match=message):
        _ = data.images
    assert not (tmp_path / "new").exists()
    assert rebuild_data(checkpoint, root=str(tmp_path)).may_write  # where the person says


@pytest.mark.parametrize(
    ("target", "more"),
    [
        ("torchvision.models.detection.fasterrcnn_mobilenet_v3_large_320_fpn", {}),
        ("torchvision.models.get_model", {"name": "fcn_resnet50"}),
    ],
)
def test_a_checkpoint_starts_no_download_of_weights(target, more, path, monkeypatch):
    monkeypatch.setattr("torch.hub.download_url_to_file", lambda url, *_, **__: pytest.fail(f"downloads {url}"))
    checkpoint = torch.load(path)
    checkpoint["trainlab"]["config"]["model"] = {"_target_": target, **more}
    checkpoint["state_dict"] = {"network.x": torch.zeros(10_000_000)}  # it may be large
    torch.save(checkpoint, path)
    with pytest.raises(ValueError, match=rf"{target} is no class or function that a checkpoint may name"):
        load_network(path)


@pytest.mark.slow
def test_a_training_state_that_is_not_whole_is_a_line(train):
    _, folder = train("trainer.max_epochs=1")
    path = folder / "checkpoints" / "last.ckpt"
    whole = torch.load(path)
    for key in ("global_step", "loops", "callbacks", "optimizer_states", "lr_schedulers"):
        torch.save({k: v for k, v in whole.items() if k != key}, path)
        with pytest.raises(
            ValueError, match=f"^{path} is an incomplete checkpoint: it has no {key}.*; set another name="
        ):
            train("trainer.max_epochs=2", "ckpt_path=last")


# Where in the state of a training, and what is put there instead.
DAMAGED_STATES = (
    (("loops", "fit_loop"), {}),
    (("loops", "fit_loop", "epoch_loop.manual_optimization.optim_step_progress"), GONE),
    (("loops", "fit_loop", "epoch_progress", "current", "completed"), "x"),
    (("optimizer_states",), []),
    (("optimizer_states", 0), {}),
    (("optimizer_states", 0, "param_groups", 0, "lr"), GONE),
    (("optimizer_states", 0, "state", 0, "exp_avg"), torch.zeros(3)),
    (("lr_schedulers",), []),
    (("lr_schedulers", 0, "best"), GONE),
    (("callbacks", "BestAndLast"), GONE),
    (("callbacks", "BestAndLast", "whole"), GONE),
    (("callbacks", "EpochLog"), {"a": 1}),
)


@pytest.mark.slow
def test_a_damaged_training_state_is_a_line_that_names_the_file_to_remove(train, tmp_path):
    settings = ("scheduler=plateau", "trainer.limit_train_batches=6")
    with pytest.raises(Interrupted):
        train(*settings, callbacks=(PressCtrlC(1),))
    path = tmp_path / "run" / "checkpoints" / "last.ckpt"
    whole = torch.load(path)
    for place, value in DAMAGED_STATES:
        torch.save(with_damage(whole, place, value), path)
        with pytest.raises(ValueError, match=f"^{path} is .*remove it.*start$") as caught:
            train(*settings)
        assert len(str(caught.value).splitlines()) == 1, (place, value)
    torch.save(whole, path)
    resumed, _ = train(*settings)
    undisturbed, _ = train(*settings, name="undisturbed")
    assert resumed.metrics == undisturbed.metrics


def with_damage(whole, place, value):
    """A copy of a checkpoint with ``value`` at ``place``."""
    damaged = copy.deepcopy(whole)
    inner = damaged
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    if value is GONE:
        del inner[place[-1]]
    return damaged


def test_each_damage_is_a_line_that_names_the_file(path, tmp_path):
    whole, before = torch.load(path), left(tmp_path)
    for place, values in DAMAGES.items():
        for value in values:
            torch.save(with_damage(whole, place, value), path)
            started = time.monotonic()
            for name, use in uses(path).items():
                if "data" in place and name != "evaluate":
                    continue
                try:
                    use()
                except ValueError as error:
                    message = str(error)
                else:
                    pytest.fail(f"{place} = {value!r} was taken by {name}")
                assert str(path) in message, (place, value, message)
                assert len(message.splitlines()) == 1, (place, value, message)
            assert time.monotonic() - started < 5, (place, value)  # none of the sizes keeps the machine busy
            assert left(tmp_path) == before, (place, value)
