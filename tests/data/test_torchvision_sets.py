"""Data sets of torchvision, on small archives in the official formats."""

import gzip
import hashlib
import io
import pickle
import struct
import tarfile
from urllib.error import URLError

import numpy as np
import pytest
import scipy.io
import torch
from PIL import Image
from torchvision import datasets

from trainlab.data import torchvision_sets
from trainlab.data.cifar10 import CIFAR10
from trainlab.data.torchvision_sets import DATA_SETS, TorchvisionImages
from trainlab.inference.evaluate import evaluate_checkpoint
from trainlab.inference.predict import Predictor
from trainlab.runs.checkpoints import load_checkpoint

NUM_TRAIN, NUM_TEST = 40, 10
KINDS = ("MNIST", "FashionMNIST", "KMNIST")


def md5(content):
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def random_images(*shape):
    return np.random.default_rng(len(shape)).integers(0, 256, shape, dtype=np.uint8)


def idx(values):
    """The format of MNIST: magic number, sizes, bytes."""
    return struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape) + values.tobytes()


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """The archives are known to be small."""
    for name, facts in DATA_SETS.items():
        small = torchvision_sets.Facts(facts.image_shape, NUM_TRAIN, facts.num_classes)
        monkeypatch.setitem(DATA_SETS, name, small)


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def refuse(*_, **__):
        raise URLError("no network")

    monkeypatch.setattr("urllib.request.urlopen", refuse)


def parts_of(shape, num_classes=10, first=0):
    return [
        (random_images(count, *shape), (first + np.arange(count) % num_classes).astype(np.uint8))
        for count in (NUM_TRAIN, NUM_TEST)
    ]


def write_mnist(folder, kind, monkeypatch):
    """The four gzip files of MNIST and the like, as its servers have them. Returns images and labels of both parts."""
    raw, resources = folder / kind / "raw", []
    raw.mkdir(parents=True)
    parts = parts_of((28, 28))
    for part, (images, labels) in zip(("train", "t10k"), parts, strict=True):
        for what, values in (("images-idx3", images), ("labels-idx1", labels)):
            content = gzip.compress(idx(values))
            (raw / f"{part}-{what}-ubyte.gz").write_bytes(content)
            resources.append((f"{part}-{what}-ubyte.gz", md5(content)))
    monkeypatch.setattr(getattr(datasets, kind), "resources", resources)
    return parts


def write_emnist(folder, split, first):
    raw = folder / "EMNIST" / "raw"
    raw.mkdir(parents=True)
    parts = parts_of((28, 28), 26, first)
    for part, (images, labels) in zip(("train", "test"), parts, strict=True):
        (raw / f"emnist-{split}-{part}-images-idx3-ubyte").write_bytes(idx(images))
        (raw / f"emnist-{split}-{part}-labels-idx1-ubyte").write_bytes(idx(labels))
    return parts


def write_cifar100(folder, monkeypatch):
    parts, contents = parts_of((3, 32, 32), 100), {}
    for part, (images, labels) in zip(("train", "test"), parts, strict=True):
        content = {"data": images.reshape(len(images), -1), "fine_labels": labels.tolist(), "coarse_labels": []}
        contents[part] = pickle.dumps(content, protocol=2)
    contents["meta"] = pickle.dumps({"fine_label_names": [f"class_{i}" for i in range(100)]}, protocol=2)
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        for name, content in contents.items():
            info = tarfile.TarInfo(f"cifar-100-python/{name}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    folder.mkdir(exist_ok=True)
    (folder / "cifar-100-python.tar.gz").write_bytes(archive.getvalue())
    sums = {name: md5(content) for name, content in contents.items()}
    monkeypatch.setattr(datasets.CIFAR100, "tgz_md5", md5(archive.getvalue()))
    monkeypatch.setattr(datasets.CIFAR100, "train_list", [["train", sums["train"]]])
    monkeypatch.setattr(datasets.CIFAR100, "test_list", [["test", sums["test"]]])
    monkeypatch.setattr(datasets.CIFAR100, "meta", datasets.CIFAR100.meta | {"md5": sums["meta"]})
    return parts


def write_svhn(folder, monkeypatch):
    """MATLAB files with images (H, W, C, N) and labels 1 to 10, where 10 is the digit 0."""
    folder.mkdir(exist_ok=True)
    parts, files = parts_of((3, 32, 32)), {}
    for part, (images, labels) in zip(("train", "test"), parts, strict=True):
        path = folder / f"{part}_32x32.mat"
        digits = np.where(labels == 0, 10, labels)[:, None]
        scipy.io.savemat(path, {"X": images.transpose(2, 3, 1, 0), "y": digits})
        files[part] = ["http://server/", path.name, md5(path.read_bytes())]
    monkeypatch.setattr(datasets.SVHN, "split_list", files)
    return parts


def assert_read(found, parts):
    for images, labels, (pixels, numbers) in (
        (found.train, found.train_labels, parts[0]),
        (found.test, found.test_labels, parts[1]),
    ):
        assert images.dtype == torch.uint8
        assert images.is_contiguous()
        assert torch.equal(images, torch.from_numpy(pixels.reshape(len(pixels), -1, *pixels.shape[-2:])))
        assert labels.dtype == torch.int64
        assert labels.tolist() == numbers.tolist()


@pytest.mark.parametrize("kind", KINDS)
def test_gzip_files_of_mnist_are_unpacked_and_read_as_grey_images(kind, tmp_path, monkeypatch):
    parts = write_mnist(tmp_path, kind, monkeypatch)
    data = TorchvisionImages(kind, str(tmp_path), val_size=10)
    assert_read(data.read(), parts)
    assert data.image_shape == data.read().train.shape[1:] == (1, 28, 28)
    assert data.classes == tuple(getattr(datasets, kind).classes)


def test_letters_of_emnist_begin_at_0(tmp_path):
    parts = write_emnist(tmp_path, "letters", first=1)
    found = TorchvisionImages("EMNIST-letters", str(tmp_path)).read()
    assert_read(found, [(images, labels - 1) for images, labels in parts])
    assert found.classes == tuple("abcdefghijklmnopqrstuvwxyz")


def test_cifar100_is_unpacked_from_its_archive(tmp_path, monkeypatch):
    parts = write_cifar100(tmp_path, monkeypatch)
    found = TorchvisionImages("CIFAR100", str(tmp_path)).read()
    assert_read(found, parts)
    assert len(found.classes) == DATA_SETS["CIFAR100"].num_classes


def test_svhn(tmp_path, monkeypatch):
    parts = write_svhn(tmp_path, monkeypatch)
    found = TorchvisionImages("SVHN", str(tmp_path)).read()
    assert_read(found, parts)
    assert found.classes == tuple("0123456789")


def test_the_digest_is_of_images_and_labels(tmp_path, monkeypatch):
    write_mnist(tmp_path, "MNIST", monkeypatch)
    digest = TorchvisionImages("MNIST", str(tmp_path)).read().digest
    labels = tmp_path / "MNIST" / "raw" / "t10k-labels-idx1-ubyte"
    content = labels.read_bytes()
    labels.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert TorchvisionImages("MNIST", str(tmp_path)).read().digest != digest


@pytest.mark.parametrize("name", DATA_SETS)
def test_missing_files_that_cannot_be_downloaded_are_named_in_two_lines(name, tmp_path):
    with pytest.raises(ConnectionError) as error:
        TorchvisionImages(name, str(tmp_path / "none")).read()
    first, advice = str(error.value).splitlines()
    assert first.startswith(f"{name.replace('CIFAR', 'CIFAR-')} is not in {tmp_path}/none and cannot be downloaded")
    assert "no network" in first
    assert advice.startswith("set data.root")


def test_checking_reads_and_writes_nothing(tmp_path):
    TorchvisionImages("MNIST", str(tmp_path / "none"), val_size=10, batch_size=8).check()
    assert not (tmp_path / "none").exists()


def test_damaged_files_are_named(tmp_path, monkeypatch):
    write_mnist(tmp_path, "MNIST", monkeypatch)
    TorchvisionImages("MNIST", str(tmp_path)).read()
    (tmp_path / "MNIST" / "raw" / "train-images-idx3-ubyte").write_bytes(b"half")
    with pytest.raises(ValueError, match=f"the files of MNIST in {tmp_path} are damaged"):
        TorchvisionImages("MNIST", str(tmp_path)).read()


def test_another_number_of_images_than_the_official_one_is_an_error(tmp_path, monkeypatch):
    write_mnist(tmp_path, "MNIST", monkeypatch)
    monkeypatch.setitem(DATA_SETS, "MNIST", torchvision_sets.Facts((1, 28, 28), 60_000, 10))
    with pytest.raises(ValueError, match=r"MNIST has 60000 training images, .* has 40"):
        TorchvisionImages("MNIST", str(tmp_path)).read()


def test_an_unknown_name_is_an_error_that_lists_all():
    with pytest.raises(ValueError, match=r"name must be one of CIFAR10, .*EMNIST-mnist, got 'Mnist'; set data.name"):
        TorchvisionImages("Mnist", "")


def test_cifar10_is_one_of_them():
    assert issubclass(CIFAR10, TorchvisionImages)
    assert CIFAR10("").data_set == "CIFAR10"


def test_a_run_on_grey_images_from_training_to_prediction(train, tmp_path, monkeypatch):
    images, _ = write_mnist(tmp_path / "data", "FashionMNIST", monkeypatch)[1]
    result, folder = train(
        *("data=torchvision", f"data.root={tmp_path / 'data'}", "data.val_size=10", "data.batch_size=8"),
    )
    assert result.status == "completed"
    checkpoint = folder / "checkpoints" / "best.ckpt"
    assert evaluate_checkpoint(checkpoint)["test_acc"] == result.metrics["test_acc"]
    assert load_checkpoint(checkpoint)["trainlab"]["image_shape"] == [1, 28, 28]
    Image.fromarray(images[0]).save(tmp_path / "image.png")
    (prediction,) = Predictor.load(checkpoint).predict([tmp_path / "image.png"])
    assert prediction.classes[0] in datasets.FashionMNIST.classes
