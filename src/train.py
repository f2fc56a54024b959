"""Train a network, or a sweep of them with ``-m``. ``python src/train.py --help`` lists the settings."""

from typing import cast

import hydra
from omegaconf import DictConfig, OmegaConf

from trainlab.cli import past_hydra, quick_imports, run_script


@hydra.main(config_path="../conf", config_name="train", version_base="1.3")
def main(cfg: DictConfig) -> float | None:
    """Run what ``cfg`` says; the validation loss is what a sweeper minimizes."""
    from hydra.core.hydra_config import HydraConfig

    with past_hydra():
        with quick_imports():
            from trainlab.run import run

        overrides = cast(list[str], OmegaConf.to_container(HydraConfig.get().overrides.task))  # "${run_dir}" as typed
        return run(cfg, overrides).metrics.get("val_loss")


if __name__ == "__main__":
    run_script(main)
