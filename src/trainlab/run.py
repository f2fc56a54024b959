"""One run from configuration to result."""

import contextlib
import copy
import logging
import math
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from torch import nn

from trainlab.callbacks import EpochLog
from trainlab.config.build import Parts, build
from trainlab.config.run_config import RunConfig
from trainlab.console import quiet
from trainlab.data import ImageData
from trainlab.inference.network import Evaluation
from trainlab.lr_search.apply import apply_lr, apply_lr_of_main_process, check_search, draw_search, run_search
from trainlab.process_state import process_state_restored
from trainlab.programs import command_line
from trainlab.runs.checkpoints import load_checkpoint
from trainlab.runs.continuation import (
    check_images_of,
    check_same_images,
    check_whole_epochs,
    checkpoint_to_test,
    continued_from,
    earlier_part,
    kept_checkpoint,
    lacks_test,
    replace_by_continuation,
    start_checkpoint,
    start_continuation,
    training_folder,
)
from trainlab.runs.errors import Interrupted
from trainlab.runs.files import missing_folders, write_atomically
from trainlab.runs.fingerprint import fingerprint, is_debug_run
from trainlab.runs.folder import (
    clean_up,
    clean_up_on_error,
    has_ended,
    has_moved,
    is_main_process,
    result_written,
    run_folder_lock,
)
from trainlab.runs.provenance import device_name, provenance
from trainlab.runs.result import Result, describe, describe_test
from trainlab.runs.stop_reason import stop_reason, was_pruned
from trainlab.tasks.metrics import key_of
from trainlab.tasks.reported import TaskMetrics
from trainlab.training.context import RunContext
from trainlab.training.length import one_batch_notes
from trainlab.training.lightning_internals import on_death
from trainlab.training.lightning_processes import going_with_the_main_process
from trainlab.training.progress import progress_of

log = logging.getLogger(__name__)
START_VARIABLE = "TRAINLAB_START"  # passes the start checkpoint to the processes for other devices


def train(cfg: RunConfig) -> Result:
    """Train from Python as `trainlab train` does, on one device.

    The run's folder gets all that a run leaves, its log too; nothing is printed. What a training changes of the
    process, such as signal handlers, warning filters and random states, is as before when this returns or raises.
    If the folder holds the run completed, it is not trained again.

    Args:
        cfg: as `compose` returns it.

    Raises:
        ValueError, OSError: a setting is invalid; nothing has been trained.
        Diverged, Interrupted: `result.json` has that status.
    """
    with process_state_restored(), clean_up_on_error(cfg.run_dir), _logged_to(cfg.run_dir / "train.log"):
        return run(cfg, RunContext(in_one_process=True))


def initial_network(cfg: RunConfig) -> nn.Module:
    """The network of a run before its first step, on the CPU. Writes nothing, and leaves random states as they are.

    It takes raw images as that of `load_network` does; of a run with ``module``, it is that LightningModule.

    Args:
        cfg: as `compose` returns it.

    Raises:
        ValueError: a setting is invalid.
    """
    with process_state_restored():
        quiet()
        parts = build(cfg)
        parts.learner.prepare(parts.trainer, is_new=True)
        return parts.network


def run(cfg: RunConfig, context: RunContext | None = None) -> Result:
    """Train, choose the best checkpoint on validation data, test it, and leave all of it in ``cfg.run_dir``.

    Args:
        cfg: composed configuration.
        context: what its runner gives it; by default that of a solo run.

    Raises:
        ValueError, OSError: a setting cannot be; nothing has been trained.
        Diverged, Interrupted: `result.json` has that status.
    """
    context = context or RunContext()
    started, of_caller = context.clock(), sys.exception()  # which the caller may be handling
    quiet()
    run_dir, ckpt_path = cfg.run_dir, cfg.settings["ckpt_path"]
    with clean_up_on_error(run_dir):
        if cfg.settings["sweep"]["dry_run"]:
            raise ValueError(
                "sweep.dry_run prints the plan of a sweep, got a run; add -m, without another hydra/launcher, "
                "or leave out sweep.dry_run"
            )
        config = copy.deepcopy(cfg.settings)  # of which checkpoints and the fingerprint are made
        folder = training_folder(run_dir, config, ckpt_path)
        cfg = cfg.changed({"run_dir": str(folder)})
        check_search(cfg)
        parts = build(cfg, context)
        if context.in_one_process and (devices := parts.trainer.world_size) > 1:
            raise ValueError(
                f"train() uses one device, got {devices}; set trainer.devices=1, or use {command_line('train')}"
            )
    if not config["train"]:
        return _test_only(run_dir, cfg.overrides, config, parts)
    if not is_main_process():
        apply_lr_of_main_process(config, parts)
        return _follow(parts, config, folder)
    with run_folder_lock(run_dir), clean_up_on_error(run_dir):
        result = Result("running", fingerprint(config), list(cfg.overrides), tags=config["tags"])
        result.task = parts.learner.reported(()).entry()
        result.provenance = provenance(config["seed"])
        previous = earlier_part(folder, run_dir, config, ckpt_path)
        if previous and has_ended(previous, config["sweep"]["trial"]):
            tests = config["test"] and lacks_test(previous)
            if tests or _may_be_others(parts, folder, config):
                check_images_of(previous, folder, parts.learner.digest)
            if tests:
                _test_later(previous, parts, kept_checkpoint(folder, previous))
                previous.write(folder)
            log.info("already %s, not trained again\n%s", previous.status, describe(previous, folder))
            _put_in_place(cfg, previous, folder, run_dir)
            return previous
        if previous and previous.lr_search:
            cfg = apply_lr(cfg, config, parts, result, previous.lr_search)
        kept = folder if previous else run_dir
        late = (parts.network, config, parts.callbacks, parts.total_steps)
        start = start_checkpoint(ckpt_path, kept, bool(previous), *late)
        origin = []
        if start and parts.learner.whole_epochs:
            check_whole_epochs(start)
        if start:  # the images are read before anything is written
            check_same_images(start, kept, parts.learner.digest)
            origin = continued_from(start, config, kept, parts.learner.digest)
        if origin:
            result.provenance["continued_from"] = origin
        if not all(part["as_in_one_go"] for part in origin):  # checkpoints of one that is only longer are the same
            parts.checkpoint.about["continued_from"] = origin
        if start and kept != folder:
            start_continuation(run_dir, folder)
            start = folder / start.resolve().relative_to(run_dir.resolve())
        before = _time_before(previous, start)
        result.time = before | _population(before, context, 0.0)
        os.environ[START_VARIABLE] = str(start or "")
        _keep(cfg, result, folder)
        log.info("%s\nin %s", cfg.to_yaml(), folder)
        log.info("%s", parts.learner.describe_data())
        for note in one_batch_notes(config["trainer"]):
            log.warning(note)
        if (nodes := parts.trainer.num_nodes) > 1:
            log.info(
                "waiting for the processes of all %d nodes (trainer.num_nodes); start this command on each of them, "
                "with MASTER_ADDR, MASTER_PORT and NODE_RANK set, or by SLURM or torchrun",
                nodes,
            )
        with _logged(parts, result), result_written(result, folder):
            try:
                if config["lr_search"] and not result.lr_search:
                    begun = context.clock()
                    cfg = apply_lr(cfg, config, parts, result, run_search(cfg, parts))
                    started += context.clock() - begun  # which the next seed does not spend
                    _keep(cfg, result, folder)
                _start_loggers(parts, config, cfg.choices.get("model"), TaskMetrics.read(result.task), start)
                if result.lr_search:
                    draw_search(result.lr_search, parts, folder)
                result.provenance["data_digest"] = parts.learner.digest
                on_death(parts.trainer, partial(_record_death, result, parts, folder))
                _train(parts, config, start)
                if not (previous or parts.epochs.active):
                    raise ValueError("training ran zero steps: a callback stopped it before its first; leave it out")
                if parts.interrupt.interrupted:
                    raise Interrupted
                if was_pruned(parts.callbacks):
                    result.status = "pruned"
                else:
                    _warn_without_best(parts)
                    if config["test"]:
                        _test(result, parts)
                    result.status = "debug" if is_debug_run(config) else "completed"
            finally:
                now_s = context.clock() - started
                error = None if sys.exception() is of_caller else sys.exception()
                _summarize(result, parts, before.get("total_s", 0.0) + now_s, context.num_threads(), error)
                if result.status == "debug":  # figures would pass for results
                    result.metrics = {key: result.metrics[key] for key in ("epochs", "stop_reason")}
                if result.time:
                    result.time |= _population(before, context, now_s)
        _put_in_place(cfg, result, folder, run_dir)
        log.info("%s", describe(result, run_dir))
        return result


@contextlib.contextmanager
def _logged_to(path: Path) -> Iterator[None]:
    """Append log records to a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    logger, handler = logging.getLogger("trainlab"), logging.FileHandler(path, delay=True)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        handler.close()


def _keep(cfg: RunConfig, result: Result, folder: Path) -> None:
    """Write config and result, so that another process can resume the run."""
    write_atomically(folder / "config.yaml", cfg.to_yaml().encode())
    result.write(folder)


def _put_in_place(cfg: RunConfig, result: Result, folder: Path, run_dir: Path) -> None:
    """Have what a completed continuation leaves in the place of the run that it continued."""
    if folder != run_dir and result.status in ("completed", "pruned"):
        replace_by_continuation(folder, run_dir)
        _keep(cfg.changed({"run_dir": str(run_dir)}), result, run_dir)
        shutil.rmtree(folder)


def _start_loggers(
    parts: Parts, config: dict[str, Any], model: str | None, metrics: TaskMetrics, start: Path | None
) -> None:
    """Log what the run is made of."""
    parts.loggers.start(config, model, metrics, load_checkpoint(start)["global_step"] if start else None)


@contextlib.contextmanager
def _logged(parts: Parts, result: Result) -> Iterator[None]:
    """Finish the loggers with the result, whatever the end is."""
    try:
        yield
    finally:
        parts.loggers.finish(result.metrics, result.status, parts.trainer.global_step)


def _record_death(result: Result, parts: Parts, folder: Path, error: Exception) -> None:
    """Record the death of another process while this one waits for it and cannot be interrupted."""
    result.status, result.error = "failed", {"type": type(error).__name__, "message": str(error), "traceback": ""}
    result.write(folder)
    print(f"error: {error}", file=sys.stderr, flush=True)
    parts.loggers.finish(result.metrics, result.status, parts.trainer.global_step)


def _train(parts: Parts, config: dict[str, Any], start: Path | None) -> None:
    """Fit, from the checkpoint ``start`` if there is one."""
    parts.checkpoint.about |= {"config": config, "data_digest": parts.learner.digest} | parts.learner.about
    parts.learner.prepare(parts.trainer, is_new=start is None)
    try:
        parts.trainer.fit(parts.module, datamodule=parts.data, ckpt_path=start, weights_only=True)
    finally:
        parts.interrupt.give_back()
    if summary := parts.trainer.profiler.summary():  # type: ignore[attr-defined]  # Lightning sets it dynamically
        log.info(summary)


def _warn_without_best(parts: Parts) -> None:
    """Warn where epochs were validated and none could be chosen."""
    monitor, validated = parts.checkpoint.monitor, progress_of(parts.trainer).val_metrics
    if monitor in validated and not math.isfinite(validated[monitor]) and not parts.checkpoint.best:
        log.warning("%s was NaN or infinite in all epochs, so none is the best; set another task.primary", monitor)


def _test(result: Result, parts: Parts) -> None:
    """Evaluate the best checkpoint, the last one where there is none, on the test set: once, here."""
    if parts.trainer.fast_dev_run:  # type: ignore[attr-defined]  # Lightning sets it dynamically; no checkpoint was written
        return
    best = parts.checkpoint.best
    path = parts.checkpoint.best_path if best else parts.checkpoint.last_path
    checkpoint = load_checkpoint(path)
    if best and checkpoint["epoch"] != best["epoch"]:
        raise ValueError(
            f"{path} is of epoch {checkpoint['epoch'] + 1}, and the best one was epoch {best['epoch'] + 1}: another "
            f"process has written there; remove {path.parents[1]} to train anew, or set another name="
        )
    evaluation = _evaluate(result, parts, checkpoint)
    if evaluation is None or evaluation.confusion is None:
        return
    images = parts.data.images if isinstance(parts.data, ImageData) else None  # of others, only batches are known
    for board in parts.loggers.boards:
        from trainlab.callbacks.figures import write_test  # matplotlib takes a while to import

        write_test(board.experiment, evaluation, parts.data.classes, images, parts.trainer.global_step)


def _may_be_others(parts: Parts, folder: Path, config: dict[str, Any]) -> bool:
    """Whether the images of the run in ``folder`` lay elsewhere, and are not those of an official archive."""
    data = parts.data
    if not isinstance(data, ImageData) or data.writes_to == data.located_by:
        return False
    return has_moved(data.located_by, folder, config)


def _test_later(result: Result, parts: Parts, path: Path) -> None:
    """Evaluate the checkpoint ``path`` on the test set, where nothing was trained in this process."""
    _evaluate(result, parts, load_checkpoint(path))


def _evaluate(result: Result, parts: Parts, checkpoint: dict[str, Any]) -> Evaluation | None:
    """Evaluate the weights of a checkpoint on the test set; ``result`` gets the metrics."""
    metrics, evaluation = parts.learner.test(checkpoint, parts.trainer)
    result.metrics |= metrics
    return evaluation


def _test_only(folder: Path, overrides: Sequence[str], config: dict[str, Any], parts: Parts) -> Result:
    """Test the completed run in ``folder``, or the checkpoint that is named, without training.

    Test metrics are recorded where a completed run lacks them; otherwise nothing is written.
    """
    result = Result("completed", fingerprint(config), list(overrides), tags=config["tags"])
    result.task = parts.learner.reported(()).entry()
    if not is_main_process():
        return result
    if config["ckpt_path"]:  # nothing is written, so no folder is left
        made = missing_folders(folder) or [folder]
        path = checkpoint_to_test(folder, config)
        try:
            _test_later(result, parts, path)
        finally:
            clean_up(folder, made)
        log.info("%s: %s", describe_test(result), path)
        return result
    with run_folder_lock(folder), clean_up_on_error(folder):
        path, previous = checkpoint_to_test(folder, config), Result.read(folder)
        assert previous is not None
        check_images_of(previous, folder, parts.learner.digest)
        _test_later(result, parts, path)
        log.info("%s: %s", describe_test(result), path)
        if lacks_test(previous):
            previous.metrics |= result.metrics
            previous.write(folder)
        return previous


def _summarize(result: Result, parts: Parts, total_s: float, threads: int, error: BaseException | None) -> None:
    """Metrics of the best epoch, times, and why it ended, as far as the training came."""
    best, trainer = parts.checkpoint.best, parts.trainer
    reason = stop_reason(error, trainer, parts.callbacks, lambda: progress_of(trainer).epoch_is_whole)
    result.metrics |= {"epochs": len(parts.epochs.epoch_s), "stop_reason": reason}
    if best:
        found = {name: value for name, value in best.items() if name != "epoch"}
        result.metrics |= {"best_epoch": best["epoch"]} | {key_of(name): value for name, value in found.items()}
        result.task = parts.learner.reported(found).entry()
    if parts.epochs.epoch_s:
        result.time = {
            "total_s": total_s,
            "epoch_s": parts.epochs.median_epoch_s,
            "images_per_s": parts.epochs.median_images_per_s,
            "device": device_name(trainer.strategy.root_device, threads),
        }


def _time_before(previous: Result | None, start: Path | None) -> dict[str, Any]:
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


def _population(before: dict[str, Any], context: RunContext, now_s: float) -> dict[str, Any]:
    """Members of the largest population that the run was in, and the wall seconds of all that it was trained in."""
    earlier, now = before.get("population"), context.population()
    if not earlier:
        return {"population": now} if now else {}
    now = now or {"members": 1, "wall_s": now_s}
    members, wall_s = max(earlier["members"], now["members"]), earlier["wall_s"] + now["wall_s"]
    return {"population": {"members": members, "wall_s": wall_s}}


def _follow(parts: Parts, config: dict[str, Any], folder: Path) -> Result:
    """The part of a process for another device: train along, write nothing."""
    start = os.environ.get(START_VARIABLE)
    if start is None:  # processes started by torchrun, SLURM and the like
        late = (parts.network, config, parts.callbacks, parts.total_steps)
        start_at = start_checkpoint(config["ckpt_path"], folder, True, *late)
        if start_at:
            check_same_images(start_at, folder, parts.learner.digest)
        _train(parts, config, start_at)
    else:
        with going_with_the_main_process():
            _train(parts, config, Path(start) if start else None)
    if parts.interrupt.interrupted:
        raise Interrupted
    return Result("completed", fingerprint(config), [])
