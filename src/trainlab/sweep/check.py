"""Checks of all jobs of a sweep, before any of them starts."""

import copy
import json
import math
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from torch import nn

from trainlab.config.build import Parts, build
from trainlab.config.nearest import with_values
from trainlab.config.run_config import RunConfig
from trainlab.console import quiet
from trainlab.data import ImageData, TrainingData
from trainlab.loggers.hyperparameters import hyperparameters
from trainlab.lr_search.apply import check_search
from trainlab.passwords import without_passwords
from trainlab.population.eligibility import ineligible_reason
from trainlab.population.grouping import comparable
from trainlab.runs.continuation import (
    checkpoint_to_test,
    earlier_part,
    lacks_test,
    start_checkpoint,
    threads_of,
    training_folder,
    was_compiled,
)
from trainlab.runs.fingerprint import fingerprint, identity, training_overrides
from trainlab.runs.result import Result, folder_of_result
from trainlab.sweep.plan import CONTINUE, KEEP, OFF, RETRY, RUN, TEST, Job, labels
from trainlab.tasks.reported import TaskMetrics
from trainlab.training.context import RunContext
from trainlab.training.length import limited

_ANY_SEED = 2**31  # all below are seeds of everything
_MAX_MISTAKES = 100
_MAX_ALIASES = 6
_MAX_NAMES = 3


@dataclass
class Earlier:
    """What the check of earlier jobs of a sweep has found.

    Attributes:
        listed: data by settings, whose files are not listed again.
        new: jobs that have nothing on disk, by all of their settings but the seeds, and whether they are compiled.
    """

    listed: dict[str, ImageData] = field(default_factory=dict)
    new: dict[str, tuple[Job, bool]] = field(default_factory=dict)


def check_job(
    cfg: RunConfig,
    number: int,
    overrides: Sequence[str],
    retry_failed: bool,
    earlier: Earlier | None = None,
    gpus_elsewhere: int | None = None,
) -> Job:
    """The job that ``run(cfg)`` would be, of a sweep that gives it ``overrides``. Reads no image and writes nothing.

    A diverged run is never retried, as it would diverge again. A pruned run has ended as a trial of a search; as a job
    of another sweep it is resumed.

    Args:
        cfg: of the job.
        number: index in the sweep.
        overrides: of the job.
        retry_failed: whether it is to be run where it failed before.
        earlier: those of the sweep, whose results are used again; this one is added.
        gpus_elsewhere: see `RunContext`.

    Raises:
        ValueError, OSError: the job is invalid; the same errors as ``run``.
    """
    quiet()
    folder, config, ckpt_path = cfg.run_dir, copy.deepcopy(cfg.settings), cfg.settings["ckpt_path"]
    limit, composed = config["trainer"]["max_epochs"] or -1, (config, cfg.choices, cfg.overrides)
    same, limit = identity(config, folder), limit if limit > 0 else None
    job = Job(number, tuple(overrides), folder, fingerprint(without_passwords(config)), KEEP, same, max_epochs=limit)
    ended = ["completed", "diverged"] + ["failed"] * (not retry_failed) + ["pruned"] * bool(config["sweep"]["trial"])
    result = Result.read(folder_of_result(folder, job.fingerprint))
    own = result if result and result.status in ended and result.fingerprint == job.fingerprint else None
    untested = own is not None and config["test"] and lacks_test(own)
    if own and not untested:
        return replace(job, metrics=TaskMetrics.read(own.task), hyperparameters=hyperparameters(*composed))
    if (nodes := config["trainer"].get("num_nodes", 1)) != 1:
        raise ValueError(
            f"a job of a sweep trains on one node, got trainer.num_nodes={nodes}; leave it out, or -m for one run "
            "that srun or torchrun starts"
        )
    earlier = earlier or Earlier()
    like = "" if result else _apart_from_seeds(config, folder)
    if (
        like in earlier.new
        and earlier_part(training_folder(folder, config, ckpt_path), folder, config, ckpt_path) is None
    ):
        known, config["compile"] = earlier.new[like]
        return replace(
            known,
            number=number,
            overrides=job.overrides,
            folder=folder,
            fingerprint=job.fingerprint,
            identity=same,
            settings=comparable(config),
            hyperparameters=hyperparameters(*composed),
        )
    check_search(cfg)
    share = partial(_share_files, earlier.listed, config["data"])
    parts = build(cfg, RunContext(share_images=share, gpus_elsewhere=gpus_elsewhere))
    job = replace(job, metrics=parts.learner.reported(()), hyperparameters=hyperparameters(*composed))
    if untested or not config["train"]:
        if ckpt_path is not None:
            raise ValueError("without training a sweep tests its own completed runs; leave out ckpt_path")
        checkpoint_to_test(folder, config)
        devices, on_gpu = parts.trainer.world_size, parts.trainer.strategy.root_device.type != "cpu"
        return replace(job, todo=TEST, devices=devices, on_gpu=on_gpu, ineligible_reason="it is only tested")
    inside = training_folder(folder, config, ckpt_path)
    previous = earlier_part(inside, folder, config, ckpt_path)
    if previous and previous.lr_search:
        config["optim"]["lr"] = previous.lr_search["lr"]
    kept = inside if previous else folder
    late = (parts.network, config, parts.callbacks, parts.total_steps)
    start = start_checkpoint(ckpt_path, kept, bool(previous), *late)
    if start:
        parts.learner.continue_as(was_compiled(start))
    config["compile"] = parts.learner.compiled
    failed = result is not None and result.status == "failed"
    off = config["sweep"]["population"] in (False, "off")
    checked = replace(
        job,
        todo=RETRY if failed else CONTINUE if previous else RUN,
        max_epochs=_epochs_up_to(config["trainer"], parts, limit),
        devices=parts.trainer.world_size,
        on_gpu=parts.trainer.strategy.root_device.type != "cpu",
        settings=comparable(config),
        ineligible_reason=OFF if off else ineligible_reason(config, parts.trainer.world_size, parts.data),
        member_bytes=_member_bytes(parts, 8 if str(config["trainer"]["precision"]).startswith("64") else 4),
        num_threads=threads_of(start) if start else None,
    )
    if like and checked.todo == RUN and ckpt_path is None:
        earlier.new[like] = checked, config["compile"]
    return checked


def _apart_from_seeds(config: Mapping[str, Any], folder: Path) -> str:
    """Text of all settings of a run but its folder, and the seeds, by which no check ends otherwise."""

    def rest(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: None if key == "seed" and _is_seed(of) else rest(of) for key, of in value.items()}
        return [*map(rest, value)] if isinstance(value, list) else value

    return json.dumps(rest(config), default=str).replace(json.dumps(str(folder))[1:-1], "")


def _is_seed(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _ANY_SEED


def _share_files(listed: dict[str, ImageData], settings: Mapping[str, Any], data: TrainingData) -> None:
    """Have data use the files of those with the same settings but for the seed."""
    if isinstance(data, ImageData):
        key = json.dumps({name: value for name, value in settings.items() if name != "seed"}, default=str)
        if (source := listed.setdefault(key, data)) is not data:
            data.share(source)


def _epochs_up_to(trainer: Mapping[str, Any], parts: Parts, max_epochs: int | None) -> int | None:
    """Epochs that a run has at most, also by its steps; None for no limit that is known."""
    max_steps, accumulate = trainer["max_steps"] or -1, trainer["accumulate_grad_batches"] or 1
    if max_steps < 0 or not isinstance(parts.data, TrainingData):
        return max_epochs
    batches = limited(parts.data.count_batches(parts.trainer.world_size).train, parts.trainer.limit_train_batches)
    epochs = math.ceil(max_steps / math.ceil(batches / accumulate))
    return min(epochs, max_epochs or epochs)


def _member_bytes(parts: Parts, itemsize: int) -> int:
    """Memory that a member of a population takes, roughly and rather too much.

    Six tensors have the parameters' size: themselves, the gradient, up to three of the optimizer's state, and the best
    weights or a copy on its way to a checkpoint. Eight have the size of a layer's output for a batch: what the linear
    layer, the normalization, the activation and dropout put out, and a gradient of each; times four for what lies
    between operations, in evaluation with larger batches, and in pieces too small to be used again.
    """
    if not isinstance(parts.data, TrainingData):
        return 0
    weights = sum(p.numel() for p in parts.network.parameters())
    features = sum(layer.out_features for layer in parts.network.modules() if isinstance(layer, nn.Linear))
    return itemsize * (6 * weights + 4 * 8 * parts.data.batch_size * features)


def aliases(jobs: Sequence[Job]) -> dict[int, int]:
    """Number of the job whose run each alias shares, by number of the alias; that job is on disk, or the first."""
    by_identity = defaultdict(list)
    for job in jobs:
        by_identity[job.identity].append(job)
    found: dict[int, int] = {}
    for same in by_identity.values():
        kept = min(same, key=lambda job: ((KEEP, TEST, CONTINUE, RETRY, RUN).index(job.todo), job.number))
        found |= {job.number: kept.number for job in same if job is not kept}
    return found


def describe_aliases(found: Mapping[int, int], jobs: Sequence[Job]) -> list[str]:
    """One line for all aliases with the same difference in settings."""
    overrides = [training_overrides(job.overrides) for job in jobs]
    names = labels(overrides)
    lines: dict[str, None] = {}
    for number, kept in found.items():
        own = " ".join(o for o in overrides[number] if o not in overrides[kept])
        other = " ".join(o for o in overrides[kept] if o not in overrides[number]) or "the default"
        lines[f"{own} is the same run as {other}" if own else f"{names[number]} is given twice"] = None
    more = [f"and {len(lines) - _MAX_ALIASES} more"] if len(lines) > _MAX_ALIASES else []
    return [*lines][:_MAX_ALIASES] + more


def same_folders(jobs: Sequence[Job]) -> dict[int, str]:
    """Messages for jobs that would write to the same folder, by number."""
    by_folder = defaultdict(list)
    for job in jobs:
        by_folder[job.folder].append(job.number)
    return {
        number: f"has the folder of job {numbers[0] + 1}, {folder}, which their difference does not name; leave out one"
        for folder, numbers in by_folder.items()
        for number in numbers[1:]
    }


def describe_mistakes(mistakes: Mapping[int, str], job_overrides: Sequence[Sequence[str]]) -> str:
    """Message that lists each mistake once, with its jobs."""
    by_message: dict[str, list[int]] = defaultdict(list)
    for number in sorted(mistakes):
        by_message[_without_values(mistakes[number], job_overrides[number])].append(number)
    if len(mistakes) == len(job_overrides) and len(by_message) == 1:
        return next(iter(by_message))
    lines = [f"{len(mistakes)} of {len(job_overrides)} jobs cannot be run, so none was started"]
    for message, numbers in [*by_message.items()][:_MAX_MISTAKES]:
        lines.append("\n    ".join(f"  {_name_jobs(numbers, job_overrides)}: {message}".splitlines()))
    more = len(by_message) - _MAX_MISTAKES
    return "\n".join(lines + [f"  and {more} more"] * (more > 0))


def _without_values(message: str, overrides: Sequence[str]) -> str:
    """Without values of the job in the settings that may be meant, so that a mistake of several values is one."""
    wrong, asks, meant = message.partition("did you mean ")
    for value in with_values(overrides).values():
        meant = re.sub(rf"={re.escape(value)}(?=\?|,| or )", "", meant)
    return wrong + asks + meant


def _name_jobs(numbers: Sequence[int], job_overrides: Sequence[Sequence[str]]) -> str:
    """What distinguishes these jobs: the overrides that they share and not all have, else some of their names."""
    names = labels(job_overrides)
    if len(numbers) == 1:
        return names[numbers[0]]
    shared = [word for word in names[numbers[0]].split() if all(word in names[n].split() for n in numbers)]
    some = ", ".join(names[n] for n in numbers[:_MAX_NAMES]) + ", ..." * (len(numbers) > _MAX_NAMES)
    return f"{' '.join(shared) or some} ({len(numbers)} jobs)"
