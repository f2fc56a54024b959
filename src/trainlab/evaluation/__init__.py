"""What a trained network does on images: loss, accuracy, uncertainty, with its dropout off and left on."""

from trainlab.evaluation.checkpoint import evaluate_checkpoint
from trainlab.evaluation.network import Evaluation, evaluate

__all__ = ["Evaluation", "evaluate", "evaluate_checkpoint"]
