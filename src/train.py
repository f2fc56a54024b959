"""Train a network, or with ``-m`` a sweep of networks. ``python src/train.py --help`` lists the settings."""

from typing import cast

import hydra
from omegaconf import DictConfig, OmegaConf

from trainlab.cli import past_hydra, quick_imports, run_script


@hydra.main(config_path="../conf", config_name="train", version_base="1.3")
def main(cfg: DictConfig) -> float | None:
    """Train with ``cfg``; returns the objective, which a sweeper minimizes or maximizes."""
    from hydra.core.hydra_config import HydraConfig

    with past_hydra():
        with quick_imports():
            from trainlab.run import run
            from trainlab.tasks.metrics import METRICS

        overrides = cast(list[str], OmegaConf.to_container(HydraConfig.get().overrides.task))  # "${run_dir}" as typed
        return run(cfg, overrides).metrics.get(METRICS[cfg.sweep.objective].key)


if __name__ == "__main__":
    run_script(main)
