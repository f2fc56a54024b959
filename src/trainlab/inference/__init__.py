"""Inference with a trained network: evaluation, MC dropout, prediction and export."""

from trainlab.inference.evaluate import evaluate_checkpoint
from trainlab.inference.mc_dropout import mc_probabilities
from trainlab.inference.network import Evaluation, evaluate
from trainlab.inference.rebuild import load_data, load_network

__all__ = ["Evaluation", "evaluate", "evaluate_checkpoint", "load_data", "load_network", "mc_probabilities"]
