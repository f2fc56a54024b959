"""The commands of the README, at tiny size, as a user gives them: in processes of their own."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from conftest import first
from sweeping import Done, Script
from trainlab.config.resolvers import PROJECT

TINY = (
    "data=shapes",
    "data.num_train=400",
    "data.num_test=100",
    "data.val_size=100",
    "model.depth=3",
    "model.width=16",
    "trainer=cpu",
    "callbacks.figures=null",
    "logger.tensorboard=null",
)
SWEEP = ("-m", "model=bn,selu", "optim.lr=1e-4,5e-4", "trainer.max_epochs=1", "name=lr_study")


def command(script: str, *arguments: str, cwd: Path, **environment: str) -> Done:
    """Run a script of `src/` in ``cwd``."""
    return Script(script, arguments, cwd, {"PYTHONWARNINGS": "error::UserWarning", **environment}).finish()


def new_process(
    script: str, *arguments: str, cwd: Path, source: Path = PROJECT / "src"
) -> subprocess.CompletedProcess[str]:
    """Run a script of ``source`` in ``cwd``, with nothing of the project on the path but what the script puts there."""
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "HYDRA_FULL_ERROR")}
    return subprocess.run(
        [sys.executable, "-W", "error::UserWarning", str(source / script), *arguments],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the sweep's outputs."""
    folder = tmp_path_factory.mktemp("outputs")
    done = command("train.py", *SWEEP, *TINY, f"output_dir={folder}", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder


def runs_of(outputs: Path) -> dict[str, Path]:
    return {path.parent.name: path.parent for path in (outputs / "lr_study").glob("*/result.json")}


def test_a_sweep_leaves_a_folder_for_each_combination(outputs: Path):
    runs = runs_of(outputs)
    assert len(runs) == 4
    for model in ("bn", "selu"):
        for lr in ("1e-4", "5e-4"):
            name = f"model={model},optim.lr={lr}"  # what differs, and nothing of what all share
            result = json.loads((runs[name] / "result.json").read_text())
            assert result["status"] == "completed"
            # Hydra writes the numbers of a sweep in its own way.
            assert result["overrides"][:2] == [f"model={model}", f"optim.lr={float(lr)}"]


def test_the_same_sweep_again_trains_nothing(outputs: Path):
    def left() -> dict[str, bytes]:
        names = ("result.json", "metrics.csv", "checkpoints/best.ckpt", "checkpoints/last.ckpt")
        return {str(run / name): (run / name).read_bytes() for run in runs_of(outputs).values() for name in names}

    before = left()
    again = command("train.py", *SWEEP, *TINY, f"output_dir={outputs}", cwd=outputs)
    assert again.returncode == 0, again.stderr
    assert again.stdout.partition("\n")[2].startswith("4 jobs: 4 completed at the start\n")
    assert "epoch   1" not in again.stdout
    assert left() == before


def test_evaluation_without_training_gives_the_figures_of_the_training(outputs: Path):
    run = next(iter(runs_of(outputs).values()))
    done = command("eval.py", f"ckpt_path={run / 'checkpoints' / 'best.ckpt'}", cwd=outputs)
    assert done.returncode == 0, done.stderr
    trained = json.loads((run / "result.json").read_text())["metrics"]
    evaluated = json.loads((run / "eval.json").read_text())
    for key in ("test_loss", "test_acc"):  # the same weights, images and arithmetic
        assert evaluated[key] == trained[key]
    assert f"{trained['test_acc']:.2%}".replace("%", " %") in done.stdout


@pytest.mark.slow
def test_mc_dropout_compared_with_deterministic_predictions(tmp_path: Path):
    trained = command("train.py", "model=alpha_dropout", *TINY, f"output_dir={tmp_path}", "name=run", cwd=tmp_path)
    assert trained.returncode == 0, trained.stderr
    run = tmp_path / "run"
    done = command("eval.py", f"ckpt_path={run / 'checkpoints' / 'best.ckpt'}", "mc_samples=5", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "MC dropout changes accuracy by " in done.stdout
    assert len(json.loads((run / "eval.json").read_text())["mc_dropout"]["accuracy_by_samples"]) == 5
    assert len(list((run / "eval_figures").glob("*.png"))) == 4
    report = command("report.py", str(run), cwd=tmp_path)
    assert report.returncode == 0, report.stderr
    assert "MC dropout changes accuracy by " in (run / "report.md").read_text()


@pytest.mark.parametrize(
    ("format", "name"),
    [pytest.param("onnx", "model.onnx", marks=pytest.mark.slow), ("torch_export", "model.pt2")],
)
def test_a_network_is_exported_into_the_folder_of_its_run(outputs: Path, format: str, name: str):
    run = next(iter(runs_of(outputs).values()))
    done = command("export.py", f"ckpt_path={run / 'checkpoints' / 'best.ckpt'}", "--format", format, cwd=outputs)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    where, checked = done.stdout.splitlines()
    assert where == f"uint8 images (N, 3, 32, 32) -> logits (N, 10): {run / name}"
    assert checked.startswith("checked on 8 random images: logits differ from the checkpoint's by at most ")
    assert (run / name).stat().st_size > 0


def test_images_are_classified_and_other_files_are_reported(outputs: Path, tmp_path: Path):
    run = next(iter(runs_of(outputs).values()))
    (tmp_path / "folder").mkdir()
    for name in ("image.png", "folder/cat.jpg"):
        Image.new("RGB", (40, 30), "teal").save(tmp_path / name)
    (tmp_path / "folder" / "notes.txt").write_text("no image")
    checkpoint = f"ckpt_path={run / 'checkpoints' / 'best.ckpt'}"
    for paths, status in ((("image.png", "folder/"), 1), (("image.png", "folder/cat.jpg"), 0)):
        done = command("predict.py", checkpoint, *paths, "--top", "3", "--mc-samples", "50", cwd=tmp_path)
        assert done.returncode == status, done.stderr
        assert [line.partition(":")[0] for line in done.stdout.splitlines()] == ["image.png", "folder/cat.jpg"]
        assert done.stdout.count("%") == 6
        warning, *rest = done.stderr.splitlines()
        assert warning == "--mc-samples has no effect: the network has no dropout"
        assert rest == ["folder/notes.txt is corrupt or not an image"] * status
    done = command("predict.py", checkpoint, "nowhere.png", "--json", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[1].startswith("error: there is no image to classify")


def test_names_of_images_can_be_in_any_encoding(outputs: Path, tmp_path: Path):
    run = next(iter(runs_of(outputs).values()))
    Image.new("RGB", (9, 9), "teal").save(os.fsencode(tmp_path) + b"/gr\xfcn.png")
    done = command("predict.py", f"ckpt_path={run / 'checkpoints' / 'best.ckpt'}", ".", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(r"gr\udcfcn.png: ")


def test_the_report_has_a_row_for_each_run_the_best_first(outputs: Path):
    done = command("report.py", str(outputs / "lr_study"), cwd=outputs)
    assert done.returncode == 0, done.stderr
    metrics = [json.loads((run / "result.json").read_text())["metrics"] for run in runs_of(outputs).values()]
    runs, _, groups = done.stdout.partition("4 runs, all completed")
    accuracies = [line.split()[2] for line in runs.splitlines() if line.startswith((" bn ", " selu "))]
    assert accuracies == [f"{100 * value:.2f}" for value in sorted((m["val_acc"] for m in metrics), reverse=True)]
    assert groups.find(" group ") < groups.find("Best: ")  # which is the last but for the path


@pytest.mark.slow
def test_one_run_of_a_copy_that_is_not_installed_prints_a_line_an_epoch(tmp_path: Path):
    for part in ("src", "conf"):
        shutil.copytree(PROJECT / part, tmp_path / "copy" / part, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "elsewhere").mkdir()
    settings = (*TINY[:-2], "trainer.max_epochs=2", "name=first")  # with pictures and TensorBoard
    done = new_process("train.py", *settings, cwd=tmp_path / "elsewhere", source=tmp_path / "copy" / "src")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "\r" not in done.stdout
    epochs = [line for line in done.stdout.splitlines() if line.startswith("epoch ")]
    assert [line[:11] for line in epochs] == ["epoch   1/2", "epoch   2/2"]
    before = done.stdout.partition(epochs[0])[0].splitlines()[-1]
    assert before.split() == ["loss", "acc", "loss", "acc"] and max(map(len, (before, *epochs))) <= 80
    assert before.index("loss") + 4 == epochs[0].index("train") + len("train 2.3026")
    run = tmp_path / "copy" / "outputs" / "first"
    assert json.loads((run / "result.json").read_text())["metrics"]["epochs"] == 2
    assert list(run.glob("events.out.tfevents.*"))
    assert done.stdout.splitlines()[-1] == f"report: python src/report.py {run}"
    assert not any((tmp_path / "elsewhere").iterdir())


@pytest.mark.parametrize(
    ("script", "expected"),
    first(
        1,
        [
            (
                "train.py",
                [
                    "python src/train.py -m model=bn,selu",
                    "optim.lr=5e-4",
                    "elu_he (default) ",
                    "image_folder",
                    "one_cycle",
                ],
            ),
            (
                "eval.py",
                ["python src/eval.py ckpt_path=outputs/first/checkpoints/best.ckpt", "data_root", "mc_samples"],
            ),
            ("report.py", ["python src/report.py outputs/lr_study"]),
            (
                "predict.py",
                ["ckpt_path=PATH", "--top K", "--mc-samples S", "--mc-seed SEED", "--device DEVICE", "--json"],
            ),
            ("export.py", ["ckpt_path=PATH", "--format {onnx,torch_export}"]),
        ],
    ),
)
def test_help(script: str, expected: list[str], tmp_path: Path):
    done = new_process(script, "--help", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for text in expected:
        assert text in done.stdout
    assert not any(tmp_path.iterdir())


def test_a_typing_error_ends_with_one_line_and_leaves_nothing(tmp_path: Path):
    done = new_process("train.py", "model=selu_lecum", f"output_dir={tmp_path / 'out'}", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("error: model has no option 'selu_lecum'; did you mean selu_lecun or")
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ""
    assert not any(tmp_path.iterdir())
