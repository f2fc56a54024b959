"""Train a network, or with ``-m`` a sweep of networks. ``python src/train.py --help`` lists the settings."""

from trainlab.cli import run_script
from trainlab.commands.train import main

if __name__ == "__main__":
    run_script(main, trains=True)
