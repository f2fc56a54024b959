"""The recipe of `experiment=airbench94` as a plain loop, for its accuracy and its time to be compared with.

    PYTHONPATH=src .venv/bin/python benchmarks/airbench94_loop.py --images DIR [--seed 1] [--steps 430]

trains on the project's own split of the images, which is all that it takes from the project, and prints a JSON line an
epoch: `train_s`, seconds of its training steps, and `val_acc`; then one with `test_acc`, of six views of each test
image. `--steps 10` only shows the time of a step. The recipe is that of Jordan (2024, arXiv 2404.00498, airbench94).
"""

import argparse
import contextlib
import json
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import count
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

BATCH, EPOCHS = 1024, 10
MOMENTUM = 0.85
LR = 11.5 / (1 + 1 / (1 - MOMENTUM))  # of the mean loss of a batch
DECAY = 0.0153 / (1 + 1 / (1 - MOMENTUM))  # of a step at the peak of the schedule, for all parameters
BIAS_FACTOR = 64  # of the rate of the biases of batch normalization
SMOOTHING = 0.2

Batch = tuple[Tensor, Tensor]  # normalized images (B, 3, H, W), labels (B,)


def build_network(widths: tuple[int, ...] = (64, 256, 256), classes: int = 10) -> nn.Sequential:
    """The network; the filters of its first layer are set by `whiten`."""
    first = nn.Conv2d(3, 24, 2)
    nn.init.zeros_(first.bias)
    layers: list[nn.Module] = [first, nn.GELU()]
    channels = 24
    for width in widths:
        layers += [_conv(channels, width), nn.MaxPool2d(2), _norm(width), nn.GELU()]
        layers += [_conv(width, width), _norm(width), nn.GELU()]
        channels = width
    return nn.Sequential(*layers, nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(channels, classes, bias=False))


def _conv(inputs: int, outputs: int) -> nn.Conv2d:
    conv = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
    with torch.no_grad():
        for channel in range(min(inputs, outputs)):
            conv.weight[channel] = 0
            conv.weight[channel, channel, 1, 1] = 1
    return conv


def _norm(width: int) -> nn.BatchNorm2d:
    norm = nn.BatchNorm2d(width, eps=1e-12, momentum=0.4)
    norm.weight.requires_grad = False
    return norm


def logits_of(network: nn.Module, x: Tensor) -> Tensor:
    """Logits of normalized images."""
    logits = network(x.contiguous(memory_format=torch.channels_last))
    return (logits.float() if logits.dtype == torch.bfloat16 else logits) / 9


@torch.no_grad()
def whiten(conv: nn.Conv2d, images: Tensor) -> None:
    """Set and freeze the filters of the first layer by all 2 x 2 patches of normalized images."""
    patches = images.unfold(2, 2, 1).unfold(3, 2, 1).permute(0, 2, 3, 1, 4, 5).reshape(-1, 12)
    moments = sum(part.double().T @ part.double() for part in patches.split(10**6)) / len(patches)
    values, vectors = torch.linalg.eigh(moments)
    order = values.argsort(descending=True)
    filters = (vectors[:, order] / (values[order] + 5e-4).sqrt()).T.float().reshape(12, 3, 2, 2)
    conv.weight[:12], conv.weight[12:] = filters, -filters
    conv.weight.requires_grad = False


def rate_at(step: int, steps: int) -> float:
    """Share of the peak of the learning rate in a step, counted from 0."""
    peak = int(0.23 * steps)
    return 0.2 + 0.8 * step / peak if step < peak else 1 - 0.93 * (step - peak) / (steps - peak)


def train(
    network: nn.Sequential, batches: Callable[[int], Iterable[Batch]], steps: int, dtype: torch.dtype = torch.bfloat16
) -> Iterator[int]:
    """Train for ``steps`` steps, with what runs in ``dtype`` by autocast; yields at the end of each epoch.

    Args:
        network: of `build_network`, after `whiten`.
        batches: epoch -> its batches.
        steps: in all.
        dtype: float32 for no autocast.
    """
    norms = [layer.bias for layer in network if isinstance(layer, nn.BatchNorm2d)]
    others = [p for p in network.parameters() if p.requires_grad and all(p is not bias for bias in norms)]
    peaks = [LR, LR * BIAS_FACTOR]
    groups = [{"params": p, "weight_decay": DECAY / peak} for p, peak in zip([others, norms], peaks, strict=True)]
    optimizer = torch.optim.SGD(groups, lr=LR, momentum=MOMENTUM, nesterov=True)
    step, slow = 0, None
    for epoch in count():
        network.train()
        network[0].bias.requires_grad = epoch < 3
        for x, y in batches(epoch):
            for group, peak in zip(optimizer.param_groups, peaks, strict=True):
                group["lr"] = peak * rate_at(step, steps)
            with autocast(dtype):
                logits = logits_of(network, x)
            loss = functional.cross_entropy(logits, y, label_smoothing=SMOOTHING)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            step += 1
            if epoch >= 3 and step % 5 == 0:
                slow = follow(slow, network, 0.95**5 * (step / steps) ** 3)
            if step == steps:
                break
        fast = {name: tensor.clone() for name, tensor in network.state_dict().items()}
        network.load_state_dict(slow or {}, strict=False)
        yield epoch
        if step == steps:
            return
        network.load_state_dict(fast)


@torch.no_grad()
def follow(slow: dict[str, Tensor] | None, network: nn.Module, keep: float) -> dict[str, Tensor]:
    """Move slow weights towards those of the network, and these back to them; the first ones are a copy."""
    state = {name: tensor for name, tensor in network.state_dict().items() if tensor.is_floating_point()}
    if slow is None:
        return {name: tensor.clone() for name, tensor in state.items()}
    for name, tensor in state.items():
        tensor.copy_(slow[name].lerp_(tensor, 1 - keep))
    return slow


def autocast(dtype: torch.dtype) -> contextlib.AbstractContextManager[object]:
    """Autocast to ``dtype``; nothing for float32."""
    return contextlib.nullcontext() if dtype == torch.float32 else torch.autocast("cpu", dtype)


def augmented(images: Tensor, labels: Tensor, draws: torch.Generator) -> Callable[[int], Iterator[Batch]]:
    """Epochs of whole batches in random order, of images translated by up to 2 pixels and flipped by turns."""
    padded = functional.pad(images, (2, 2, 2, 2), mode="reflect")
    flipped = torch.rand(len(images), generator=draws) < 0.5
    height, width = images.shape[2:]

    def batches(epoch: int) -> Iterator[Batch]:
        order = torch.randperm(len(images), generator=draws)
        for number in range(len(images) // BATCH):
            chosen = order[number * BATCH : (number + 1) * BATCH]
            x = torch.empty(BATCH, *images.shape[1:])
            corner = torch.randint(0, 5, (BATCH, 2), generator=draws)
            for place in range(25):
                row, column = divmod(place, 5)
                mine = (corner[:, 0] == row) & (corner[:, 1] == column)
                x[mine] = padded[chosen[mine], :, row : row + height, column : column + width]
            turned = flipped[chosen] ^ (epoch % 2 == 1)
            yield torch.where(turned[:, None, None, None], x.flip(3), x), labels[chosen]

    return batches


@torch.no_grad()
def accuracy(network: nn.Module, images: Tensor, labels: Tensor, six_views: bool) -> float:
    """Accuracy of one view of each image, or of the average of six."""
    network.eval()
    right = 0
    for x, y in zip(images.split(1000), labels.split(1000), strict=True):
        right += int(((six(network, x) if six_views else logits_of(network, x)).argmax(1) == y).sum())
    return right / len(labels)


def six(network: nn.Module, x: Tensor) -> Tensor:
    """Logits averaged over an image and its two diagonal translations, the first with a weight of 1/2, and mirrored."""
    height, width = x.shape[2:]
    padded = functional.pad(x, (1, 1, 1, 1), mode="reflect")
    views = [(x, 0.5), (padded[:, :, :height, :width], 0.25), (padded[:, :, 2:, 2:], 0.25)]
    return sum(weight * (logits_of(network, v) + logits_of(network, v.flip(3))) / 2 for v, weight in views)


def main() -> None:
    """Train, test and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", required=True, metavar="DIR", help="train/<class>/* and test/<class>/*")
    cache = str(Path(__file__).resolve().parent / ".cache")
    parser.add_argument("--cache-dir", default=cache, help="folder of decoded images")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, help="by default 10 epochs")
    parser.add_argument("--float32", action="store_true", help="instead of bfloat16")
    args = parser.parse_args()
    (x, y), (val_x, val_y), (test_x, test_y) = _read(args.images, args.cache_dir)
    mean, std = x.float().mean((0, 2, 3), keepdim=True), x.float().std((0, 2, 3), keepdim=True)
    x, val_x, test_x = ((images.float() - mean) / std for images in (x, val_x, test_x))
    torch.manual_seed(args.seed)
    network = build_network()
    whiten(network[0], x)
    per_epoch = len(x) // BATCH
    steps = args.steps or per_epoch * EPOCHS
    dtype = torch.float32 if args.float32 else torch.bfloat16
    begun = time.perf_counter()
    start = begun
    for epoch in train(network, augmented(x, y, torch.Generator().manual_seed(args.seed)), steps, dtype):
        times = {"epoch": epoch, "train_s": time.perf_counter() - start}
        with autocast(dtype):
            print(json.dumps(times | {"val_acc": accuracy(network, val_x, val_y, False)}), flush=True)
        start = time.perf_counter()
    whole = {"steps": steps, "steps_per_epoch": per_epoch, "total_s": time.perf_counter() - begun}
    if args.steps is None:
        whole |= {"test_acc": accuracy(network, test_x, test_y, True)}
    print(json.dumps(whole), flush=True)


def _read(root: str, cache_dir: str) -> list[tuple[Tensor, Tensor]]:
    """Training, validation and test images, uint8 (N, 3, 32, 32), and labels."""
    from trainlab.data.image_folder import ImageFolder

    data = ImageFolder(root, cache_dir=cache_dir, val_size=5000)
    loaders = (data.train_dataloader(), data.val_dataloader(), data.test_dataloader())
    return [tuple(map(torch.cat, zip(*loader, strict=True))) for loader in loaders]


if __name__ == "__main__":
    main()
