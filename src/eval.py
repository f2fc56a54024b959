"""Evaluate a checkpoint on the test set: ``python src/eval.py ckpt_path=outputs/.../best.ckpt mc_samples=100``."""

from trainlab.cli import run_script
from trainlab.commands.eval import main

if __name__ == "__main__":
    run_script(main)
