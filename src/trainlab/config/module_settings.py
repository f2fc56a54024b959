"""The settings of a run whose `module` is a LightningModule of the user's."""

from collections.abc import Mapping, Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict

_TASK = "trainlab.tasks.LoggedMetrics"
_OF_NETWORK = ("model", "optim", "scheduler")


def has_own_module(config: Mapping[str, Any]) -> bool:
    """Whether a run trains a LightningModule of the user's."""
    return bool((config.get("module") or {}).get("_target_"))


def leave_out_network(cfg: DictConfig, overrides: Sequence[str]) -> None:
    """Remove from the configuration of such a run what has no effect in it; its task are the metrics that it logs.

    Raises:
        ValueError: an override sets something of that.
    """
    if not OmegaConf.select(cfg, "module._target_"):
        return
    is_logged = cfg.task._target_ == _TASK
    without_effect = (*_OF_NETWORK, *(() if is_logged else ("task",)))
    for override in overrides:
        key = override.lstrip("+~").partition("=")[0].partition("@")[0]
        section = key.replace("/", ".").partition(".")[0]
        if section in without_effect and key != "task.primary":
            raise ValueError(f"{override} has no effect on a LightningModule of your own (module is set); leave it out")
    with open_dict(cfg):
        for section in _OF_NETWORK:
            cfg.pop(section, None)
        if not is_logged:
            cfg.task = {"_target_": _TASK, "primary": cfg.task.primary, "mode": None}
