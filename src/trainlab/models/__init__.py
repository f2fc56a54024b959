"""Architectures and their initialization. Networks take raw uint8 images (B, C, H, W) and return logits (B, C)."""

from trainlab.models.cnn import CNN
from trainlab.models.dropout import AlphaDropout, Dropout
from trainlab.models.mlp import MLP

__all__ = ["CNN", "MLP", "AlphaDropout", "Dropout"]
