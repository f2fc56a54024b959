import os
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from rich.console import Console

from trainlab.data import image_folder
from trainlab.data.decode import decode
from trainlab.data.image_folder import ImageFolder
from trainlab.data.listing import list_images
from trainlab.inference.evaluate import evaluate_checkpoint
from trainlab.inference.predict import Predictor
from trainlab.sweep.check import Earlier, check_job
from trainlab.tasks import Classification

RED, GREEN, BLUE = (200, 10, 20), (10, 200, 20), (10, 20, 200)


def make_folder(root, classes=("b", "a"), train=3, test=2):
    """Every image has a colour of its own: (label by name, number, 7 if test)."""
    for split, count in (("train", train), ("test", test)):
        for name in classes:
            folder = root / split / name
            folder.mkdir(parents=True)
            for i in range(count):
                colour = (ord(name[0]), i, 7 * (split == "test"))
                Image.new("RGB", (32, 32), colour).save(folder / f"{i}.png")
    return root


@pytest.fixture
def root(tmp_path):
    return make_folder(tmp_path / "images")


@pytest.fixture
def open_folder(tmp_path):
    def open_folder(root, **settings):
        return ImageFolder(str(root), cache_dir=str(tmp_path / "cache"), **settings)

    return open_folder


@pytest.fixture
def decoded(monkeypatch):
    """Paths of the files decoded so far."""
    paths = []

    def recording(path, image_shape):
        paths.append(path)
        return decode(path, image_shape)

    monkeypatch.setattr(image_folder, "decode", recording)
    return paths


def pixel(path, size=32, at=(16, 16)):
    return tuple(int(value) for value in decode(str(path), (3, size, size))[:, at[1], at[0]])


def test_images_are_in_the_order_of_class_names_then_of_file_names(root, open_folder):
    images = open_folder(root).read()
    assert images.classes == ("a", "b")
    assert images.train_labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert images.test_labels.tolist() == [0, 0, 1, 1]
    assert images.train.shape == (6, 3, 32, 32)
    assert images.train.dtype == torch.uint8
    a, b = ord("a"), ord("b")
    corner = images.train[:, :, 0, 0].tolist()
    assert corner == [[a, 0, 0], [a, 1, 0], [a, 2, 0], [b, 0, 0], [b, 1, 0], [b, 2, 0]]
    assert images.test[:, :, 31, 31].tolist() == [[a, 0, 7], [a, 1, 7], [b, 0, 7], [b, 1, 7]]


def test_rows_and_columns_are_where_they_were(tmp_path):
    array = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    Image.fromarray(array).save(tmp_path / "x.png")
    assert np.array_equal(decode(str(tmp_path / "x.png"), (3, 32, 32)), array.transpose(2, 0, 1))


@pytest.mark.parametrize("extension", ["png", "PNG", "bmp", "gif", "webp", "tiff", "ppm", "jpeg", "JPG", "tga"])
def test_every_format_is_listed_and_decoded(tmp_path, open_folder, extension):
    root = make_folder(tmp_path / "images", train=1, test=1)
    Image.new("RGB", (32, 32), RED).save(root / f"train/a/1.{extension}")
    images = open_folder(root).read()
    assert len(images.train) == 3
    assert torch.allclose(images.train[1, :, 16, 16].float(), torch.tensor(RED).float(), atol=4)  # lossy formats


@pytest.mark.parametrize(
    ("mode", "colour", "expected"),
    [
        ("1", 1, (255, 255, 255)),
        ("L", 77, (77, 77, 77)),
        ("LA", (77, 255), (77, 77, 77)),
        ("LA", (77, 0), (255, 255, 255)),
        ("RGBA", (*RED, 255), RED),
        ("RGBA", (*RED, 0), (255, 255, 255)),
        ("RGBA", (0, 100, 255, 51), (204, 224, 255)),  # a fifth of the colour on four fifths of white
        ("I;16", 257 * 77, (77, 77, 77)),
        ("I;16", 65535, (255, 255, 255)),
        ("I;16", 257 * 77 + 128, (77, 77, 77)),
        ("I;16", 257 * 77 + 129, (78, 78, 78)),
    ],
)
def test_modes_become_rgb(tmp_path, mode, colour, expected):
    Image.new(mode, (32, 32), colour).save(tmp_path / "x.png")
    assert pixel(tmp_path / "x.png") == expected


def test_palette(tmp_path):
    image = Image.new("P", (32, 32), 1)
    image.putpalette([*RED, *BLUE])
    image.save(tmp_path / "x.png")
    image.save(tmp_path / "transparent.png", transparency=1)
    assert pixel(tmp_path / "x.png") == BLUE
    assert pixel(tmp_path / "transparent.png") == (255, 255, 255)


def test_cmyk(tmp_path):
    Image.new("CMYK", (32, 32), (255, 0, 0, 0)).save(tmp_path / "x.tiff")
    assert pixel(tmp_path / "x.tiff") == (0, 255, 255)


def test_16_bit_grey_of_other_formats(tmp_path):
    (tmp_path / "x.pgm").write_bytes(b"P5 32 32 65535\n" + (257 * 77).to_bytes(2, "big") * 1024)
    Image.new("I;16", (32, 32), 257 * 77).save(tmp_path / "x.tiff")
    assert pixel(tmp_path / "x.pgm") == pixel(tmp_path / "x.tiff") == (77, 77, 77)


def test_exif_orientation(tmp_path):
    image = Image.new("RGB", (32, 32), RED)
    image.paste(BLUE, (0, 0, 32, 16))  # blue above red
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise: blue on the right
    image.save(tmp_path / "x.png", exif=exif)
    assert pixel(tmp_path / "x.png", at=(4, 16)) == RED
    assert pixel(tmp_path / "x.png", at=(28, 16)) == BLUE


def test_other_sizes_lose_what_the_central_square_does_not_cover(tmp_path):
    image = Image.new("RGB", (128, 64), GREEN)
    image.paste(RED, (0, 0, 32, 64))
    image.paste(RED, (96, 0, 128, 64))
    image.save(tmp_path / "x.png")
    green = np.array(GREEN, np.uint8)[:, None, None]
    inner = decode(str(tmp_path / "x.png"), (3, 16, 16))[
        :, :, 1:-1
    ]  # bilinear weights reach half a pixel beyond the square
    assert np.array_equal(inner, np.broadcast_to(green, inner.shape))


def test_large_jpegs_keep_their_colours_and_places(tmp_path):
    image = Image.new("RGB", (1024, 1024), RED)
    image.paste(BLUE, (0, 0, 512, 1024))
    image.save(tmp_path / "x.jpg", quality=95)
    for at, colour in (((2, 16), BLUE), ((29, 16), RED)):
        assert np.allclose(pixel(tmp_path / "x.jpg", at=at), colour, atol=4)  # JPEG is lossy


def test_float_pixels_are_an_error(tmp_path):
    Image.new("F", (32, 32), 0.5).save(tmp_path / "x.tiff")
    with pytest.raises(ValueError, match=r"x\.tiff cannot be decoded.*8 or 16 bits"):
        decode(str(tmp_path / "x.tiff"), (3, 32, 32))


def test_stray_files_are_ignored(root, open_folder):
    for name in (".DS_Store", "Thumbs.db", "README.txt", "._0.png", ".png", "png", "labels.csv"):
        (root / "train/a" / name).write_bytes(b"stray")
    (root / "train/.ipynb_checkpoints").mkdir()
    (root / "train/a/folder.png").mkdir()
    (root / "train/README.md").write_text("stray")
    data = open_folder(root)
    assert data.count_train_images() == 6
    with pytest.warns(UserWarning, match="skipped in"):
        assert data.read().classes == ("a", "b")


@pytest.mark.parametrize("damage", ["truncated", "empty", "text"])
def test_corrupt_file_is_named(root, open_folder, damage):
    corrupt(root / "train/b/1.png", damage)
    with pytest.raises(ValueError, match=r"train/b/1\.png.*data\.on_corrupt=skip"):
        open_folder(root).read()


@pytest.mark.parametrize("damage", ["truncated", "empty", "text"])
def test_corrupt_files_are_left_out_and_counted(root, open_folder, damage):
    corrupt(root / "train/a/1.png", damage)
    corrupt(root / "test/b/0.png", damage)
    for _ in ("decoded", "cached"):
        with pytest.warns(UserWarning, match="skipped 2 corrupt files") as warned:
            images = open_folder(root, on_corrupt="skip").read()
        assert len(warned) == 1
        assert images.train[:, 1, 0, 0].tolist() == [0, 2, 0, 1, 2]
        assert images.train_labels.tolist() == [0, 0, 1, 1, 1]
        assert images.test_labels.tolist() == [0, 0, 1]


def test_skipping_is_not_remembered_when_it_becomes_an_error(root, open_folder):
    corrupt(root / "train/a/1.png", "text")
    with pytest.warns(UserWarning, match="skipped 1"):
        open_folder(root, on_corrupt="skip").read()
    with pytest.raises(ValueError, match=r"a/1\.png"):
        open_folder(root).read()


def test_class_of_corrupt_files_only(root, open_folder):
    for i in range(3):
        corrupt(root / f"train/b/{i}.png", "text")
    with pytest.raises(ValueError, match="train/b has none"):
        open_folder(root, on_corrupt="skip").read()


def corrupt(path, damage):
    if damage == "truncated":
        noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
        Image.fromarray(noise).save(path)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    else:
        path.write_bytes({"empty": b"", "text": b"no image"}[damage])


def test_second_start_decodes_and_hashes_nothing(root, open_folder, decoded, monkeypatch):
    first = open_folder(root).read()
    assert len(decoded) == 10

    def content_digest(*_):
        raise AssertionError("hashed again")

    monkeypatch.setattr(image_folder, "content_digest", content_digest)
    second = open_folder(root).read()
    assert len(decoded) == 10
    assert torch.equal(first.train, second.train)
    assert torch.equal(first.test, second.test)
    assert torch.equal(first.train_labels, second.train_labels)
    assert first.digest == second.digest


def test_moved_folder_is_not_decoded_again(root, open_folder, decoded):
    digest = open_folder(root).read().digest
    moved = root.rename(root.with_name("moved"))
    assert open_folder(moved).read().digest == digest
    assert len(decoded) == 10


def test_touched_files_are_not_decoded_again(root, open_folder, decoded):
    digest = open_folder(root).read().digest
    os.utime(root / "train/a/0.png", (1, 1))
    assert open_folder(root).read().digest == digest
    assert len(decoded) == 10


@pytest.mark.parametrize("times", ["new times", "old times"])
def test_changed_content_is_seen(root, open_folder, times):
    path = root / "train/a/0.bmp"
    Image.new("RGB", (32, 32), RED).save(path)
    before, stat = open_folder(root).read(), path.stat()
    Image.new("RGB", (32, 32), BLUE).save(path)
    if times == "old times":
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    after = open_folder(root).read()
    assert path.stat().st_size == stat.st_size
    assert tuple(after.train[0, :, 0, 0].tolist()) == BLUE
    assert before.digest != after.digest


def test_renamed_file_changes_the_digest(root, open_folder):
    digest = open_folder(root).read().digest
    (root / "train/a/0.png").rename(root / "train/a/9.png")
    assert open_folder(root).read().digest != digest


def test_two_sizes_share_a_cache_folder(root, open_folder):
    assert open_folder(root, image_size=16).read().train.shape == (6, 3, 16, 16)
    assert open_folder(root, image_size=8).read().train.shape == (6, 3, 8, 8)
    assert open_folder(root, image_size=16).image_shape == (3, 16, 16)


@pytest.mark.parametrize("damage", ["truncated", "empty", "flipped pixel", "flipped label", "flipped header"])
def test_a_damaged_cache_is_replaced(root, open_folder, decoded, tmp_path, damage):
    first = open_folder(root).read()
    (path,) = (tmp_path / "cache").glob("*.npy")
    content = bytearray(path.read_bytes())
    if damage == "truncated":
        content = content[: len(content) // 2]
    elif damage == "empty":
        content = bytearray()
    elif damage == "flipped pixel":
        content[content.index(b"\n", 100) + 1000] ^= 1
    elif damage == "flipped label":
        content[content.index(b"(10,)") + 200] ^= 1  # a header has 128 bytes, 118 after its shape at most
    else:
        content = content.replace(b"(10, 3, 32, 32)", b"(10, 3, 32, 31)")
    path.write_bytes(content)
    again = open_folder(root).read()
    assert len(decoded) == 20
    assert torch.equal(first.train, again.train)
    open_folder(root).read()
    assert len(decoded) == 20


def test_a_damaged_manifest_is_replaced(root, open_folder, decoded, tmp_path):
    digest = open_folder(root).read().digest
    (manifest,) = (tmp_path / "cache").glob("*.json")
    manifest.write_bytes(b'{"listing"')
    assert open_folder(root).read().digest == digest
    assert len(decoded) == 10


def test_failed_write_leaves_no_cache_behind(root, open_folder, tmp_path, monkeypatch):
    def save(file, _):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", save)
    with pytest.raises(OSError, match="No space left"):
        open_folder(root).read()
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [".lock"]


def test_missing_folder(tmp_path, open_folder):
    with pytest.raises(FileNotFoundError) as error:
        open_folder(tmp_path / "absent").check()
    for part in (str(tmp_path / "absent/train"), "<class>", "data.root"):
        assert part in str(error.value)


def test_missing_split(root, open_folder):
    shutil.rmtree(root / "test")
    with pytest.raises(FileNotFoundError, match="test"):
        open_folder(root).check()


def test_folder_without_classes(root, open_folder):
    shutil.rmtree(root / "train")
    (root / "train").mkdir()
    with pytest.raises(ValueError, match=r"train must have one folder per class"):
        open_folder(root).check()


def test_empty_class(root, open_folder):
    for path in (root / "train/b").iterdir():
        path.unlink()
    with pytest.raises(ValueError, match=r"train/b has none"):
        open_folder(root).check()


def test_splits_with_different_classes(root, open_folder):
    (root / "test/b").rename(root / "test/c")
    with pytest.raises(ValueError, match=r"only in one of them: b, c"):
        open_folder(root).check()


@pytest.mark.parametrize(
    ("key", "value"), [("image_size", 0), ("image_size", [8, 0]), ("channels", 2), ("on_corrupt", "ignore")]
)
def test_arguments_out_of_range(tmp_path, open_folder, key, value):
    with pytest.raises(ValueError, match=rf"{re.escape(str(value))}.*; set data\.{key}"):
        open_folder(tmp_path, **{key: value})


def test_images_are_read_where_the_system_knows_no_affinity(root, open_folder, monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)  # as on macOS
    images = open_folder(root).read()
    assert (len(images.train), len(images.test)) == (6, 4)


def test_plain_lines_where_stderr_is_no_terminal(root, open_folder, capsys):
    open_folder(root).read()
    lines = [f"hashing {root} (10 files)", f"decoding {root} (10 files)"]
    assert capsys.readouterr().err.splitlines() == lines
    open_folder(root).read()
    assert capsys.readouterr().err == ""


def test_progress_bar_where_stderr_is_a_terminal(root, open_folder, capsys, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setattr("trainlab.console.console", Console(stderr=True))
    open_folder(root).read()
    shown = capsys.readouterr()
    assert "decoding" in shown.err
    assert "\x1b[" in shown.err  # the cursor is moved
    assert shown.out == ""


@pytest.fixture
def odd(root):
    """Names of images that are no files: a link to nothing and to itself, a pipe."""
    (root / "train/a/6.png").symlink_to(root / "absent.png")
    (root / "train/a/7.png").symlink_to(root / "train/a/7.png")
    os.mkfifo(root / "test/b/8.png")  # nobody will ever write to it
    return {"train/a/6.png": "is a broken link", "train/a/7.png": "cannot be read", "test/b/8.png": "is a pipe"}


def test_what_is_no_file_is_an_error_before_anything_is_read(root, open_folder, odd):
    for place, reason in odd.items():
        with pytest.raises(
            ValueError, match=rf"^{root}/{place} {reason}.*; set data\.on_corrupt=skip to leave such files out$"
        ):
            open_folder(root).check()
        (root / place).unlink()
    open_folder(root, val_size=1, batch_size=1).check()


def test_what_is_no_file_is_left_out(root, open_folder, odd):
    for _ in ("decoded", "cached"):
        data = open_folder(root, on_corrupt="skip", val_size=1, batch_size=1)
        data.check()
        with pytest.warns(UserWarning, match="skipped 3 corrupt files"):
            images = data.read()
        assert (len(images.train), len(images.test)) == (6, 4)


def test_a_file_that_may_not_be_read_is_like_a_corrupt_one(root, open_folder, monkeypatch):
    read_bytes = Path.read_bytes

    def refusing(path):  # rights do not hold for the superuser, who may run this
        if str(path).endswith("train/a/1.png"):
            raise PermissionError(13, "Permission denied", str(path))
        return read_bytes(path)

    monkeypatch.setattr(Path, "read_bytes", refusing)
    with pytest.raises(
        ValueError,
        match=r"train/a/1\.png cannot be read: Permission denied; set data\.on_corrupt=skip to leave such files out$",
    ):
        open_folder(root).read()
    with pytest.warns(UserWarning, match="skipped 1 corrupt files"):
        assert len(open_folder(root, on_corrupt="skip").read().train) == 5


@pytest.mark.slow
def test_the_number_of_pixels_has_a_limit_and_no_warning_before_it(tmp_path):
    Image.new("1", (9500, 9500)).save(tmp_path / "large.png")  # where Pillow warns
    assert decode(str(tmp_path / "large.png"), (3, 4, 4)).shape == (3, 4, 4)
    Image.new("1", (13400, 13400)).save(tmp_path / "larger.png")
    with pytest.raises(ValueError, match=r"larger\.png cannot be decoded \(13400 x 13400 pixels are more than"):
        decode(str(tmp_path / "larger.png"), (3, 4, 4))


def test_skipped_files_are_counted(root, open_folder, tmp_path):
    (root / "train/a/more").mkdir()
    shutil.copy(root / "train/a/0.png", root / "train/a/more/9.png")
    shutil.copy(root / "train/a/0.png", root / "train/b/without")
    for name in ("test/a/x.txt", "train/notes.md", "train/a/.hidden", "test/.hidden"):
        (root / name).touch()
    message = (
        f"skipped in {root}: files outside class folders: 1, such as train/notes.md; folders inside class folders: 1, "
        "such as train/a/more; files without the extension of an image format: 2, such as test/a/x.txt"
    )
    for _ in ("decoded", "cached"):
        with pytest.warns(UserWarning) as warned:
            images = open_folder(root, val_size=1, batch_size=1).images
        assert [str(warning.message) for warning in warned] == [message]
        assert (len(images.train), len(images.test)) == (6, 4)


def test_one_class_is_refused_before_the_training(open_folder, tmp_path):
    data = open_folder(make_folder(tmp_path / "one", classes=("a",)), val_size=1, batch_size=1)
    with pytest.raises(ValueError, match=r"^a classifier needs at least 2 classes, got 1; make one folder per class "):
        Classification().check(data)


def test_images_of_another_shape_are_cropped_around_the_center_to_its_aspect_ratio(tmp_path):
    array = np.random.default_rng(0).integers(0, 256, (16, 40, 3), dtype=np.uint8)
    Image.fromarray(array).save(tmp_path / "x.png")
    assert np.array_equal(decode(str(tmp_path / "x.png"), (3, 16, 24)), array[:, 8:32].transpose(2, 0, 1))


@pytest.mark.parametrize("color", [RED, GREEN, BLUE, (7, 7, 7)])
def test_gray_is_the_luma_of_a_color(tmp_path, color):
    Image.new("RGB", (20, 10), color).save(tmp_path / "x.png")
    gray = decode(str(tmp_path / "x.png"), (1, 10, 20))
    assert gray.shape == (1, 10, 20)
    luma = np.dot(color, (0.299, 0.587, 0.114))
    assert gray.min() == gray.max()
    assert abs(int(gray[0, 0, 0]) - luma) <= 0.5


def test_gray_files_keep_their_values(tmp_path):
    array = np.random.default_rng(0).integers(0, 256, (10, 20), dtype=np.uint8)
    Image.fromarray(array).save(tmp_path / "x.png")
    assert np.array_equal(decode(str(tmp_path / "x.png"), (1, 10, 20))[0], array)


def test_gray_images_are_cached_apart_from_colored_ones(root, open_folder):
    colored, gray = open_folder(root).read(), open_folder(root, channels=1, image_size=[16, 24]).read()
    assert gray.train.shape == (6, 1, 16, 24)
    assert gray.digest == colored.digest
    assert torch.equal(open_folder(root, channels=1, image_size=[16, 24]).read().train, gray.train)


def test_a_run_on_gray_images_that_are_not_square_from_training_to_prediction(train, root, tmp_path):
    result, folder = train(
        *("data=image_folder", f"data.root={root}", f"data.cache_dir={tmp_path / 'cache'}", "model.num_classes=2"),
        *("data.channels=1", "data.image_size=[16,24]", "data.val_size=2", "data.batch_size=2"),
    )
    assert result.status == "completed"
    checkpoint = folder / "checkpoints" / "best.ckpt"
    assert evaluate_checkpoint(checkpoint, mc_samples=2)["test_acc"] == result.metrics["test_acc"]
    predictor = Predictor.load(checkpoint)
    assert predictor.image_shape == (1, 16, 24)
    files = sorted((root / "test").rglob("*.*"))
    probabilities = [dict(zip(p.classes, p.probabilities, strict=True)) for p in predictor.predict(files)]
    test = ImageFolder(str(root), channels=1, image_size=[16, 24], cache_dir=str(tmp_path / "cache")).images.test
    with torch.no_grad():
        expected = predictor.network(test).double().softmax(1)
    assert [p["a"] for p in probabilities] == pytest.approx(expected[:, 0].tolist(), abs=1e-6)


def test_jobs_of_a_sweep_with_the_same_images_list_their_files_once(root, compose_config, monkeypatch, tmp_path):
    roots = []
    monkeypatch.setattr(image_folder, "list_images", lambda root: roots.append(root) or list_images(root))
    own = ("data=image_folder", f"data.root={root}", f"data.cache_dir={tmp_path / 'cache'}", "model.num_classes=2")
    earlier = Earlier()
    for number, more in enumerate((["seed=1"], ["seed=2"], ["data.fold=1", "data.num_folds=2"])):
        cfg = compose_config(*own, "data.val_size=2", "data.batch_size=2", *more, name=str(number))
        check_job(cfg, number, more, False, earlier)
    assert roots == [root, root]  # another split is of another data module
