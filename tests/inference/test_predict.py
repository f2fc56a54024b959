import json
import math
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import trainlab.inference.predict
from left_checkpoints import SIDE, leave_checkpoint
from trainlab.inference.mc_dropout import mc_probabilities
from trainlab.inference.predict import Predictor
from trainlab.inference.prediction import Prediction, Uncertainty, Unread, show
from trainlab.inference.rebuild import rebuild_network
from trainlab.models import CNN
from trainlab.runs.checkpoints import load_checkpoint

CLASSES = ("cat", "dog", "owl")
DROPOUT = {"activation": "selu", "initializer": "lecun_normal", "dropout": 0.5, "standardize": True}
CERTAIN = Prediction(Path("a.png"), ["owl", "cat", "dog"], [0.75, 0.2, 0.05])
UNSURE = Prediction(
    Path("b [1].png"), ["dog", "owl", "cat"], [0.5, 0.3, 0.2], Uncertainty([0.1, 0.05, 0.01], 1.25, 0.5)
)


@pytest.fixture
def photos(tmp_path):
    """A folder of random photographs, and the pixels in the order of their names."""
    pixels = np.random.default_rng(0).integers(0, 256, (5, SIDE, SIDE, 3), dtype=np.uint8)
    places = ["1.png", "10.png", "2/a.png", "2/deep/b.png", "z/c.png"]
    for place, picture in zip(places, pixels, strict=True):
        path = tmp_path / "photos" / place
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(path)
    return tmp_path / "photos", places, torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous()


def probabilities(path, images):
    with torch.no_grad():
        return rebuild_network(load_checkpoint(path))(images).double().softmax(1)


def assert_says(predictions, expected):
    """Predictions of the probabilities ``expected`` (N, K), the most probable class first."""
    for prediction, row in zip(predictions, expected.tolist(), strict=True):
        assert prediction.probabilities == sorted(prediction.probabilities, reverse=True)
        said = dict(zip(prediction.classes, prediction.probabilities, strict=True))
        assert said == pytest.approx(dict(zip(CLASSES, row, strict=True)), abs=1e-6)  # float32, other batches


@pytest.mark.parametrize("at_once", [1, 2, 5, 100])
def test_probabilities_are_the_networks_whatever_the_batch(tmp_path, photos, monkeypatch, at_once):
    folder, places, images = photos
    path = leave_checkpoint(tmp_path, CNN, batch_norm=True)
    monkeypatch.setattr(trainlab.inference.predict, "_PIXELS", at_once * SIDE**2)
    predictions = [*Predictor.load(path).predict([folder])]
    assert [str(p.file.relative_to(folder)) for p in predictions] == places
    assert_says(predictions, probabilities(path, images))
    assert all(p.uncertainty is None for p in predictions)


@pytest.mark.parametrize(
    ("mode", "value", "size"),
    [("L", 77, (30, 7)), ("P", 77, (SIDE, SIDE)), ("RGBA", (77, 77, 77, 255), (200, 90)), ("I;16", 77 * 257, (5, 5))],
)
def test_any_mode_and_size(tmp_path, mode, value, size):
    path = leave_checkpoint(tmp_path)
    picture = Image.new(mode, size, value)
    if mode == "P":
        picture.putpalette([i for grey in range(256) for i in (grey, grey, grey)])
    picture.save(tmp_path / "plain.png")
    expected = probabilities(path, torch.full((1, 3, SIDE, SIDE), 77, dtype=torch.uint8))
    assert_says([*Predictor.load(path).predict([tmp_path / "plain.png"])], expected)


@pytest.mark.parametrize("at_once", [2, 100])
def test_mc_dropout_tells_spread_and_disagreement(tmp_path, photos, monkeypatch, at_once):
    folder, _, images = photos
    path = leave_checkpoint(tmp_path, **DROPOUT)
    monkeypatch.setattr(trainlab.inference.predict, "_PIXELS", at_once * SIDE**2)
    (folder / "1.txt").write_text("no image, and no place among the images")
    outcomes = [*Predictor.load(path, mc_samples=20, mc_seed=3).predict([folder])]
    predictions = [outcome for outcome in outcomes if isinstance(outcome, Prediction)]
    samples = mc_probabilities(rebuild_network(load_checkpoint(path)), images, 20, 3).double().numpy()
    assert samples.std(0).max() > 0.02  # there is something to tell
    assert_says(predictions, samples.mean(0))
    for i, prediction in enumerate(predictions):
        each, mean = samples[:, i], samples[:, i].mean(0)
        said = dict(zip(prediction.classes, prediction.uncertainty.deviations, strict=True))
        assert said == pytest.approx(dict(zip(CLASSES, each.std(0, ddof=1), strict=True)), abs=1e-6)
        assert prediction.uncertainty.entropy == pytest.approx(-(mean * np.log(mean)).sum(), abs=1e-6)
        # Mutual information is the mean divergence of the samples from their mean.
        divergence = (each * np.log(each / mean)).sum(1).mean()
        assert prediction.uncertainty.mutual_information == pytest.approx(divergence, abs=1e-6)


def test_the_seed_decides_which_units_are_dropped(tmp_path, photos):
    path = leave_checkpoint(tmp_path, **DROPOUT)
    first, again, other = ([*Predictor.load(path, 5, seed).predict([photos[0]])] for seed in (0, 0, 1))
    assert first == again
    assert all(a.probabilities != b.probabilities for a, b in zip(first, other, strict=True))


def test_uncertainty_of_two_samples_by_hand():
    # Of the first image both say so; of the second each is sure of another class.
    samples = torch.tensor([[[0.5, 0.5], [1.0, 0.0]], [[0.5, 0.5], [0.0, 1.0]]], dtype=torch.float64)
    agree, differ = trainlab.inference.predict._uncertainties(samples, torch.tensor([[0, 1], [1, 0]]))
    assert agree == Uncertainty([0, 0], pytest.approx(math.log(2)), pytest.approx(0, abs=1e-15))
    # 1 and 0 lie half from their mean: the squares sum to a half, over one degree of freedom.
    root = pytest.approx(math.sqrt(1 / 2))
    assert differ == Uncertainty([root, root], pytest.approx(math.log(2)), pytest.approx(math.log(2)))


def test_a_network_without_dropout_says_so_in_a_line_and_answers(tmp_path, photos, capsys):
    folder, _, images = photos
    path = leave_checkpoint(tmp_path)
    assert_says([*Predictor.load(path, mc_samples=50).predict([folder])], probabilities(path, images))
    assert capsys.readouterr().err == "--mc-samples has no effect: the network has no dropout\n"


def test_files_that_are_no_images_are_reported_and_the_others_predicted(tmp_path, photos):
    folder, places, _ = photos
    (folder / "notes.txt").write_text("no image")
    (folder / "10.png").write_bytes((folder / "10.png").read_bytes()[:60])
    (folder / ".hidden.txt").write_text("left by a file manager")
    (folder / "gone.png").symlink_to(folder / "nowhere")
    missing = folder / "missing.png"
    outcomes = [*Predictor.load(leave_checkpoint(tmp_path)).predict([missing, folder, folder / "1.png"])]
    reasons = [outcome.reason for outcome in outcomes if isinstance(outcome, Unread)]
    assert reasons[0] == f"{missing}: no such file or folder"
    assert reasons[1].startswith(f"{folder / '10.png'} cannot be decoded (")
    assert reasons[2] == f"{folder / 'gone.png'}: No such file or directory"
    assert reasons[3] == f"{folder / 'notes.txt'} is corrupt or not an image"
    assert len(reasons) == 4
    read = [str(outcome.file.relative_to(folder)) for outcome in outcomes if isinstance(outcome, Prediction)]
    assert read == [places[0], *places[2:], places[0]]


def test_inaccessible_paths_are_reported_and_the_others_predicted(tmp_path, photos):
    folder, places, _ = photos
    os.mkfifo(folder / "3.png")  # nobody will ever write to it
    (folder / "file.png").write_text("no image")
    long, through = folder / ("x" * 300), folder / "1.png" / "below.png"
    outcomes = [*Predictor.load(leave_checkpoint(tmp_path)).predict([long, through, folder])]
    reasons = [outcome.reason for outcome in outcomes if isinstance(outcome, Unread)]
    assert reasons == [
        f"{long}: File name too long",
        f"{through}: Not a directory",
        f"{folder / '3.png'} is a pipe, a socket or a device, not an image",
        f"{folder / 'file.png'} is corrupt or not an image",
    ]
    assert len(outcomes) - len(reasons) == len(places)


def test_images_are_read_where_the_system_knows_no_affinity(tmp_path, photos, monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)  # as on macOS
    predictor = Predictor.load(leave_checkpoint(tmp_path))
    assert len([*predictor.predict([photos[0]])]) == 5


def test_no_image_at_all_is_an_error(tmp_path):
    predictor = Predictor.load(leave_checkpoint(tmp_path))
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("no image")
    for paths in ([tmp_path / "empty"], [tmp_path / "notes.txt"], [tmp_path / "nowhere"]):
        with pytest.raises(ValueError, match="there is no image to classify"):
            list(predictor.predict(paths))


def test_one_sample_has_no_spread(tmp_path):
    with pytest.raises(ValueError, match="at least 2 samples, got 1; set --mc-samples"):
        Predictor.load(leave_checkpoint(tmp_path, **DROPOUT), mc_samples=1)


def test_a_device_that_there_is_not(tmp_path):
    with pytest.raises(ValueError, match=r"^device 'toaster' is not available; set --device$"):
        Predictor.load(leave_checkpoint(tmp_path), device="toaster")


@pytest.mark.gpu
@pytest.mark.parametrize("mc_samples", [None, 20])
def test_a_gpu_says_the_same(tmp_path, photos, mc_samples):
    path = leave_checkpoint(tmp_path, **DROPOUT)
    ours, theirs = ([*Predictor.load(path, mc_samples, device=on).predict([photos[0]])] for on in ("cpu", "auto"))
    assert Predictor.load(path).device.type == "cuda"
    for one, other in zip(ours, theirs, strict=True):
        assert one.classes == other.classes
        assert one.probabilities == pytest.approx(other.probabilities, abs=1e-5)  # sums in another order


def test_lines_without_a_terminal(capsys):
    assert show([CERTAIN, Unread("c.txt is no image"), UNSURE], top=2, as_json=False) == 1
    out, err = capsys.readouterr()
    assert err == "c.txt is no image\n"
    assert out.splitlines() == [
        "a.png: owl 75.0 %, cat 20.0 %",
        "b [1].png: dog 50.0 ± 10.0 %, owl 30.0 ± 5.0 %; entropy 1.250, mutual information 0.500 nats",
    ]


def test_an_object_a_line_as_json(capsys):
    assert show([CERTAIN, UNSURE], top=1, as_json=True) == 0
    certain, unsure = map(json.loads, capsys.readouterr().out.splitlines())
    assert certain == {"file": "a.png", "top": [{"class": "owl", "probability": 0.75}]}
    assert unsure == {
        "file": "b [1].png",
        "top": [{"class": "dog", "probability": 0.5, "std": 0.1}],
        "entropy": 1.25,
        "mutual_information": 0.5,
    }


def test_a_table_on_a_terminal(monkeypatch, capsys):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "120")
    assert show([UNSURE], top=9, as_json=False) == 0
    rows = [[cell.strip() for cell in line.split("│")] for line in capsys.readouterr().out.splitlines() if "│" in line]
    assert [row[1:-1] for row in rows] == [
        ["b [1].png", "dog", "50.0 ± 10.0 %", "1.250", "0.500"],
        ["", "owl", "30.0 ± 5.0 %", "", ""],
        ["", "cat", "20.0 ± 1.0 %", "", ""],
    ]
    assert show([CERTAIN, CERTAIN], top=1, as_json=False) == 0
    rows = [[cell.strip() for cell in line.split("│")] for line in capsys.readouterr().out.splitlines() if "│" in line]
    assert [row[1:-1] for row in rows] == [["a.png", "owl", "75.0 %"]] * 2
