"""`sweep.dry_run=true`: the plan is printed, and nothing is trained or written."""

import pytest

from conftest import first
from sweeping import sweep
from trainlab.run import run


def paths(folder):
    """All files below a folder with the times of their last change."""
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


def test_the_plan_is_printed_and_nothing_is_written(tmp_path):
    arguments = [f"output_dir={tmp_path}/new", "model=bn,selu", "seed=1,2", "sweep.dry_run=true"]
    done = sweep(*arguments, "sweep.jobs=1")
    assert done.returncode == 0, done.stderr
    *lines, end = done.stdout.splitlines()
    assert lines == [
        "4 jobs: 4 new",
        *(f"  new  {model} seed={seed}" for model in ("bn", "selu") for seed in (1, 2)),
        "plan: 4 jobs in 2 populations",
        "  2 together: model=bn; they differ in seed",
        "  2 together: model=selu; they differ in seed",
    ]
    assert end.startswith(f"dry run: nothing was trained or written; runs would be in {tmp_path}/new/20")
    assert list(tmp_path.iterdir()) == []
    assert (
        "2 solo: sweep.population is off: seed=1, seed=2"
        in sweep(*arguments[:1], *arguments[2:], "sweep.population=off").stdout
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_what_is_on_disk_is_kept_or_resumed(tmp_path):
    arguments = [f"output_dir={tmp_path}", "name=study", "trainer.max_epochs=1"]
    assert sweep(*arguments, "seed=1,2").returncode == 0
    results = (tmp_path / "study").glob("*/result.json")
    (result,) = [path for path in results if '"seed=2"' in path.read_text()]
    result.write_text(result.read_text().replace('"completed"', '"interrupted"'))
    before = paths(tmp_path)
    done = sweep(*arguments, "seed=1,2,3", "sweep.dry_run=true")
    assert done.stdout.splitlines()[:4] == [
        "3 jobs: 1 kept, 1 resumed, 1 new",
        "  kept (completed)         seed=1",
        "  resumed (after 1 epoch)  seed=2",
        "  new                      seed=3",
    ]
    assert paths(tmp_path) == before


@pytest.mark.parametrize(
    "arguments, message",
    first(
        1,
        [
            (["model.depth=0,1"], "depth must be"),
            (["seed=1,2", "hydra/launcher=basic"], "sweep.dry_run prints the plan of a sweep, got a run; add -m"),
            (["hydra/sweeper=optuna", "optim.lr=interval(1e-4,1e-2)"], "a search has no plan in advance"),
            (["seed=1,2", "sweep.dry_run=perhaps"], "dry_run must be true or false, got 'perhaps'; set sweep.dry_run"),
        ],
    ),
)
def test_what_cannot_be_planned_is_an_error(arguments, message, tmp_path):
    more = [] if any("perhaps" in argument for argument in arguments) else ["sweep.dry_run=true"]
    done = sweep(*arguments, *more, f"output_dir={tmp_path}/x", "name=y")
    assert done.returncode != 0
    assert message in done.stderr, done.stderr
    assert [path for path in tmp_path.rglob("*") if path.name in ("config.yaml", "result.json")] == []


def test_a_single_run_is_no_plan(compose_config, tmp_path):
    with pytest.raises(ValueError, match=r"^sweep\.dry_run prints the plan of a sweep, got a run; add -m"):
        run(compose_config("sweep.dry_run=true"))
    assert list(tmp_path.iterdir()) == []
