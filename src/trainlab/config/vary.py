"""Sources of variation that follow the seed of a run: the split of the images, and the learning-rate search."""

from collections.abc import Sequence

from omegaconf import DictConfig, ListConfig, OmegaConf

from trainlab.runs.fingerprint import VARIED


def follow_seed(cfg: DictConfig, overrides: Sequence[str]) -> None:
    """Give the settings that ``vary`` names the seed of the run, and their names the order of ``VARIED``.

    They get its value and not a reference to it: the trials of a learning-rate search have seeds of their own, and the
    split of their run.

    Raises:
        ValueError: ``vary`` has other names, or names what is given, too, or what the run has not.
    """
    named = cfg.get("vary")
    if not named and isinstance(named, ListConfig | None):
        return
    if not isinstance(named, ListConfig) or any(name not in [*VARIED] for name in named):
        got = OmegaConf.to_container(named) if isinstance(named, ListConfig) else named
        raise ValueError(f"vary must be a list of {' and '.join(VARIED)}, got {got!r}; set 'vary=[split]'")
    cfg.vary = [name for name in VARIED if name in named]
    given = {override.lstrip("+~").partition("=")[0]: override for override in overrides}
    for name in cfg.vary:
        if (key := VARIED[name]) in given:
            raise ValueError(f"{key} follows seed with vary=[{name}], got {given[key]} too; leave out one of them")
        if reason := _missing(cfg, name):
            raise ValueError(f"vary=[{name}] {reason}; leave it out of vary")
        OmegaConf.update(cfg, key, cfg.seed)


def _missing(cfg: DictConfig, name: str) -> str:
    """What a run lacks to vary ``name`` with its seed; "" if nothing."""
    if name == "search":
        return "" if "seed" in (cfg.lr_search or {}) else "needs a learning-rate search with a seed, got none"
    if "split_seed" not in cfg.data:
        return f"needs data with split_seed, got {cfg.data.get('_target_')}"
    if (kind := cfg.data.get("val_split", "stratified")) != "stratified":
        return f"needs a split that is drawn, got data.val_split={kind}"
    if cfg.data.get("num_folds") is not None:
        return f"and folds exclude each other, got data.num_folds={cfg.data.num_folds}"
    return ""
