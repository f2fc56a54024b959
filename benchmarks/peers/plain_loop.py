"""Yardstick: a PyTorch loop with nothing around it. Float images in memory, torch's own NAdam, no figure logged.

    python plain_loop.py ARRAYS [--variant elu_he|bn] [--batch-size 32] [--epochs 3] [--compile]

Prints a JSON line an epoch: `train_s`, seconds of the training steps, and `epoch_s`, the same with validation.
"""

import argparse
import json
import time

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional


def main() -> None:
    """Train and print."""
    args = parse_args()
    arrays = np.load(args.arrays)
    train_x, val_x = (torch.from_numpy(arrays[k]).flatten(1).float() / 255 for k in ("train_x", "val_x"))
    train_y, val_y = (torch.from_numpy(arrays[k]) for k in ("train_y", "val_y"))
    torch.manual_seed(1)
    network = build_network(batch_norm=args.variant == "bn")
    optimizer = torch.optim.NAdam(network.parameters(), lr=1e-4)
    forward = torch.compile(network) if args.compile else network

    for epoch in range(args.epochs):
        start = time.perf_counter()
        network.train()
        for chosen in torch.randperm(len(train_x)).split(args.batch_size):
            loss = functional.cross_entropy(forward(train_x[chosen]), train_y[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        trained = time.perf_counter()
        val_loss, val_acc = validate(network, val_x, val_y)
        end = time.perf_counter()
        times = {"train_s": trained - start, "epoch_s": end - start}
        print(json.dumps({"epoch": epoch, **times, "val_loss": val_loss, "val_acc": val_acc}), flush=True)


def parse_args() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("arrays")
    parser.add_argument("--variant", choices=("elu_he", "bn"), default="elu_he")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--compile", action="store_true")
    return parser.parse_args()


def build_network(batch_norm: bool) -> nn.Sequential:
    """20 hidden layers of 100 units, ELU, He initialization; with batch normalization before ELU or not."""
    layers: list[nn.Module] = []
    for num_inputs in [3072] + 19 * [100]:
        linear = nn.Linear(num_inputs, 100, bias=not batch_norm)
        nn.init.kaiming_normal_(linear.weight)
        layers += [linear, nn.BatchNorm1d(100), nn.ELU()] if batch_norm else [linear, nn.ELU()]
    return nn.Sequential(*layers, nn.Linear(100, 10))


@torch.no_grad()
def validate(network: nn.Module, x: Tensor, y: Tensor) -> tuple[float, float]:
    """Loss and accuracy, all images in one batch."""
    network.eval()
    logits = network(x)
    return functional.cross_entropy(logits, y).item(), (logits.argmax(1) == y).float().mean().item()


if __name__ == "__main__":
    main()
