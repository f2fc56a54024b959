"""The learning rate of a run whose config has a search: run the search and apply its result."""

import io
import logging
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.utilities.seed import isolate_rng

from trainlab.config.build import Parts, build
from trainlab.config.construct import construct
from trainlab.config.run_config import RunConfig
from trainlab.data import TrainingData
from trainlab.loggers.tensorboard import LR_SEARCH
from trainlab.lr_search.base import Search, SearchContext, SearchFailed, Trial
from trainlab.lr_search.cache import cached
from trainlab.population.eligibility import ineligible_reason
from trainlab.runs.errors import Diverged
from trainlab.runs.files import setting_of_path, write_atomically
from trainlab.runs.fingerprint import fingerprint
from trainlab.runs.folder import earlier_run
from trainlab.runs.result import Result, is_search
from trainlab.training.context import RunContext
from trainlab.training.length import limited
from trainlab.training.lightning_internals import replace_callbacks

log = logging.getLogger(__name__)
VERSION = 2  # of the searches; raised by a change that finds other rates with the same settings
# Settings of the Trainer that a trial replaces.
_SHORT = {
    "max_epochs": -1,
    "min_epochs": None,
    "max_steps": -1,
    "max_time": None,
    "profiler": None,
    "devices": 1,
    "num_nodes": 1,
    "strategy": "auto",
}


def check_search(cfg: RunConfig) -> None:
    """Raise ValueError if the run has a search and its learning rate is given, too."""
    if not cfg.settings["lr_search"]:
        return
    given = [override for override in cfg.overrides if override.lstrip("+").startswith("optim.lr=")]
    if given:
        raise ValueError(f"lr_search finds the learning rate, got {given[0]} too; leave out one of them")
    if (ckpt_path := cfg.settings["ckpt_path"]) is not None:
        raise ValueError(
            f"a run continued from a checkpoint keeps its learning rate, got ckpt_path={ckpt_path} and lr_search; "
            "leave out lr_search and set optim.lr as in config.yaml of that run"
        )
    construct(cfg.settings, "lr_search")


def run_search(cfg: RunConfig, parts: Parts) -> dict[str, Any]:
    """Run the search of a run, or take its result from the cache: the fields of `SearchResult` and `search_s`.

    Uses only the images of the run, and leaves all random states unchanged.

    Raises:
        SearchFailed: no rate can be trained with.
        KeyboardInterrupt: the search was interrupted.
    """
    search: Search = construct(cfg.settings, "lr_search")
    short = search_config(cfg, parts.trainer.world_size)
    config = short.settings
    key = fingerprint(config | {"images": parts.learner.digest, "version": VERSION})

    device = parts.trainer.strategy.root_device
    short = short.changed({"trainer.devices": devices_setting(device)})  # not part of the key

    def train(trial: Trial, context: RunContext) -> None:
        try:
            _train(short, parts.data, trial, context)
        except ValueError as error:  # settings valid for the run may not be valid for a shorter training
            raise ValueError(f"{error} (in a trial of lr_search)") from error

    processes = torch.get_num_threads() if device.type == "cpu" else 1
    context = SearchContext(
        *(train, ineligible_reason(config, 1, parts.data), processes, batches_per_epoch(short, parts.data)),
        *(parts.learner.task.primary, parts.learner.task.metric(parts.learner.task.primary, "task.primary")),
    )
    with isolate_rng(include_cuda=device.type == "cuda"):  # initializing CUDA would make forks impossible
        folder = Path(search.cache_dir)
        with setting_of_path("lr_search.cache_dir", folder):
            return cached(folder, key, lambda: search.search(context))


def apply_lr(cfg: RunConfig, config: dict[str, Any], parts: Parts, result: Result, found: dict[str, Any]) -> RunConfig:
    """Set the learning rate ``found`` by the search, in ``config`` and for the optimizer. Returns ``cfg`` with it.

    Raises:
        ValueError: ``found``, from an earlier `result.json`, is damaged.
    """
    if not is_search(found):
        path = cfg.run_dir / "result.json"
        raise ValueError(f"{path} is damaged (lr_search); remove it, or set another name=")
    result.lr_search, lr = found, found["lr"]
    config["optim"]["lr"] = lr
    parts.learner.set_lr(lr)
    suggestions = ", ".join(f"{rule} {suggestion:.2e}" for rule, suggestion in found["suggestions"].items())
    log.info("learning rate %.3g, found by %s (%s)", lr, found["method"], suggestions)
    return cfg.changed({"optim.lr": lr})


def search_before_population(cfgs: Sequence[RunConfig]) -> list[Exception | None]:
    """Run the searches of a population's members before it starts; their threads then find the results in the cache.

    Returns:
        The error of each run's search, or None.

    Raises:
        KeyboardInterrupt: a search was interrupted.
    """
    errors: dict[str, Exception | None] = {}
    return [_search_once(cfg, errors) if cfg.settings["lr_search"] else None for cfg in cfgs]


def _search_once(cfg: RunConfig, errors: dict[str, Exception | None]) -> Exception | None:
    """Run the search of a run unless the run has its rate, or its key is in ``errors``, the outcomes so far."""
    try:
        previous = earlier_run(cfg.run_dir, cfg.settings, cfg.settings["ckpt_path"])
    except (ValueError, Diverged):  # raised again by the run itself
        return None
    if previous and previous.lr_search:
        return None
    key = fingerprint(search_config(cfg, 1).settings)
    if key not in errors:
        errors[key] = None
        try:
            run_search(cfg, build(cfg))
        except SearchFailed:  # cached, and raised again by each run
            pass
        except Exception as error:
            errors[key] = error
    return errors[key]


def draw_search(found: dict[str, Any], parts: Parts, folder: Path) -> None:
    """Draw the result of a search to `lr_search.png` in the folder of the run, and to its loggers."""
    from PIL import Image

    from trainlab.report.plots.lr_search import draw_lr_searches  # matplotlib takes a while to import

    _, png, *_ = draw_lr_searches({"": found})
    write_atomically(folder / "lr_search.png", png)
    parts.loggers.log_figure(LR_SEARCH, lambda: Image.open(io.BytesIO(png)).convert("RGB"), 0)


def search_config(cfg: RunConfig, devices: int) -> RunConfig:
    """``cfg`` for the trials of its search: without callbacks, loggers and limits of the run itself."""
    checkpoint = {"_target_": "trainlab.callbacks.BestAndLast", "dirpath": f"{cfg.run_dir}/checkpoints"}
    changes = {
        "seed": cfg.settings["lr_search"]["seed"],
        "vary": [],
        "compile": False,
        "sweep.trial": None,
        "callbacks": {"checkpoint": checkpoint},
        "logger": {},
    }
    if "batch_size" in cfg.settings["data"]:
        changes["data.batch_size"] = cfg.settings["data"]["batch_size"] * devices
    return cfg.changed(changes | {f"trainer.{key}": value for key, value in _SHORT.items()})


def devices_setting(device: torch.device) -> int | list[int]:
    """Setting `devices` of the Trainer for ``device``."""
    return 1 if device.index is None else [device.index]


def batches_per_epoch(short: RunConfig, data: TrainingData) -> int:
    """Training batches per epoch for the settings ``short``, a result of `search_config`."""
    counts = data.count_batches(1)
    images = (counts.train - 1) * counts.full + counts.last
    batches = math.ceil(images / short.settings["data"].get("batch_size", counts.full))
    return limited(batches, short.settings["trainer"].get("limit_train_batches"))


def _train(short: RunConfig, data: TrainingData, trial: Trial, context: RunContext) -> None:
    """Run one trial on the images of ``data``, without writing anything."""
    changes = {"seed": trial.seed, "optim.lr": trial.lr} | {f"trainer.{k}": v for k, v in trial.trainer.items()}
    if trial.scheduler:
        changes["scheduler"] = dict(trial.scheduler)
    parts = build(short.changed(changes), context)
    parts.data.share(data)
    parts.learner.prepare(parts.trainer, is_new=True)
    # Instead of the callbacks that `build` has added: checkpoints and the like.
    replace_callbacks(parts.trainer, [*context.callbacks, *trial.callbacks])
    try:
        parts.trainer.fit(parts.module, datamodule=parts.data)
    except SystemExit as error:
        if isinstance(error.__context__, KeyboardInterrupt):  # Lightning turns Ctrl-C into SystemExit
            raise KeyboardInterrupt from None
        raise
