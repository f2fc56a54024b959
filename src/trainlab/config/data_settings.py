"""The settings of a run whose data module is named on the command line."""

import importlib
from collections.abc import Sequence

from omegaconf import DictConfig, open_dict


def leave_out_other_data(cfg: DictConfig, overrides: Sequence[str]) -> None:
    """With ``data._target_=...`` of a class that is not of images of trainlab, keep only the settings that are given.

    The others are those of the option of `data`, which such a class does not have.
    """
    given = {override.lstrip("+~").partition("=")[0] for override in overrides}
    if "data._target_" not in given:
        return
    from trainlab.data import ImageData  # takes a while to import

    module, _, name = str(cfg.data._target_).rpartition(".")
    try:
        target = getattr(importlib.import_module(module), name)
    except Exception:  # whatever a module raises; it is imported again where the error is named
        return
    if isinstance(target, type) and issubclass(target, ImageData):
        return
    with open_dict(cfg):
        for key in [
            key for key in cfg.data if not any(g == f"data.{key}" or g.startswith(f"data.{key}.") for g in given)
        ]:
            del cfg.data[key]
