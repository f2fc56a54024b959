"""The learning rate of a run where a search finds it: what it is searched with, and where it goes."""

import copy
import logging
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.utilities.seed import isolate_rng
from omegaconf import DictConfig, open_dict

from trainlab.config.build import Parts, build, construct, resolved
from trainlab.data import ImageData
from trainlab.loggers.tensorboard import LR_SEARCH
from trainlab.lr_search.base import Means, NothingFound, Search, Trial
from trainlab.lr_search.cache import cached
from trainlab.population.eligibility import unfit
from trainlab.runs.errors import Diverged
from trainlab.runs.files import setting_of_path, write_atomically
from trainlab.runs.fingerprint import fingerprint
from trainlab.runs.folder import earlier_run
from trainlab.runs.result import Result, is_search
from trainlab.training.context import RunContext
from trainlab.training.length import limited
from trainlab.training.lightning_internals import replace_callbacks

log = logging.getLogger(__name__)
RATE_VARIABLE = "TRAINLAB_LR"  # tells the processes for other devices which rate was found
VERSION = 2  # of the search: one that finds other rates with the same settings has another
# What a short training has in the place of the run's own.
_SHORT = {
    "max_epochs": -1,
    "min_epochs": None,
    "max_steps": -1,
    "max_time": None,
    "profiler": None,
    "devices": 1,
    "strategy": "auto",
}


def check_search(cfg: DictConfig, overrides: Sequence[str]) -> None:
    """Raise ValueError where a rate is to be searched and the run's is given all the same."""
    if not cfg.lr_search:
        return
    given = [override for override in overrides if override.lstrip("+").startswith("optim.lr=")]
    if given:
        raise ValueError(f"lr_search finds the learning rate, got {given[0]} too; leave out one of them")
    if cfg.ckpt_path is not None:
        raise ValueError(
            f"a checkpoint goes on at the learning rate it has, got ckpt_path={cfg.ckpt_path} and lr_search; "
            "leave out lr_search and set optim.lr as config.yaml of that run has it"
        )
    construct(cfg, "lr_search")


def find_rate(cfg: DictConfig, parts: Parts) -> dict[str, Any]:
    """What the search of a run comes to, now or before: `lr`, and what else `Found` has.

    Nothing of the run itself is used but its images, and no random state is changed.

    Raises:
        NothingFound: no rate can be trained with.
        KeyboardInterrupt: it was interrupted.
    """
    search: Search = construct(cfg, "lr_search")
    short = shortened(cfg, parts.trainer.world_size)
    config = resolved(short)
    key = fingerprint(config | {"images": parts.data.images.digest, "version": VERSION})

    def train(trial: Trial, context: RunContext) -> None:
        try:
            _train(short, parts.data, trial, context)
        except ValueError as error:  # what fits the run may not fit a training that is shorter
            raise ValueError(f"{error} (in a training of lr_search)") from error

    device = parts.trainer.strategy.root_device
    short.trainer.devices = only(device)  # which the key does not depend on
    processes = torch.get_num_threads() if device.type == "cpu" else 1
    means = Means(train, unfit(config, 1), processes, batches_of_epoch(short, parts.data))
    with isolate_rng(include_cuda=device.type == "cuda"):  # once CUDA is asked, nothing can be forked
        folder = Path(search.cache_dir)
        with setting_of_path("lr_search.cache_dir", folder):
            return cached(folder, key, lambda: search.search(means))


def take_rate(cfg: DictConfig, config: dict[str, Any], parts: Parts, result: Result, found: dict[str, Any]) -> None:
    """Put the rate that was found where it counts: in the configuration, and in what the optimizer is made from.

    Raises:
        ValueError: it was found before, and what was kept of it is damaged.
    """
    if not is_search(found):
        path = Path(cfg.run_dir) / "result.json"
        raise ValueError(f"{path} is damaged (lr_search); remove it, or set another name=")
    result.lr_search, lr = found, found["lr"]
    cfg.optim.lr = config["optim"]["lr"] = lr
    parts.set_lr(lr)
    os.environ[RATE_VARIABLE] = repr(lr)
    told = ", ".join(f"{rule} {suggestion:.2e}" for rule, suggestion in found["suggestions"].items())
    log.info("learning rate %.3g, found by %s (%s)", lr, found["method"], told)


def follow_rate(cfg: DictConfig, config: dict[str, Any], parts: Parts) -> None:
    """In a process for another device: take the rate that the main process has found."""
    if not cfg.lr_search:
        return
    if RATE_VARIABLE not in os.environ:
        raise ValueError(
            "lr_search needs a main process that starts the others itself, not torchrun or SLURM; "
            "search with one process first, then leave out lr_search and set optim.lr"
        )
    config["optim"]["lr"] = lr = float(os.environ[RATE_VARIABLE])
    parts.set_lr(lr)


def search_ahead(cfgs: Sequence[DictConfig]) -> list[Exception | None]:
    """Search for runs that are to be members of a population, so that their threads find it done: those cannot.

    Returns:
        For each run what went wrong with its search, if anything did: it would with that of its own.

    Raises:
        KeyboardInterrupt: it was interrupted.
    """
    ends: dict[str, Exception | None] = {}
    return [_searched(cfg, ends) if cfg.lr_search else None for cfg in cfgs]


def _searched(cfg: DictConfig, ends: dict[str, Exception | None]) -> Exception | None:
    """Search for a run, unless it has a rate or its search is among those that have come to their ``ends``, by key."""
    try:
        previous = earlier_run(Path(cfg.run_dir), resolved(cfg), cfg.ckpt_path)
    except (ValueError, Diverged):  # which the run itself will say
        return None
    if previous and previous.lr_search:
        return None
    key = fingerprint(resolved(shortened(cfg, 1)))
    if key not in ends:
        ends[key] = None
        try:
            find_rate(cfg, build(cfg))
        except NothingFound:  # which is kept, and will be said by each run
            pass
        except Exception as error:
            ends[key] = error
    return ends[key]


def show_search(found: dict[str, Any], parts: Parts, folder: Path) -> None:
    """Draw what was found, in the folder of the run and in TensorBoard."""
    from trainlab.report.plots.lr_search import draw_lr_searches  # matplotlib takes a while to import

    figure, png, _ = draw_lr_searches({"": found})
    write_atomically(folder / "lr_search.png", png)
    for board in parts.loggers.boards:
        board.experiment.add_figure(LR_SEARCH, figure, 0)


def shortened(cfg: DictConfig, devices: int) -> DictConfig:
    """``cfg`` for the trainings of its search: without all that only the run itself has."""
    short = copy.deepcopy(cfg)
    with open_dict(short):
        short.seed, short.compile, short.sweep.trial = cfg.lr_search.seed, False, None
        short.data.batch_size = cfg.data.batch_size * devices
        short.trainer.update(_SHORT)
        checkpoint = {"_target_": "trainlab.callbacks.BestAndLast", "dirpath": f"{cfg.run_dir}/checkpoints"}
        short.callbacks = {"checkpoint": checkpoint}
        short.logger = {}
    return short


def only(device: torch.device) -> int | list[int]:
    """Setting of the Trainer that has it train on ``device``, and not on the first of its kind."""
    return 1 if device.index is None else [device.index]


def batches_of_epoch(short: DictConfig, data: ImageData) -> int:
    """How many batches of the images of ``data`` a training with the settings ``short`` has in an epoch."""
    batches = math.ceil(len(data.train_dataloader().indices) / short.data.batch_size)
    return limited(batches, short.trainer.limit_train_batches)


def _train(short: DictConfig, data: ImageData, trial: Trial, context: RunContext) -> None:
    """Make a training on the images of ``data`` that leaves nothing."""
    cfg = copy.deepcopy(short)
    with open_dict(cfg):
        cfg.seed, cfg.optim.lr = trial.seed, trial.lr
        cfg.trainer.update(trial.trainer)
        if trial.scheduler:
            cfg.scheduler = dict(trial.scheduler)
    parts = build(cfg, context)
    parts.data.share(data)
    parts.standardize()
    replace_callbacks(parts.trainer, [*context.callbacks, *trial.callbacks])
    try:
        parts.trainer.fit(parts.module, datamodule=parts.data)
    except SystemExit as error:
        if isinstance(error.__context__, KeyboardInterrupt):  # Lightning makes an exit of Ctrl-C
            raise KeyboardInterrupt from None
        raise
