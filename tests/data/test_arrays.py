import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from trainlab.data.arrays import Arrays
from trainlab.inference.evaluate import evaluate_checkpoint

RNG = np.random.default_rng(0)
LABELS = np.arange(60) % 3


def arrays(shape=(8, 6), **changes):
    images = RNG.integers(0, 256, (60, *shape), dtype=np.uint8)
    found = {"train": images[:50], "train_labels": LABELS[:50], "test": images[50:], "test_labels": LABELS[50:]}
    return {key: value for key, value in (found | changes).items() if value is not None}


def write(folder, form="npz", **parts):
    if form == "npz":
        np.savez(folder / "x.npz", **parts)
        return str(folder / "x.npz")
    (folder / "x").mkdir()
    for name, part in parts.items():
        np.save(folder / "x" / f"{name}.npy", part)
    return str(folder / "x")


def data_of(folder, form="npz", layout=None, **parts):
    return Arrays(write(folder, form, **parts), layout=layout, val_size=10, batch_size=8)


@pytest.mark.parametrize("form", ["npz", "folder"])
@pytest.mark.parametrize(
    ("shape", "to_first", "layout"),
    [
        ((8, 6), (0, 1, 2), None),
        ((8, 6, 3), (0, 3, 1, 2), None),
        ((1, 8, 6), (0, 1, 2, 3), None),
        ((3, 8, 3), (0, 3, 1, 2), "channels_last"),
        ((5, 8, 6), (0, 1, 2, 3), "channels_first"),
    ],
)
def test_images_labels_and_facts_are_those_of_the_arrays(form, shape, to_first, layout, tmp_path):
    parts = arrays(shape)
    data = data_of(tmp_path, form, layout, **parts)
    data.check()
    expected = parts["train"].transpose(to_first).reshape(50, *data.image_shape)
    found = data.read()
    assert torch.equal(found.train, torch.from_numpy(expected))
    assert found.train.is_contiguous()
    assert found.train_labels.tolist() == LABELS[:50].tolist()
    assert found.test_labels.tolist() == LABELS[50:].tolist()
    assert found.test.shape == (10, *data.image_shape)
    assert (data.count_train_images(), data.count_classes(), found.classes) == (50, 3, ("0", "1", "2"))


def test_a_folder_is_mapped_into_memory(tmp_path):
    found = data_of(tmp_path, "folder", **arrays()).read()
    assert str(tmp_path / "x" / "train.npy") in Path("/proc/self/maps").read_text()
    assert found.train.is_contiguous()


def test_classes_name_the_labels(tmp_path):
    data = data_of(tmp_path, **arrays(), classes=np.array(["cat", "dog", "emu", "owl"]))
    assert (data.classes, data.count_classes()) == (("cat", "dog", "emu", "owl"), 4)


def test_the_digest_follows_from_the_content_and_not_the_form(tmp_path):
    parts = arrays()
    first = data_of(tmp_path, "npz", **parts).read().digest
    assert data_of(tmp_path, "folder", **parts).read().digest == first
    other = parts["test_labels"].copy()
    other[0] = (other[0] + 1) % 3
    assert data_of(tmp_path, "npz", **parts | {"test_labels": other}).read().digest != first


def objects(values):
    return np.array([*values, None], dtype=object)[:-1]


WRONG = {
    "missing": ({"test": None}, r"must have the array 'test', it has test_labels, train, train_labels"),
    "floats": ({"train": np.zeros((50, 8, 6))}, r"'train' must be uint8 \(N, H, W\), .* has float64 \(50, 8, 6\)"),
    "flat": ({"train": np.zeros((50, 48), np.uint8)}, r"'train' must be uint8 .* has uint8 \(50, 48\)"),
    "pickles": ({"train": objects(range(50))}, r"'train' must be uint8 .* has Python objects \(50\)"),
    "labels": ({"train_labels": LABELS[:49]}, r"'train_labels' must be integers \(50,\), .* has int64 \(49\)"),
    "float labels": ({"test_labels": LABELS[50:] / 2}, r"same shape and kind, .* int64 \(50\) and float64 \(10\)"),
    "sizes": ({"test": np.zeros((10, 6, 8), np.uint8)}, r"of the same shape, .* has \(50, 8, 6\) and \(10, 6, 8\)"),
    "negative": ({"train_labels": LABELS[:50] - 1}, r"'train_labels' must be in \[0, 2\), .* has -1 to 1"),
    "more in test": ({"test_labels": LABELS[50:] + 1}, r"'test_labels' must be in \[0, 3\), .* has 1 to 3"),
    "few names": ({"classes": np.array(["a", "b"])}, r"'train_labels' must be in \[0, 2\), as classes say"),
    "numbers for names": ({"classes": np.arange(3)}, r"'classes' must be strings \(C,\), .* has int64 \(3\)"),
    "a column": ({"train_labels": np.ones((50, 1, 1))}, r"'train_labels' must be integers .* has float64 \(50, 1, 1\)"),
    "two for a label": (
        {"train_labels": np.full((50, 2), 2), "test_labels": np.ones((10, 2))},
        r"of the same shape and kind",
    ),
    "no labels of 0 or 1": (
        {"train_labels": np.full((50, 3), 2), "test_labels": np.ones((10, 3), int)},
        r"'train_labels' \(50, 3\) must be 0 or 1, .* has 2 to 2",
    ),
    "no number": (
        {"train_labels": np.full(50, np.nan), "test_labels": np.ones(10), "classes": np.array(["age"])},
        r"'train_labels' must be finite, .* has nan to nan",
    ),
    "other names": (
        {"train_labels": np.ones((50, 2)), "test_labels": np.ones((10, 2)), "classes": np.array(["a"])},
        r"'classes' must be 2 names, one for each column of 'train_labels', .* has 1",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_arrays_are_an_error_of_one_line_before_an_image_is_read(case, tmp_path):
    changes, message = WRONG[case]
    with pytest.raises(ValueError, match=message) as error:
        data_of(tmp_path, **arrays(**changes)).check()
    assert "\n" not in str(error.value)
    assert "data.path" in str(error.value)


def test_a_shape_that_can_be_read_in_two_ways_is_an_error(tmp_path):
    with pytest.raises(ValueError, match=r"\(50, 3, 8, 3\) may be .*; set data.layout to channels_first or"):
        _ = data_of(tmp_path, **arrays((3, 8, 3))).image_shape


@pytest.mark.parametrize("content", [None, b"", b"text", b"PK\x03\x04 cut off"])
def test_what_is_no_file_of_arrays_is_named(content, tmp_path):
    path = tmp_path / "x.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises((ValueError, FileNotFoundError), match=rf"{path}.*set data\.path"):
        Arrays(str(path)).check()


def test_a_run_on_arrays_that_have_moved_is_evaluated_by_data_root(train, tmp_path):
    path = write(tmp_path, **arrays((12, 9, 3)))
    result, folder = train(
        *("data=arrays", f"data.path={path}", "data.val_size=10", "data.batch_size=8", "model.num_classes=3"),
    )
    assert result.status == "completed"
    (tmp_path / "x.npz").rename(tmp_path / "moved.npz")
    checkpoint = folder / "checkpoints" / "best.ckpt"
    with pytest.raises(FileNotFoundError, match=r"x\.npz; set data_root"):
        evaluate_checkpoint(checkpoint)
    assert evaluate_checkpoint(checkpoint, str(tmp_path / "moved.npz"))["test_acc"] == result.metrics["test_acc"]


def test_a_run_is_not_completed_or_tested_on_other_arrays(train, tmp_path):
    paths = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        paths.append(write(tmp_path / name, **arrays((12, 9, 3))))
    a, b = paths
    moved = tmp_path / "moved.npz"
    shutil.copy(a, moved)
    settings = ("data=arrays", "data.val_size=10", "data.batch_size=8", "model.num_classes=3", "trainer.max_epochs=1")
    _, folder = train(*settings, f"data.path={a}", "test=false")
    before = (folder / "result.json").read_bytes()
    for more in ((), ("train=false",), ("test=false",)):
        with pytest.raises(ValueError, match=rf"^the images have changed since .*; remove {folder} to train anew, or"):
            train(*settings, f"data.path={b}", *more)
        assert (folder / "result.json").read_bytes() == before
    assert train(*settings, f"data.path={moved}")[0].metrics.keys() >= {"test_loss"}
