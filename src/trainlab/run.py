"""One run from configuration to result."""

import contextlib
import logging
import math
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from torch import nn

from trainlab import ranks
from trainlab.config.build import Parts, build
from trainlab.config.differing import describe_differing
from trainlab.config.run_config import RunConfig
from trainlab.console import LogFormatter, quiet
from trainlab.final_test import complete_test, test_best, test_only
from trainlab.follow import Decision, fit
from trainlab.loggers.hyperparameters import hyperparameters, swept
from trainlab.lr_search.apply import apply_lr, check_search, draw_search, run_search
from trainlab.passwords import without_passwords
from trainlab.process_state import process_state_restored
from trainlab.programs import command_line
from trainlab.resume import find_start, keep, population_time, put_in_place, time_before
from trainlab.runs.checkpoints import load_checkpoint
from trainlab.runs.continuation import earlier_part, threads_of, training_folder
from trainlab.runs.errors import Interrupted, LeaseLost
from trainlab.runs.fingerprint import fingerprint, is_debug_run, of_the_first_command
from trainlab.runs.folder import (
    clean_up_on_error,
    has_ended,
    mask_hydra_files,
    result_written,
    run_folder_lock,
)
from trainlab.runs.notices import notify
from trainlab.runs.provenance import device_name, provenance
from trainlab.runs.result import Result, describe
from trainlab.runs.stop_reason import stop_reason, was_pruned
from trainlab.tasks.metrics import key_of
from trainlab.tasks.reported import TaskMetrics
from trainlab.training.compilation import set_up_compilation
from trainlab.training.context import RunContext
from trainlab.training.length import one_batch_notes
from trainlab.training.lightning_internals import on_death
from trainlab.training.progress import progress_of
from trainlab.training.threads import choose_num_threads, threads_of_process, threads_restored

log = logging.getLogger(__name__)


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
        mask_hydra_files(run_dir)
        config = without_passwords(cfg.settings)  # a copy, for the fingerprint, checkpoints and loggers
        folder = training_folder(run_dir, config, ckpt_path)
        if folder != run_dir:
            cfg = cfg.changed({"run_dir": str(folder)})
        check_search(cfg)
        parts = build(cfg, context)
        if context.in_one_process and (devices := parts.trainer.world_size) > 1:
            raise ValueError(
                f"train() uses one device, got {devices}; set trainer.devices=1, or use {command_line('train')}"
            )
        ranks.check_count(parts.trainer.num_devices, parts.trainer.num_nodes)
    if not config["train"]:
        return test_only(run_dir, cfg.overrides, config, parts)
    with run_folder_lock(run_dir), clean_up_on_error(run_dir):
        result = Result("running", fingerprint(config), list(cfg.overrides), tags=config["tags"])
        result.task = parts.learner.reported(()).entry()
        result.provenance = provenance(config["seed"])
        previous = earlier_part(folder, run_dir, config, ckpt_path)
        if previous and has_ended(previous, config["sweep"]["trial"]):
            complete_test(previous, folder, config, parts)
            log.info("already %s, not trained again\n%s", previous.status, describe(previous, folder))
            put_in_place(cfg, previous, folder, run_dir)
            return previous
        if previous and previous.lr_search:
            cfg = apply_lr(cfg, config, parts, result, previous.lr_search)
        start, origin = find_start(parts, config, previous, folder, run_dir)
        result.compiled = parts.learner.compiled
        if result.compiled:
            set_up_compilation(config["compile_cache_dir"], parts.trainer.strategy.root_device.type == "cpu")
        result.num_threads = _num_threads(parts, context, start)
        if origin:
            result.provenance["continued_from"] = origin
        if previous:
            result.overrides = of_the_first_command(previous.overrides, cfg.overrides)
        before = time_before(previous, start)
        result.time = before | population_time(before, context, 0.0)
        keep(cfg, result, folder)
        if config.get("print_config"):
            log.info("%s", cfg.to_yaml())
        log.info("%s\nall settings: %s", describe_differing(cfg), folder / "config.yaml")
        log.info("%s", parts.learner.describe_data())
        if about := parts.learner.describe_compilation():
            log.info(about)
            if not parts.learner.compiled:
                notify("compile", about)
        for note in one_batch_notes(config["trainer"]):
            log.warning(note)
        with threads_restored(), _logged(parts, result), result_written(result, folder):
            try:
                if config["lr_search"] and not result.lr_search:
                    begun = context.clock()
                    cfg = apply_lr(cfg, config, parts, result, run_search(cfg, parts))
                    started += context.clock() - begun  # which the next seed does not spend
                    keep(cfg, result, folder)
                if result.num_threads:
                    context.set_num_threads(result.num_threads)
                    parts.checkpoint.about["num_threads"] = result.num_threads
                _start_loggers(parts, cfg, config, TaskMetrics.read(result.task), start)
                if result.lr_search:
                    draw_search(result.lr_search, parts, folder)
                result.provenance["data_digest"] = parts.learner.digest
                if parts.trainer.world_size > 1:
                    on_death(parts.trainer, partial(_record_death, result, parts, folder))
                    Decision.of(cfg, start, result.num_threads, parts.learner.digest).pass_on()
                fit(parts, config, start)
                if not (previous or parts.epochs.active):
                    raise ValueError("training ran zero steps: a callback stopped it before its first; leave it out")
                if parts.interrupt.interrupted:
                    raise Interrupted
                if was_pruned(parts.callbacks):
                    result.status = "pruned"
                else:
                    _warn_without_best(parts)
                    if config["test"]:
                        test_best(result, parts)
                    result.status = "debug" if is_debug_run(config) else "completed"
            finally:
                now_s = context.clock() - started
                error = None if sys.exception() is of_caller else sys.exception()
                _summarize(result, parts, before.get("total_s", 0.0) + now_s, context.num_threads(), error)
                if result.status == "debug":  # figures would pass for results
                    result.metrics = {key: result.metrics[key] for key in ("epochs", "stop_reason")}
                if result.time:
                    result.time |= population_time(before, context, now_s)
        put_in_place(cfg, result, folder, run_dir)
        log.info("%s", describe(result, run_dir))
        return result


@contextlib.contextmanager
def _logged_to(path: Path) -> Iterator[None]:
    """Append log records to a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    logger, handler = logging.getLogger("trainlab"), logging.FileHandler(path, delay=True)
    handler.setFormatter(LogFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        handler.close()


def _start_loggers(
    parts: Parts, cfg: RunConfig, config: dict[str, Any], metrics: TaskMetrics, start: Path | None
) -> None:
    """Log what the run is made of."""
    step = load_checkpoint(start)["global_step"] if start else None
    columns = hyperparameters(config, cfg.choices, cfg.overrides, swept())
    parts.loggers.start(parts.trainer, config, columns, metrics, step)


def _num_threads(parts: Parts, context: RunContext, start: Path | None) -> int | None:
    """CPU threads of each process; None on another device, where that is not for the run to choose."""
    if parts.trainer.strategy.root_device.type != "cpu":
        return None
    sharing = ranks.share_of_cores(parts.trainer.num_devices)
    available, together = threads_of_process(context.num_threads(), sharing), context.population() is not None

    def flops() -> float:
        return math.inf if together else parts.learner.step_flops

    return choose_num_threads(flops, available, (threads_of(start) or available) if start else None)


@contextlib.contextmanager
def _logged(parts: Parts, result: Result) -> Iterator[None]:
    """Finish the loggers with the result, whatever the end is, unless another process has taken over the run."""
    try:
        yield
    except LeaseLost:
        raise
    except BaseException:
        _finish_loggers(parts, result)
        raise
    _finish_loggers(parts, result)


def _finish_loggers(parts: Parts, result: Result) -> None:
    time = {"total_s": result.time["total_s"]} if "total_s" in result.time else {}
    parts.loggers.finish(result.metrics | time, result.status, parts.trainer.global_step)


def _record_death(result: Result, parts: Parts, folder: Path, error: Exception) -> None:
    """Record the death of another process while this one waits for it and cannot be interrupted."""
    result.status, result.error = "failed", {"type": type(error).__name__, "message": str(error), "traceback": ""}
    result.write(folder)
    print(f"error: {error}", file=sys.stderr, flush=True)
    _finish_loggers(parts, result)


def _warn_without_best(parts: Parts) -> None:
    """Warn where epochs were validated and none could be chosen."""
    monitor, validated = parts.checkpoint.monitor, progress_of(parts.trainer).val_metrics
    if monitor in validated and not math.isfinite(validated[monitor]) and not parts.checkpoint.best:
        log.warning("%s was NaN or infinite in all epochs, so none is the best; set another task.primary", monitor)


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
