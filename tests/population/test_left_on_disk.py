"""A member writes the same files as its solo run."""

import json
import re
from pathlib import Path

import pytest
from members import alone, rows, saved, together
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

from conftest import cases
from sweeping import sweep
from trainlab.inference import evaluate_checkpoint
from trainlab.runs.files import read_rows
from trainlab.runs.result import Result

pytestmark = pytest.mark.slow

NAMES = ("train/loss", "train/acc", "val/loss", "val/acc", "lr", "momentum", "epoch_s", "images_per_s", "parameters")
THROUGH_LOGGING = "MOMENT WARNING py.warnings: "
OF_THE_SWEEP = ("output_dir=", "sweep.")
JOBS = (
    *("optim.lr=1e-3,5e-4", "name=study", "trainer.precision=64-true", "model=selu"),
    "model.initializer=he_normal",  # SELU wants LeCun's, of which each run is to be warned
    "logger.tensorboard={_target_:trainlab.loggers.TensorBoard,save_dir:${run_dir}}",
    "callbacks.figures={_target_:trainlab.callbacks.FigureLogger,num_images:8}",
)


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """Folders of one sweep, run solo and as a population."""
    folders = {}
    for population in ("off", "auto"):
        folder = tmp_path_factory.mktemp(population)
        done = sweep(*JOBS, f"sweep.population={population}", f"output_dir={folder}")
        assert done.returncode == 0, done.stderr
        folders[population] = folder / "study"
    return folders["auto"], folders["off"]


@pytest.fixture
def pairs(both):
    """Folders of each job, as a member and solo."""
    names = [sorted(path.parent.name for path in folder.glob("*/result.json")) for folder in both]
    assert names[0] == names[1] and len(names[0]) == 2
    return [tuple(folder / name for folder in both) for name in names[0]]


def text_of(path, folder):
    """A text without what differs from run to run: places, moments, times and how the sweep was made."""
    text = path.read_text().replace(str(folder.parent.parent), "OUTPUTS")
    text = re.sub(r"(population[:=] ?)('off'|off|auto)", r"\1HOW", text)
    text = re.sub(r"\d{4}-\d\d-\d\d[ _]\d\d[:-]\d\d[:-]\d\d(,\d+)?", "MOMENT", text)
    return re.sub(r"\b\d+(\.\d+)? (s|images/s)\b", r"TIME \2", text)


def files_in(folder):
    paths = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return sorted(re.sub(r"(events\.out\.tfevents\.).*", r"\1", str(path)) for path in paths)


def test_there_are_the_same_files(pairs, both):
    assert all(files_in(ours) == files_in(theirs) for ours, theirs in pairs)
    assert {path.name for path in both[0].iterdir()} == {path.name for path in both[1].iterdir()}


def test_hydras_files_say_the_same(pairs):
    for ours, theirs in pairs:
        names = [path.name for path in sorted((theirs / ".hydra").iterdir())]
        assert names == ["config.yaml", "hydra.yaml", "overrides.yaml"]
        for name in (*(f".hydra/{name}" for name in names), "config.yaml"):
            assert text_of(ours / name, ours) == text_of(theirs / name, theirs), name


def test_rows_have_the_same_columns_and_values(pairs):
    for ours, theirs in pairs:
        assert list(read_rows(ours / "metrics.csv")[0]) == ["epoch", "step", *NAMES]
        assert list(read_rows(ours / "metrics.csv")[0]) == list(read_rows(theirs / "metrics.csv")[0])
        for own, expected in zip(rows(ours), rows(theirs), strict=True):
            assert own == pytest.approx(expected, rel=1e-9)
        assert all(
            float(row[key]) > 0 for row in read_rows(ours / "metrics.csv") for key in ("epoch_s", "images_per_s")
        )


def test_a_log_has_the_lines_of_its_own_run_and_of_nobody_else(pairs):
    for ours, theirs in pairs:
        # A warning of a run alone comes to its log by the process's stderr.
        texts = [text_of(folder / "train.log", folder).replace(THROUGH_LOGGING, "") for folder in (ours, theirs)]
        texts[0] = texts[0].replace(" (share of joint time)", "")
        own, expected = ([line for line in text.splitlines() if line] for text in texts)
        assert own == expected
        assert sum("epoch   " in line for line in own) == 2
        assert sum(line.startswith("warning: SELU will not keep") for line in own) == 1


def points(folder):
    """Tags of TensorBoard's events with steps, and with values where they are numbers that are no times."""
    (path,) = folder.glob("events*")
    found = []
    for event in EventFileLoader(str(path)).Load():
        for value in event.summary.value:
            timed = any(name in value.tag for name in ("epoch_s", "images_per_s", "total_s"))
            number = value.tensor.float_val[:] if value.tensor.float_val and not timed else None
            found.append((value.tag, event.step, number))
    return found


def test_tensorboard_shows_the_same(pairs):
    for ours, theirs in pairs:
        own, expected = points(ours), points(theirs)
        assert [point[:2] for point in own] == [point[:2] for point in expected]
        assert len(own) > 2 * len(NAMES)
        for (tag, _, number), (_, _, as_alone) in zip(own, expected, strict=True):
            if number is not None:
                assert number == pytest.approx(as_alone, rel=1e-6), tag  # float32


def test_results_are_the_same_but_for_times_and_the_size_of_the_population(pairs):
    for folders in pairs:
        own, expected = (json.loads((folder / "result.json").read_text()) for folder in folders)
        assert own.keys() == expected.keys()
        for key in ("status", "fingerprint", "error"):
            assert own[key] == expected[key]
        given = [[o for o in result["overrides"] if not o.startswith(OF_THE_SWEEP)] for result in (own, expected)]
        assert given[0] == given[1]
        assert own["metrics"].keys() == expected["metrics"].keys()
        for key, value in expected["metrics"].items():
            assert own["metrics"][key] == (value if isinstance(value, str) else pytest.approx(value, rel=1e-6)), key
        population = own["time"].pop("population")
        assert own["time"].keys() == expected["time"].keys()
        assert population.keys() == {"members", "wall_s"}
        assert population["members"] == 2
        assert population["wall_s"] > own["time"]["total_s"]
        for key in ("seed", "data_digest", "git_commit", "versions", "host"):
            assert own["provenance"][key] == expected["provenance"][key]


@pytest.mark.parametrize("model", cases(["bn", "alpha_dropout"], "bn"))
def test_a_members_best_checkpoint_has_its_test_figures(model, tmp_path):
    works = {tmp_path / str(i): [f"model={model}", f"seed={i}", f"optim.lr={i}e-3"] for i in (1, 2)}
    for result, folder in zip(together(works), works, strict=True):
        figures = evaluate_checkpoint(folder / "checkpoints" / "best.ckpt", device="cpu")
        assert figures["test_loss"] == result.metrics["test_loss"]
        assert figures["test_acc"] == result.metrics["test_acc"]
        assert figures["epoch"] == result.metrics["best_epoch"]
        assert saved(folder, "best")["trainlab"]["config"]["seed"] == int(Path(folder).name)


@pytest.mark.parametrize("compile", cases([False, True], False))
def test_a_members_checkpoint_is_as_large_as_that_of_a_run_alone(compile, tmp_path):
    work = ["optim=nadam", "optim.lr=1e-3", "model.width=40", "trainer.max_epochs=1"]
    together({tmp_path / str(seed): [*work, f"seed={seed}"] for seed in range(4)}, compile=compile)
    alone(tmp_path / "alone", *work, "seed=0")
    sizes = [(tmp_path / name / "checkpoints" / "last.ckpt").stat().st_size for name in ("0", "3", "alone")]
    assert max(sizes) < 1.02 * min(sizes)


def test_seconds_of_the_members_are_those_of_the_population(tmp_path):
    works = {tmp_path / str(i): [f"optim.lr={i}e-3", "optim=sgd"] for i in range(1, 6)}
    results = together(works)
    wall_s = max(result.time["population"]["wall_s"] for result in results)
    # Starts of threads and the making of stacks belong to none of them.
    assert sum(result.time["total_s"] for result in results) == pytest.approx(wall_s, rel=0.1)
    assert {result.time["population"]["members"] for result in results} == {5}


def test_the_first_member_to_end_is_finished_first(tmp_path):
    """Its result is there while the others train, with the seconds of the population until then."""
    works = {tmp_path / str(i): [f"trainer.max_epochs={i}"] for i in (1, 4)}
    first, last = together(works)
    assert first.time["population"]["wall_s"] < last.time["population"]["wall_s"]
    times = [(folder / "result.json").stat().st_mtime_ns for folder in works]
    assert times[0] < (tmp_path / "4" / "checkpoints" / "last.ckpt").stat().st_mtime_ns < times[1]


def test_a_completed_member_is_not_trained_again(tmp_path):
    works = {tmp_path / str(i): [f"seed={i}", "trainer.max_epochs=1"] for i in (1, 2)}
    assert not isinstance(alone(tmp_path / "1", *works[tmp_path / "1"]), BaseException)
    before = (tmp_path / "1" / "result.json").read_bytes()
    results = together(works)
    assert all(isinstance(result, Result) and result.status == "completed" for result in results)
    assert (tmp_path / "1" / "result.json").read_bytes() == before
