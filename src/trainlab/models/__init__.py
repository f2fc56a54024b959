"""Architectures and their initialization. Networks take scaled images (B, C, H, W) and return logits (B, C)."""

from trainlab.models.cnn import CNN
from trainlab.models.dropout import AlphaDropout, Dropout
from trainlab.models.image_network import ImageNetwork, image_network
from trainlab.models.mlp import MLP

__all__ = ["CNN", "MLP", "AlphaDropout", "Dropout", "ImageNetwork", "image_network"]
