"""Yardstick: torchvision's ResNet-18 for 32 x 32 images in a PyTorch loop with nothing around it.

    python resnet18_loop.py ARRAYS [--batch-size 128] [--epochs 3] [--batches 100]

Prints a JSON line an epoch: `train_s`, seconds of its training steps.
"""

import argparse
import json
import time

import numpy as np
import torch
import torchvision
from torch import nn
from torch.nn import functional


def main() -> None:
    """Train and print."""
    args = parse_args()
    arrays = np.load(args.arrays)
    images = torch.from_numpy(arrays["train_x"])
    labels = torch.from_numpy(arrays["train_y"])
    torch.manual_seed(1)
    network = torchvision.models.resnet18(num_classes=10)
    network.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
    network.maxpool = nn.Identity()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.9, nesterov=True)
    for epoch in range(args.epochs):
        start = time.perf_counter()
        network.train()
        for chosen in torch.randperm(len(images)).split(args.batch_size)[: args.batches]:
            loss = functional.cross_entropy(network(images[chosen].float() / 255), labels[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        print(json.dumps({"epoch": epoch, "train_s": time.perf_counter() - start}), flush=True)


def parse_args() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("arrays")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batches", type=int, default=100)
    return parser.parse_args()


if __name__ == "__main__":
    main()
