"""Evaluate a checkpoint on the test set: ``python src/eval.py ckpt_path=outputs/.../best.ckpt mc_samples=100``."""

import hydra
from omegaconf import DictConfig

from trainlab.cli import past_hydra, run_script


@hydra.main(config_path="../conf", config_name="eval", version_base="1.3")
def main(cfg: DictConfig) -> None:
    """Print the figures and write them."""
    from pathlib import Path

    with past_hydra():
        from trainlab.checks import check_arguments
        from trainlab.evaluation import evaluate_checkpoint
        from trainlab.evaluation.table import show

        plain = {key: cfg[key] for key in ("data_root", "eval_batch_size", "device", "mc_samples", "mc_seed")}
        check_arguments(evaluate_checkpoint, plain, "")
        out = Path(cfg.out) if cfg.out else None
        show(evaluate_checkpoint(Path(str(cfg.ckpt_path)), out=out, **plain))


if __name__ == "__main__":
    run_script(main)
