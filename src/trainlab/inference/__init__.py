"""What a trained network does on images: loss, accuracy, uncertainty, with its dropout off and left on."""

from trainlab.inference.evaluate import evaluate_checkpoint
from trainlab.inference.network import Evaluation, evaluate

__all__ = ["Evaluation", "evaluate", "evaluate_checkpoint"]
