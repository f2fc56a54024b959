"""Evaluate a checkpoint on the test set: ``python src/eval.py ckpt_path=outputs/.../best.ckpt``."""

import hydra
from omegaconf import DictConfig

from trainlab.cli import past_hydra, run_script


@hydra.main(config_path="../conf", config_name="eval", version_base="1.3")
def main(cfg: DictConfig) -> None:
    """Print the figures and write them."""
    from pathlib import Path

    with past_hydra():
        from trainlab.evaluation import evaluate_checkpoint

        out = Path(cfg.out) if cfg.out else None
        evaluate_checkpoint(Path(str(cfg.ckpt_path)), cfg.data_root, cfg.eval_batch_size, cfg.device, out)


if __name__ == "__main__":
    run_script(main)
