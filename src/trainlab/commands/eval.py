"""Evaluate a checkpoint on the test set: ``trainlab eval ckpt_path=outputs/.../best.ckpt mc_samples=100``."""

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from trainlab.cli import bypass_hydra_errors, run_script
from trainlab.config.resolvers import CONF


@hydra.main(config_path=str(CONF), config_name="eval", version_base="1.3")
def main(cfg: DictConfig) -> None:
    """Print the metrics and write them to a file."""
    import inspect
    from pathlib import Path
    from typing import Any, cast

    with bypass_hydra_errors():
        from trainlab.config.run_config import make_paths_absolute
        from trainlab.inference import evaluate_checkpoint
        from trainlab.inference.table import show
        from trainlab.validation import check_arguments

        make_paths_absolute(cfg, HydraConfig.get().runtime.cwd)
        known = inspect.signature(evaluate_checkpoint).parameters
        if unknown := [str(key) for key in cfg if key not in known]:
            raise ValueError(f"there is no setting {unknown[0]!r}; there are: {', '.join(known)}")
        settings = cast(dict[str, Any], OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True))
        check_arguments(evaluate_checkpoint, settings, "")
        paths = {key: Path(settings[key]) for key in ("ckpt_path", "out") if settings.get(key)}
        show(evaluate_checkpoint(**settings | paths))


if __name__ == "__main__":
    run_script(main)
