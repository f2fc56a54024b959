"""How a run continues an earlier one: from where, what it takes over, and where its files end up."""

import shutil
from pathlib import Path
from typing import Any

from trainlab.callbacks import EpochLog
from trainlab.config.build import Parts
from trainlab.config.run_config import RunConfig
from trainlab.runs.checkpoints import load_checkpoint
from trainlab.runs.continuation import (
    check_same_images,
    check_whole_epochs,
    continued_from,
    replace_by_continuation,
    start_checkpoint,
    start_continuation,
    was_compiled,
)
from trainlab.runs.files import write_atomically
from trainlab.runs.result import Result
from trainlab.training.context import RunContext


def find_start(
    parts: Parts, config: dict[str, Any], previous: Result | None, folder: Path, run_dir: Path
) -> tuple[Path | None, list[dict[str, Any]]]:
    """The checkpoint that a training in ``folder`` starts from, None for a new one, and what `continued_from` says.

    An earlier process left ``previous``. A continuation of the completed run in ``run_dir`` gets a copy of it.

    Raises:
        FileNotFoundError: the checkpoint does not exist.
        ValueError: it cannot be resumed with these settings and images.
    """
    kept = folder if previous else run_dir
    late = (parts.network, config, parts.callbacks, parts.total_steps)
    path = start_checkpoint(config["ckpt_path"], kept, bool(previous), *late)
    if path is None:
        return None, []
    if parts.learner.whole_epochs:
        check_whole_epochs(path)
    check_same_images(path, kept, parts.learner.digest)  # the images are read before anything is written
    parts.learner.continue_as(was_compiled(path))
    origin = continued_from(path, config, kept, parts.learner.digest)
    if not all(part["as_in_one_go"] for part in origin):  # checkpoints of one that is only longer are the same
        parts.checkpoint.about["continued_from"] = origin
    if kept != folder:
        start_continuation(run_dir, folder)
        path = folder / path.resolve().relative_to(run_dir.resolve())
    return path, origin


def keep(cfg: RunConfig, result: Result, folder: Path) -> None:
    """Write config and result, so that another process can resume the run."""
    write_atomically(folder / "config.yaml", cfg.to_yaml().encode())
    result.write(folder)


def put_in_place(cfg: RunConfig, result: Result, folder: Path, run_dir: Path) -> None:
    """Have what a completed continuation leaves in the place of the run that it continued."""
    if folder != run_dir and result.status in ("completed", "pruned"):
        replace_by_continuation(folder, run_dir)
        keep(cfg.changed({"run_dir": str(run_dir)}), result, run_dir)
        shutil.rmtree(folder)


def time_before(previous: Result | None, start: Path | None) -> dict[str, Any]:
    """`time` of what a run continues: as its result has it, and at least the epochs of the checkpoint ``start``.

    A process that was killed has recorded no time but that of its epochs.
    """
    found = dict(previous.time) if previous else {}
    if start:
        epochs_s = sum(load_checkpoint(start)["callbacks"][EpochLog.__qualname__]["epoch_s"])
        found["total_s"] = max(found.get("total_s", 0.0), epochs_s)
    if population := found.get("population"):
        found["population"] = population | {"wall_s": max(population["wall_s"], found.get("total_s", 0.0))}
    return found


def population_time(before: dict[str, Any], context: RunContext, now_s: float) -> dict[str, Any]:
    """Members of the largest population that the run was in, and the wall seconds of all that it was trained in."""
    earlier, now = before.get("population"), context.population()
    if not earlier:
        return {"population": now} if now else {}
    now = now or {"members": 1, "wall_s": now_s}
    members, wall_s = max(earlier["members"], now["members"]), earlier["wall_s"] + now["wall_s"]
    return {"population": {"members": members, "wall_s": wall_s}}
