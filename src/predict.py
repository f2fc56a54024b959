"""Classify images with the network of a checkpoint. ``python src/predict.py --help`` has examples."""

from trainlab.arguments import run_plain_script
from trainlab.commands.predict import main

if __name__ == "__main__":
    run_plain_script(main)
