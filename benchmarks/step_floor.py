"""Compares the compiled step of a population with what its arithmetic takes at least, on one core; prints a table.

    .venv/bin/python benchmarks/step_floor.py --images DIR [--members 1 5 10] [--variants elu_he bn] [--rounds 3]

The floor is the sum of two times, medians, measured in the same process and divided by the members, for tensors of
the shapes of the network's dense layers at batch 32:

- products: all matrix products of forward and backward pass, each with its operands in place, as one batched product
  of all members or as one product of each, whichever is faster;
- update: `torch.optim.Adam(fused=True)` on one vector with all parameters of all members, one pass over its memory.

The step is `one_population.py MODE=compiled` with one thread, median of the epochs after the first; rounds of both
alternate. Run it on an otherwise idle machine.
"""

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported

import torch

from contestants import CACHE, HERE
from table import cpu_model
from throughput import positive
from trainings import BATCH_SIZE, Workload, train_population
from trainlab.config.build import build
from trainlab.config.compose import compose
from trainlab.console import quiet

REPEATS = 30


def layers_of(variant: str) -> tuple[list[tuple[int, int]], int]:
    """Inputs and outputs of each dense layer in their order, and the number of all parameters."""
    cfg = compose([f"model={variant}", "data=cifar10", "trainer=cpu", "name=floor", "output_dir=unused"])
    network = build(cfg).network
    dense = [module for module in network.modules() if isinstance(module, torch.nn.Linear)]
    return [(layer.in_features, layer.out_features) for layer in dense], sum(p.numel() for p in network.parameters())


def median_s(work: Callable[[], object]) -> float:
    """Seconds of a call, after some that warm up."""
    found = []
    for repeat in range(REPEATS + 5):
        start = time.perf_counter()
        work()
        if repeat >= 5:
            found.append(time.perf_counter() - start)
    return statistics.median(found)


def products_s(layers: Sequence[tuple[int, int]], members: int) -> float:
    """Seconds of a member's matrix products in a step."""
    triples = []
    for number, (inputs, outputs) in enumerate(layers):
        x, w = torch.randn(members, BATCH_SIZE, inputs), torch.randn(members, outputs, inputs)
        grad = torch.randn(members, BATCH_SIZE, outputs)
        pairs = [(x, w.transpose(1, 2)), (grad.transpose(1, 2), x)]
        pairs += [(grad, w)] if number else []  # images need no gradient
        triples += [(a, b, torch.empty(members, a.shape[1], b.shape[2])) for a, b in pairs]
    each = [tuple(tensor[i] for tensor in triple) for triple in triples for i in range(members)]

    def batched() -> None:
        for a, b, out in triples:
            torch.bmm(a, b, out=out)

    def one_by_one() -> None:
        for a, b, out in each:
            torch.mm(a, b, out=out)

    return min(median_s(batched), median_s(one_by_one)) / members


def update_s(parameters: int, members: int) -> float:
    """Seconds of a member's share of one pass of an optimizer over parameters, gradients and two moments."""
    vector = torch.randn(members * parameters, requires_grad=True)
    vector.grad = torch.randn(members * parameters)
    optimizer = torch.optim.Adam([vector], fused=True)
    return median_s(optimizer.step) / members


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, metavar="DIR", required=True, help="CIFAR-10 as image files")
    parser.add_argument("--members", nargs="+", type=positive, default=[1, 5, 10])
    parser.add_argument("--variants", nargs="+", default=["elu_he", "bn"])
    parser.add_argument("--rounds", type=positive, default=3)
    args = parser.parse_args()
    quiet()
    CACHE.mkdir(exist_ok=True)
    environment = {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join([str(HERE.parent / "src"), str(HERE)])}
    more = ("callbacks.figures=null", "logger.tensorboard=null", "test=false")
    work = Workload(args.images.resolve(), 2, environment, more=more)
    print(
        f"{cpu_model()}, torch {torch.__version__}; milliseconds of a member's step, one thread, {args.rounds} rounds"
    )
    print("| network | members | products | update | floor | compiled step | ratio |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for variant in args.variants:
        layers, parameters = layers_of(variant)
        for members in args.members:
            floors, steps = [], []
            for _ in range(args.rounds):
                floors.append((products_s(layers, members), update_s(parameters, members)))
                steps += train_population(work, variant, members, "compiled", 200).step_s
            products, update = (1000 * statistics.median(column) for column in zip(*floors, strict=True))
            step = 1000 * statistics.median(steps)
            cells = [f"{ms:.2f}" for ms in (products, update, products + update, step, step / (products + update))]
            print("|", " | ".join([variant, str(members), *cells]), "|", flush=True)


if __name__ == "__main__":
    sys.exit(main())
