"""Whether two runs are the same: the settings that decide what is trained, and their fingerprint."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from trainlab.passwords import without_passwords
from trainlab.tasks.metrics import METRICS

Config = Mapping[str, Any]

KEPT = ("model", "optim", "scheduler", "freeze", "module")  # by a run that continues

# Paths, observers and machine settings: they do not change what is trained. Of data, those of trainlab.
_NOT_IN_FINGERPRINT = (
    "name",
    "output_dir",
    "run_dir",
    "ckpt_path",
    "trust",
    "tags",
    "print_config",
    "train",
    "test",
    "sweep",
    "compile",
    "compile_min_steps",
    "compile_cache_dir",
    "logger",
    "data.root",
    "data.path",
    "data.cache_dir",
    "data.memory",
    "data.num_workers",
    "trainer.accelerator",
    "trainer.strategy",
    "trainer.enable_progress_bar",
    "trainer.profiler",
    "callbacks.checkpoint.dirpath",
    "callbacks.checkpoint.save_top_k",
    "callbacks.progress",
    "callbacks.figures",
    "callbacks.model_summary",
    "callbacks.layer_statistics",
    "callbacks.step_losses",
    "lr_search.cache_dir",
)
# Not in a fingerprint while they are off, or have the value that runs had before there was such a setting.
_OFF_BY_DEFAULT = (
    *("module", "lr_search", "debug_run", "freeze", "optim.groups", "data.cutout", "data.transforms"),
    *("data.mixup", "data.cutmix", "model.whitening", "model.identity_filters"),
    *("model.initializer_truncated", "vary"),
    *("task.class_weights", "task.focal_gamma", "task.metrics"),
)
# Sections without effect while one of their settings is 0.
_OFF_AT_0 = {"optim.lookahead": "every_n_steps"}
_DEFAULTS = {
    **{"data.fold": None, "data.num_folds": None, "data.padding_mode": "constant"},
    **{"task._target_": "trainlab.tasks.Classification", "task.primary": "val/loss"},
    **{"optim.lookahead.start_epoch": 0, "optim.lookahead.decay": 0.95, "optim.lookahead.decay_power": 0.0},
    **{"model.pool_after": "last", "model.global_pool": "none", "model.batch_norm_eps": 1e-5},
    **{"model.output_bias": True, "model.output_scale": 1.0, "model.batch_norm_order": "before"},
    **{"test_views": "none", "trainer.num_nodes": 1},
}
# What can follow the seed, by its name in `vary`, which stands for it in a fingerprint.
VARIED = {"split": "data.split_seed", "search": "lr_search.seed"}
_FORMER_NAMES = {"task.label_smoothing": "label_smoothing"}  # the fingerprint has settings by the name they had first
_NAMES = {former: name for name, former in _FORMER_NAMES.items()}
DATA = ("cifar10", "arrays", "image_folder", "shapes", "torchvision")  # options of `data`, the default one first
# Overrides of paths, observers and machine settings. Of data, those of trainlab.
_WHERE_AND_HOW = (
    *("name=", "output_dir=", "run_dir=", "trust=", "tags=", "print_config=", "train=", "test="),
    *("sweep.", "sweep/", "hydra.", "hydra/"),
    *("data.cache_dir=", "data.memory=", "data.num_workers=", "lr_search.cache_dir=", "logger.", "logger="),
    *("compile_min_steps=", "compile_cache_dir="),
    *("callbacks.checkpoint.save_top_k=", "callbacks.model_summary"),
    *("callbacks.progress=", "callbacks.figures=", "callbacks.layer_statistics", "callbacks.step_losses"),
)


def fingerprint(config: Config) -> str:
    """Hexadecimal hash of the resolved ``config`` without paths and machine settings."""
    named = {_FORMER_NAMES.get(key, key): value for key, value in _deciding(config).items()}
    content = json.dumps(named, sort_keys=True, default=str)
    return hashlib.blake2b(content.encode(), digest_size=8).hexdigest()


def identity(config: Config, folder: Path) -> str:
    """Hexadecimal hash of all that differs between runs of a sweep: the fingerprint, machine settings and paths.

    The path of the run's own ``folder`` is left out.
    """
    rest = {key: value for key, value in config.items() if key not in ("name", "output_dir", "run_dir", "sweep")}
    if rest.get("lr_search"):
        rest["optim"] = {key: value for key, value in rest["optim"].items() if key != "lr"}
    content = json.dumps([fingerprint(config), rest], sort_keys=True, default=str)
    here = json.dumps(str(folder))[1:-1]
    return hashlib.blake2b(content.replace(here, "").encode(), digest_size=8).hexdigest()


def settings(config: Config, prefix: str = "") -> dict[str, Any]:
    """Leaves of the nested ``config`` by dotted key, without paths and machine settings: what decides a result.

    ``prefix`` is that of the keys, of a section.
    """
    found: dict[str, Any] = {}
    # Of a data module of the user's, all settings decide: one may draw in workers, or read other images by ``root``.
    own_data = prefix == "data." and not str(config.get("_target_", "trainlab.")).startswith("trainlab.")
    if prefix == "callbacks.checkpoint.":
        config = {"mode": None, **config}  # which was a setting
    for key, value in config.items():
        path = _NAMES.get(f"{prefix}{key}", f"{prefix}{key}")
        if key == "mode" and value is None and config.get("monitor") in METRICS:
            value = METRICS[config["monitor"]].mode
        is_default = (path in _OFF_BY_DEFAULT and not value) or (path in _DEFAULTS and value == _DEFAULTS[path])
        is_off = path in _OFF_AT_0 and not (value or {}).get(_OFF_AT_0[path])
        if not own_data and (path in _NOT_IN_FINGERPRINT or is_default or is_off):
            continue
        if isinstance(value, Mapping) and value:
            found |= settings(value, f"{path}.")
        else:
            found[path] = without_passwords(value)
    named = None if prefix else config.get("vary")
    for name, key in VARIED.items():
        if isinstance(named, list) and name in named:
            found.pop(key, None)
    return found


def differences(old: Config, new: Config) -> list[str]:
    """How two configurations differ, as "key: old value, now new value"."""
    before, after = _deciding(old), _deciding(new)
    return [
        f"{key}: {before.get(key, 'not set')}, now {after.get(key, 'not set')}"
        for key in sorted(before.keys() | after.keys())
        if before.get(key, "not set") != after.get(key, "not set")
    ]


def kept_when_continued(old: Config, new: Config) -> str:
    """What of ``old`` a run that continues with the settings ``new`` would have to keep; "" if they may fit.

    `trainlab.runs.checkpoints.check_fits` decides.
    """
    kept = "network, optimizer and schedule"
    if differences(*({key: config.get(key) for key in KEPT} for config in (old, new))):
        return kept
    if not spans_the_run(old) or not differences(*({key: c[key] for key in ("data", "trainer")} for c in (old, new))):
        return ""
    return f"{kept}, which spans the whole run"


def spans_the_run(config: Config) -> bool:
    """Whether the schedule, or the average of the weights, depends on the number of all steps."""
    lookahead = (config.get("optim") or {}).get("lookahead") or {}
    if lookahead.get("every_n_steps") and lookahead.get("decay_power"):
        return True
    return "scheduler" in config and not config["scheduler"]["_target_"].endswith((".constant", ".plateau"))


def is_debug_run(config: Config) -> bool:
    """Whether a run of ``config`` is only a test that everything works.

    Its status is "debug", it has no metrics, and no sweep, report or search counts it.
    """
    trainer = config.get("trainer") or {}
    return bool(config.get("debug_run") or trainer.get("fast_dev_run") or trainer.get("overfit_batches"))


def training_overrides(overrides: Sequence[str]) -> list[str]:
    """The overrides, as they were given but for passwords, without those of paths, observers and machine settings."""
    given = without_passwords(as_typed(overrides))
    left_out = tuple(key for key in _WHERE_AND_HOW if not (key.startswith("data.") and _names_own_data(given)))
    return [o for o in given if not o.lstrip("+~").startswith(left_out)]


def of_the_first_command(first: Sequence[str], now: Sequence[str]) -> list[str]:
    """Overrides of a run that is resumed: those that decide what is trained as it began, by which a sweep finds it."""
    began, resumed = training_overrides(first), training_overrides(now)
    if sorted(began) == sorted(resumed):
        return [*now]
    return [*began, *(override for override in as_typed(now) if override not in resumed)]


def _names_own_data(overrides: Sequence[str]) -> bool:
    """Whether they name data that are not of trainlab, of which all settings decide."""
    values = {key: value for key, _, value in (override.lstrip("+").partition("=") for override in overrides)}
    if target := values.get("data._target_"):
        return not target.startswith("trainlab.")
    return values.get("data", DATA[0]) not in DATA


def as_typed(overrides: Sequence[str]) -> list[str]:
    """Overrides that Hydra has got as they were given, without the ``++`` that settings of `module` get."""
    return [o.removeprefix("++") if o.startswith("++module.") else o for o in overrides]


def _deciding(config: Config) -> dict[str, Any]:
    """The settings except a learning rate that is searched, which follows from others."""
    found = settings(config)
    if config.get("lr_search"):
        found.pop("optim.lr", None)
    return found
