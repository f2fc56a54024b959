"""Cost of MC dropout compared with one deterministic pass, over the test images of a checkpoint.

    PYTHONPATH=src .venv/bin/python benchmarks/mc_dropout.py CKPT [--every] [--samples 100] [--threads 1 2]

prints the medians of both for each number of threads, and their ratio; `--every` puts the same dropout after every
hidden layer, with the weights as they are, and measures that. The goals are 12 deterministic passes for 100 samples of
`alpha_dropout`, 110 with dropout after every layer. Passes alternate, so that other load on the machine slows both.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from trainlab.inference.mc_dropout import mc_probabilities
from trainlab.inference.rebuild import rebuild_data, rebuild_network
from trainlab.runs.checkpoints import load_checkpoint

GOALS = {False: 12, True: 110}  # by `--every`


def main() -> None:
    """Measure and print."""
    options = parsed()
    checkpoint = load_checkpoint(options.checkpoint)
    batches = [images for images, _ in rebuild_data(checkpoint).test_dataloader()]
    if options.every:
        checkpoint["trainlab"]["config"]["model"]["dropout_after"] = "every"
    network = rebuild_network(checkpoint)
    count, size = sum(map(len, batches)), len(batches[0])
    print(f"{count} images in batches of {size}, {options.samples} samples, torch {torch.__version__}")
    for threads in options.threads:
        torch.set_num_threads(threads)
        one, many = alternate(
            lambda: deterministic(network, batches),
            lambda: sampled(network, batches, options.samples),
            options.passes,
        )
        ratio, goal = statistics.median(many) / statistics.median(one), GOALS[options.every]
        print(
            f"{threads} thread{'s' * (threads > 1)}: deterministic {spread(one)}, MC dropout {spread(many)}, "
            f"ratio {ratio:.1f} (goal for 100 samples: at most {goal})"
        )


def alternate(first: Callable[[], Any], second: Callable[[], Any], passes: int) -> tuple[list[float], list[float]]:
    """Seconds of each, after one pass to warm up."""
    first(), second()
    taken: tuple[list[float], list[float]] = ([], [])
    for _ in range(passes):
        for work, seconds in zip((first, second), taken, strict=True):
            start = time.perf_counter()
            work()
            seconds.append(time.perf_counter() - start)
    return taken


@torch.inference_mode()
def deterministic(network: nn.Module, batches: Iterable[Tensor]) -> Tensor:
    """Probabilities (N, K)."""
    return torch.cat([network(images).softmax(1) for images in batches])


@torch.inference_mode()
def sampled(network: nn.Module, batches: Iterable[Tensor], samples: int) -> Tensor:
    """Mean of the samples, (N, K)."""
    means, seen = [], 0
    for images in batches:
        means.append(mc_probabilities(network, images, samples, first_image=seen).mean(0))
        seen += len(images)
    return torch.cat(means)


def spread(seconds: list[float]) -> str:
    """Median and range."""
    return f"{statistics.median(seconds):.3f} s ({min(seconds):.3f} to {max(seconds):.3f})"


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--every", action="store_true", help="dropout after every hidden layer")
    parser.add_argument("--samples", type=int, default=100)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--passes", type=int, default=5)
    return parser.parse_args()


if __name__ == "__main__":
    main()
