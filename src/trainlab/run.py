"""One run from configuration to result: the only place that turns a config into objects."""

import contextlib
import inspect
import logging
import math
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import lightning
import torch
from hydra.core.hydra_config import HydraConfig
from hydra.utils import get_object, instantiate
from lightning.pytorch.callbacks import Callback, Timer
from lightning.pytorch.loggers import Logger
from omegaconf import DictConfig, OmegaConf
from torch import nn

from trainlab.callbacks import BestAndLast, EpochLog, StopOnInterrupt
from trainlab.checkpoints import AtomicCheckpointIO, load_checkpoint, rebuild_network
from trainlab.checks import check_arguments, check_devices
from trainlab.console import quiet
from trainlab.data import ImageData
from trainlab.endings import stop_reason, was_pruned
from trainlab.evaluation.network import evaluate
from trainlab.files import write_atomically
from trainlab.hyperparameters import hyperparameters
from trainlab.models.scaling import InputScaling
from trainlab.module import Classifier
from trainlab.population.together import Member
from trainlab.provenance import device_name, provenance
from trainlab.results import Result, describe, fingerprint
from trainlab.run_folder import (
    Interrupted,
    claimed,
    earlier_run,
    has_ended,
    is_main_process,
    nothing_left,
    recorded,
    start_checkpoint,
)
from trainlab.tensorboard import TensorBoard

log = logging.getLogger(__name__)
# Of the Trainer, to Classifier.
_STEP_SETTINGS = ("gradient_clip_val", "gradient_clip_algorithm", "accumulate_grad_batches")
START_VARIABLE = "TRAINLAB_START"  # tells the processes for other devices which checkpoint to go on from


@dataclass
class Parts:
    """The objects that a config stands for."""

    data: ImageData
    network: nn.Module
    module: Classifier
    callbacks: list[Callback]
    loggers: list[Logger]
    trainer: lightning.Trainer
    checkpoint: BestAndLast
    epochs: EpochLog
    interrupt: StopOnInterrupt

    @property
    def boards(self) -> list[TensorBoard]:
        """Those of the loggers that write for TensorBoard."""
        return [logger for logger in self.loggers if isinstance(logger, TensorBoard)]


def run(cfg: DictConfig, overrides: list[str], member: Member | None = None) -> Result:
    """Train, choose the best checkpoint on validation data, test it, and leave all of it in ``cfg.run_dir``.

    Args:
        cfg: composed configuration.
        overrides: that it was composed with.
        member: of a population, if this run is one; its thread is this one.

    Raises:
        ValueError, OSError: a setting cannot be; nothing has been trained.
        Diverged, Interrupted: `result.json` has that status.
    """
    clock = member.seconds if member else time.perf_counter
    started = clock()
    config, folder = resolved(cfg), Path(cfg.run_dir)
    quiet()
    with nothing_left(folder):
        parts = build(cfg, member)
    if not is_main_process():
        return _follow(parts, config, folder)
    with claimed(folder), nothing_left(folder):
        result = Result("running", fingerprint(config), overrides, provenance=provenance(cfg.seed))
        previous = earlier_run(folder, config, cfg.ckpt_path)
        if previous and has_ended(previous, cfg.sweep.trial):
            log.info("already %s, not trained again\n%s", previous.status, describe(previous, folder))
            return previous
        start = start_checkpoint(cfg.ckpt_path, folder, bool(previous), parts.network, config)
        os.environ[START_VARIABLE] = str(start or "")
        write_atomically(folder / "config.yaml", OmegaConf.to_yaml(cfg, resolve=True).encode())
        log.info("%s\nin %s", OmegaConf.to_yaml(cfg, resolve=True), folder)
        result.write(folder)
        with _shown(parts, result), recorded(result, folder):
            try:
                _show(parts, config, start)
                result.provenance["data_digest"] = parts.data.images.digest
                _train(parts, config, start)
                if parts.interrupt.interrupted:
                    raise Interrupted
                if was_pruned(parts.callbacks):
                    result.status = "pruned"
                else:
                    _test(result, parts)
                    result.status = "completed"
            finally:
                before_s = previous.time.get("total_s", 0.0) if previous else 0.0
                threads = member.threads if member else torch.get_num_threads()
                _summarize(result, parts, before_s + clock() - started, threads)
                if member and result.time:
                    result.time["population"] = member.shared
        log.info("%s", describe(result, folder))
        return result


def resolved(cfg: DictConfig) -> dict[str, Any]:
    """``cfg`` as plain values: what checkpoints hold and fingerprints are made of."""
    config = cast(dict[str, Any], OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True))
    if "root" in config["data"]:
        config["data"]["root"] = str(Path(config["data"]["root"]).resolve())  # a checkpoint is read from anywhere
    return config


def build(cfg: DictConfig, member: Member | None = None) -> Parts:
    """All objects of a run, alone or as ``member``, checked against each other. Reads no image and writes nothing."""
    check_arguments(provenance, {"seed": cfg.seed}, "")
    check_arguments(Classifier, {"label_smoothing": cfg.label_smoothing, "compile": cfg.compile}, "")
    name = Path("" if cfg.name is None else str(cfg.name))
    if not name.parts or name.is_absolute() or ".." in name.parts:
        raise ValueError(f"name must be that of a folder under output_dir, got {cfg.name!r}; set name")
    check_devices(cfg.trainer.accelerator, cfg.trainer.devices)
    data: ImageData = _construct(cfg, "data")
    data.check()
    network: nn.Module = _construct(cfg, "model", image_shape=data.image_shape)
    if network.num_classes != data.count_classes():
        raise ValueError(
            f"num_classes must be the number of classes of the data, {data.count_classes()}, "
            f"got {network.num_classes}; set model.num_classes"
        )
    last_batch = (data.count_train_images() - data.val_size) % data.batch_size
    if last_batch == 1 and any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in network.modules()):
        raise ValueError(
            f"batch_size {data.batch_size} leaves a last batch of one image, which cannot be normalized; "
            "set data.batch_size or data.val_size"
        )
    optimizer = _construct(cfg, "optim")
    if (lr := optimizer.keywords.get("lr")) is not None and not 0 < lr < math.inf:
        raise ValueError(f"lr must be positive and finite, got {lr}; set optim.lr")
    scheduler = _construct(cfg, "scheduler")
    endless = cfg.trainer.max_epochs == -1 and cfg.trainer.max_steps == -1
    trial = optimizer([nn.Parameter(torch.zeros(1))])
    if inspect.signature(trial.step).parameters["closure"].default is inspect.Parameter.empty:
        raise ValueError(f"{type(trial).__name__} evaluates the loss several times a step; choose another optim")
    try:
        scheduler(trial, 0 if endless else 1_000_000)
    except ZeroDivisionError as error:
        raise ValueError(f"a setting of the schedule must not be 0 ({error}); set scheduler.*") from None
    steps = {key: cfg.trainer[key] for key in _STEP_SETTINGS}
    check_arguments(Classifier, steps, "trainer")
    train_epoch = member.train_epoch if member else None
    module = Classifier(
        network, optimizer, scheduler, cfg.label_smoothing, cfg.compile, **steps, train_epoch=train_epoch
    )

    clock = {"clock": member.seconds} if member else {}
    named = {name: _construct(cfg, f"callbacks.{name}") for name, settings in cfg.callbacks.items() if settings}
    checkpoint, interrupt, epochs = named.get("checkpoint"), StopOnInterrupt(), EpochLog(**clock)
    if member:
        member.share(data)
        member.listen(interrupt)
    if not isinstance(checkpoint, BestAndLast):
        raise ValueError("callbacks.checkpoint cannot be switched off: the test needs the best checkpoint")
    callbacks = [epochs, interrupt, *named.values()]
    if cfg.trainer.max_time:  # Lightning's own timer stops in the middle of an epoch, which cannot be resumed exactly
        callbacks.append(Timer(cfg.trainer.max_time, interval="epoch", verbose=False))
    if cfg.sweep.trial:
        from trainlab.pruning import Pruning  # which needs Optuna

        callbacks.append(Pruning(**cfg.sweep.trial))
    loggers = [_construct(cfg, f"logger.{name}") for name, settings in cfg.logger.items() if settings]
    plugins = [AtomicCheckpointIO()]
    ours = {"max_time": None, "gradient_clip_val": None, "accumulate_grad_batches": 1}  # what others do, above
    trainer = _construct(cfg, "trainer", callbacks=callbacks, logger=loggers, plugins=plugins, **ours)
    return Parts(data, network, module, callbacks, loggers, trainer, checkpoint, epochs, interrupt)


def _construct(cfg: DictConfig, section: str, **late: Any) -> Any:
    """The object that a section of ``cfg`` stands for, with arguments that are known only now."""
    settings = OmegaConf.select(cfg, section)
    plain = cast(dict[str, Any], OmegaConf.to_container(settings, resolve=True, throw_on_missing=True))
    arguments = {key: value for key, value in plain.items() if not key.startswith("_")}
    check_arguments(get_object(plain["_target_"]), arguments, section)
    return instantiate(settings, **late, _convert_="all")


def _show(parts: Parts, config: dict[str, Any], start: Path | None) -> None:
    """Say in TensorBoard what the run is made of."""
    if not parts.boards:
        return
    model = HydraConfig.get().runtime.choices.get("model") if HydraConfig.initialized() else None
    step = load_checkpoint(start)["global_step"] if start else None
    for board in parts.boards:
        board.start(hyperparameters(config, model), step)


@contextlib.contextmanager
def _shown(parts: Parts, result: Result) -> Iterator[None]:
    """Say in TensorBoard how the run came out, whatever the end is."""
    try:
        yield
    finally:
        for board in parts.boards:
            try:
                board.end(result.metrics, result.status, parts.trainer.global_step)
            except OSError as error:  # `result.json` has it all, and its own error
                log.warning("TensorBoard's file in %s is not complete: %s", board.save_dir, error)


def _train(parts: Parts, config: dict[str, Any], start: Path | None) -> None:
    """Fit, from the checkpoint ``start`` if there is one."""
    images = parts.data.images
    scaling = parts.network.scaling
    assert isinstance(scaling, InputScaling)
    if start is None and scaling.standardize:
        scaling.set_statistics(*parts.data.statistics())
    about = {"config": config, "image_shape": list(parts.data.image_shape), "classes": list(images.classes)}
    parts.checkpoint.about = about
    try:
        parts.trainer.fit(parts.module, datamodule=parts.data, ckpt_path=start, weights_only=True)
    finally:
        parts.interrupt.give_back()
    if summary := parts.trainer.profiler.summary():  # type: ignore[attr-defined]  # Lightning sets it unseen
        log.info(summary)
    if not parts.trainer.global_step:
        raise ValueError(
            "no step was made; set trainer.max_epochs, max_steps, max_time and limit_train_batches above 0"
        )


def _test(result: Result, parts: Parts) -> None:
    """Evaluate the best checkpoint, the last one where none was validated, on the test set: once, here."""
    path = parts.checkpoint.best_path if parts.checkpoint.best else parts.checkpoint.last_path
    device = parts.trainer.strategy.root_device
    network = rebuild_network(load_checkpoint(path)).to(device)
    evaluation = evaluate(network, parts.data.test_dataloader(), len(parts.data.classes))
    result.metrics |= {"test_loss": evaluation.loss, "test_acc": evaluation.accuracy}
    for board in parts.boards:
        from trainlab.pictures import write_test  # matplotlib takes a while to import

        write_test(board.experiment, evaluation, parts.data.images, parts.trainer.global_step)


def _summarize(result: Result, parts: Parts, total_s: float, threads: int) -> None:
    """Metrics of the best epoch and times, as far as the training came."""
    best, trainer = parts.checkpoint.best, parts.trainer
    reason = stop_reason(result.status, trainer, parts.callbacks)
    result.metrics |= {"epochs": len(parts.epochs.epoch_s), "stop_reason": reason}
    if best:
        result.metrics |= {"best_epoch": best["epoch"], "val_loss": best["val/loss"], "val_acc": best["val/acc"]}
    if parts.epochs.epoch_s:
        result.time = {
            "total_s": total_s,
            "epoch_s": parts.epochs.median_epoch_s,
            "images_per_s": parts.epochs.median_images_per_s,
            "device": device_name(trainer.strategy.root_device, threads),
        }


def _follow(parts: Parts, config: dict[str, Any], folder: Path) -> Result:
    """The part of a process for another device: train along, write nothing."""
    start = os.environ.get(START_VARIABLE)
    if start is None:  # processes started by torchrun, SLURM and the like
        _train(parts, config, start_checkpoint(config["ckpt_path"], folder, True, parts.network, config))
    else:
        _train(parts, config, Path(start) if start else None)
    if parts.interrupt.interrupted:
        raise Interrupted
    return Result("completed", fingerprint(config), [])
