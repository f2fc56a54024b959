"""Rows of compiled populations: few sizes, each compiled once, and kept by whoever resumes."""

import signal
from types import SimpleNamespace

import pytest
import torch
from members import assert_same_run, continued, together
from torch._dynamo.utils import counters

from conftest import STEPS
from sweeping import are_held, holding, start, sweep
from trainlab.population.runner import rows_for
from trainlab.runs.checkpoints import load_checkpoint
from trainlab.runs.files import read_rows


def rows(count, kept=0, compiled=True):
    return rows_for([SimpleNamespace(rows=kept, compile_step=compiled)] * count)


@pytest.mark.parametrize(
    ("count", "kept", "expected"),
    [(1, 0, 1), (5, 0, 5), (9, 0, 10), (17, 0, 20), (8, 10, 10), (7, 10, 7), (3, 4, 3), (10, 10, 10), (10, 5, 10)],
)
def test_how_many_rows_members_have(count, kept, expected):
    assert rows(count, kept) == expected
    assert rows(count, kept, compiled=False) == count


@pytest.mark.parametrize(("first", "sizes"), [(10, [10, 7, 5, 3, 2, 1]), (30, [32, 24, 20, 16, 12, 10, 7, 5, 3, 2, 1])])
def test_members_that_leave_one_by_one_have_few_sizes(first, sizes):
    found = [rows(first)]
    for count in range(first - 1, 0, -1):
        found.append(rows(count, found[-1]))
    assert list(dict.fromkeys(found)) == sizes


@pytest.mark.slow
def test_each_size_is_compiled_once(tmp_path):
    # Nine members in ten rows, then eight in these, then five, then two. The one that leaves first has other batches.
    epochs = {1: 4, 2: 4, 3: 3, 4: 3, 5: 3, 6: 2, 7: 2, 8: 2, 9: 1}
    work = ["optim=sgd", "optim.lr=1e-2", "model.depth=2", "model.width=8", "data.num_train=900"]
    works = {tmp_path / str(i): [*work, f"optim.lr={i}e-3", f"trainer.max_epochs={n}"] for i, n in epochs.items()}
    works[tmp_path / "9"].append("data.seed=7")
    torch._dynamo.reset()
    counters.clear()
    results = together(works, compile=True)
    assert [getattr(result, "status", result) for result in results] == ["completed"] * 9
    assert counters["stats"]["unique_graphs"] == 3
    kept = [load_checkpoint(folder / "checkpoints" / "last.ckpt")["population"]["rows"] for folder in works]
    assert kept == [2, 2, 5, 5, 5, 10, 10, 10, 10]


@pytest.mark.slow
def test_members_that_are_resumed_keep_rows_that_are_not_used(tmp_path):
    work = ["model=bn", "optim=adam", "model.depth=2", "trainer.precision=32-true", "callbacks.early_stopping=null"]
    for name, epochs in (("whole", 3), ("cut", 2)):
        lengths = {tmp_path / f"{name}_{seed}": epochs if seed else 1 for seed in range(5)}
        works = {f: [*work, f"seed={f.name[-1]}", f"trainer.max_epochs={n}"] for f, n in lengths.items()}
        assert [result.status for result in together(works, compile=True)] == ["completed"] * 5
    left = {tmp_path / f"cut_{seed}": [*work, f"seed={seed}", "trainer.max_epochs=3"] for seed in range(1, 5)}
    results = together({folder: [*own, "ckpt_path=last"] for folder, own in left.items()}, compile=True)
    assert [result.status for result in results] == ["completed"] * 4
    for seed in range(1, 5):
        ours, theirs = (
            load_checkpoint(tmp_path / f"{n}_{seed}" / "checkpoints" / "last.ckpt") for n in ("cut", "whole")
        )
        assert ours["population"] == theirs["population"] == {"row": seed, "rows": 5, "separate": True}
        assert all(tensor.equal(theirs["state_dict"][name]) for name, tensor in ours["state_dict"].items())


@pytest.mark.slow
def test_a_killed_population_resumes_to_the_bit(tmp_path):
    # Nine members in ten rows.
    settings = ("data._target_=faults.SlowShapes", "compile=true", f"compile_cache_dir={tmp_path / 'compiled'}")
    settings = (*settings, "name=study", "optim=adam", "model=bn", "seed=1,2,3,4,5,6,7,8,9", "sweep.jobs=1")
    environment = {"TORCHINDUCTOR_CACHE_DIR": ""}
    done = sweep(*settings, f"output_dir={tmp_path / 'whole'}", **environment)
    assert (done.returncode, done.stderr) == (0, "")

    arguments = (*settings, f"output_dir={tmp_path / 'cut'}")
    second = STEPS + 5  # a batch in the middle of the second epoch
    process = start(*arguments, **environment, **holding(tmp_path, second))

    def found(name):
        return [*(tmp_path / "cut").glob(f"study/*/{name}")]

    assert are_held(tmp_path, second)
    process.send(signal.SIGKILL)
    process.finish()
    assert [len(read_rows(path)) for path in found("metrics.csv")] == [1] * 9
    assert {load_checkpoint(path)["population"]["rows"] for path in found("checkpoints/last.ckpt")} == {10}
    done = sweep(*arguments, **environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert continued(tmp_path / "cut") == ["1"] * 9
    for folder in (path.parent for path in (tmp_path / "whole").glob("study/*/result.json")):
        assert_same_run(tmp_path / "cut" / folder.relative_to(tmp_path / "whole"), folder, tolerance=0)
